"""The ProvideBundle profiles: which entry was meant for which slice, and what keeps it out.

Spec: ITI TF-2:3.65.4.1.2; MHD StructureDefinitions IHE.MHD.*.ProvideBundle.
"""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any

import pytest

from app.fhir.resource import Resource
from app.validation.validator import Validator
from tests.validation.conftest import MHD, errors

COMPREHENSIVE, MINIMAL = f"{MHD}Comprehensive.ProvideBundle", f"{MHD}Minimal.ProvideBundle"
DOCUMENT = "urn:uuid:0c287d32-01e3-4d87-9953-9fcc9404eb01"
BINARY = "urn:uuid:0c287d32-01e3-4d87-9953-9fcc9404eb02"
CODING = [{"system": "http://example.org/codes", "code": "a"}]
CONCEPT = {"coding": CODING}
TYPES = "https://profiles.ihe.net/ITI/MHD/CodeSystem/IHE.MHD.MHDIdentifierType"


def identifier(kind: str, value: str) -> Resource:
    concept = {"coding": [{"system": TYPES, "code": kind}]}
    return {"system": "urn:ietf:rfc:3986", "value": value, "type": concept}


def submission_set() -> Resource:
    home = "https://profiles.ihe.net/ITI/MHD/StructureDefinition/"
    return {
        "resourceType": "List",
        "extension": [
            {"url": home + "ihe-designationType", "valueCodeableConcept": CONCEPT},
            {"url": home + "ihe-sourceId", "valueIdentifier": {"value": "urn:oid:1.2.3"}},
        ],
        "identifier": [identifier("uniqueId", "urn:oid:1.2.3.4")],
        "status": "current",
        "mode": "working",
        "code": {
            "coding": [{"system": "https://profiles.ihe.net/ITI/MHD/CodeSystem/MHDlistTypes", "code": "submissionset"}]
        },
        "subject": {"reference": "Patient/1"},
        "date": "2024-03-01T10:00:00Z",
        "entry": [{"item": {"reference": DOCUMENT}}],
    }


def document_reference() -> Resource:
    return {
        "resourceType": "DocumentReference",
        "contained": [{"resourceType": "Patient", "id": "p", "gender": "other"}],
        "masterIdentifier": identifier("uniqueId", "urn:oid:1.2.3.5"),
        "status": "current",
        "type": CONCEPT,
        "category": [CONCEPT],
        "subject": {"reference": "Patient/1"},
        "securityLabel": [CONCEPT],
        "content": [
            {
                "attachment": {
                    "contentType": "text/plain",
                    "language": "en",
                    "url": BINARY,
                    "creation": "2024-03-01T10:00:00Z",
                },
                "format": CODING[0],
            }
        ],
        "context": {"facilityType": CONCEPT, "practiceSetting": CONCEPT, "sourcePatientInfo": {"reference": "#p"}},
    }


def entry(full_url: str, resource: Resource, method: str = "POST") -> Resource:
    request = {"method": method, "url": resource["resourceType"]}
    return {"fullUrl": full_url, "resource": resource, "request": request}


def bundle(profile: str = COMPREHENSIVE) -> Resource:
    message = {
        "resourceType": "Bundle",
        "meta": {"profile": [profile]},
        "type": "transaction",
        "entry": [
            entry("urn:uuid:0c287d32-01e3-4d87-9953-9fcc9404eb00", submission_set()),
            entry(DOCUMENT, document_reference()),
            entry(BINARY, {"resourceType": "Binary", "contentType": "text/plain", "data": "QUJD"}),
        ],
    }
    return copy.deepcopy(message)


Change = Callable[[list[Resource]], Any]

