"""From a principal to an access: what part of the records exists for whoever was let in.

Spec: IUA-23, IUA-32; EHDS-20 to EHDS-22, EHDS-110; MHD-SEC-05, MHD-SEC-13; AUD-98. docs/decisions/0027.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field

from app.search.criteria import EVERYTHING, Criterion, all_of
from app.search.definitions import Definitions
from app.security.access import Access, Layer
from app.security.compartment import of_person
from app.security.decision import Decision
from app.security.guard import Credentials, Guard, Mode
from app.security.policy import Policy, Restriction, restriction_layer
from app.security.principal import Principal
from app.security.refusal import denied
from app.security.scope import Grant
from app.security.scoped import Scopes, opened

# Requests that write; what is disclosed on the way is looked at where it happens.
PUBLISHING = frozenset({"ITI-65", "ITI-104", "ITI-105", "ITI-106"})
FEED = "ITI-104"
# Transactions that disclose nothing of what restrictions withhold.
UNRESTRICTABLE = frozenset({"ITI-20", "ITI-78", "ITI-81", "ITI-83", "ITI-104", "ITI-119"})

NO_PATIENT = "The scopes are those of a patient's context, and the token names no patient."
NOT_FOR_ONE = "A source feeds all of its records; this access is bound to a part of them."

# The patient of a token, as its claim names them -> the ids of all records of that person.
Persons = Callable[[str], Awaitable[Sequence[str]]]
Restrictions = Callable[[], Awaitable[Sequence[Restriction]]]


async def nobody_restricts() -> Sequence[Restriction]:
    """Return no restrictions."""
    return ()


@dataclass(frozen=True, slots=True)
class Decider:
    """What `app.security.guard.Gate` asks for each request.

    Attributes:
        persons: whom a token is bound to.
        restrictions: those of all patients, as they are now.
        refuses_others: an explicit question about another patient is refused, else it finds nothing.
    """

    definitions: Definitions
    base_url: str
    persons: Persons
    policy: Policy = field(default_factory=Policy)
    restrictions: Restrictions = nobody_restricts
    refuses_others: bool = True

    async def __call__(self, principal: Principal, granted: tuple[Grant, ...], transaction: str) -> Access:
        """Return what `principal`, let in by `granted`, sees and writes in `transaction`.

        Raises:
            RefusedError: `forbidden` (403, 401) for a token of a patient's context without a patient, and for a feed
                by somebody who is bound to a part of the records.
        """
        if granted and not principal.patient and all(one.context == "patient" for one in granted):
            raise denied(principal, NO_PATIENT)
        publishes = transaction in PUBLISHING
        scopes = Scopes(principal.grants, granted, bool(principal.patient), self.definitions, self.base_url)
        found = opened(scopes, transaction, publishes=publishes)
        ids = await self.persons(principal.patient) if principal.patient else ()
        bound = of_person(ids) if principal.patient else None
        layers = tuple(one for one in (bound, found.layer) if one and (one.sights or one is bound))
        reaches = _reaches(bound, found.reaches)
        if transaction == FEED and "Patient" in reaches:
            raise denied(principal, NOT_FOR_ONE)
        patients = frozenset(f"Patient/{one}" for one in ids) if bound else None
        disclosure, decisions = await self._disclosure(principal, granted, transaction, patients)
        return Access(
            principal=principal,
            layers=layers,
            disclosure=disclosure,
            is_publishing=publishes,
            reaches=reaches,
            shown=found.shown,
            patients=patients,
            refuses_others=self.refuses_others,
            is_whole=not (layers or disclosure or reaches or found.shown),
            decisions=decisions,
        )

    async def _disclosure(
        self, principal: Principal, granted: Sequence[Grant], transaction: str, patients: frozenset[str] | None
    ) -> tuple[tuple[Layer, ...], list[Decision]]:
        """Return what policy withholds, and what was decided already: in an emergency, that it withholds nothing."""
        restricted = None
        if transaction not in UNRESTRICTABLE:
            restricted = restriction_layer(await self.restrictions(), principal, patients)
        found = tuple(one for one in (self.policy.confidentiality(principal, granted), restricted) if one)
        if not found or not self.policy.is_emergency(principal, granted):
            return found, []
        return (), [Decision(is_permitted=True, reason="break-glass")]


def _reaches(bound: Layer | None, narrowed: Mapping[str, Criterion]) -> Mapping[str, Criterion]:
    """Return what may be written: of the bound person, and as far as the scopes reach."""
    kinds = {*narrowed, *(bound.sights if bound else ())}
    found = {
        kind: all_of([EVERYTHING, *([bound.sight(kind)] if bound else []), narrowed.get(kind, EVERYTHING)])
        for kind in kinds
    }
    return {kind: criterion for kind, criterion in found.items() if criterion != EVERYTHING}


@dataclass(frozen=True, slots=True)
class Watched:
    """A guard in front of whom nobody shows a token, where the patients' restrictions hold nevertheless."""

    guard: Guard
    decide: Decider

    @property
    def mode(self) -> Mode:
        """How it is found out who asks."""
        return self.guard.mode

    async def admit(self, credentials: Credentials, transaction: str, scope: str) -> Access:
        """Return what somebody sees of whom nothing is known.

        Raises:
            RefusedError: as the guard.
        """
        access = await self.guard.admit(credentials, transaction, scope)
        return await self.decide(access.principal, (), transaction) if scope else access

    async def close(self) -> None:
        """Let go of what the guard holds."""
        await self.guard.close()
