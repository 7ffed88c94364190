"""Invariants of R4 and of profiles.

Spec: FHIR R4 conformance-rules.html#constraints and the constraints of each type's page.
"""

from __future__ import annotations

from typing import Any

import pytest

from app.fhir import path
from app.fhir.resource import Resource
from app.validation.hot_invariants import HOT
from app.validation.place import Place, Run
from app.validation.validator import Validator
from tests.validation.conftest import MHD, ValidatorOf, element, errors, profile, url_of


def patient(**elements: Any) -> Resource:
    return {"resourceType": "Patient", **elements}


def bundle(kind: str, *entries: Resource, **elements: Any) -> Resource:
    return {"resourceType": "Bundle", "type": kind, "entry": list(entries), **elements}


P = {"resource": {"resourceType": "Patient"}}
REQUEST = {"request": {"method": "POST", "url": "Patient"}}
RESPONSE = {"response": {"status": "200"}}
CONTAINED = {"resourceType": "Organization", "id": "o", "name": "O"}
USED = {"managingOrganization": {"reference": "#o"}}
IDENTIFIED = {"identifier": {"system": "urn:x", "value": "1"}, "timestamp": "2020-01-01T00:00:00Z"}


@pytest.mark.parametrize(
    ("resource", "key"),
    [
        (patient(extension=[{"url": "u:x", "valueCode": "c", "extension": [{"url": "a", "valueCode": "c"}]}]), "ext-1"),
        (patient(extension=[{"url": "u:x"}]), "ext-1"),
        (patient(extension=[{"url": "u:x", "_valueCode": {"extension": [{"url": "a:b", "valueCode": "c"}]}}]), ""),
        (patient(name=[{"text": "x", "period": {"start": "2020-02", "end": "2020-01"}}]), "per-1"),
        (patient(name=[{"text": "x", "period": {"start": "2020", "end": "2020-01"}}]), ""),
        (
            patient(
                name=[{"text": "x", "period": {"start": "2020-01-01T12:00:00Z", "end": "2020-01-01T12:30:00+01:00"}}]
            ),
            "per-1",
        ),
        (patient(contact=[{"gender": "male"}]), "pat-1"),
        (patient(contact=[{"telecom": [{"system": "phone", "value": "1"}]}]), ""),
        (patient(telecom=[{"value": "1"}]), "cpt-2"),
        (patient(photo=[{"data": "QUJD"}]), "att-1"),
        (patient(contained=[CONTAINED], **USED), ""),
        (patient(contained=[CONTAINED]), "dom-3"),
        (patient(contained=[{**CONTAINED, "partOf": {"reference": "#"}}]), ""),
        (
            patient(
                contained=[{**CONTAINED, "contained": [{**CONTAINED, "id": "i"}], "partOf": {"reference": "#i"}}],
                **USED,
            ),
            "dom-2",
        ),
        (patient(contained=[{**CONTAINED, "meta": {"versionId": "1"}}], **USED), "dom-4"),
        (patient(contained=[{**CONTAINED, "meta": {"security": [{"code": "x"}]}}], **USED), "dom-5"),
        (patient(contained=[{"resourceType": "Organization", "id": "o", "alias": ["x"]}], **USED), "org-1"),
        (bundle("collection", P, total=1), "bdl-1"),
        (bundle("searchset", P, total=1), ""),
        (bundle("collection", {**P, "search": {"mode": "match"}}), "bdl-2"),
        (bundle("transaction", P), "bdl-3"),
        (bundle("collection", {**P, **REQUEST}), "bdl-3"),
        (bundle("transaction-response", RESPONSE), ""),
        (bundle("collection", {**P, **RESPONSE}), "bdl-4"),
        (bundle("collection", {"fullUrl": "urn:uuid:1"}), "bdl-5"),
        (bundle("collection", {**P, "fullUrl": "http://x/Patient/1"}, {**P, "fullUrl": "http://x/Patient/1"}), "bdl-7"),
        (bundle("collection", {**P, "fullUrl": "http://x/Patient/1/_history/2"}), "bdl-8"),
        (bundle("collection", P), ""),
        (bundle("document", {"resource": {"resourceType": "Basic", "code": {"text": "x"}}}, **IDENTIFIED), "bdl-11"),
        (bundle("message", P), "bdl-12"),
        ({"resourceType": "Parameters", "parameter": [{"name": "a"}]}, "inv-1"),
        (
            {"resourceType": "Parameters", "parameter": [{"name": "a", "valueCode": "x", "resource": P["resource"]}]},
            "inv-1",
        ),
        (
            {
                "resourceType": "List",
                "status": "current",
                "mode": "working",
                "emptyReason": {"text": "x"},
                "entry": [{"item": {"display": "x"}}],
            },
            "lst-1",
        ),
        (
            {
                "resourceType": "List",
                "status": "current",
                "mode": "working",
                "entry": [{"deleted": True, "item": {"display": "x"}}],
            },
            "lst-2",
        ),
        (
            {
                "resourceType": "Observation",
                "status": "final",
                "code": {"text": "x"},
                "valueQuantity": {"value": 1, "code": "g"},
            },
            "qty-3",
        ),
        (
            {
                "resourceType": "Observation",
                "status": "final",
                "code": {"text": "x"},
                "valueRange": {"low": {"value": 2}, "high": {"value": 1}},
            },
            "rng-2",
        ),
        (
            {
                "resourceType": "Observation",
                "status": "final",
                "code": {"text": "x"},
                "valueString": "x",
                "dataAbsentReason": {"text": "x"},
            },
            "obs-6",
        ),
    ],
)
def test_invariant_of_r4(validator: Validator, resource: Resource, key: str) -> None:
    """MHD-PR-13 and the constraints of R4's pages: which invariant a resource breaks."""
    broken = [issue.diagnostics for issue in validator.validate(resource) if issue.code == "invariant"]
    assert [words.split("`")[1] for words in broken] == ([key] if key else [])


