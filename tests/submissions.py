"""Submissions for tests: valid ITI-65 Bundles of each level, varied by keyword, and what can be done to them."""

from __future__ import annotations

import base64
import copy
import hashlib
import uuid
from typing import Any

from app.fhir.resource import Resource

MHD = "https://profiles.ihe.net/ITI/MHD"
SD = f"{MHD}/StructureDefinition"
LEVELS = {
    "minimal": f"{SD}/IHE.MHD.Minimal.ProvideBundle",
    "uncontained": f"{SD}/IHE.MHD.UnContained.Comprehensive.ProvideBundle",
    "comprehensive": f"{SD}/IHE.MHD.Comprehensive.ProvideBundle",
}
UNIQUE_ID, ENTRY_UUID = "uniqueId", "entryUUID"
HELLO = b"Hello World"


def urn() -> str:
    """Return a new `urn:uuid:`."""
    return f"urn:uuid:{uuid.uuid4()}"


def oid() -> str:
    """Return a new `urn:oid:` made of a UUID."""
    return f"urn:oid:2.25.{uuid.uuid4().int}"


def sha1(document: bytes) -> str:
    """Return the hash of a document as Attachment.hash spells it."""
    return base64.b64encode(hashlib.sha1(document, usedforsecurity=False).digest()).decode()


def identifier(kind: str, value: str) -> Resource:
    """Return an identifier of Document Sharing."""
    coding = {"system": f"{MHD}/CodeSystem/IHE.MHD.MHDIdentifierType", "code": kind}
    return {"type": {"coding": [coding]}, "system": "urn:ietf:rfc:3986", "value": value}


def concept(system: str, code: str) -> Resource:
    """Return a CodeableConcept."""
    return {"coding": [{"system": system, "code": code}]}


def submission_set(*members: str, **elements: Any) -> Resource:
    """Return a SubmissionSet that is valid at every level."""
    practitioner = {"resourceType": "Practitioner", "id": "author", "name": [{"family": "Beispiel", "given": ["Otto"]}]}
    resource: Resource = {
        "resourceType": "List",
        "contained": [practitioner],
        "extension": [
            {"url": f"{SD}/ihe-designationType", "valueCodeableConcept": concept("http://snomed.info/sct", "58000006")},
            {
                "url": f"{SD}/ihe-sourceId",
                "valueIdentifier": {"system": "urn:ietf:rfc:3986", "value": "urn:oid:2.999.7.1"},
            },
        ],
        "identifier": [identifier(UNIQUE_ID, oid())],
        "status": "current",
        "mode": "working",
        "title": "An invented submission",
        "code": concept(f"{MHD}/CodeSystem/MHDlistTypes", "submissionset"),
        "subject": {"reference": "Patient/p1"},
        "date": "2025-03-14T16:05:00+01:00",
        "source": {"reference": "#author"},
        "entry": [{"item": {"reference": member}} for member in members],
    }
    return _varied(resource, elements)


def document_reference(url: str, **elements: Any) -> Resource:
    """Return a DocumentReference that is valid at every level."""
    resource: Resource = {
        "resourceType": "DocumentReference",
        "contained": [
            {"resourceType": "Practitioner", "id": "author", "name": [{"family": "Beispiel", "given": ["Otto"]}]},
            {
                "resourceType": "Patient",
                "id": "source",
                "identifier": [{"system": "https://ward.example/numbers", "value": "W-77"}],
            },
        ],
        "masterIdentifier": identifier(UNIQUE_ID, oid()),
        "status": "current",
        "type": concept("http://loinc.org", "18842-5"),
        "category": [concept("http://snomed.info/sct", "373942005")],
        "subject": {"reference": "Patient/p1"},
        "date": "2025-03-14T16:05:00+01:00",
        "author": [{"reference": "#author"}],
        "securityLabel": [concept("http://terminology.hl7.org/CodeSystem/v3-Confidentiality", "N")],
        "content": [
            {
                "attachment": {
                    "contentType": "text/plain",
                    "language": "en",
                    "url": url,
                    "title": "An invented letter",
                    "creation": "2025-03-14T15:40:00+01:00",
                },
                "format": {
                    "system": "http://ihe.net/fhir/ihe.formatcode.fhir/CodeSystem/formatcode",
                    "code": "urn:ihe:iti:xds:2017:mimeTypeSufficient",
                },
            }
        ],
        "context": {
            "period": {"start": "2025-03-08", "end": "2025-03-14"},
            "facilityType": concept("http://snomed.info/sct", "22232009"),
            "practiceSetting": concept("http://snomed.info/sct", "394579002"),
            "sourcePatientInfo": {"reference": "#source"},
        },
    }
    return _varied(resource, elements)


def binary(document: bytes = HELLO, content_type: str = "text/plain") -> Resource:
    """Return a Binary with its data."""
    resource: Resource = {"resourceType": "Binary", "contentType": content_type}
    return resource | ({"data": base64.b64encode(document).decode()} if document else {})


def entry(resource: Resource, full_url: str = "", method: str = "POST", url: str = "") -> Resource:
    """Return a Bundle entry."""
    request = {"method": method, "url": url or resource["resourceType"]}
    return {"fullUrl": full_url or urn(), "resource": resource, "request": request}


def bundle(*entries: Resource, level: str = "comprehensive") -> Resource:
    """Return a ProvideBundle of `level` with `entries`."""
    return {
        "resourceType": "Bundle",
        "meta": {"profile": [LEVELS[level]]},
        "type": "transaction",
        "entry": list(entries),
    }


def submission(
    document: bytes = HELLO,
    *,
    level: str = "comprehensive",
    subject: str | None = "Patient/p1",
    content_type: str = "text/plain",
    **elements: Any,
) -> Resource:
    """Return a valid submission: SubmissionSet, DocumentReference and Binary, in this order.

    Args:
        elements: replace elements of the DocumentReference; None removes one.
    """
    reference, file = urn(), urn()
    about = [{"subject": {"reference": subject} if subject else None} for _ in range(2)]
    described = document_reference(file, **(about[1] | elements))
    described["content"][0]["attachment"]["contentType"] = content_type
    return bundle(
        entry(submission_set(reference, **about[0]), urn()),
        entry(described, reference),
        entry(binary(document, content_type), file),
        level=level,
    )


def minimal(document: bytes = HELLO, **elements: Any) -> Resource:
    """Return a submission with the least that the Minimal level wants of a DocumentReference."""
    absent = dict.fromkeys(("contained", "type", "category", "author", "securityLabel", "context", "date"))
    made = submission(document, level="minimal", **(absent | elements))
    attachment = made["entry"][1]["resource"]["content"][0]["attachment"]
    made["entry"][1]["resource"]["content"] = [{"attachment": {key: attachment[key] for key in ("contentType", "url")}}]
    return made


def changed(resource: Resource, path: str, value: Any) -> Resource:
    """Return a copy of `resource` with the element at `path` set, or removed when `value` is None.

    Examples:
        changed(bundle, "entry.1.resource.status", "superseded")
    """
    made = copy.deepcopy(resource)
    *parents, last = [int(part) if part.isdecimal() else part for part in path.split(".")]
    at: Any = made
    for part in parents:
        at = at[part]
    if value is None:
        del at[last]
    else:
        at[last] = value
    return made


def _varied(resource: Resource, elements: Resource) -> Resource:
    varied = resource | elements
    return {name: value for name, value in varied.items() if value is not None}
