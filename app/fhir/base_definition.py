"""A base type of R4 as a StructureDefinition, made from the tables: what profiles are derived from."""

from __future__ import annotations

from app.fhir.resource import Resource
from app.fhir.structure import Element, Invariant, Structures

CANONICAL = "http://hl7.org/fhir/StructureDefinition/"


def base_definition(structures: Structures, type_name: str) -> Resource | None:
    """Return the StructureDefinition of a base type with its snapshot; None when R4 has no such type."""
    root = structures.root(type_name)
    if root is None:
        return None
    base = structures.base(type_name)
    elements = [_definition(root), *(_definition(each) for each in structures.elements(type_name))]
    return {
        "resourceType": "StructureDefinition",
        "id": type_name,
        "url": CANONICAL + type_name,
        "version": "4.0.1",
        "name": type_name,
        "status": "active",
        "fhirVersion": "4.0.1",
        "kind": structures.kind(type_name),
        "abstract": structures.is_abstract(type_name),
        "type": type_name,
        **({"baseDefinition": CANONICAL + base, "derivation": "specialization"} if base else {}),
        "snapshot": {"element": elements},
    }


def _definition(element: Element) -> Resource:
    facts: Resource = {"id": element.path, "path": element.path, "min": element.min}
    facts["max"] = "*" if element.max is None else str(element.max)
    if element.content_reference:
        facts["contentReference"] = "#" + element.content_reference
    if element.is_xml_attribute:
        facts["representation"] = ["xmlAttr"]
    if element.types:
        facts["type"] = [
            {"code": each.code}
            | ({"profile": list(each.profiles)} if each.profiles else {})
            | ({"targetProfile": list(each.target_profiles)} if each.target_profiles else {})
            for each in element.types
        ]
    if element.invariants:
        facts["constraint"] = [_constraint(each) for each in element.invariants]
    if element.binding:
        facts["binding"] = {"strength": element.binding[0], "valueSet": element.binding[1]}
    return facts | {"isModifier": element.is_modifier, "isSummary": element.is_summary}


def _constraint(invariant: Invariant) -> Resource:
    return {
        "key": invariant.key,
        "severity": invariant.severity,
        "human": invariant.human,
        "expression": invariant.expression,
    }
