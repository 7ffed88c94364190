"""The search type token: FHIR R4 search.html#token; MHD-GEN-20."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from app.fhir.outcome import FhirError
from app.fhir.resource import Resource
from app.search.definitions import Definitions
from app.search.index import index
from app.search.query import parse
from tests.builders import document_reference

LOINC = "http://loinc.org"
STATUS = "http://hl7.org/fhir/document-reference-status"
FORMAT = "http://ihe.net/fhir/ihe.formatcode.fhir/CodeSystem/formatcode"
CONCEPT = {"coding": [{"system": LOINC, "code": "60591-5"}, {"code": "local", "display": "Päckchen"}], "text": "A Note"}

Finds = Callable[[Resource, str], bool]


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("type=60591-5", True),
        (f"type={LOINC}|60591-5", True),
        (f"type={LOINC}|", True),
        ("type=|60591-5", False),
        ("type=local", True),
        ("type=|local", True),
        (f"type={LOINC}|local", False),
        ("type=60591-6", False),
        ("type=LOCAL", False),
        ("type=http://loinc.org/|60591-5", False),
        ("type=x,local", True),
        ("type=60591-5&type=local", True),
        ("type=60591-5&type=x", False),
        ("type:not=60591-5", False),
        ("type:not=x", True),
        ("type:not=x,60591-5", False),
        ("type:missing=true", False),
        ("type:missing=false", True),
        ("category:missing=true", True),
        ("category:not=x", True),
        ("type:text=a no", True),
        ("type:text=PACK", True),
        ("type:text=note", False),
    ],
)
def test_codeable_concept(finds: Finds, query: str, expected: bool) -> None:
    """MHD-GEN-20, MHD-67-11: four spellings, exact systems, case-sensitive codes; `:not`, `:missing`, `:text`."""
    assert finds(document_reference("1", type=CONCEPT), query) is expected


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("status=current", True),
        ("status=superseded", False),
        ("status=current,superseded", True),
        (f"status={STATUS}|current", True),
        (f"status={STATUS}|", True),
        ("status=http://other.example|current", False),
        ("contenttype=text/plain", True),
    ],
)
def test_plain_code(finds: Finds, query: str, expected: bool) -> None:
    """MHD-67-19: a bare code is found without a system, and by the system that its element implies."""
    assert finds(document_reference("1"), query) is expected


@pytest.mark.parametrize(
    "value", ["urn:ihe:iti:xds-sd:pdf:2008", f"{FORMAT}|urn:ihe:iti:xds-sd:pdf:2008", f"{FORMAT}|"]
)
def test_coding_with_colons_in_its_code(finds: Finds, value: str) -> None:
    """MHD-67-11: `format` is a Coding whose code has colons in it."""
    content = [{"attachment": {}, "format": {"system": FORMAT, "code": "urn:ihe:iti:xds-sd:pdf:2008"}}]
    assert finds(document_reference("1", content=content), f"format={value}")


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("identifier=urn:ietf:rfc:3986|urn:oid:2.25.1", True),
        ("identifier=urn:oid:2.25.1", True),
        ("identifier=urn:oid:2.25.2", True),
        ("identifier=urn:ietf:rfc:3986|urn:oid:2.25.2", True),
        ("identifier=|urn:oid:2.25.2", True),
        ("identifier=|urn:oid:2.25.1", False),
        ("identifier=a\\|b", True),
        ("identifier=a|b", False),
        ("identifier=c\\,d", True),
        ("identifier=c,d", False),
        ("identifier:of-type=http://t.example|MR|77", True),
        ("identifier:of-type=http://t.example|XX|77", False),
    ],
)
def test_identifier(finds: Finds, query: str, expected: bool) -> None:
    """MHD-67-14, MHD-66-13, MHD-66-17, MHD-66-05: both elements, URIs without system, escapes, `:of-type`."""
    resource = document_reference(
        "1",
        masterIdentifier={"system": "urn:ietf:rfc:3986", "value": "urn:oid:2.25.1"},
        identifier=[
            {"value": "urn:oid:2.25.2"},
            {"value": "a|b"},
            {"value": "c,d"},
            {"type": {"coding": [{"system": "http://t.example", "code": "MR"}]}, "value": "77"},
        ],
    )
    assert finds(resource, query) is expected


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("active=true", True),
        ("active=false", False),
        ("gender=female", True),
        ("gender=http://hl7.org/fhir/administrative-gender|female", True),
        ("telecom=+43 1 234", True),
        ("telecom=phone|+43 1 234", True),
        ("phone=+43 1 234", True),
        ("email=+43 1 234", False),
        ("deceased=true", True),
        ("deceased=false", False),
    ],
)
def test_other_types(finds: Finds, query: str, expected: bool) -> None:
    """MHD-GEN-20: booleans, codes and contact points; an expression that is more than a path."""
    telecom = [{"system": "phone", "value": "+43 1 234"}]
    patient: Resource = {"resourceType": "Patient", "active": True, "gender": "female", "telecom": telecom}
    assert finds({**patient, "deceasedDateTime": "2020"}, query) is expected


def test_extension_of_a_list(finds: Finds) -> None:
    """MHD-66-12: `designationType` is an extension of the List, repeated in a Folder; MHD-66-17: `sourceId`."""
    url = "https://profiles.ihe.net/ITI/MHD/StructureDefinition/ihe-designationType"
    concepts = [{"coding": [{"system": "http://s.example", "code": code}]} for code in ("a", "b")]
    source_id = {
        "url": "https://profiles.ihe.net/ITI/MHD/StructureDefinition/ihe-sourceId",
        "valueIdentifier": {"value": "urn:oid:2.999.7.1"},
    }
    extensions = [*({"url": url, "valueCodeableConcept": concept} for concept in concepts), source_id]
    folder: Resource = {"resourceType": "List", "id": "1", "status": "current", "extension": extensions}
    for value in ("a", "b", "http://s.example|a", "http://s.example|"):
        assert finds(folder, f"designationType={value}")
    assert not finds(folder, "designationType=|a")
    assert finds(folder, "designationType=a&designationType=b")
    assert finds(folder, "sourceId=urn:oid:2.999.7.1")
    assert finds(folder, "sourceId=urn:ietf:rfc:3986|urn:oid:2.999.7.1")


def test_terms_do_not_collide(definitions: Definitions) -> None:
    """MHD-GEN-20: a code with a bar in it is not taken for a system and a code."""
    barred: dict[str, Any] = {"coding": [{"code": "a|b"}]}
    paired: dict[str, Any] = {"coding": [{"system": "a", "code": "b"}]}
    first, second = (set(index(definitions, document_reference("1", type=each))["type"]) for each in (barred, paired))
    assert not first & second


@pytest.mark.parametrize(
    ("name", "text", "code"),
    [
        ("type", "|", "value"),
        ("type", ",", "value"),
        ("type:above", "x", "not-supported"),
        ("type:in", "x", "not-supported"),
        ("type:missing", "perhaps", "value"),
        ("identifier:of-type", "a|b", "value"),
    ],
)
def test_bad_values_and_modifiers_are_refused(definitions: Definitions, name: str, text: str, code: str) -> None:
    """MHD-66-07: a modifier or value that the parameter cannot read is 400 and names the parameter."""
    with pytest.raises(FhirError) as caught:
        parse(definitions, "DocumentReference", [(name, text)], base_url="")
    assert (caught.value.status, caught.value.issues[0].code) == (400, code)
    assert f"`{name.partition(':')[0]}" in caught.value.issues[0].diagnostics
