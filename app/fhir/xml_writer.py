"""XML out: a resource's JSON properties as elements, in the order of the type tables.

Spec: FHIR R4 xml.html; json.html#primitive.
"""

from __future__ import annotations

import re
from decimal import Decimal
from itertools import zip_longest
from typing import Any

from app.fhir.resource import Resource
from app.fhir.structure import Structures
from app.fhir.xml_narrative import embedded_div
from app.fhir.xml_plan import FHIR, Form, Plan, Slot, plans

_PRIMITIVE, _COMPLEX, _EXTRAS = Form.PRIMITIVE, Form.COMPLEX, Form.EXTRAS
_DECLARATION = '<?xml version="1.0" encoding="UTF-8"?>\n'

# Characters that an attribute's value cannot hold as they are, those that XML has no way to hold included.
_SPECIAL = re.compile('[&<>"\x00-\x1f\ud800-\udfff\ufffe\uffff]')
_ESCAPED = str.maketrans(
    {"&": "&amp;", "<": "&lt;", ">": "&gt;", '"': "&quot;", "\t": "&#9;", "\n": "&#10;", "\r": "&#13;"}
)
_IMPOSSIBLE = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\ud800-\udfff\ufffe\uffff]")


def write_resource(resource: Resource, structures: Structures) -> bytes:
    """Return `resource` as an XML document; raises ValueError with the path of what cannot be written."""
    writer = _Writer(structures)
    try:
        writer.write_resource(resource, f' xmlns="{FHIR}"')
    except _UnwritableError as error:
        raise ValueError(f"`{error.path}` cannot be written as XML: {error.reason}.") from None
    except RecursionError:
        raise ValueError(f"`{resource['resourceType']}` cannot be written as XML: it is nested too deep.") from None
    return (_DECLARATION + "".join(writer.parts)).encode()


class _UnwritableError(Exception):
    """What cannot be written; its path grows while the error passes the elements it lies in."""

    def __init__(self, reason: str, name: str = "") -> None:
        super().__init__(reason)
        self.reason = reason
        self.path = name

    def below(self, name: str) -> _UnwritableError:
        self.path = ".".join(each for each in (name, self.path) if each)
        return self


class _Writer:
    def __init__(self, structures: Structures) -> None:
        self._structures = structures
        self._plan_of = plans(structures)
        self.parts: list[str] = []

    def write_resource(self, resource: Any, namespace: str = "") -> None:
        name = resource.get("resourceType") if isinstance(resource, dict) else None
        if not isinstance(name, str) or self._structures.kind(name) != "resource":
            raise _UnwritableError("it has no `resourceType` that FHIR R4 knows", "resource")
        self.parts.append(f"<{name}{namespace}>")
        try:
            self._write_properties(self._plan_of(name), resource)
        except _UnwritableError as error:
            raise error.below(name if namespace else "") from None
        self.parts.append(f"</{name}>")

    def _write_properties(self, plan: Plan, holder: Resource) -> None:
        """Write the children of one element."""
        try:
            slots = plan.in_order(tuple(holder))
        except KeyError as error:
            raise _UnwritableError("FHIR R4 has no such element", error.args[0]) from None
        for slot in slots:
            try:
                self._write_property(slot, holder)
            except _UnwritableError as error:
                raise error.below(slot.name) from None

    def _write_property(self, slot: Slot, holder: Resource) -> None:
        form = slot.form
        if form is _PRIMITIVE:
            value, extras = holder[slot.name], holder.get(slot.extras)
            if not slot.repeats:
                self._write_primitive(slot.name, value, extras)
                return
            for each, beside in zip_longest(_listed(value), _listed(extras or [])):
                self._write_primitive(slot.name, each, beside)
        elif form is _EXTRAS:
            self._write_extras_alone(slot, holder["_" + slot.name])
        elif slot.repeats:
            for each in _listed(holder[slot.name]):
                self._write_element(slot, each)
        else:
            self._write_element(slot, holder[slot.name])

    def _write_extras_alone(self, slot: Slot, extras: Any) -> None:
        for each in _listed(extras) if slot.repeats else (extras,):
            self._write_primitive(slot.name, None, each)

    def _write_primitive(self, name: str, value: Any, extras: Any) -> None:
        text = "" if value is None else f' value="{_text(value)}"'
        if extras is None:
            self.parts.append(f"<{name}{text}/>")
            return
        self._write_object(name, self._plan_of("Element"), extras, text)

    def _write_element(self, slot: Slot, value: Any) -> None:
        if slot.form is _COMPLEX:
            self._write_object(slot.name, self._plan_of(slot.path), value)
        elif slot.form is Form.XHTML:
            self.parts.append(_div(value))
        else:
            self.parts.append(f"<{slot.name}>")
            self.write_resource(value)
            self.parts.append(f"</{slot.name}>")

    def _write_object(self, name: str, plan: Plan, value: Any, attributes: str = "") -> None:
        if not isinstance(value, dict):
            raise _UnwritableError("it is not an object")
        for attribute in plan.attributes:
            if attribute in value:
                attributes += f' {attribute}="{_text(value[attribute])}"'
        self.parts.append(f"<{name}{attributes}>")
        self._write_properties(plan, value)
        self.parts.append(f"</{name}>")


def _listed(value: Any) -> list[Any]:
    if not isinstance(value, list):
        raise _UnwritableError("it is not a list")
    return value


def _text(value: Any) -> str:
    """Return a primitive's JSON value as the text of an attribute."""
    if isinstance(value, str):
        if _SPECIAL.search(value) is None:
            return value
        if found := _IMPOSSIBLE.search(value):
            raise _UnwritableError(f"it has the character U+{ord(found[0]):04X}")
        return value.translate(_ESCAPED)
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, Decimal):
        return getattr(value, "text", None) or str(value)
    if isinstance(value, int | float):
        return str(value)
    raise _UnwritableError("it is not a primitive value")


def _div(value: Any) -> str:
    if not isinstance(value, str):
        raise _UnwritableError("it is not text")
    if found := _IMPOSSIBLE.search(value):
        raise _UnwritableError(f"it has the character U+{ord(found[0]):04X}")
    try:
        return embedded_div(value)
    except ValueError as error:
        raise _UnwritableError(str(error)) from None
