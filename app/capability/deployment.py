"""What a deployment adds to the statement: browser clients, content guides, the actors of the EU Health Data API.

Spec: EHDS-02 to EHDS-04, table 2 of the requirement list; the names of the two published drafts of that guide differ.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from app.fhir.package_info import PackageInfo
from app.fhir.packages import CORE, Packages
from app.transaction import Transaction

_EU = "http://hl7.eu/fhir/"
_API = f"{_EU}health-data-api"
_STATEMENT = f"{_API}/CapabilityStatement"

# Actor of the guide, in both spellings -> the transactions that make it up; for each, one of several suffices.
ACTORS: dict[tuple[str, str], tuple[frozenset[str], ...]] = {
    ("EEHRxF-DocumentAccessProvider", "document-access-provider-eu-api"): (
        frozenset({"ITI-67"}),
        frozenset({"ITI-68"}),
        frozenset({"ITI-78"}),
    ),
    ("EEHRxF-DocumentAccessProvider-SubmissionOption", "document-access-provider-submission-option-eu-api"): (
        frozenset({"ITI-67"}),
        frozenset({"ITI-68"}),
        frozenset({"ITI-78"}),
        frozenset({"ITI-105"}),
    ),
}

# The guide's profiles of what it exchanges, by resource type, in both spellings where there are two.
PROFILES: dict[str, tuple[str, ...]] = {
    "DocumentReference": (
        f"{_API}/StructureDefinition/EehrxfMhdDocumentReference",
        f"{_API}/StructureDefinition/document-reference-eu-api",
    ),
    "Patient": (f"{_EU}base/StructureDefinition/patient-eu-core",),
}


@dataclass(frozen=True, slots=True)
class Deployment:
    """The choices of an operator that the statement tells.

    Attributes:
        cors: there are browser clients.
        ehds: the server is declared as an actor of the EU Health Data API.
        guides: canonical URLs of content guides whose documents are here, beside those of loaded packages.
    """

    cors: bool = False
    ehds: bool = False
    guides: tuple[str, ...] = ()

    def actors(self, transactions: Sequence[Transaction]) -> Iterator[str]:
        """Yield the actors of the guide that `transactions` make up, each under both names."""
        codes = {each.code for each in transactions}
        for names, asked in ACTORS.items() if self.ehds else ():
            if all(codes & each for each in asked):
                yield from (f"{_STATEMENT}/{name}" for name in names)

    def profiles(self, resource_type: str) -> tuple[str, ...]:
        """Return the guide's profiles of a resource type."""
        return PROFILES.get(resource_type, ()) if self.ehds else ()

    def implementation_guides(self, packages: Packages) -> Iterator[str]:
        """Yield the guide of each enabled package, and the content guides; FHIR R4 itself is no guide."""
        yield from (_guide(info) for info in packages.listed() if info.canonical and info.id != CORE)
        yield from self.guides


def _guide(info: PackageInfo) -> str:
    """Return how a guide is named: Europe's by their canonical base alone (EHDS-03), others by their resource."""
    return info.canonical if info.canonical.startswith(_EU) else f"{info.canonical}/ImplementationGuide/{info.id}"