CASES: list[tuple[str, Change, list[tuple[str, str]]]] = [
    ("nothing", lambda e: None, []),
    ("another order", lambda e: e.reverse(), []),
    ("no type", lambda e: e[1]["resource"].pop("type"), [("required", "Bundle.entry[1].resource")]),
    (
        "docStatus",
        lambda e: e[1]["resource"].update(docStatus="final"),
        [("structure", "Bundle.entry[1].resource.docStatus")],
    ),
    ("slip", lambda e: e[1]["resource"].update(staus="x"), [("structure", "Bundle.entry[1].resource.staus")]),
    (
        "status",
        lambda e: e[1]["resource"].update(status="entered-in-error"),
        [("code-invalid", "Bundle.entry[1].resource.status")],
    ),
    (
        "language",
        lambda e: e[1]["resource"]["content"][0]["attachment"].pop("language"),
        [("required", "Bundle.entry[1].resource.content[0].attachment")],
    ),
    (
        "not contained",
        lambda e: e[1]["resource"].update(author=[{"reference": "Practitioner/1"}]),
        [("structure", "Bundle.entry[1].resource.author[0]")],
    ),
    (
        "no identifier type",
        lambda e: e[1]["resource"]["masterIdentifier"].pop("type"),
        [("required", "Bundle.entry[1].resource.masterIdentifier")],
    ),
    (
        "two categories",
        lambda e: e[1]["resource"].update(category=[CONCEPT, CONCEPT]),
        [("structure", "Bundle.entry[1].resource.category")],
    ),
    ("mode", lambda e: e[0]["resource"].update(mode="snapshot"), [("value", "Bundle.entry[0].resource.mode")]),
    ("no date", lambda e: e[0]["resource"].pop("date"), [("required", "Bundle.entry[0].resource")]),
    (
        "unique id",
        lambda e: e[0]["resource"]["identifier"][0].update(value="urn:uuid:x"),
        [("invariant", "Bundle.entry[0].resource.identifier[0].value")],
    ),
    ("method", lambda e: e[1]["request"].update(method="DELETE"), [("value", "Bundle.entry[1].request.method")]),
    (
        "no resource",
        lambda e: (e[2].pop("resource"), e[1]["resource"]["content"][0]["attachment"].update(url="http://x")),
        [("required", "Bundle.entry[2]")],
    ),
    ("no request", lambda e: e[2].pop("request"), [("invariant", "Bundle"), ("required", "Bundle.entry[2]")]),
    (
        "Practitioner",
        lambda e: e.append(entry("urn:uuid:9", {"resourceType": "Practitioner", "active": True})),
        [("structure", "Bundle.entry[3]")],
    ),
    ("no submission set", lambda e: e.pop(0), [("required", "Bundle")]),
    ("two submission sets", lambda e: e.append({**e[0], "fullUrl": "urn:uuid:8"}), [("structure", "Bundle.entry[3]")]),
    (
        "two patients",
        lambda e: e.extend(entry(f"urn:uuid:{i}", {"resourceType": "Patient"}) for i in (1, 2)),
        [("structure", "Bundle.entry[4]")],
    ),
    (
        "dangling",
        lambda e: e[0]["resource"]["entry"][0]["item"].update(reference="urn:uuid:7"),
        [("not-found", "Bundle.entry[0].resource.entry[0].item.reference")],
    ),
]


@pytest.mark.parametrize(("name", "change", "expected"), CASES, ids=[name for name, _, _ in CASES])
def test_comprehensive(validator: Validator, name: str, change: Change, expected: list[tuple[str, str]]) -> None:
    """MHD-65-10 to 15, MHD-PR-01, 10, 11, 20, 30: the mistake is named where it is, whatever slice it keeps out of."""
    message = bundle()
    change(message["entry"])
    assert errors(validator.validate(message, COMPREHENSIVE)) == expected


def test_levels(validator: Validator) -> None:
    """MHD-65-05: a DocumentReference without `type` is minimal, and not comprehensive."""
    message = bundle(MINIMAL)
    del message["entry"][1]["resource"]["type"]
    assert errors(validator.validate(message, MINIMAL)) == []
    assert errors(validator.validate(message, MINIMAL + "|4.2.4")) == []
    assert errors(validator.validate(message, COMPREHENSIVE)) == [("required", "Bundle.entry[1].resource")]


def test_every_mistake_of_a_bundle_at_once(validator: Validator) -> None:
    """Style 10: collect, then fail."""
    message = bundle()
    first, second = message["entry"][0]["resource"], message["entry"][1]["resource"]
    del first["date"], second["type"]
    second["content"][0]["attachment"]["hash"] = "*"
    message["entry"][2]["resource"]["data"] = "QUJ"
    assert errors(validator.validate(message, COMPREHENSIVE)) == [
        ("required", "Bundle.entry[0].resource"),
        ("required", "Bundle.entry[1].resource"),
        ("value", "Bundle.entry[1].resource.content[0].attachment.hash"),
        ("value", "Bundle.entry[2].resource.data"),
    ]


def test_what_no_slice_resembles_lists_the_slices(validator: Validator) -> None:
    """MHD-65-13: the closed slicing refuses other types, and says which entries there may be."""
    message = bundle()
    message["entry"].append(entry("urn:uuid:9", {"resourceType": "Practitioner", "active": True}))
    (issue,) = [issue for issue in validator.validate(message, COMPREHENSIVE) if issue.is_error]
    for name in (
        "SubmissionSet",
        "DocumentRefs",
        "UpdateDocumentRefs",
        "Documents",
        "FhirDocuments",
        "Folders",
        "Patient",
    ):
        assert f"`{name}`" in issue.diagnostics


def test_validation_changes_nothing(validator: Validator) -> None:
    """Style 7: validation is pure."""
    message = bundle()
    before = copy.deepcopy(message)
    validator.validate(message, COMPREHENSIVE)
    assert message == before
