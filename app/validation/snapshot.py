"""Differential -> element tree: what a profile says about each element, laid over what R4 says.

The tree grows only where a differential constrains something; everywhere else the R4 tables speak. A node
under a datatype profile or an extension starts from that profile's own tree.

Spec: FHIR R4 profiling.html#snapshot; elementdefinition.html#path, #id; profiling.html#slicing.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

from app.fhir.resource import Resource
from app.fhir.structure import Element, Invariant, Structures, TypeRef
from app.validation.element_tree import R4, ElementType, Node, merge, new_slice

_DEPTH_LIMIT = 40


class Snapshots:
    """Builds the trees of profiles, once each; whoever shares it between threads holds a lock.

    Args:
        find: canonical URL -> StructureDefinition, None when no package has it.
        problems: receives, by name, what could not be built.
    """

    def __init__(self, structures: Structures, find: Callable[[str], Resource | None], problems: list[str]) -> None:
        self.structures = structures
        self.problems = problems
        self._find = find
        self._trees: dict[str, Node] = {}
        self._growing: set[str] = set()

    def tree(self, url: str) -> Node | None:
        """Return the root of the profile `url`; None when it, or what it builds on, is not known."""
        if url not in self._trees and url not in self._growing:
            # A profile that leads back to itself finds nothing while it grows; a failure leaves nothing behind.
            self._growing.add(url)
            try:
                self._grow(url)
            finally:
                self._growing.discard(url)
        return self._trees.get(url)

    def node(self, element: Element) -> Node:
        """Return the unconstrained node of an R4 element."""
        below = element.content_reference or element.path
        if not self.structures.children(below) and len(element.types) == 1:
            below = element.types[0].code
        return Node(
            element.name, element.path.removesuffix("[x]"), below, element.min, element.max,
            tuple(map(_element_type, element.types)) or (ElementType("BackboneElement"),), element.is_choice,
            element.max != 1, element.binding, invariants=tuple((each, "") for each in self._invariants(element)),
        )  # fmt: skip

    def _invariants(self, element: Element) -> tuple[Invariant, ...]:
        """An element that borrows its children borrows the constraints on them too."""
        source = element.content_reference
        siblings = self.structures.children(source.rpartition(".")[0]) if source else ()
        borrowed = next((each.invariants for each in siblings if each.path == source), ())
        return tuple(dict.fromkeys((*element.invariants, *borrowed)))

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
            # Of several types only some have the element, and it is constrained in those.
            if len(node.types) == 1 or segments[0].partition(":")[0].removesuffix("[x]") in self.children(narrow):
                self._constrain(narrow, segments, definition, source)
        return narrow

    def _grow(self, url: str) -> None:
        chain = self._chain(url)
        root = self._root(chain[-1]) if chain else None
        if root is not None:
            for definition in reversed(chain):
                self._overlay(root, definition)
            root.merged = frozenset({url})
            self._trees[url] = root

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
        while not is_base(url, self.structures) and len(chain) < _DEPTH_LIMIT:
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
            merge(node, definition, source)
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
            each = child.slices.get(first) or new_slice(child, first)
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
                        new_slice(each, name).types = (code,)
                    return each, name
        return None, ""

    def _complain(self, node: Node, name: str, source: str) -> None:
        problem = f"profile `{source}` constrains `{name}`, which `{node.path}` does not have"
        if problem not in self.problems:
            self.problems.append(problem)


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


def is_base(url: str, structures: Structures) -> bool:
    """Whether the canonical URL is that of an R4 type, and not of a profile."""
    return url.startswith(R4) and bool(structures.kind(url.removeprefix(R4)))


def _text(value: Any) -> str:
    return value if isinstance(value, str) else ""
