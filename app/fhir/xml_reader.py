"""XML in: one pass over the document, each element put where its JSON property belongs.

The parser is expat, because it knows where it is: line and column for every complaint, and the place in the body that
lets a narrative be taken over as it was written. A document type is refused before its first entity is read, so there
is nothing to expand and nothing to fetch.

Spec: FHIR R4 xml.html; json.html#primitive; security.html#narrative.
"""

from __future__ import annotations

from codecs import BOM_UTF16_BE, BOM_UTF16_LE
from typing import Any, NoReturn
from xml.parsers import expat

from app.fhir.resource import Resource
from app.fhir.structure import Structures
from app.fhir.xml_complaints import XmlError, bad_attribute, disordered, misplaced, not_a_resource
from app.fhir.xml_narrative import DivReader
from app.fhir.xml_plan import FHIR, XHTML, Form, Plan, Slot, plans

MAX_DEPTH = 64  # elements in elements
_PRIMITIVE = Form.PRIMITIVE
_SCHEMA_LOCATION = "http://www.w3.org/2001/XMLSchema-instance schemaLocation"


def read_resource(body: bytes, structures: Structures) -> Resource:
    """Return the resource in `body`; raises XmlError."""
    return _Reader(body, structures).read()


# Of an open element: its plan, the object it becomes, how far down its order we are, the slot that holds a resource,
# and its name. The plan is None where a resource is expected: at the root, and in an element such as `contained`.
_Frame = tuple[Plan | None, Resource, int, Slot | None, str]


