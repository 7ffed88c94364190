"""An example as a submission: the Comprehensive Bundle in which a Document Source would publish it.

Spec: ITI-65, 2:3.65.4.1.2; profile IHE.MHD.Comprehensive.ProvideBundle.
"""

from __future__ import annotations

import base64
from pathlib import Path

from app.document.identifier import typed
from app.document.level import COMPREHENSIVE
from app.document.vocabulary import DESIGNATION_TYPE, LIST_TYPES, SOURCE_ID, SUBMISSION_SET, UNIQUE_ID, URI_SYSTEM
from app.examples.catalogue import DOMAIN, FORMATS, LOINC, SNOMED, Example
from app.fhir.resource import Resource

_FOLDER = Path(__file__).parent / "documents"
_SUBMISSION, _DOCUMENT, _FILE = (f"urn:uuid:5f1a3c10-0000-4000-8000-00000000010{digit}" for digit in "123")
_AUTHOR: Resource = {
    "resourceType": "Practitioner",
    "id": "author",
    "identifier": [{"system": "urn:oid:2.999.1.2", "value": "DOC-7"}],
    "name": [{"family": "Beispiel", "given": ["Otto"], "prefix": ["Dr."]}],
}


def submission_of(example: Example, unique_id: str) -> Resource:
    """Return the Bundle that publishes `example`.

    Args:
        unique_id: beginning of the OIDs of the document and of the SubmissionSet.
    """
    return {
        "resourceType": "Bundle",
        "meta": {"profile": [COMPREHENSIVE]},
        "type": "transaction",
        "entry": [
            _entry(_SUBMISSION, _submission_set(example, f"{unique_id}.2")),
            _entry(_DOCUMENT, _document_reference(example, f"{unique_id}.1")),
            _entry(_FILE, _binary(example)),
        ],
    }


def _entry(full_url: str, resource: Resource) -> Resource:
    request = {"method": "POST", "url": resource["resourceType"]}
    return {"fullUrl": full_url, "resource": resource, "request": request}


def _submission_set(example: Example, unique_id: str) -> Resource:
    return {
        "resourceType": "List",
        "contained": [_AUTHOR],
        "extension": [
            {"url": DESIGNATION_TYPE, "valueCodeableConcept": _concept(SNOMED, example.category)},
            {"url": SOURCE_ID, "valueIdentifier": {"system": URI_SYSTEM, "value": "urn:oid:2.999.1.9"}},
        ],
        "identifier": [typed({"system": URI_SYSTEM, "value": unique_id}, UNIQUE_ID)],
        "status": "current",
        "mode": "working",
        "title": example.title,
        "code": {"coding": [{"system": LIST_TYPES, "code": SUBMISSION_SET}]},
        "subject": {"reference": f"Patient/{example.patient}"},
        "date": example.creation,
        "source": {"reference": "#author"},
        "entry": [{"item": {"reference": _DOCUMENT}}],
    }


def _document_reference(example: Example, unique_id: str) -> Resource:
    source: Resource = {
        "resourceType": "Patient",
        "id": "source",
        "identifier": [{"system": DOMAIN, "value": f"WARD-{example.patient}"}],
    }
    return {
        "resourceType": "DocumentReference",
        "contained": [_AUTHOR, source],
        "masterIdentifier": typed({"system": URI_SYSTEM, "value": unique_id}, UNIQUE_ID),
        "status": "current",
        "type": _concept(LOINC, example.type),
        "category": [_concept(SNOMED, example.category)],
        "subject": {"reference": f"Patient/{example.patient}"},
        "date": example.creation,
        "author": [{"reference": "#author"}],
        "description": f"{example.title}; every person and finding in it is invented.",
        "securityLabel": [_concept("http://terminology.hl7.org/CodeSystem/v3-Confidentiality", ("N", "normal"))],
        "content": [{"attachment": _attachment(example), "format": _concept(FORMATS, example.format)["coding"][0]}],
        "context": {
            "period": {"start": "2025-03-08", "end": "2025-03-14"},
            "facilityType": _concept(SNOMED, ("22232009", "Hospital")),
            "practiceSetting": _concept(SNOMED, ("394579002", "Cardiology")),
            "sourcePatientInfo": {"reference": "#source"},
        },
    }


def _attachment(example: Example) -> Resource:
    return {
        "contentType": example.media_type,
        "language": "en",
        "url": _FILE,
        "title": example.title,
        "creation": example.creation,
    }


def _binary(example: Example) -> Resource:
    document = (_FOLDER / example.file).read_bytes()
    return {
        "resourceType": "Binary",
        "contentType": example.media_type,
        "data": base64.b64encode(document).decode(),
    }


def _concept(system: str, coded: tuple[str, str]) -> Resource:
    return {"coding": [{"system": system, "code": coded[0], "display": coded[1]}]}
