"""The element tree of a profile: its nodes, and how one element of a differential is laid over a node.

Spec: FHIR R4 elementdefinition.html; profiling.html#slicing.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Any

from app.fhir.resource import Resource
from app.fhir.structure import Invariant

R4 = "http://hl7.org/fhir/StructureDefinition/"


@dataclass(frozen=True, slots=True)
class ElementType:
    """A type an element may have.

    Attributes:
        profiles: canonical URLs, one of which the value must meet.
        targets: canonical URLs of what a Reference may lead to.
        aggregation: contained, referenced, bundled; empty: all of them.
    """

    code: str
    profiles: tuple[str, ...] = ()
    targets: tuple[str, ...] = ()
    aggregation: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Slicing:
    """How the repetitions of an element are told apart; `discriminators` are pairs (type, path)."""

    discriminators: tuple[tuple[str, str], ...]
    rules: str
    ordered: bool


@dataclass(slots=True, eq=False)
class Node:
    """One element of a profile.

    Attributes:
        path: of the R4 element, without `[x]`: `Extension.value`; for the root the type.
        below: where `Structures` lists the children.
        is_array: whether JSON writes it as an array, which R4 decides and no profile changes.
        fixed: ("fixed" or "pattern", value); None when there is neither.
        limits: `maxLength`, `minValue`, `maxValue` -> value.
        invariants: with the canonical URL of the profile that adds them, "" for R4.
        children: None as long as nothing below is constrained.
        deferred: constraints below a choice, kept until its type is known.
        merged: the profiles whose constraints are part of this tree already.
        origin: aspect (`min`, `max`, `types`, `fixed`, `binding`) -> canonical URL of the profile that set it.
    """

    name: str
    path: str
    below: str
    min: int = 0
    max: int | None = None
    types: tuple[ElementType, ...] = ()
    is_choice: bool = False
    is_array: bool = False
    binding: tuple[str, str] | None = None
    fixed: tuple[str, Any] | None = None
    limits: dict[str, Any] = field(default_factory=dict)
    invariants: tuple[tuple[Invariant, str], ...] = ()
    children: dict[str, Node] | None = None
    deferred: tuple[tuple[tuple[str, ...], Resource, str], ...] = ()
    slicing: Slicing | None = None
    slices: dict[str, Node] = field(default_factory=dict)
    slice_name: str = ""
    merged: frozenset[str] = frozenset()
    touched: bool = False
    origin: dict[str, str] = field(default_factory=dict)

    def clone(self) -> Node:
        """Return a copy that can be constrained further without changing this one."""
        children = None if self.children is None else {name: child.clone() for name, child in self.children.items()}
        slices = {name: each.clone() for name, each in self.slices.items()}
        return replace(self, children=children, slices=slices, limits=dict(self.limits), origin=dict(self.origin))


def new_slice(node: Node, name: str) -> Node:
    """Add a slice to the node; it begins as a copy of what the node says of all."""
    each = node.clone()
    each.slices, each.slicing, each.slice_name, each.min = {}, None, name, 0
    if node.is_choice:
        codes = (t for t in node.types if node.name + t.code[0].upper() + t.code[1:] == name)
        each.types = tuple(codes) or node.types
    if node.slice_name:
        each.slice_name = f"{node.slice_name}/{name}"
    node.slices[name] = each
    return each


def merge(node: Node, definition: Resource, source: str) -> None:
    """Lay one element of a differential over the node; what it does not mention stays."""
    if isinstance(low := definition.get("min"), int) and low != node.min:
        node.min, node.origin["min"] = low, source
    if (high := definition.get("max")) is not None and _maximum(high) != node.max:
        node.max, node.origin["max"] = _maximum(high), source
    if types := definition.get("type"):
        node.types, node.origin["types"] = _types(types), source
        if len(node.types) == 1 and not node.is_choice and "." not in node.below:
            node.below = node.types[0].code
    if (binding := definition.get("binding")) and "valueSet" in binding:
        node.binding = (binding.get("strength", ""), binding["valueSet"].partition("|")[0])
        node.origin["binding"] = source
    if slicing := definition.get("slicing"):
        node.slicing = _slicing(slicing)
    _merge_values(node, definition, source)
    _merge_invariants(node, definition, source)


def _merge_values(node: Node, definition: Resource, source: str) -> None:
    for key, value in definition.items():
        for kind in ("fixed", "pattern"):
            if key.startswith(kind) and key[len(kind) : len(kind) + 1].isupper():
                node.fixed, node.origin["fixed"] = (kind, value), source
        for limit in ("minValue", "maxValue"):
            if key.startswith(limit):
                node.limits[limit], node.origin[limit] = value, source
    if isinstance(definition.get("maxLength"), int):
        node.limits["maxLength"], node.origin["maxLength"] = definition["maxLength"], source


def _merge_invariants(node: Node, definition: Resource, source: str) -> None:
    known = {invariant.key for invariant, _ in node.invariants}
    for each in definition.get("constraint", ()):
        if each.get("key") not in known and each.get("expression"):
            words = each.get("human", "")
            found = Invariant(each.get("key", ""), each.get("severity", "error"), words, each["expression"])
            node.invariants += ((found, source),)


def _types(types: list[Resource]) -> tuple[ElementType, ...]:
    return tuple(
        ElementType(
            each.get("code", "").removeprefix("http://hl7.org/fhirpath/System.").removeprefix(R4),
            tuple(each.get("profile", ())),
            tuple(each.get("targetProfile", ())),
            tuple(each.get("aggregation", ())),
        )
        for each in types
    )


def _slicing(slicing: Resource) -> Slicing:
    pairs = tuple((each.get("type", "value"), each.get("path", "$this")) for each in slicing.get("discriminator", ()))
    return Slicing(pairs, slicing.get("rules", "open"), bool(slicing.get("ordered")))


def _maximum(text: str) -> int | None:
    return int(text) if text.isdigit() else None
