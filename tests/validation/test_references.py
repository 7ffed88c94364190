"""References: targets, ways, and what is not there.

Spec: FHIR R4 references.html; bundle.html#references; elementdefinition.html (aggregation).
"""

from __future__ import annotations

from typing import Any

import pytest

from app.fhir.resource import Resource
from app.validation.validator import Validator
from tests.validation.conftest import ValidatorOf, element, errors, profile, url_of

PATIENT_UUID = "urn:uuid:0c287d32-01e3-4d87-9953-9fcc9404eb21"
OTHER_UUID = "urn:uuid:0c287d32-01e3-4d87-9953-9fcc9404eb22"


def document_reference(**elements: Any) -> Resource:
    content = [{"attachment": {"url": "http://example.org/a"}}]
    return {"resourceType": "DocumentReference", "status": "current", "content": content, **elements}


def bundle(kind: str, *resources: tuple[str, Resource]) -> Resource:
    entries = []
    for full_url, resource in resources:
        entry: Resource = {"fullUrl": full_url, "resource": resource}
        if kind == "transaction":
            entry["request"] = {"method": "POST", "url": resource["resourceType"]}
        entries.append(entry)
    return {"resourceType": "Bundle", "type": kind, "entry": entries}


@pytest.mark.parametrize(
    ("subject", "expected"),
    [
        ({"reference": "Patient/1"}, []),
        ({"reference": "http://elsewhere/fhir/Patient/1/_history/2"}, []),
        ({"reference": "\x00/Patient/1"}, [("value", "DocumentReference.subject.reference")]),
        ({"reference": "Patient?identifier=http://x|1"}, []),
        ({"reference": "http://elsewhere/whatever"}, []),
        ({"identifier": {"system": "urn:x", "value": "1"}}, []),
        ({"type": "Patient", "identifier": {"value": "1"}}, []),
        ({"reference": "Organization/1"}, [("structure", "DocumentReference.subject")]),
        ({"reference": "http://elsewhere/fhir/Organization/1"}, [("structure", "DocumentReference.subject")]),
        ({"type": "Organization", "display": "x"}, [("structure", "DocumentReference.subject")]),
        ({"reference": "#nobody"}, [("not-found", "DocumentReference.subject.reference")]),
        ({"reference": "#doctor"}, [("invariant", "DocumentReference"), ("structure", "DocumentReference.subject")]),
    ],
)
def test_target_types(validator: Validator, subject: Resource, expected: list[Any]) -> None:
    """references.html: what a reference may lead to, by its text, its `type`, or the resource itself; ref-1."""
    contained = (
        [{"resourceType": "Organization", "id": "doctor", "alias": ["x"]}] if "#doctor" in str(subject) else None
    )
    resource = document_reference(subject=subject, **({"contained": contained} if contained else {}))
    found = errors(validator.validate(resource))
    assert sorted(found) == sorted(
        [("invariant", "DocumentReference.contained[0]") if each[0] == "invariant" else each for each in expected]
    )


@pytest.mark.parametrize(
    ("kind", "reference", "expected"),
    [
        ("transaction", PATIENT_UUID, []),
        ("transaction", OTHER_UUID, [("not-found", "Bundle.entry[0].resource.subject.reference")]),
        ("document", OTHER_UUID, [("not-found", "Bundle.entry[0].resource.subject.reference")]),
        ("searchset", OTHER_UUID, []),
        ("transaction", "Patient/9", []),
        ("transaction", "Device/9", [("structure", "Bundle.entry[0].resource.subject")]),
    ],
)
def test_references_between_entries(validator: Validator, kind: str, reference: str, expected: list[Any]) -> None:
    """bundle.html#references: a urn within a transaction or a document names an entry by its fullUrl."""
    subject: Resource = {"resourceType": "Patient", "active": True}
    document = document_reference(subject={"reference": reference})
    if reference.startswith("Device"):
        document["subject"]["reference"] = "List/9"
    found = errors(validator.validate(bundle(kind, ("urn:uuid:a", document), (PATIENT_UUID, subject))))
    assert [each for each in found if each[0] != "invariant"] == expected


def test_the_type_of_an_entry_counts(validator: Validator) -> None:
    """references.html: a urn says nothing of its target's type, the entry it names does."""
    document = document_reference(subject={"reference": PATIENT_UUID})
    entry = {"resourceType": "Basic", "code": {"text": "x"}}
    found = errors(validator.validate(bundle("transaction", ("urn:uuid:a", document), (PATIENT_UUID, entry))))
    assert found == [("structure", "Bundle.entry[0].resource.subject")]


