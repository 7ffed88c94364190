"""What the queries of scopes leave over: SMART v2's `system/DocumentReference.rs?category=…` as criteria.

Scopes add up: a scope without a query opens all of its type, and so does one that names the transaction. A query that
this server does not understand opens nothing, and neither does a scope of a patient's context in a token without one.

Spec: SMART App Launch 2.2, finer-grained resource constraints; EHDS-21, EHDS-22.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import lru_cache

from app.fhir.outcome import FhirError
from app.search.ask import ask
from app.search.criteria import EVERYTHING, NOTHING, Criterion, any_of
from app.search.definitions import Definitions
from app.security.access import Layer
from app.security.compartment import DIRECTORY
from app.security.scope import ADMIN, ALLOWED, NOT_IN_WILDCARD, Grant

READING, WRITING = frozenset("rs"), frozenset("cud")

# Types whose records may be narrowed by a query.
NARROWED = ("DocumentReference", "List", "Patient", "AuditEvent", "Consent")

# What a transaction shows that no scope of a type needs to open.
SHOWN_BY = {"ITI-83": frozenset({"Patient"}), "ITI-119": frozenset({"Patient"})}
# What the administration shows.
OF_ADMINISTRATION = frozenset({"Consent"})


@dataclass(frozen=True, slots=True)
class Opened:
    """What the scopes of a principal open in one transaction, found once for all of its requests.

    Attributes:
        layer: what is seen.
        reaches: what may be written, where it is narrowed.
        shown: the types that may be shown; None for a principal without scopes.
    """

    layer: Layer
    reaches: Mapping[str, Criterion]
    shown: frozenset[str] | None


@lru_cache(maxsize=1024)
def opened(scopes: Scopes, transaction: str, *, publishes: bool) -> Opened:
    """Return what `scopes` open in `transaction`; it is the same for all tokens that say the same."""
    layer = scopes.layer(READING | WRITING if publishes else READING)
    return Opened(layer, scopes.reaches(), scopes.shown(transaction) if scopes.held else None)


@dataclass(frozen=True, slots=True)
class Scopes:
    """What the scopes of a principal open in one transaction.

    Attributes:
        held: all of them.
        granted: those that let the request in.
        is_bound: the principal is bound to a patient.
    """

    held: tuple[Grant, ...]
    granted: tuple[Grant, ...]
    is_bound: bool
    definitions: Definitions
    base_url: str

    def layer(self, rights: frozenset[str]) -> Layer:
        """Return what is seen with `rights`; of the types that the request is about, by what it came in with."""
        found = {kind: self._open(kind, self._covering(kind, rights)) for kind in NARROWED}
        return Layer("scope", {kind: criterion for kind, criterion in found.items() if criterion != EVERYTHING})

    def reaches(self) -> Mapping[str, Criterion]:
        """Return what may be written, where it is narrowed."""
        found = {kind: self._open(kind, self._of_type(self.held, kind, WRITING)) for kind in NARROWED}
        return {kind: criterion for kind, criterion in found.items() if criterion != EVERYTHING}

    def shown(self, transaction: str) -> frozenset[str]:
        """Return the types that may be shown, `*` for all but those that must be named."""
        found = set(SHOWN_BY.get(transaction, ()))
        for grant in self.held:
            if grant.transaction:
                found |= {one.partition(".")[0] for one in ALLOWED[grant.transaction]} | DIRECTORY
                found |= OF_ADMINISTRATION if grant.transaction == ADMIN else frozenset()
            elif grant.rights & READING:
                found.add(grant.resource_type)
        return frozenset(found)

    def _covering(self, kind: str, rights: frozenset[str]) -> list[Grant]:
        own = self._of_type(self.granted, kind, rights)
        return own or self._of_type(self.held, kind, rights)

    def _open(self, kind: str, grants: Iterable[Grant]) -> Criterion:
        if any(grant.transaction and not grant.query for grant in self.granted):
            return EVERYTHING
        asked = [self._asked(kind, grant) for grant in grants]
        return any_of(asked) if asked else EVERYTHING

    def _asked(self, kind: str, grant: Grant) -> Criterion:
        if grant.context == "patient" and not self.is_bound:
            return NOTHING
        if not grant.query:
            return EVERYTHING
        try:
            found = ask(self.definitions, kind, grant.query, self.base_url)
        except FhirError:
            return NOTHING
        return NOTHING if found is None else found

    @staticmethod
    def _of_type(grants: Iterable[Grant], kind: str, rights: frozenset[str]) -> list[Grant]:
        types = (kind,) if kind in NOT_IN_WILDCARD else (kind, "*")
        return [one for one in grants if not one.transaction and one.resource_type in types and one.rights & rights]
