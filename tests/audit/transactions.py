"""The table of what is done to the server, and what its events must be: audit.md 5.1, MHD section 14."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any

import httpx

from tests.audit.collecting import World, simplified
from tests.mhd.documents import cda
from tests.patients import NORTH, PETER, feed, person
from tests.submissions import binary, submission

MHD = "https://profiles.ihe.net/ITI/MHD/StructureDefinition/IHE.MHD"
PIXM = "https://profiles.ihe.net/ITI/PIXm/StructureDefinition/IHE.PIXm"
PDQM = "https://profiles.ihe.net/ITI/PDQm/StructureDefinition/IHE.PDQm"
BASIC = "https://profiles.ihe.net/ITI/BALP/StructureDefinition/IHE.BasicAudit"

SRC, DST, APP, CUS = "110153", "110152", "110150", "custodian"
THERE, BACK, GONE = (SRC, DST), (DST, SRC), (APP, CUS)
FORM = {"Content-Type": "application/x-www-form-urlencoded"}

Ask = Callable[[World], Awaitable[httpx.Response]]


@dataclass(frozen=True)
class Row:
    """A transaction as one request, and what its first event must say.

    Attributes:
        id: of the case.
        ask: does it.
        failing: does it so that it fails; None where it cannot be told from the success.
        example: name of the official example, in `ihe/<package>/examples`.
        entities: roles, in any order.
    """

    id: str
    ask: Ask
    failing: Ask
    profile: str
    subtype: tuple[str, ...]
    action: str
    agents: tuple[str, str]
    entities: tuple[str, ...]
    type: str = "rest"
    example: str = ""


def get(url: str, **parameters: str) -> Ask:
    """Ask for `url`; `{north}`, `{peter}`, `{document}` and `{binary}` stand for what there is."""

    async def ask(world: World) -> httpx.Response:
        return await world.client.get(_filled(url, world), params=_filled_all(parameters, world) or None)

    return ask


def post(url: str, body: Callable[[World], Any]) -> Ask:
    """Post a resource."""

    async def ask(world: World) -> httpx.Response:
        return await world.client.post(url, json=body(world))

    return ask


def form(url: str, **parameters: str) -> Ask:
    """Post a form."""

    async def ask(world: World) -> httpx.Response:
        return await world.client.post(url, data=_filled_all(parameters, world))

    return ask


def _filled(text: str, world: World) -> str:
    names = {"north": world.north, "peter": world.peter, "binary": world.binary}
    return text.format(document=world.document.get("id"), **names)


def _filled_all(parameters: dict[str, str], world: World) -> dict[str, str]:
    return {name.replace("__", "."): _filled(text, world) for name, text in parameters.items()}


def _broken(world: World) -> Any:
    bundle = submission(subject=f"Patient/{world.north}")
    bundle["entry"][1]["resource"]["content"][0]["attachment"]["hash"] = "2jmj7l5rSw0yVb/vlWAYkK/YBwk="
    return bundle


def _document(world: World) -> Any:
    made = binary(cda().replace(b"2.999.40.1", b"2.999.10.1").replace(b"4711", b"N-1001"), "text/xml")
    return {"resourceType": "Parameters", "parameter": [{"name": "document", "resource": made}]}


def _source(value: str) -> Callable[[World], Any]:
    def body(world: World) -> Any:
        return {"resourceType": "Parameters", "parameter": [{"name": "sourceIdentifier", "valueString": value}]}

    return body


def _described(**elements: Any) -> Callable[[World], Any]:
    described = {"resourceType": "Patient", **elements}
    return lambda world: {"resourceType": "Parameters", "parameter": [{"name": "resource", "resource": described}]}


async def _fed_anew(world: World) -> httpx.Response:
    return await feed(world.client, person(value="N-5000"))


async def _fed_again(world: World) -> httpx.Response:
    return await feed(world.client, PETER | {"birthDate": "1951-11-03"})


async def _fed_wrongly(world: World) -> httpx.Response:
    return await feed(world.client, PETER | {"birthDate": "yesterday"})


async def _fed_wrongly_anew(world: World) -> httpx.Response:
    return await world.client.post(
        "Patient", json=person(value="N-1") | {"birthDate": "x"}, headers={"If-None-Exist": f"identifier={NORTH}|N-1"}
    )


async def _removed(world: World) -> httpx.Response:
    return await world.client.delete("Patient", params={"identifier": f"{NORTH}|N-2044"})


async def _removed_wrongly(world: World) -> httpx.Response:
    return await world.client.delete("Patient", params={"identifier": "urn:oid:2.999.404|N-2044"})


_Q, _P, _D = "24", "1", "4"

# What somebody else tells (exchange 11).
FOREIGN = {
    "resourceType": "AuditEvent",
    "type": {"system": "http://dicom.nema.org/resources/ontology/DCM", "code": "110100"},
    "recorded": "2026-01-15T07:00:00Z",
    "agent": [{"requestor": False, "who": {"display": "ward viewer 3"}}],
    "source": {"observer": {"display": "ward viewer 3"}},
}

ROWS = (
    Row(
        "ITI-65", post("", lambda world: submission(subject=f"Patient/{world.north}")), post("", _broken),
        f"{MHD}.ProvideBundle.Audit.Recipient", ("ITI-65",), "C", THERE, (_P, "20"), "110107",
        "mhd/AuditEvent-ex-auditProvideBundle-recipient",
    ),
    Row(
        "ITI-66", get("List", patient="Patient/{north}", code="submissionset", status="current"),
        get("List", patient="{north}", date="junk"),
        f"{MHD}.FindDocumentLists.Audit.Responder", ("search", "ITI-66"), "E", THERE, (_P, _Q), "rest",
        "mhd/AuditEvent-ex-auditFindDocumentLists-responder",
    ),
    Row(
        "ITI-67", get("DocumentReference", patient="Patient/{north}", status="current"),
        get("DocumentReference", patient="{north}", date="junk"),
        f"{MHD}.FindDocumentReferences.Audit.Responder", ("search", "ITI-67"), "E", THERE, (_P, _Q), "rest",
        "mhd/AuditEvent-ex-auditFindDocumentReferences-responder",
    ),
    Row(
        "ITI-67 by POST", form("DocumentReference/_search", patient="Patient/{north}", status="current"),
        form("DocumentReference/_search", patient="{north}", date="junk"),
        f"{MHD}.FindDocumentReferences.Audit.Responder", ("search", "ITI-67"), "E", THERE, (_P, _Q), "rest",
        "mhd/AuditEvent-ex-auditFindDocumentReferences-post-responder",
    ),
    Row(
        "ITI-68", get("{binary}"), get("Binary/nobody"),
        f"{MHD}.RetrieveDocument.Audit.Responder", ("read", "ITI-68"), "R", BACK, (_P, "3"), "rest",
        "mhd/AuditEvent-ex-auditRetrieveDocument-responder",
    ),
    Row(
        "ITI-105", post("DocumentReference", lambda world: simplified(world.north)),
        post("DocumentReference", lambda world: simplified("nobody")),
        f"{MHD}.SimplifiedPublish.Audit.Recipient", ("create", "ITI-105"), "C", THERE, (_P, _D), "rest",
        "mhd/AuditEvent-ex-auditSimplifiedPublish-recipient",
    ),
    Row(
        "ITI-106", post("DocumentReference/$generate-metadata", _document),
        post("DocumentReference/$generate-metadata", lambda world: binary(b"<no/>", "text/xml")),
        f"{MHD}.GenerateMetadata.Audit.Recipient", ("create", "ITI-106"), "C", THERE, (_P, _D), "rest",
        "mhd/AuditEvent-ex-auditGenerateMetadata-recipient",
    ),
    Row(
        "ITI-83", get("Patient/$ihe-pix", sourceIdentifier=f"{NORTH}|N-1001"),
        get("Patient/$ihe-pix", sourceIdentifier=f"{NORTH}|nobody"),
        f"{PIXM}.Query.Audit.Manager", ("search", "ITI-83"), "E", THERE, (_P, _Q), "rest",
        "pixm/AuditEvent-ex-auditPixmQuery-manager",
    ),
    Row(
        "ITI-83 by POST", post("Patient/$ihe-pix", _source(f"{NORTH}|N-1001")),
        post("Patient/$ihe-pix", _source(f"{NORTH}|nobody")),
        f"{PIXM}.Query.Audit.Manager", ("search", "ITI-83"), "E", THERE, (_P, _Q), "rest",
        "pixm/AuditEvent-ex-auditPixmQuery-manager",
    ),
    Row(
        "ITI-104 add", _fed_anew, _fed_wrongly_anew,
        f"{PIXM}.Feed.Create.Audit.Manager", ("create", "ITI-104"), "C", THERE, (_P, _D), "rest",
        "pixm/AuditEvent-ex-auditPixmFeed-create-manager",
    ),
    Row(
        "ITI-104 revise", _fed_again, _fed_wrongly,
        f"{PIXM}.Feed.Update.Audit.Manager", ("update", "ITI-104"), "U", THERE, (_P, _D), "rest",
        "pixm/AuditEvent-ex-auditPixmFeed-update-manager",
    ),
    Row(
        "ITI-104 remove", _removed, _removed_wrongly,
        f"{PIXM}.Feed.Delete.Audit.Manager", ("delete", "ITI-104"), "D", GONE, (_P, _D), "rest",
        "pixm/AuditEvent-ex-auditPixmFeed-delete-manager",
    ),
    Row(
        "ITI-78", get("Patient", family="Kráľ"), get("Patient", birthdate="junk"),
        f"{PDQM}.Query.Audit.Supplier", ("search", "ITI-78"), "E", THERE, (_P, _Q), "rest",
        "pdqm/AuditEvent-ex-auditPdqmQuery-supplier",
    ),
    Row(
        "ITI-78 over the system", get("", _type="Patient", _id="{peter}"), get("", _type="Patient", birthdate="junk"),
        f"{PDQM}.Query.Audit.Supplier", ("search", "ITI-78"), "E", THERE, (_P, _Q), "rest",
        "pdqm/AuditEvent-ex-auditPdqmQuery-supplier",
    ),
    Row(
        "ITI-78 read", get("Patient/{north}"), get("Patient/nobody"),
        f"{BASIC}.PatientRead", ("read", "ITI-78"), "R", BACK, (_P, _D), "rest",
        "balp/AuditEvent-ex-auditBasicReadServer",
    ),
    Row(
        "ITI-119",
        post("Patient/$match", _described(name=[{"family": "Kráľ", "given": ["Peter"]}], birthDate="1951-11-02")),
        post("Patient/$match", _described(modifierExtension=[{"url": "urn:x"}])),
        f"{PDQM}.Match.Audit.Supplier", ("search", "ITI-119"), "E", THERE, (_P, _Q), "rest",
        "pdqm/AuditEvent-ex-auditPdqmMatch-supplier",
    ),
    Row(
        "read of a DocumentReference", get("DocumentReference/{document}"), get("DocumentReference/nobody"),
        f"{BASIC}.PatientRead", ("read", "ITI-67"), "R", BACK, (_P, _D),
    ),
    Row(
        "vread of a Patient", get("Patient/{north}/_history/1"), get("Patient/{north}/_history/99"),
        f"{BASIC}.PatientRead", ("vread", "ITI-78"), "R", BACK, (_P, _D),
    ),
    Row(
        "search of a compartment", get("Patient/{north}/DocumentReference"),
        get("Patient/{north}/DocumentReference", date="junk"),
        f"{BASIC}.PatientQuery", ("search",), "E", THERE, (_P, _Q),
    ),
    Row(
        "search of several types", get("", _type="DocumentReference,List", patient="Patient/{north}"),
        get("", _type="Observation", patient="Patient/{north}"),
        f"{BASIC}.PatientQuery", ("search",), "E", THERE, (_P, _Q),
    ),
    Row(
        "search of definitions", get("StructureDefinition", name="Patient"), get("StructureDefinition", _count="junk"),
        f"{BASIC}.Query", ("search",), "E", THERE, (_Q,), "rest", "balp/AuditEvent-ex-auditBasicQueryGetNoPatient",
    ),
    Row(
        "$validate", post("Patient/$validate", lambda world: person()),
        post("Patient/$validate?mode=junk", lambda world: person()),
        "", ("operation",), "E", THERE, (_Q,),
    ),
    Row(
        "ITI-81", get("AuditEvent", date="ge2020-01-01", patient="Patient/{north}"),
        get("AuditEvent", date="junk", patient="Patient/{north}"),
        f"{BASIC}.PatientQuery", ("search", "ITI-81"), "E", THERE, (_P, _Q),
    ),
    Row(
        "ITI-20", post("AuditEvent", lambda world: FOREIGN), post("AuditEvent", lambda world: FOREIGN | {"recorded": "x"}),
        f"{BASIC}.Create", ("create", "ITI-20"), "C", THERE, (_D,),
    ),
    Row(
        "log of a person", get("Patient/{north}/$access-log"), get("Patient/{north}/$access-log", date="junk"),
        f"{BASIC}.PatientQuery", ("search", "ITI-81"), "E", THERE, (_P, _Q),
    ),
)  # fmt: skip
