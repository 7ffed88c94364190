"""What is said about a document that is not FHIR: which element, what came, what was expected."""

from __future__ import annotations

from collections.abc import Iterable
from difflib import get_close_matches

from app.fhir.structure import Structures
from app.fhir.xml_plan import FHIR, XHTML, Form, Plan, Slot

MAX_SHOWN = 64  # characters of a name from the document that a message repeats


class XmlError(Exception):
    """A document that is not a FHIR resource; `line` and `column` count from 1."""

    def __init__(self, message: str, line: int, column: int) -> None:
        super().__init__(message)
        self.message = message
        self.line = line
        self.column = column


def not_a_resource(structures: Structures, namespace: str, name: str, path: str) -> str:
    """Return the complaint about an element that stands where a resource is expected."""
    if namespace != FHIR:
        return _wrong_namespace(namespace, name, FHIR)
    nearest = _nearest(name, structures.resource_types())
    return f"`{path}` holds `{name[:MAX_SHOWN]}`, which is no resource type of FHIR R4{nearest}."


def misplaced(plan: Plan, namespace: str, name: str, path: str) -> str:
    """Return the complaint about an element that its parent does not have, or not in this namespace."""
    slot = plan.slots.get(name)
    if slot is not None and slot.form is Form.ATTRIBUTE:
        return f"`{path}` is an attribute in FHIR's XML, not an element."
    expected = XHTML if slot is not None and slot.form is Form.XHTML else FHIR
    if namespace != expected:
        return _wrong_namespace(namespace, name, expected)
    names = [each for each, slot in plan.slots.items() if slot.form not in (Form.ATTRIBUTE, Form.EXTRAS)]
    return f"`{path}` is not an element of FHIR R4{_nearest(name, names)}."


def disordered(plan: Plan, order: int, slot: Slot, path: str) -> str:
    """Return the complaint about an element that comes too late, or a second time."""
    if slot.order == order:
        return f"`{path}` occurs more than once, where one is allowed."
    before = next(name for name, each in plan.slots.items() if each.order == order)
    return f"`{path}` comes after `{before}`; FHIR's order is `{slot.name}` first, and all of a list together."


def bad_attribute(attribute: str, allowed: Iterable[str], path: str) -> str:
    """Return the complaint about an attribute that the element does not have."""
    name = attribute.rpartition(" ")[2][:MAX_SHOWN]
    choice = ", ".join(f"`{each}`" for each in allowed)
    return f"`{path}` has the attribute `{name}`; " + (
        f"FHIR knows {choice} here." if choice else "it has none in FHIR."
    )


def _wrong_namespace(namespace: str, name: str, expected: str) -> str:
    came = f"the namespace `{namespace[:MAX_SHOWN]}`" if namespace else "no namespace"
    return f"`{name[:MAX_SHOWN]}` is in {came}; expected is `{expected}`."


def _nearest(name: str, names: Iterable[str]) -> str:
    choices = list(names)
    close = get_close_matches(name[:MAX_SHOWN], choices, 1)
    if close:
        return f"; `{close[0]}` is the nearest one"
    return f"; expected is one of {', '.join(f'`{each}`' for each in choices)}" if len(choices) <= 12 else ""
