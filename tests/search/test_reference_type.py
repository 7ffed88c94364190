"""The search type reference, and chains: FHIR R4 search.html#reference, #chaining; MHD-GEN-23, MHD-GEN-25."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from app.fhir.outcome import FhirError
from app.fhir.resource import Resource
from app.search.criteria import NOTHING, Embedded, Linked, Terms
from app.search.criteria import Any as AnyOf
from app.search.definitions import Definitions
from app.search.index import index
from app.search.query import parse
from tests.builders import document_reference
from tests.search.conftest import BASE_URL

Finds = Callable[[Resource, str], bool]


@pytest.mark.parametrize("stored", ["Patient/1", "\x00/Patient/1", "Patient/1/_history/2", "\x00/Patient/1/_history/2"])
@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("patient=1", True),
        ("patient=Patient/1", True),
        (f"patient={BASE_URL}/Patient/1", True),
        ("patient:Patient=1", True),
        ("patient:Patient=Patient/1", True),
        ("patient=Patient/1/_history/9", True),
        ("subject=Patient/1", True),
        ("patient=2", False),
        ("patient=http://elsewhere.example/fhir/Patient/1", False),
        ("subject=Group/1", False),
        ("patient=2,1", True),
    ],
)
def test_patient(finds: Finds, stored: str, query: str, expected: bool) -> None:
    """MHD-66-14, MHD-67-15: id, `Type/id`, absolute URL and type modifier name one patient."""
    assert finds(document_reference("1", subject={"reference": stored}), query) is expected


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("related=Encounter/9", True),
        ("related=9", True),
        ("related:Encounter=9", True),
        ("related:Patient=9", False),
        ("related=http://elsewhere.example/fhir/Encounter/8", True),
        ("related=http://elsewhere.example/fhir/Encounter/8/_history/1", True),
        ("related=8", False),
        ("related:identifier=urn:oid:2.999.5|ACC-2025-77", True),
        ("related:identifier=ACC-2025-77", True),
        ("related.identifier=ACC-2025-77", True),
        ("related:identifier=urn:oid:2.999.6|ACC-2025-77", False),
        ("related:missing=true", False),
    ],
)
def test_related(finds: Finds, query: str, expected: bool) -> None:
    """MHD-67-17: literal and logical references; `related:identifier`, and the chain as a courtesy."""
    related: list[dict[str, Any]] = [
        {"reference": "Encounter/9"},
        {"reference": "http://elsewhere.example/fhir/Encounter/8/_history/4"},
        {"identifier": {"system": "urn:oid:2.999.5", "value": "ACC-2025-77"}},
    ]
    assert finds(document_reference("1", context={"related": related}), query) is expected


def test_patient_of_another_type_is_not_a_patient(finds: Finds) -> None:
    """MHD-67-15: `patient` looks at subjects that are patients."""
    resource = document_reference("1", subject={"reference": "Group/1"})
    assert finds(resource, "patient:missing=true&subject=Group/1")


AUTHORS: list[Resource] = [
    {"resourceType": "Practitioner", "id": "a", "name": [{"family": "Ní Dhomhnaill", "given": ["Siobhán"]}]},
    {"resourceType": "PractitionerRole", "id": "role", "practitioner": {"reference": "#b"}},
    {"resourceType": "Practitioner", "id": "b", "name": [{"family": "Novotný", "given": ["Jan"]}]},
    {"resourceType": "RelatedPerson", "id": "c", "name": [{"family": "Muster"}]},
    {"resourceType": "Organization", "id": "d", "name": "Spital"},
]


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("author.given=siobhan", True),
        ("author.family=dhomhnaill", False),
        ("author.family:contains=dhomhnaill", True),
        ("author.family:exact=Ní Dhomhnaill", True),
        ("author.family=novotny", True),
        ("author.family=muster", True),
        ("author.given=siobhan&author.family=ni", True),
        ("author.given=siobhan&author.family=novotny", False),
        ("author.family=ni&author.family=novotny", True),
        ("author:Practitioner.family=ni", True),
        ("author:Patient.family=ni", True),
        ("author.name=spital", True),
        ("author.practitioner.family=novotny", True),
        ("author.family=spital", False),
        ("author.family:missing=true", True),
    ],
)
def test_contained_authors(finds: Finds, query: str, expected: bool) -> None:
    """MHD-67-10, MHD-66-16, MHD-GEN-25: contained authors, roles too; names in one query are one author's."""
    author = [{"reference": f"#{each}"} for each in ("a", "role", "c", "d")]
    assert finds(document_reference("1", author=author, contained=AUTHORS), query) is expected


