"""The type tables say what FHIR R4 says.

Spec: FHIR R4 elementdefinition.html, formats.html#choice, datatypes.html, resourcelist.html.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from app.fhir.packages import Packages
from app.fhir.structure import Structures

R4 = Path(__file__).resolve().parents[2].parent / "shared" / "ihe" / "r4"
FHIR_TYPE = "http://hl7.org/fhir/StructureDefinition/structuredefinition-fhir-type"


@pytest.fixture(scope="session")
def structures(packages: Packages) -> Structures:
    """The base types."""
    return packages.structures


def test_every_resource_type_of_r4_is_known(structures: Structures) -> None:
    """resourcelist.html: R4 has 146 resource types that an instance can have."""
    assert len(structures.resource_types()) == 146
    assert {"DocumentReference", "List", "Binary", "Bundle", "Patient"} <= set(structures.resource_types())


@pytest.mark.parametrize(
    ("type_name", "kind"),
    [
        ("Patient", "resource"),
        ("DomainResource", "resource"),
        ("Attachment", "complex-type"),
        ("Age", "complex-type"),
        ("base64Binary", "primitive-type"),
        ("xhtml", "primitive-type"),
        ("patient", ""),
        ("Patient.contact", ""),
        ("../index", ""),
    ],
)
def test_kind(structures: Structures, type_name: str, kind: str) -> None:
    """datatypes.html: a type is a resource, a complex type or a primitive, and its name is exact."""
    assert structures.kind(type_name) == kind


def test_children_come_in_the_order_of_the_snapshot_with_inherited_ones_first(structures: Structures) -> None:
    """xml.html: elements stand in the order of the definition, those of the base type before its own."""
    names = [element.name for element in structures.children("Narrative")]
    assert names == ["id", "extension", "status", "div"]
    assert [e.name for e in structures.children("DocumentReference")][:9] == [
        *("id", "meta", "implicitRules", "language", "text", "contained", "extension", "modifierExtension"),
        "masterIdentifier",
    ]


def test_a_content_reference_has_the_children_it_points_to(structures: Structures) -> None:
    """elementdefinition.html: contentReference takes over the children of another element."""
    assert structures.children("Bundle.entry.link") == structures.children("Bundle.link")
    child = structures.child("Bundle.entry", "link")
    assert child is not None
    assert child[1:] == ("BackboneElement", "Bundle.link")


@pytest.mark.parametrize(
    ("path", "name", "element_path", "code", "below"),
    [
        ("Patient", "birthDate", "Patient.birthDate", "date", "date"),
        ("Patient", "contact", "Patient.contact", "BackboneElement", "Patient.contact"),
        ("Patient", "deceasedBoolean", "Patient.deceased[x]", "boolean", "boolean"),
        ("Extension", "valueCodeableConcept", "Extension.value[x]", "CodeableConcept", "CodeableConcept"),
        ("Timing", "repeat", "Timing.repeat", "Element", "Timing.repeat"),
        ("Patient", "contained", "Patient.contained", "Resource", "Resource"),
        ("Patient", "id", "Patient.id", "id", "id"),
        ("Attachment", "id", "Attachment.id", "string", "string"),
    ],
)
def test_child(structures: Structures, path: str, name: str, element_path: str, code: str, below: str) -> None:
    """formats.html#choice: the JSON name of a choice chooses its type."""
    found = structures.child(path, name)
    assert found is not None
    assert (found[0].path, found[1], found[2]) == (element_path, code, below)


@pytest.mark.parametrize(
    ("path", "name"),
    [
        ("Patient", "birthdate"),
        ("Patient", "deceased"),
        ("Patient", "deceasedString"),
        ("Patient", "_birthDate"),
        ("Patient.birthDate", "year"),
        ("string", "value"),
        ("NoType", "id"),
    ],
)
def test_what_r4_does_not_have_is_none(structures: Structures, path: str, name: str) -> None:
    """json.html: property names are exact; a choice without a type and a primitive's own value are no properties."""
    assert structures.child(path, name) is None


def test_facts_of_an_element(structures: Structures) -> None:
    """documentreference-definitions.html: status is required, a modifier, in summaries, and bound."""
    status = next(e for e in structures.children("DocumentReference") if e.name == "status")
    assert (status.min, status.max, status.is_modifier, status.is_summary) == (1, 1, True, True)
    assert status.binding == ("required", "http://hl7.org/fhir/ValueSet/document-reference-status")
    assert [invariant.key for invariant in status.invariants] == ["ele-1"]


def test_invariants_of_a_type_are_those_of_its_root(structures: Structures) -> None:
    """datatypes.html#Period: per-1 belongs to the type; patient.html: pat-1 belongs to Patient.contact."""
    assert [i.key for i in structures.invariants("Period")] == ["ele-1", "per-1"]
    assert "pat-1" not in [i.key for i in structures.invariants("Patient")]
    assert structures.invariants("NoType") == ()


def published() -> list[Path]:
    """Return the published definitions of base types, where they are at hand."""
    return sorted(
        path
        for path in (R4 / "StructureDefinition").glob("*.json")
        if json.loads(path.read_bytes()).get("derivation") != "constraint"
    )


@pytest.mark.skipif(not R4.is_dir(), reason="the published definitions are not at hand")
@pytest.mark.parametrize("path", published(), ids=lambda path: path.stem)
def test_tables_equal_the_published_snapshot(structures: Structures, path: Path) -> None:
    """elementdefinition.html: path, cardinality, types, binding and invariants are the published ones."""
    definition = json.loads(path.read_bytes())
    name = definition["type"]
    theirs = [of_published(e) for e in definition["snapshot"]["element"][1:] if not is_primitive_value(definition, e)]
    assert [of_ours(element) for element in structures.elements(name)] == theirs
    assert structures.kind(name) == definition["kind"]
    assert structures.is_abstract(name) == definition["abstract"]


def is_primitive_value(definition: dict[str, Any], element: dict[str, Any]) -> bool:
    """Whether the element is a primitive's own value, which JSON does not have as a property."""
    return bool(definition["kind"] == "primitive-type" and element["path"].endswith(".value"))


def of_published(element: dict[str, Any]) -> tuple[object, ...]:
    """Return the facts of a published element in the form of `of_ours`."""
    types = []
    for each in element.get("type", ()):
        fhir_type = next((e["valueUrl"] for e in each.get("extension", ()) if e["url"] == FHIR_TYPE), each["code"])
        code = "id" if element["base"]["path"] == "Resource.id" else fhir_type
        types.append((code, tuple(each.get("profile", ())), tuple(each.get("targetProfile", ()))))
    binding = element.get("binding", {})
    value_set = binding.get("valueSet", "").partition("|")[0]
    return (
        element["path"],
        element["min"],
        None if element["max"] == "*" else int(element["max"]),
        tuple(types),
        element.get("contentReference", "").removeprefix("#"),
        (binding["strength"], value_set) if value_set else None,
        "xmlAttr" in element.get("representation", ()),
        tuple((c["key"], c["severity"], c["expression"]) for c in element.get("constraint", ())),
    )


def of_ours(element: Any) -> tuple[object, ...]:
    """Return what the tables say about an element."""
    return (
        element.path,
        element.min,
        element.max,
        tuple((t.code, t.profiles, t.target_profiles) for t in element.types),
        element.content_reference,
        element.binding,
        element.is_xml_attribute,
        tuple((i.key, i.severity, i.expression) for i in element.invariants),
    )
