"""Differential -> element tree: what a profile says about each element, laid over what R4 says.

The tree grows only where a differential constrains something; everywhere else the R4 tables speak. A node
under a datatype profile or an extension starts from that profile's own tree.

Spec: FHIR R4 profiling.html#snapshot; elementdefinition.html#path, #id; profiling.html#slicing.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from typing import Any

from app.fhir.resource import Resource
from app.fhir.structure import Element, Invariant, Structures, TypeRef

R4 = "http://hl7.org/fhir/StructureDefinition/"
_DEPTH_LIMIT = 40


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


class Snapshots:
    """Builds the trees of profiles, once each.

    Args:
        find: canonical URL -> StructureDefinition, None when no package has it.
        problems: receives, by name, what could not be built.
    """

    def __init__(self, structures: Structures, find: Callable[[str], Resource | None], problems: list[str]) -> None:
        self.structures = structures
        self.problems = problems
        self._find = find
        self._trees: dict[str, Node | None] = {}

    def tree(self, url: str) -> Node | None:
        """Return the root of the profile `url`; None when it, or what it builds on, is not known."""
        if url not in self._trees:
            chain = self._chain(url)
            root = self._root(chain[-1]) if chain else None
            if root is None:
                return None
            self._trees[url] = None  # a profile that leads back to itself finds nothing here
            for definition in reversed(chain):
                self._overlay(root, definition)
            self._trees[url] = root
        return self._trees[url]

    def node(self, element: Element) -> Node:
        """Return the unconstrained node of an R4 element."""
        below = element.content_reference or element.path
        if not self.structures.children(below) and len(element.types) == 1:
            below = element.types[0].code
        return Node(
            element.name, element.path.removesuffix("[x]"), below, element.min, element.max,
            tuple(map(_element_type, element.types)) or (ElementType("BackboneElement"),), element.is_choice,
            element.max != 1, element.binding, invariants=tuple((each, "") for each in element.invariants),
        )  # fmt: skip

    def children(self, node: Node) -> dict[str, Node]:
        """Return the children of `node` by name, made on first use."""
        if node.children is None:
            node.children = self._from_profile(node)
        if node.children is None:
            node.children = {each.name: self.node(each) for each in self.structures.children(node.below)}
        return node.children

    def narrowed(self, node: Node, code: str) -> Node:
        """Return what `node`, a choice, says of values of the type `code`: its slice for that type, if there is one."""
        for each in node.slices.values():
            if len(each.types) == 1 and each.types[0].code == code:
                return self._of_type(each, code)
        return self._of_type(node, code)

    def _of_type(self, node: Node, code: str) -> Node:
        own = tuple(each for each in node.types if each.code == code)
        narrow = node.clone()
        narrow.types, narrow.below, narrow.is_choice, narrow.deferred = own, code, False, ()
        narrow.slices, narrow.slicing, narrow.children = {}, None, None
        for segments, definition, source in node.deferred:
            self._constrain(narrow, segments, definition, source)
        return narrow

    def _from_profile(self, node: Node) -> dict[str, Node] | None:
        """A node whose one type has one profile takes over that profile's tree."""
        profiles = node.types[0].profiles if len(node.types) == 1 else ()
        tree = self.tree(profiles[0]) if len(profiles) == 1 else None
        if tree is None:
            return None
        node.merged |= {profiles[0]}
        node.invariants += tuple(each for each in tree.invariants if each[1])
        node.touched = True
        return {name: child.clone() for name, child in self.children(tree).items()}

    def _chain(self, url: str) -> list[Resource]:
        """Return the StructureDefinitions from the profile to the one that constrains an R4 type directly."""
        chain: list[Resource] = []
        while not _is_base(url, self.structures) and len(chain) < _DEPTH_LIMIT:
            definition = self._find(url)
            if definition is None:
                return self._unknown(url, chain)
            chain.append(definition)
            url = _text(definition.get("baseDefinition")).partition("|")[0]
        return chain or self._base(url)

    def _base(self, url: str) -> list[Resource]:
        return [{"url": "", "type": url.removeprefix(R4)}]

    def _unknown(self, url: str, chain: list[Resource]) -> list[Resource]:
        """A profile whose parent is missing still has its own snapshot, if it brings one."""
        if not chain:
            return []
        problem = f"profile `{chain[-1].get('url')}` builds on `{url}`, which no package has"
        if problem not in self.problems:
            self.problems.append(problem)
        for index, definition in enumerate(chain):
            if "snapshot" in definition:
                return [*chain[:index], {**definition, "differential": definition["snapshot"]}]
        return []

    def _root(self, definition: Resource) -> Node | None:
        name = _text(definition.get("type")).removeprefix(R4)
        if not self.structures.kind(name):
            return None
        invariants = tuple((each, "") for each in self.structures.invariants(name))
        return Node(name, name, name, 0, None, (ElementType(name),), invariants=invariants)

    def _overlay(self, root: Node, definition: Resource) -> None:
        source = _text(definition.get("url"))
        for each in _elements(definition):
            segments = _segments(each)
            if segments:
                self._constrain(root, segments[1:], each, source)

    def _constrain(self, node: Node, segments: tuple[str, ...], definition: Resource, source: str) -> None:
        node.touched = True
        if not segments:
            _merge(node, definition, source)
            return
        if node.is_choice:
            node.deferred += ((segments, definition, source),)
        else:
            name, _, slice_name = segments[0].partition(":")
            child, slice_name = self._child(node, name, slice_name)
            if child is None:
                self._complain(node, name, source)
                return
            child.touched = True
            self._constrain_child(child, slice_name, segments[1:], definition, source)

    def _constrain_child(
        self, child: Node, slice_name: str, rest: tuple[str, ...], definition: Resource, source: str
    ) -> None:
        if slice_name:
            first, _, reslice = slice_name.partition("/")
            each = child.slices.get(first) or _new_slice(child, first)
            self._constrain_child(each, reslice, rest, definition, source)
            return
        self._constrain(child, rest, definition, source)
        if not rest:
            definition = {key: value for key, value in definition.items() if key not in ("min", "max", "slicing")}
        for each in child.slices.values():
            self._constrain_child(each, "", rest, definition, source)

    def _child(self, node: Node, name: str, slice_name: str) -> tuple[Node | None, str]:
        """Return the child, and the slice meant: `valueString` is short for `value[x]:valueString`."""
        children = self.children(node)
        child = children.get(name.removesuffix("[x]"))
        if child is not None:
            return child, slice_name
        for each in children.values():
            if each.is_choice and name.startswith(each.name):
                code = next((t for t in each.types if each.name + t.code[0].upper() + t.code[1:] == name), None)
                if code is not None:
                    if name not in each.slices:
                        _new_slice(each, name).types = (code,)
                    return each, name
        return None, ""

    def _complain(self, node: Node, name: str, source: str) -> None:
        problem = f"profile `{source}` constrains `{name}`, which `{node.path}` does not have"
        if problem not in self.problems:
            self.problems.append(problem)