def test_contained_resources_have_no_reference_of_their_own(definitions: Definitions) -> None:
    """MHD-GEN-25: a contained author is no result and no target; it exists within its container only."""
    resource = document_reference("1", author=[{"reference": "#a"}], contained=AUTHORS)
    assert index(definitions, resource)["author"] == []


def test_contained_resources_in_a_circle_end(definitions: Definitions) -> None:
    """FHIR R4 references.html#contained: contained resources may refer to each other and to their container."""
    role = {"resourceType": "PractitionerRole", "id": "r", "practitioner": {"reference": "#r"}}
    found = index(definitions, document_reference("1", author=[{"reference": "#r"}], contained=[role]))
    assert found["author:target"][0]["practitioner"] == []


def test_patient_known_by_identifier_only(finds: Finds) -> None:
    """MHD-66-15: a subject that is only a logical reference is found by its identifier."""
    resource = document_reference("1", subject={"identifier": {"system": "urn:oid:2.999.40.1", "value": "4711"}})
    assert finds(resource, "patient.identifier=urn:oid:2.999.40.1|4711")
    assert finds(resource, "patient.identifier=4711")
    assert not finds(resource, "patient.identifier=urn:oid:2.999.40.2|4711")


def test_chain_asks_stored_patients_too(definitions: Definitions) -> None:
    """MHD-67-15, MHD-66-15: `patient.identifier` follows the reference to the stored Patient."""
    query = parse(definitions, "DocumentReference", [("patient.identifier", "urn:x|1")], base_url="")
    identifier = Terms("identifier", ("urn:x|1",))
    assert query.criterion == AnyOf((Embedded("patient", identifier), Linked("patient", "Patient", identifier)))


def test_chain_to_an_id_is_a_reference(definitions: Definitions) -> None:
    """FHIR R4 search.html#chaining: `patient._id=1` asks what `patient=1` asks, and looks nothing up."""
    query = parse(definitions, "DocumentReference", [("patient._id", "1")], base_url="")
    assert isinstance(query.criterion, AnyOf)
    assert Terms("patient", ("Patient/1",)) in query.criterion.criteria


@pytest.mark.parametrize(
    "name", ["author.shoe-size", "patient.x", "status.code", "author.practitioner.author.family", "a.b"]
)
def test_unknown_chain(definitions: Definitions, name: str) -> None:
    """MHD-GEN-25: an unsupported chain is ignored, or refused when handling is strict."""
    assert parse(definitions, "DocumentReference", [(name, "x")], base_url="").ignored == (name,)
    with pytest.raises(FhirError, match="is not supported"):
        parse(definitions, "DocumentReference", [(name, "x")], base_url="", strict=True)


@pytest.mark.parametrize(
    ("name", "text"), [("patient", "a b"), ("patient:Patient", "Group/1"), ("patient:Group", "1"), ("patient", "1|2")]
)
def test_bad_references_are_refused(definitions: Definitions, name: str, text: str) -> None:
    """MHD-GEN-23, MHD-66-07: what is no reference, or to a type that cannot be, is 400; the value is not repeated."""
    with pytest.raises(FhirError, match="Search parameter `patient`") as caught:
        parse(definitions, "DocumentReference", [(name, text)], base_url="")
    assert caught.value.status == 400
    assert text not in caught.value.issues[0].diagnostics or text == "1"


def test_what_no_target_can_have_finds_nothing(definitions: Definitions) -> None:
    """MHD-GEN-25: each chain is known, but not of one type: nothing is found, rather than everything."""
    pairs = [("subject.family", "x"), ("subject.device-name", "y")]
    query = parse(definitions, "DocumentReference", pairs, base_url="", strict=True)
    assert query.criterion == NOTHING


def test_a_bundle_is_found_by_its_first_entry(definitions: Definitions) -> None:
    """bundle.html#search: `composition` and `message` name the first entry itself, which is no Reference."""
    identifier = [{"system": "urn:x", "value": "1"}]
    entry = {"resource": {"resourceType": "Patient", "identifier": identifier, "gender": "male"}}
    terms = index(definitions, {"resourceType": "Bundle", "type": "searchset", "entry": [entry]})
    assert "urn:x|1" in terms["composition:target"][0]["identifier"]