def test_attachment_of_a_transaction_names_its_binary(validator: Validator) -> None:
    """MHD-65-41: `attachment.url` within a transaction names the Binary by its fullUrl."""
    document = document_reference(content=[{"attachment": {"url": OTHER_UUID}}])
    found = errors(validator.validate(bundle("transaction", ("urn:uuid:a", document))))
    assert found == [("not-found", "Bundle.entry[0].resource.content[0].attachment.url")]


@pytest.mark.parametrize(
    ("ways", "author", "valid"),
    [
        (["contained"], {"reference": "#a"}, True),
        (["contained"], {"reference": "Practitioner/1"}, False),
        (["contained"], {"identifier": {"value": "1"}}, False),
        (["contained"], {"extension": [{"url": "u:x", "valueCode": "x"}]}, True),
        (["referenced"], {"reference": "Practitioner/1"}, True),
        (["referenced"], {"reference": "#a"}, False),
        (["referenced", "contained"], {"reference": "#a"}, True),
        (["bundled"], {"reference": "Practitioner/1"}, False),
    ],
)
def test_aggregation(validator_of: ValidatorOf, ways: list[str], author: Resource, valid: bool) -> None:
    """MHD-PR-11, MHD-PR-22: contained only means `#id`; a reference with an extension alone leads nowhere."""
    types = [{"code": "Reference", "targetProfile": [f"{R4}Practitioner"], "aggregation": ways}]
    validator = validator_of(profile("p", "DocumentReference", element("DocumentReference.author", type=types)))
    contained = [{"resourceType": "Practitioner", "id": "a", "active": True}]
    holder = {"authenticator": {"reference": "#a"}}
    found = errors(validator.validate(document_reference(author=[author], contained=contained, **holder), url_of("p")))
    assert found == ([] if valid else [("structure", "DocumentReference.author[0]")])


R4 = "http://hl7.org/fhir/StructureDefinition/"


def test_target_profile_is_checked_where_the_target_is_at_hand(validator_of: ValidatorOf) -> None:
    """elementdefinition.html (targetProfile): a contained target must meet it; one elsewhere may."""
    types = [{"code": "Reference", "targetProfile": [url_of("active")]}]
    validator = validator_of(
        profile("p", "DocumentReference", element("DocumentReference.subject", type=types)),
        profile("active", "Patient", element("Patient.active", min=1)),
    )

    def found(**elements: Any) -> list[Any]:
        return errors(validator.validate(document_reference(**elements), url_of("p")))

    good, bad = ({"resourceType": "Patient", "id": "a", **more} for more in ({"active": True}, {"gender": "male"}))
    assert found(contained=[good], subject={"reference": "#a"}) == []
    assert found(contained=[bad], subject={"reference": "#a"}) == [("structure", "DocumentReference.subject")]
    assert found(subject={"reference": "Patient/1"}) == []


def test_circles_end(validator_of: ValidatorOf) -> None:
    """Bounded time; two resources that must conform because the other does are taken to."""
    types = [{"code": "Reference", "targetProfile": [url_of("p")]}]
    validator = validator_of(profile("p", "Organization", element("Organization.partOf", type=types)))
    inner = {"resourceType": "Organization", "id": "a", "name": "A", "partOf": {"reference": "#b"}}
    other = {"resourceType": "Organization", "id": "b", "name": "B", "partOf": {"reference": "#a"}}
    resource = {"resourceType": "Organization", "name": "C", "contained": [inner, other], "partOf": {"reference": "#a"}}
    assert errors(validator.validate(resource, url_of("p"))) == []


@pytest.mark.parametrize(
    ("ids", "expected"),
    [
        (("a", "b"), []),
        (("a", "a"), [("structure", "DocumentReference.contained[1].id")]),
        (("a", "b", "a", "b"), [("structure", f"DocumentReference.contained[{at}].id") for at in (2, 3)]),
    ],
)
def test_contained_ids_are_unique(validator: Validator, ids: tuple[str, ...], expected: list[tuple[str, str]]) -> None:
    """references.html#contained: an id means one contained resource; the second of that name is the mistake."""
    contained = [{"resourceType": "Practitioner", "id": name, "active": True} for name in ids]
    author = [{"reference": f"#{name}"} for name in dict.fromkeys(ids)]
    assert errors(validator.validate(document_reference(author=author, contained=contained))) == expected
