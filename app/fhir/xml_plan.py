"""How each JSON property is written in XML, worked out once a path from the type tables.

Spec: FHIR R4 xml.html; json.html#primitive; formats.html#choice.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum
from functools import lru_cache
from typing import Any

from app.fhir.resource import DecimalText
from app.fhir.structure import Structures

FHIR = "http://hl7.org/fhir"
XHTML = "http://www.w3.org/1999/xhtml"


class Form(Enum):
    """What a property is in XML."""

    PRIMITIVE = "<status value='current'/>"
    COMPLEX = "<subject>…</subject>"
    RESOURCE = "<contained><Patient>…</Patient></contained>"
    XHTML = "<div xmlns='http://www.w3.org/1999/xhtml'>…</div>"
    ATTRIBUTE = "<extension url='…'>"
    EXTRAS = "JSON's `_status`: id and extensions of the primitive, inside its element"


@dataclass(frozen=True, slots=True)
class Slot:
    """One property: its JSON name, its place among its siblings, and the path of its own children.

    Attributes:
        extras: the name of the property with the primitive's id and extensions: `_status`.
        convert: from an attribute's text to the JSON value.
    """

    name: str
    order: int
    form: Form
    repeats: bool
    path: str
    extras: str = ""
    convert: Callable[[str], Any] = str


class Plan:
    """All properties of one path.

    Attributes:
        slots: JSON name -> property, extras included.
        elements: XML name as the parser tells it (`http://hl7.org/fhir status`) -> property; neither attributes nor
            the narrative's `div`.
        attributes: the names that XML writes into the start tag.
        in_order: tuple of JSON names -> the properties that become elements, in XML's order; extras are left out where
            their primitive is there. Raises KeyError with the name that is unknown.
    """

    __slots__ = ("attributes", "elements", "in_order", "slots")

    def __init__(self, slots: dict[str, Slot]) -> None:
        self.slots = slots
        known = (Form.PRIMITIVE, Form.COMPLEX, Form.RESOURCE)
        self.elements = {f"{FHIR} {name}": slot for name, slot in slots.items() if slot.form in known}
        self.attributes = tuple(slot.name for slot in slots.values() if slot.form is Form.ATTRIBUTE)
        self.in_order = lru_cache(maxsize=1024)(self._in_order)

    def _in_order(self, names: tuple[str, ...]) -> tuple[Slot, ...]:
        present = [self.slots[name] for name in names if name != "resourceType" or name in self.slots]
        alone = [slot for slot in present if slot.form is not Form.EXTRAS or slot.name not in names]
        return tuple(sorted((s for s in alone if s.form is not Form.ATTRIBUTE), key=lambda slot: slot.order))


@lru_cache(maxsize=8)
def plans(structures: Structures) -> Callable[[str], Plan]:
    """Return the function that gives the plan of a path; each plan is made once."""
    return lru_cache(maxsize=None)(lambda path: _plan(structures, path))


def _plan(structures: Structures, path: str) -> Plan:
    slots: dict[str, Slot] = {}
    order = {element.path: place for place, element in enumerate(structures.children(path))}
    for name, (element, code, below) in structures.names(path).items():
        form = _form(structures, code, is_attribute=element.is_xml_attribute)
        place, repeats = order[element.path], element.max is None or element.max > 1
        slots[name] = Slot(name, place, form, repeats, below, f"_{name}", CONVERT.get(code, str))
        if form is Form.PRIMITIVE:
            slots[f"_{name}"] = Slot(name, place, Form.EXTRAS, repeats, "Element")
    return Plan(slots)


def _form(structures: Structures, code: str, *, is_attribute: bool) -> Form:
    if is_attribute:
        return Form.ATTRIBUTE
    if code == "xhtml":
        return Form.XHTML
    if structures.kind(code) == "primitive-type":
        return Form.PRIMITIVE
    return Form.RESOURCE if code == "Resource" else Form.COMPLEX


_INTEGER = re.compile(r"-?(0|[1-9][0-9]{0,17})")
_DECIMAL = re.compile(r"-?(0|[1-9][0-9]*)(\.[0-9]+)?([eE][+-]?[0-9]+)?")


def _boolean(text: str) -> bool | str:
    return text == "true" if text in ("true", "false") else text


def _integer(text: str) -> int | str:
    return int(text) if _INTEGER.fullmatch(text) and text != "-0" else text


def _decimal(text: str) -> int | DecimalText | str:
    if len(text) > 1000 or not _DECIMAL.fullmatch(text):
        return text
    number = _integer(text)
    return number if isinstance(number, int) else DecimalText(text)


# Type -> what its text becomes in JSON. Text of another form stays text, so that validation can name the element.
CONVERT: dict[str, Callable[[str], Any]] = {
    "boolean": _boolean,
    "integer": _integer,
    "positiveInt": _integer,
    "unsignedInt": _integer,
    "decimal": _decimal,
}
