"""What FHIRPath walks over: JSON values that know their FHIR type, and the steps from one to the next.

Spec: FHIR R4 fhirpath.html#types, json.html#primitive; FHIRPath N1 path selection.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from decimal import Decimal
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from app.fhir.structure import Structures

# Types that specialise another, as far as `is` asks. Source: FHIR R4 datatypes.html.
SUPERTYPE = {
    "code": "string", "id": "string", "markdown": "string", "url": "uri", "canonical": "uri", "oid": "uri",
    "uuid": "uri", "unsignedInt": "integer", "positiveInt": "integer", "Age": "Quantity", "Count": "Quantity",
    "Distance": "Quantity", "Duration": "Quantity", "MoneyQuantity": "Quantity", "SimpleQuantity": "Quantity",
    "BackboneElement": "Element", "DomainResource": "Resource",
}  # fmt: skip
_SYSTEM = {"boolean": "Boolean", "string": "String", "integer": "Integer", "decimal": "Decimal",
           "date": "Date", "dateTime": "DateTime", "time": "Time"}  # fmt: skip
# Resources that are not DomainResources.
_PLAIN_RESOURCES = frozenset({"Bundle", "Binary", "Parameters"})
_CHOICE = re.compile(r"[A-Z][A-Za-z0-9]*$")
_JSON_TYPE = {bool: "boolean", str: "string", int: "integer", float: "decimal", Decimal: "decimal"}

Step = tuple[str, str, str]


class Node:
    """One item of a collection.

    Attributes:
        value: JSON value; None for a primitive that has only extensions.
        type: FHIR or System type name; empty when it is not known.
        path: where `Structures` lists its children.
        extra: the `_name` partner of a primitive.
    """

    __slots__ = ("extra", "path", "type", "value")

    def __init__(self, value: Any, type_name: str = "", path: str = "", extra: Any = None) -> None:
        self.value = value
        self.type = type_name
        self.path = path or type_name
        self.extra = extra


def node_of(value: Any, type_name: str = "", path: str = "") -> Node:
    """Return the node for a JSON value; a resource knows its own type."""
    if isinstance(value, dict):
        own = value.get("resourceType")
        return Node(value, own, own) if isinstance(own, str) else Node(value, type_name, path)
    return Node(value, type_name or _JSON_TYPE.get(type(value), ""), path)


def is_a(node: Node, type_name: str) -> bool:
    """Whether the node is of the type or of one that specialises it; `System.String`, `FHIR.string` are names too."""
    space, _, name = type_name.rpartition(".")
    if space == "System":
        return node.type == type_name or _SYSTEM.get(node.type) == name
    actual = node.type.removeprefix("System.") if node.type.removeprefix("System.") == name else node.type
    while actual:
        if actual == name:
            return True
        actual = SUPERTYPE.get(actual) or _general(node, actual)
    return False


def _general(node: Node, actual: str) -> str:
    if not (isinstance(node.value, dict) and "resourceType" in node.value) or actual == "Resource":
        return "Element" if actual[:1].isupper() and actual not in ("Element", "Resource") else ""
    return "Resource" if actual in _PLAIN_RESOURCES or actual == "DomainResource" else "DomainResource"


class Model:
    """The steps that element names stand for, computed once for each path and name."""

    def __init__(self, structures: Structures | None) -> None:
        self.structures = structures
        self._steps: dict[tuple[str, str], tuple[Step, ...]] = {}

    def named(self, node: Node, name: str) -> list[Node]:
        """Return the children of `node` called `name`; a choice answers to its name without the type."""
        value = node.value if type(node.value) is dict else node.extra
        if type(value) is not dict:
            return []
        found: list[Node] = []
        for key, type_name, path in self._named(node, value, name):
            if key in value or "_" + key in value:
                found += _items(value.get(key), value.get("_" + key), type_name, path)
        return found

    def all(self, node: Node) -> list[Node]:
        """Return every child of `node`, in the order of the JSON."""
        value = node.value if type(node.value) is dict else node.extra
        if type(value) is not dict:
            return []
        found: list[Node] = []
        for key in value:
            if key == "resourceType" or (key[:1] == "_" and key[1:] in value):
                continue
            plain = key.removeprefix("_")
            type_name, path = self._key(node, plain)
            found += _items(value.get(plain), value.get("_" + plain), type_name, path)
        return found

    def _named(self, node: Node, value: dict[str, Any], name: str) -> Iterable[Step]:
        where = node.path if type(node.value) is dict else "Element"
        if self.structures is None or not where:
            return _guessed(value, name)
        found = self._steps.get((where, name))
        if found is None:
            found = self._steps[where, name] = self._listed(where, name)
        return found

    def _listed(self, where: str, name: str) -> tuple[Step, ...]:
        names = self.structures.names(where) if self.structures else {}
        return tuple((key, kind, path) for key, (element, kind, path) in names.items() if element.name == name)

    def _key(self, node: Node, key: str) -> tuple[str, str]:
        where = node.path if type(node.value) is dict else "Element"
        child = self.structures.child(where, key) if self.structures and where else None
        return (child[1], child[2]) if child else ("", "")


def _guessed(value: dict[str, Any], name: str) -> list[Step]:
    """Without tables: the property itself, or one whose name goes on with a type."""
    if name in value or "_" + name in value:
        return [(name, "Extension" if name == "extension" else "", "")]
    for key, item in value.items():
        plain = key.removeprefix("_")
        if plain.startswith(name) and (rest := _CHOICE.match(plain, len(name))):
            kind = rest.group()
            primitive = not isinstance(item, dict) or key[0] == "_"
            return [(plain, kind[0].lower() + kind[1:] if primitive else kind, "")]
    return []


def _items(value: Any, extra: Any, type_name: str, path: str) -> list[Node]:
    if type(value) is not list and type(extra) is not list:
        return [_node(value, extra, type_name, path)]
    values, extras = value if type(value) is list else [], extra if type(extra) is list else []
    return [
        _node(values[i] if i < len(values) else None, extras[i] if i < len(extras) else None, type_name, path)
        for i in range(max(len(values), len(extras)))
    ]


def _node(value: Any, extra: Any, type_name: str, path: str) -> Node:
    if type(value) is dict and ("resourceType" in value or not type_name):
        return node_of(value, type_name, path)
    return Node(value, type_name or _JSON_TYPE.get(type(value), ""), path, extra)
