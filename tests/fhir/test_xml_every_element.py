"""Every element that the R4 tables describe, through XML and back: nothing is lost, no text of a value changes.

Spec: FHIR R4 xml.html, json.html; MHD-GEN-09.
"""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from app.fhir.packages import load
from app.fhir.resource import DecimalText, Resource
from app.fhir.xml import from_xml, to_xml

STRUCTURES = load(Path(__file__).resolve().parents[2] / "profiles").structures
DIV = '<div xmlns="http://www.w3.org/1999/xhtml">a</div>'

# A value of each primitive whose text must not change on the way: zeros at the end, zones, precision.
SPELLED: dict[str, Any] = {
    "boolean": False, "integer": 0, "positiveInt": 2147483647, "unsignedInt": 0, "decimal": DecimalText("1.100"),
    "date": "2024-05", "dateTime": "2024-05-01T10:00:00.000+00:00", "instant": "2024-05-01T10:00:00.120Z",
    "time": "10:00:00.00", "base64Binary": "QUJD\nRA==", "markdown": "a\n\n* b  \n", "string": " a\tb & <c> ",
}  # fmt: skip
BASIC = {"resourceType": "Basic", "id": "b", "code": {"text": "x"}}
EXTENSION = {"url": "urn:x", "valueDecimal": DecimalText("0.50")}


def spelled(value: Any) -> str:
    """Return `value` so that two are equal only when names, values, types and the text of decimals are."""
    return json.dumps(value, sort_keys=True, default=lambda decimal: f"decimal {decimal.text}")


def everything(path: str, form: int, above: tuple[str, ...] = ()) -> Resource:
    """Return an object with every property that `path` allows; of a choice it has the form number `form`."""
    forms: dict[str, list[str]] = {}
    for name, (element, _, _) in STRUCTURES.names(path).items():
        forms.setdefault(element.path, []).append(name)
    found: Resource = {}
    for name in (names[form % len(names)] for names in forms.values()):
        element, code, below = STRUCTURES.names(path)[name]
        value = something(code, below, form, (*above, path))
        if value is not None:
            found[name] = value if element.max == 1 else [value, value]
            if STRUCTURES.kind(code) == "primitive-type" and code != "xhtml" and not element.is_xml_attribute:
                beside = {"id": "e", "extension": [EXTENSION]}
                found[f"_{name}"] = beside if element.max == 1 else [None, beside]
    return found


def something(code: str, below: str, form: int, above: tuple[str, ...]) -> Any:
    """Return a value of a type; None for one that would go on for ever."""
    if code == "xhtml":
        return DIV
    if code == "Resource":
        return BASIC
    if code == "Extension":
        return EXTENSION if above[-1] != "Extension" else None
    if STRUCTURES.kind(code) == "primitive-type":
        return SPELLED.get(code, f"urn:{code}")
    is_endless = below in above or sum("." not in each for each in above) > 2
    return None if is_endless else everything(below, form, above) or None


@pytest.mark.parametrize("name", STRUCTURES.resource_types())
def test_every_element_of_every_type_comes_back_equal(name: str) -> None:
    """MHD-GEN-09: each property of each resource type that the tables describe, in each form of a choice."""
    of_choices = Counter(each[0].path for path in paths(name) for each in STRUCTURES.names(path).values())
    for form in range(max(of_choices.values())):
        resource = {"resourceType": name, **everything(name, form)}
        assert len(resource) > len(STRUCTURES.children(name)) / 2
        assert spelled(from_xml(to_xml(resource, STRUCTURES), STRUCTURES)) == spelled(resource)


def paths(name: str) -> list[str]:
    """Return the type and its elements that have children."""
    return [name, *(each.path for each in STRUCTURES.elements(name) if STRUCTURES.children(each.path))]
