"""What the caller of one request may see and write.

A caller sees what passes every layer; each layer is there for one reason. Two of them, the patient to whom a token is
bound and the queries of its scopes, say which records exist for the caller at all. The other two, confidentiality and
the patients' restrictions, limit disclosure: what is published is not looked at with them (MHD-SEC-13).

Spec: IUA-23, IUA-32; EHDS-20, EHDS-21, EHDS-110; MHD-SEC-05, MHD-SEC-13. docs/decisions/0027.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from app.search.criteria import EVERYTHING, Criterion, all_of
from app.security.decision import Decision, Reason
from app.security.principal import ANONYMOUS, Principal
from app.security.scope import NOT_IN_WILDCARD


@dataclass(frozen=True, slots=True)
class Layer:
    """What is seen for one reason, and what is not.

    Attributes:
        sights: resource type -> what is seen of it.
        otherwise: what is seen of any other type.
        consents: name of a Patient -> names of the Consents for which nothing of theirs is seen.
    """

    reason: Reason
    sights: Mapping[str, Criterion]
    otherwise: Criterion = EVERYTHING
    consents: Mapping[str, tuple[str, ...]] = field(default_factory=dict)

    def sight(self, resource_type: str) -> Criterion:
        """Return what is seen of `resource_type`."""
        return self.sights.get(resource_type, self.otherwise)


@dataclass(frozen=True, slots=True)
class Access:
    """The outcome of authorization: who asks, and which part of the records exists for them.

    Attributes:
        principal: who asks.
        layers: what says which records exist for the caller.
        disclosure: what limits disclosure; publishing is not looked at with these.
        is_publishing: the request writes.
        reaches: resource type -> what a record must meet that the caller creates or changes; others must be seen.
        shown: types that the caller may be shown; None: all.
        patients: names of the Patients to whom the caller is bound, `Patient/1`; None: bound to nobody.
        refuses_others: an explicit question about another patient is refused; else it finds nothing.
        is_whole: nothing is withheld: no layer is looked at.
        decisions: what was decided while the request was answered; for the audit.
    """

    principal: Principal = ANONYMOUS
    layers: tuple[Layer, ...] = ()
    disclosure: tuple[Layer, ...] = ()
    is_publishing: bool = False
    reaches: Mapping[str, Criterion] = field(default_factory=dict)
    shown: frozenset[str] | None = None
    patients: frozenset[str] | None = None
    refuses_others: bool = True
    is_whole: bool = True
    decisions: list[Decision] = field(default_factory=list, compare=False)

    @property
    def active(self) -> tuple[Layer, ...]:
        """The layers that this request is looked at with."""
        return self.layers if self.is_publishing else (*self.layers, *self.disclosure)

    def sight(self, resource_type: str) -> Criterion:
        """Return what the caller sees of `resource_type`."""
        if self.is_whole:
            return EVERYTHING
        return all_of([EVERYTHING, *(layer.sight(resource_type) for layer in self.active)])

    def shows(self, resource_type: str) -> bool:
        """Tell whether the caller may be shown records of `resource_type` at all."""
        if self.shown is None or resource_type in self.shown:
            return True
        return "*" in self.shown and resource_type not in NOT_IN_WILDCARD


UNRESTRICTED = Access()