class _Reader:
    """The state of one pass: the open element's frame, spread over attributes, and those above it on the stack.

    `_leaf` is an open primitive; its value is already in place, and it gets a frame only when it has extensions.
    """

    def __init__(self, body: bytes, structures: Structures) -> None:
        self._body = body
        self._structures = structures
        self._plan_of = plans(structures)
        self._plan: Plan | None = None
        self._target: Resource = {}
        self._order = -1
        self._holder: Slot | None = None
        self._name = ""
        self._stack: list[_Frame] = []
        self._leaf: Slot | None = None
        self._leaf_is_empty = False
        self._valueless: list[tuple[Resource, str]] = []
        self._prefixes = 0
        self._root: Resource = {}
        self._parser = expat.ParserCreate("utf-8", " ")
        self._listen()

    def read(self) -> Resource:
        """Return the resource; raises XmlError."""
        if self._body.startswith((BOM_UTF16_LE, BOM_UTF16_BE)):
            self._fail("The body is in UTF-16; FHIR's XML is UTF-8.")
        try:
            self._parser.Parse(self._body, True)
        except expat.ExpatError as error:
            reason = expat.ErrorString(error.code)
            raise XmlError(f"The body is not well-formed XML: {reason}.", error.lineno, error.offset + 1) from None
        finally:
            self._be_deaf()
        for target, name in self._valueless:
            if name in target and not any(value is not None for value in target[name]):
                del target[name]
        return self._root

    def _listen(self) -> None:
        parser = self._parser
        parser.ordered_attributes = True
        parser.StartElementHandler = self._start
        parser.EndElementHandler = self._end
        parser.CharacterDataHandler = self._text
        parser.StartNamespaceDeclHandler = self._enter_namespace
        parser.EndNamespaceDeclHandler = self._leave_namespace
        parser.StartDoctypeDeclHandler = self._refuse_document_type
        parser.XmlDeclHandler = self._require_utf8

    def _be_deaf(self) -> None:
        """Let go of the parser's handlers: with them, body and reader would wait for the garbage collector."""
        parser = self._parser
        parser.StartElementHandler = parser.EndElementHandler = parser.CharacterDataHandler = None
        parser.StartNamespaceDeclHandler = parser.EndNamespaceDeclHandler = None
        parser.StartDoctypeDeclHandler = parser.XmlDeclHandler = None

    def _start(self, qualified: str, attributes: list[str]) -> None:
        if self._leaf is not None:
            self._open_leaf(self._leaf)
        plan = self._plan
        if plan is None:
            self._start_resource(qualified, attributes)
            return
        slot = plan.elements.get(qualified)
        if slot is None:
            self._start_other(plan, qualified, attributes)
            return
        order = slot.order
        if order <= self._order and not (order == self._order and slot.repeats):
            self._fail(disordered(plan, self._order, slot, self._path(slot.name)))
        self._order = order
        if slot.form is _PRIMITIVE:
            self._add_primitive(slot, attributes)
        else:
            self._open(slot, attributes)

    def _end(self, _qualified: str) -> None:
        if self._leaf is not None:
            if self._leaf_is_empty:
                self._fail(f"`{self._path(self._leaf.name)}` has neither a value nor an extension.")
            self._leaf = None
            return
        if self._plan is None and self._order < 0:
            self._fail(f"`{self._path()}` holds no resource.")
        self._plan, self._target, self._order, self._holder, self._name = self._stack.pop()

    def _text(self, text: str) -> None:
        if text.strip(" \t\r\n"):
            name = self._leaf.name if self._leaf else ""
            self._fail(f"`{self._path(name)}` has text; in FHIR's XML a value is the attribute `value`.")

    def _start_resource(self, qualified: str, attributes: list[str]) -> None:
        """Begin the resource at the root or in `contained`; only one may stand there."""
        namespace, _, name = qualified.rpartition(" ")
        if namespace != FHIR or name not in self._structures.resource_types():
            self._fail(not_a_resource(self._structures, namespace, name, self._path()))
        if self._order >= 0:
            self._fail(f"`{self._path()}` holds more than one resource.")
        if unknown := [attribute for attribute in attributes[::2] if attribute != _SCHEMA_LOCATION]:
            self._fail(bad_attribute(unknown[0], (), self._path(name)))
        resource: Resource = {"resourceType": name}
        if self._holder is None:
            self._root = resource
        else:
            _attach(self._target, self._holder, resource)
        self._order = 0
        self._push(self._plan_of(name), resource, None, "" if self._holder else name)

    def _start_other(self, plan: Plan, qualified: str, attributes: list[str]) -> None:
        """Begin the narrative's `div`; refuse everything else that has no place here."""
        namespace, _, name = qualified.rpartition(" ")
        slot = plan.slots.get(name)
        if slot is None or slot.form is not Form.XHTML or namespace != XHTML:
            self._fail(misplaced(plan, namespace, name, self._path(name)))
        if slot.order <= self._order:
            self._fail(disordered(plan, self._order, slot, self._path(name)))
        self._order = slot.order
        as_written = self._prefixes == 0
        DivReader(self._parser, self._body, attributes, self._close_div, self._fail, as_written=as_written)

    def _close_div(self, text: str) -> None:
        self._target["div"] = text
        self._listen()

    def _open(self, slot: Slot, attributes: list[str]) -> None:
        """Begin an element with children: an object of its own, or the wrapping of a resource."""
        if slot.form is Form.RESOURCE:
            if attributes:
                self._fail(bad_attribute(attributes[0], (), self._path(slot.name)))
            self._push(None, self._target, slot, slot.name)
            return
        plan = self._plan_of(slot.path)
        new: Resource = {}
        if attributes:
            self._take_attributes(new, plan, attributes, slot.name)
        _attach(self._target, slot, new)
        self._push(plan, new, None, slot.name)

    def _take_attributes(self, target: Resource, plan: Plan, attributes: list[str], name: str) -> None:
        for attribute, value in zip(attributes[::2], attributes[1::2], strict=True):
            if attribute not in plan.attributes:
                self._fail(bad_attribute(attribute, plan.attributes, self._path(name)))
            target[attribute] = value

    def _add_primitive(self, slot: Slot, attributes: list[str]) -> None:
        """Put a primitive's value in place; `id`, and whatever follows inside the element, go to its extras."""
        self._leaf = slot
        self._leaf_is_empty = not attributes
        if len(attributes) == 2 and attributes[0] == "value" and not slot.repeats:
            self._target[slot.name] = slot.convert(attributes[1])
            return
        value, identifier = self._value_and_id(slot, attributes)
        if slot.repeats:
            self._append_primitive(slot, value)
        elif value is not None:
            self._target[slot.name] = slot.convert(value)
        if identifier is not None:
            self._extras(slot)["id"] = identifier

    def _append_primitive(self, slot: Slot, value: str | None) -> None:
        self._target.setdefault(slot.name, []).append(None if value is None else slot.convert(value))
        if value is None:
            self._valueless.append((self._target, slot.name))
        if slot.extras in self._target:
            self._target[slot.extras].append(None)

    def _value_and_id(self, slot: Slot, attributes: list[str]) -> tuple[str | None, str | None]:
        found = dict(zip(attributes[::2], attributes[1::2], strict=True))
        for attribute in found:
            if attribute not in ("value", "id"):
                self._fail(bad_attribute(attribute, ("value", "id"), self._path(slot.name)))
        return found.get("value"), found.get("id")

    def _extras(self, slot: Slot) -> Resource:
        """Return the object beside the primitive that was added last: `_birthDate`, or the last of `_given`."""
        name = slot.extras
        if not slot.repeats:
            extras: Resource = self._target.setdefault(name, {})
            return extras
        beside: list[Any] = self._target.setdefault(name, [None] * len(self._target[slot.name]))
        beside[-1] = beside[-1] or {}
        found: Resource = beside[-1]
        return found

    def _open_leaf(self, slot: Slot) -> None:
        """Give the open primitive a frame, since something stands inside it."""
        self._leaf = None
        self._push(self._plan_of("Element"), self._extras(slot), None, slot.name)

    def _push(self, plan: Plan | None, target: Resource, holder: Slot | None, name: str) -> None:
        self._stack.append((self._plan, self._target, self._order, self._holder, self._name))
        if len(self._stack) > MAX_DEPTH:
            self._fail(f"`{name}` is nested more than {MAX_DEPTH} elements deep.")
        self._plan, self._target, self._order, self._holder, self._name = plan, target, -1, holder, name

    def _path(self, name: str = "") -> str:
        """Return the path of the open element, or of `name` in it: `Bundle.entry.resource.status`."""
        names = [frame[-1] for frame in self._stack] + [self._name, name]
        return ".".join(each[:MAX_DEPTH] for each in names if each) or "The document"

    def _enter_namespace(self, prefix: str | None, _uri: str | None) -> None:
        self._prefixes += prefix is not None

    def _leave_namespace(self, prefix: str | None) -> None:
        self._prefixes -= prefix is not None

    def _refuse_document_type(self, *_: object) -> None:
        self._fail("The body declares a document type (DOCTYPE); FHIR resources have none.")

    def _require_utf8(self, _version: str, encoding: str | None, _standalone: int) -> None:
        if encoding is not None and encoding.lower() not in ("utf-8", "us-ascii"):
            self._fail("The body declares an encoding other than UTF-8.")

    def _fail(self, message: str) -> NoReturn:
        raise XmlError(message, self._parser.CurrentLineNumber, self._parser.CurrentColumnNumber + 1)


def _attach(target: Resource, slot: Slot, new: Resource) -> None:
    if slot.repeats:
        target.setdefault(slot.name, []).append(new)
    else:
        target[slot.name] = new