@pytest.mark.parametrize("missing", ["identifier", "timestamp"])
def test_document_bundle(validator: Validator, missing: str) -> None:
    """bdl-9, bdl-10: a document has an identifier and a timestamp."""
    composition = {
        "resourceType": "Composition",
        "status": "final",
        "type": {"text": "x"},
        "date": "2020",
        "title": "T",
        "author": [{"display": "x"}],
    }
    elements = {name: value for name, value in IDENTIFIED.items() if name != missing}
    found = errors(validator.validate(bundle("document", {"resource": composition}, **elements)))
    assert found == [("invariant", "Bundle")]


def test_hot_invariants_agree_with_their_expressions(validator: Validator) -> None:
    """FHIR R4: an invariant written in Python says what its published expression says, where that is right."""
    structures = validator._compiler.structures
    period = {"start": "2020", "end": "2019"}
    cases = [
        ("Period", period),
        ("Period", {"start": "2019", "end": "2020"}),
        ("Patient.contact", {"gender": "male"}),
        ("ContactPoint", {"value": "1"}),
        ("Attachment", {"data": "QQ=="}),
        ("Quantity", {"code": "g"}),
    ]
    for where, value in cases:
        for invariant in structures.invariants(where):
            hot = HOT.get("".join(invariant.expression.split()))
            if hot and invariant.key not in ("ele-1",):
                place = Place(value, value, None, Run())
                published = path.compile(invariant.expression, structures).is_met(value, place.environment(where))
                assert hot(value, place) == published, invariant.key


@pytest.mark.parametrize(
    ("name", "value", "valid"),
    [
        ("EntryUUID.Identifier", "urn:uuid:c757873d-ec9a-4326-a141-556f43239520", True),
        ("EntryUUID.Identifier", "urn:oid:1.2.3", False),
        ("SubmissionSetUniqueIdIdentifier", "urn:oid:1.2.3", True),
        ("SubmissionSetUniqueIdIdentifier", "urn:uuid:c757873d-ec9a-4326-a141-556f43239520", False),
    ],
)
def test_prefix_of_mhd_identifiers(validator: Validator, name: str, value: str, valid: bool) -> None:
    """MHD-PR-01: an entryUUID begins with `urn:uuid:`, a submission set's uniqueId with `urn:oid:`."""
    check = validator._compiler.profile_check(MHD + name)
    resource = patient()
    assert check is not None
    found = check({"system": "urn:ietf:rfc:3986", "value": value}, Place(resource, resource, None, Run())) or []
    assert [each.steps for each in found if each.code == "invariant"] == ([] if valid else [["value"]])


def test_invariant_of_a_package_by_either_engine(validator_of: ValidatorOf) -> None:
    """Architecture decision 6: ours, else fhirpathpy; what neither can do is a problem with a name."""

    def constraint(key: str, expression: str, severity: str = "error") -> Resource:
        return {"key": key, "severity": severity, "human": f"Rule {key}.", "expression": expression}

    rules = [
        constraint("own-1", "name.exists()"),
        constraint("own-2", "gender.exists()", "warning"),
        constraint("lib-1", "name.given.aggregate($total + 1, 0) < 5"),
        constraint("bad-1", "memberOf('http://x')"),
    ]
    validator = validator_of(profile("p", "Patient", element("Patient", constraint=rules)))
    issues = validator.validate(patient(active=True), url_of("p"))
    assert [(issue.severity, issue.diagnostics) for issue in issues] == [
        ("error", "Constraint `own-1` of profile `p` is not met: Rule own-1."),
        ("warning", "Constraint `own-2` of profile `p` is not met: Rule own-2."),
    ]
    assert len([problem for problem in validator.problems if "`bad-1`" in problem]) == 1


def test_link_status_of_pdqm(validator: Validator) -> None:
    """PDQM-DAT-01: a linked Patient says whether it is active."""
    resource = patient(link=[{"other": {"reference": "Patient/1"}, "type": "replaced-by"}], name=[{"family": "F"}])
    issues = validator.validate(resource, "https://profiles.ihe.net/ITI/PDQm/StructureDefinition/IHE.PDQm.Patient")
    assert any("`iti-pdqm-linkstatus`" in issue.diagnostics for issue in issues)
