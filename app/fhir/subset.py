"""A part of a resource, marked as such: `_elements` and `_summary`.

Spec: FHIR R4 search.html#summary, #elements; valueset-observation-value tag SUBSETTED of v3-ObservationValue.
"""

from __future__ import annotations

from collections.abc import Collection

from app.fhir.resource import Resource
from app.fhir.structure import Element, Structures

_SUBSETTED = {"system": "http://terminology.hl7.org/CodeSystem/v3-ObservationValue", "code": "SUBSETTED"}
_ALWAYS = ("resourceType", "id", "meta")


def subset(resource: Resource, elements: Collection[str], summary: str, structures: Structures) -> Resource:
    """Return `resource` with the top-level elements that are asked for, the mandatory ones, and the tag SUBSETTED.

    Args:
        elements: names of `_elements`; empty: `summary` decides.
        summary: `true` (what R4 marks as summary), `text` (narrative), `data` (all but narrative).
    """
    wanted = {name for name in resource if _is_wanted(name, resource, elements, summary, structures)}
    meta = resource.get("meta", {})
    part = {name: value for name, value in resource.items() if name in wanted or name in _ALWAYS}
    return part | {"meta": {**meta, "tag": [*meta.get("tag", ()), _SUBSETTED]}}


def _is_wanted(name: str, resource: Resource, elements: Collection[str], summary: str, structures: Structures) -> bool:
    found = structures.child(resource["resourceType"], name.removeprefix("_"))
    if found is None:
        return False
    element: Element = found[0]
    if elements:
        return element.name in elements or name in elements or element.min > 0
    if summary == "data":
        return name != "text"
    if summary == "text":
        return name == "text" or element.min > 0
    return element.is_summary