def _new_slice(node: Node, name: str) -> Node:
    each = node.clone()
    each.slices, each.slicing, each.slice_name, each.min = {}, None, name, 0
    if node.is_choice:
        codes = (t for t in node.types if node.name + t.code[0].upper() + t.code[1:] == name)
        each.types = tuple(codes) or node.types
    if node.slice_name:
        each.slice_name = f"{node.slice_name}/{name}"
    node.slices[name] = each
    return each


def _merge(node: Node, definition: Resource, source: str) -> None:
    """Lay one element of a differential over the node; what it does not mention stays."""
    if isinstance(low := definition.get("min"), int) and low != node.min:
        node.min, node.origin["min"] = low, source
    if (high := definition.get("max")) is not None and _maximum(high) != node.max:
        node.max, node.origin["max"] = _maximum(high), source
    if types := definition.get("type"):
        node.types, node.origin["types"] = _types(types, node), source
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


def _types(types: list[Resource], node: Node) -> tuple[ElementType, ...]:
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


def _elements(definition: Resource) -> Iterator[Resource]:
    listed = (definition.get("differential") or {}).get("element") or (definition.get("snapshot") or {}).get("element")
    yield from listed or ()


def _segments(definition: Resource) -> tuple[str, ...]:
    """Return the steps of an element's id; without a usable id those of its path, the slice on the last one."""
    path = tuple(_text(definition.get("path")).split("."))
    found = tuple(_text(definition.get("id")).split("."))
    if len(found) == len(path) and path[0]:
        return found
    name = definition.get("sliceName")
    return (*path[:-1], f"{path[-1]}:{name}") if name else path


def _element_type(each: TypeRef) -> ElementType:
    return ElementType(each.code, each.profiles, each.target_profiles)


def _is_base(url: str, structures: Structures) -> bool:
    return url.startswith(R4) and bool(structures.kind(url.removeprefix(R4)))


def _text(value: Any) -> str:
    return value if isinstance(value, str) else ""
