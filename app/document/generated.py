"""The DocumentReference that this server makes for a document that describes itself.

Spec: ITI-106, 2:3.106.4.1.3; MHD-106-08, 11, 13, 15.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, replace

from app.document.content import attachment_of, with_url
from app.document.derivation import NORMAL
from app.document.described import Described
from app.document.fhir_document import serialised
from app.document.identifier import token, typed
from app.document.patients import patients_with
from app.document.simplified import SOMEWHERE, check_level
from app.document.structured import Structured
from app.document.vocabulary import INVALID_CONTENT, UNIQUE_ID, UNKNOWN_PATIENT
from app.fhir.outcome import FhirError, require_none
from app.fhir.reference import parse as parse_reference
from app.fhir.resource import Resource, instant, parse_json
from app.search.query import parse as parse_query
from app.transaction import Context

_MOST = 100

# So many identifiers of the patient are asked for: more than people have.
_MOST_IDENTIFIERS = 50


async def generated_document(document: Structured, context: Context) -> Resource:
    """Return the DocumentReference of `document`, without the place where it will be kept.

    Raises:
        FhirError: `not-found` (400) for a patient who is not known, `multiple-matches` (412) for several; `required`
            (422) when the document does not say what the metadata level of this deployment demands.
    """
    described = document.described
    said = described.elements
    attachment = {"contentType": document.media_type} | said["content"][0].get("attachment", {})
    made = said | {
        "resourceType": "DocumentReference",
        "contained": described.contained,
        "masterIdentifier": typed(said["masterIdentifier"], UNIQUE_ID),
        "status": "current",
        "subject": {"reference": f"Patient/{await _patient(described, document.place, context)}"},
        "date": instant(context.now()),
        "securityLabel": said.get("securityLabel") or [NORMAL],
        "content": [{**said["content"][0], "attachment": attachment}],
    }
    made = {name: value for name, value in made.items() if value}
    if context.switches.metadata_level == "comprehensive":
        made = _filled_up(made, context)
    issues = check_level(with_url(made, SOMEWHERE), context)
    require_none([replace(issue, details=INVALID_CONTENT) for issue in issues], status=422)
    return made


async def _patient(described: Described, place: str, context: Context) -> str:
    """Return the id of the one known patient whom the document is about (MHD-106-13)."""
    reference = parse_reference(described.patient_reference, context.base_url)
    if reference.kind == "literal" and reference.resource_type == "Patient":
        return reference.id
    found: set[str] = set()
    for identifier in described.patient_identifiers[:_MOST_IDENTIFIERS]:
        found.update(await patients_with(identifier, context))
    if len(found) == 1:
        return found.pop()
    code, text = ("multiple-matches", "More than one known") if found else ("not-found", "No known")
    text = f"{text} patient has an identifier of the patient whom the document is about."
    status = None if found else 400
    raise FhirError(code, text, status=status, expression=place, details=UNKNOWN_PATIENT)


def _filled_up(document: Resource, context: Context) -> Resource:
    """Return `document` with what the deployment says of documents that do not tell it (MHD-106-11)."""
    switches, about = context.switches, document.get("context", {})
    attachment = {"language": switches.default_language, "creation": document["date"]} | attachment_of(document)
    return (
        {"category": [document.get("type", {})]}
        | document
        | {
            "content": [{**document["content"][0], "attachment": attachment}],
            "context": {
                "facilityType": _concept(switches.default_facility_type),
                "practiceSetting": _concept(switches.default_practice_setting),
            }
            | about,
        }
    )


def _concept(text: str) -> Resource:
    system, _, code = text.rpartition("|")
    return {"coding": [{"system": system, "code": code}]}


@dataclass(frozen=True, slots=True)
class Earlier:
    """What was made of the same document before.

    Attributes:
        name: its current DocumentReference; "" when there is none.
        keys: what a new one claims, so that of several requests at the same instant one makes it.
    """

    name: str = ""
    keys: tuple[str, ...] = ()


async def earlier_document(document: Structured, metadata: Resource, context: Context) -> Earlier:
    """Return the current DocumentReference of the very same document, of the same uniqueId (MHD-106-08)."""
    unique = token(metadata["masterIdentifier"])
    key = f"generated {unique} {document.identity}"
    # Looked up before the search: a key that is held by now, and whose record the search misses, was superseded.
    held = await context.store.holders([key])
    asked = [("identifier", unique), ("status", "current")]
    query = parse_query(context.definitions, "DocumentReference", asked, base_url=context.base_url)
    for record_id in await context.store.find_ids("DocumentReference", query.criterion, _MOST):
        known = parse_json((await context.store.read("DocumentReference", record_id)).json)
        is_meant = known["masterIdentifier"]["value"] == metadata["masterIdentifier"]["value"]
        if is_meant and await _is_same(document, attachment_of(known), context):
            return Earlier(f"DocumentReference/{record_id}")
    return Earlier(keys=() if held else (key,))


async def _is_same(document: Structured, attachment: Resource, context: Context) -> bool:
    """Tell whether the document of `attachment` is `document`, byte for byte."""
    if document.holder["resourceType"] == "Binary":
        return f"document {attachment.get('hash', '')} {attachment.get('size', '')}" == document.identity
    place = parse_reference(str(attachment.get("url", "")), context.base_url)
    if place.resource_type != "Bundle" or place.kind != "literal":
        return False
    kept = await context.store.read("Bundle", place.id)
    media_type = parse_json(kept.json)["contentType"]
    again = serialised(document.holder, place.id, media_type, context.packages.structures)
    return kept.content is not None and kept.content.sha1 == hashlib.sha1(again, usedforsecurity=False).digest()
