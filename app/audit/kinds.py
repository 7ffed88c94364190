"""What the events of each transaction are: its profile, its code, and what its entities are read from.

Spec: audit.md sections 4, 5.1 and 7; MHD section 14; AUD-03, AUD-30 to AUD-38, AUD-50 to AUD-55, AUD-70, AUD-72.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from app.audit import asked, codes
from app.audit.patterns import PATTERNS
from app.audit.raw import Body
from app.fhir.resource import Resource
from app.transaction import About, Interaction, Occurrence, Transaction

_MHD = "https://profiles.ihe.net/ITI/MHD/StructureDefinition/IHE.MHD"
_PIXM = "https://profiles.ihe.net/ITI/PIXm/StructureDefinition/IHE.PIXm"
_PDQM = "https://profiles.ihe.net/ITI/PDQm/StructureDefinition/IHE.PDQm"


@dataclass(frozen=True, slots=True)
class Kind:
    """The events of one interaction.

    Attributes:
        pattern: key of `PATTERNS`.
        code, display: of the transaction, for `subtype`.
        profile: what a success follows; empty for BALP's own.
        of_patient: the profile asks for a patient; without one the event follows BALP's.
        role: of the data.
        asked: what a request says by itself of what it is about.
        body: of which body the request that is written down repeats it: none, any, or a form only.
        is_closed: the profile leaves no room for other entities.
    """

    pattern: str
    code: str = ""
    display: str = ""
    profile: str = ""
    of_patient: bool = True
    role: Resource = field(default_factory=lambda: codes.DOMAIN_RESOURCE)
    asked: Callable[[Occurrence, str], About] = asked.nothing
    body: Body = "any"
    is_closed: bool = False


_ITI66, _ITI67 = ("ITI-66", "Find Document Lists"), ("ITI-67", "Find Document References")
_ITI68, _ITI78 = ("ITI-68", "Retrieve Document"), ("ITI-78", "Mobile Patient Demographics Query")
_ITI81, _ITI104 = ("ITI-81", "Retrieve ATNA Audit Event"), ("ITI-104", "Patient Identity Feed FHIR")
_ITI20 = ("ITI-20", "Record Audit Event")

# (transaction, FHIR's interaction) -> its events.
KINDS: Mapping[tuple[str, str], Kind] = {
    ("ITI-65", "transaction"): Kind(
        "Import",
        "ITI-65",
        "Provide Document Bundle",
        f"{_MHD}.ProvideBundle.Audit.Recipient",
        role=codes.JOB,
        asked=asked.submission,
    ),
    ("ITI-66", "search-type"): Kind(
        "Query", *_ITI66, f"{_MHD}.FindDocumentLists.Audit.Responder", asked=asked.patients_of_search
    ),
    ("ITI-66", "read"): Kind("Read", *_ITI66, asked=asked.record),
    ("ITI-67", "search-type"): Kind(
        "Query", *_ITI67, f"{_MHD}.FindDocumentReferences.Audit.Responder", asked=asked.patients_of_search
    ),
    ("ITI-67", "read"): Kind("Read", *_ITI67, asked=asked.record),
    ("ITI-68", "read"): Kind(
        "Read", *_ITI68, f"{_MHD}.RetrieveDocument.Audit.Responder", role=codes.REPORT, asked=asked.record
    ),
    ("ITI-105", "create"): Kind(
        "Create",
        "ITI-105",
        "Simplified Publish",
        f"{_MHD}.SimplifiedPublish.Audit.Recipient",
        asked=asked.published,
    ),
    ("ITI-106", "operation"): Kind(
        "Create", "ITI-106", "Generate Metadata", f"{_MHD}.GenerateMetadata.Audit.Recipient", body="none"
    ),
    ("ITI-83", "operation"): Kind(
        "Query",
        "ITI-83",
        "Mobile Patient Identifier Cross-reference Query",
        f"{_PIXM}.Query.Audit.Manager",
        asked=asked.source_identifier,
    ),
    ("ITI-104", "create"): Kind("Create", *_ITI104, f"{_PIXM}.Feed.Create.Audit.Manager", asked=asked.fed),
    ("ITI-104", "update"): Kind("Update", *_ITI104, f"{_PIXM}.Feed.Update.Audit.Manager", asked=asked.fed),
    ("ITI-104", "delete"): Kind("Delete", *_ITI104, f"{_PIXM}.Feed.Delete.Audit.Manager", asked=asked.fed),
    ("ITI-78", "search-type"): Kind(
        "Query", *_ITI78, f"{_PDQM}.Query.Audit.Supplier", of_patient=False, asked=asked.patient_searched
    ),
    ("ITI-78", "read"): Kind("Read", *_ITI78, asked=asked.record),
    ("ITI-119", "operation"): Kind(
        "Query", "ITI-119", "Patient Demographics Match", f"{_PDQM}.Match.Audit.Supplier", of_patient=False
    ),
    ("ITI-20", "create"): Kind("Create", *_ITI20),
    ("ITI-20", "batch"): Kind("Create", *_ITI20),
    ("ITI-71", "operation"): Kind(
        "Token",
        "ITI-71",
        "Get Access Token",
        f"{codes.BALP}/StructureDefinition/IHE.IUA.71",
        of_patient=False,
        asked=asked.oauth_client,
        body="form",
        is_closed=True,
    ),
    ("ITI-81", "search-type"): Kind("Query", *_ITI81, asked=asked.patients_of_log),
    ("ITI-81", "operation"): Kind("Query", *_ITI81, asked=asked.patients_of_search),
    ("ITI-81", "read"): Kind("Read", *_ITI81, asked=asked.record),
}

# The same for interactions of no transaction.
PLAIN: Mapping[str, Kind] = {
    "read": Kind("Read", asked=asked.record),
    "search-type": Kind("Query", asked=asked.patients_of_search),
    "search-system": Kind("Query", asked=asked.patients_of_search),
    "create": Kind("Create"),
    "update": Kind("Update"),
    "delete": Kind("Delete"),
    "operation": Kind("Operation", body="none"),
}

_SAME = {"vread": "read"}


def kind_of(transaction: Transaction, interaction: Interaction, about: About) -> Kind | None:
    """Return what the events of an interaction are; None when it has none.

    Own choice: what the server says of itself to everybody, such as its CapabilityStatement, is no event; monitors ask
    for it all day.
    """
    done = about.interaction or interaction.code
    done = _SAME.get(done, done)
    if found := KINDS.get((about.transaction or transaction.code, done)):
        return found
    if interaction.method == "GET" and not (interaction.scope or interaction.resource_type):
        return None
    if not transaction.code and done in PLAIN:
        return PLAIN[done]
    pattern = PLAIN[done].pattern if done in PLAIN else "Operation"
    return Kind(pattern, transaction.code, transaction.name, body="none")


def profile_of(kind: Kind, *, has_patient: bool, data: int) -> str:
    """Return the profile that a success of `kind` follows with these entities; empty when there is none (AUD-04)."""
    pattern = PATTERNS[kind.pattern]
    if not pattern.has_query and data != 1:
        return ""
    if kind.profile and (has_patient or not kind.of_patient):
        return kind.profile
    return profile_name(pattern.profile, has_patient=has_patient)


def profile_name(name: str, *, has_patient: bool) -> str:
    """Return the URL of the BALP pattern `name`; empty for none."""
    return f"{codes.BALP}/StructureDefinition/IHE.BasicAudit.{'Patient' if has_patient else ''}{name}" if name else ""
