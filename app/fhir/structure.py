"""What the types of FHIR R4 are made of: elements, their order, cardinality, types, bindings and invariants.

The facts come from the tables in `profiles/hl7.fhir.r4.core-4.0.1/types/`, one file a type, read when the type is
first asked for. Validation, XML, search and the CapabilityStatement all read them here.

Spec: FHIR R4 elementdefinition.html; formats.html#choice; datatypes.html.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import orjson


@dataclass(frozen=True, slots=True)
class TypeRef:
    """One type an element may have; `profiles` and `target_profiles` are canonical URLs."""

    code: str
    profiles: tuple[str, ...] = ()
    target_profiles: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Invariant:
    """A constraint: `expression` as published, `human` in our words or the key, `severity` error or warning."""

    key: str
    severity: str
    human: str
    expression: str


@dataclass(frozen=True, slots=True)
class Element:
    """One element of a type, as the type's snapshot lists it.

    Attributes:
        path: `DocumentReference.content.attachment`; a choice keeps its mark: `Extension.value[x]`.
        name: last part of the path, without `[x]`.
        max: None means any number.
        content_reference: the path whose children this element has too, `Bundle.link`; empty for all others.
        binding: strength and value set URL without version; None when there is none.
        is_xml_attribute: written as an attribute in XML: `Extension.url`, `id` of datatypes.
    """

    path: str
    name: str
    min: int
    max: int | None
    types: tuple[TypeRef, ...]
    content_reference: str
    binding: tuple[str, str] | None
    is_choice: bool
    is_modifier: bool
    is_summary: bool
    is_xml_attribute: bool
    invariants: tuple[Invariant, ...] = ()


Child = tuple[Element, str, str]


class Structures:
    """The types of FHIR R4, each read on first use. Safe to share between threads."""

    def __init__(self, folder: Path) -> None:
        """Use the type tables in `folder`; reads only `index.json`, which lists kinds and bases."""
        self._folder = folder
        self._index: dict[str, dict[str, str]] = orjson.loads((folder / "index.json").read_bytes())
        self._resource_types = tuple(
            name for name, facts in self._index.items() if facts["kind"] == "resource" and name not in _ABSTRACT
        )
        self._loaded: set[str] = set()
        self._roots: dict[str, Element] = {}
        self._children: dict[str, tuple[Element, ...]] = {}
        self._child: dict[str, dict[str, Child]] = {}
        self._lock = threading.Lock()

    def kind(self, type_name: str) -> str:
        """Return `resource`, `complex-type` or `primitive-type`; empty when R4 has no such type."""
        return self._index.get(type_name, _UNKNOWN)["kind"]

    def base(self, type_name: str) -> str:
        """Return the type this one specializes: `DomainResource` for `Patient`; empty when there is none."""
        return self._index.get(type_name, _UNKNOWN).get("base", "")

    def is_abstract(self, type_name: str) -> bool:
        """Whether no instance has exactly this type: `Resource`, `DomainResource`, `Element`, `BackboneElement`."""
        return type_name in _ABSTRACT

    def type_names(self) -> tuple[str, ...]:
        """Return every type: resources, datatypes and primitives, abstract ones included."""
        return tuple(self._index)

    def resource_types(self) -> tuple[str, ...]:
        """Return the 146 resource types that an instance can have, sorted."""
        return self._resource_types

    def root(self, type_name: str) -> Element | None:
        """Return the element that stands for the type itself; None when R4 has no such type."""
        self._require(type_name)
        return self._roots.get(type_name)

    def children(self, path: str) -> tuple[Element, ...]:
        """Return the elements directly below `path`, inherited ones included, in the order XML demands.

        `path` is a type (`Attachment`), an element with children of its own (`DocumentReference.content`), or one that
        borrows them (`Bundle.entry.link`). The value of a primitive is not a child. Empty when there are none.
        """
        found = self._children.get(path)
        if found is None:
            self._require(path.partition(".")[0])
            found = self._children.get(path, ())
        return found

    def elements(self, type_name: str) -> Iterator[Element]:
        """Yield every element below the type, each before its own children: the order of a snapshot."""
        for element in self.children(type_name):
            yield element
            if not element.content_reference and element.path in self._children:
                yield from self.elements(element.path)

    def child(self, path: str, json_name: str) -> Child | None:
        """Return what the JSON property `json_name` below `path` is; None when there is no such property.

        Returns:
            the element, the type code its name chooses, and the path to ask for its own children: `valueString` below
            `Extension` is (`Extension.value[x]`, `string`, `string`); for `contained` the type is `Resource`, and the
            path follows from the resource's own type. Ask without the underscore for `_birthDate`.
        """
        return self.names(path).get(json_name)

    def names(self, path: str) -> Mapping[str, Child]:
        """Return every JSON property below `path`, choices spelled out, in the order XML demands."""
        names = self._child.get(path)
        if names is None:
            names = self._names(path)
            if names:  # a path that nobody knows may be a client's invention, and is not kept
                self._child[path] = names
        return names

    def invariants(self, type_name: str) -> tuple[Invariant, ...]:
        """Return the invariants of the type as a whole; those of its elements are in `Element.invariants`."""
        root = self.root(type_name)
        return root.invariants if root else ()

    def _names(self, path: str) -> dict[str, Child]:
        names: dict[str, Child] = {}
        for element in self.children(path):
            if element.content_reference:
                names[element.name] = (element, "BackboneElement", element.content_reference)
            for type_ref in element.types:
                code = type_ref.code
                name = element.name + code[0].upper() + code[1:] if element.is_choice else element.name
                names.setdefault(name, (element, code, element.path if element.path in self._children else code))
        return names

    def _require(self, type_name: str) -> None:
        if type_name in self._loaded or type_name not in self._index:
            return
        with self._lock:
            if type_name not in self._loaded:
                self._read(type_name)
                self._loaded.add(type_name)

    def _read(self, type_name: str) -> None:
        table = orjson.loads((self._folder / f"{type_name}.json").read_bytes())
        invariants = {key: Invariant(key, *words) for key, words in table["invariants"].items()}
        below: dict[str, list[Element]] = {}
        for facts in table["elements"]:
            element = _element(facts, invariants)
            parent = element.path.rpartition(".")[0]
            if parent:
                below.setdefault(parent, []).append(element)
            else:
                self._roots[type_name] = element
        children = {path: tuple(elements) for path, elements in below.items()}
        borrowed = [each for elements in below.values() for each in elements if each.content_reference]
        children |= {each.path: children[each.content_reference] for each in borrowed}
        self._children.update(children)  # at once: other threads see all of the type or nothing


_UNKNOWN: dict[str, str] = {"kind": ""}
_ABSTRACT = frozenset({"Resource", "DomainResource", "Element", "BackboneElement"})
_CANONICAL = "http://hl7.org/fhir/StructureDefinition/"


def _element(facts: dict[str, Any], invariants: Mapping[str, Invariant]) -> Element:
    path: str = facts["path"]
    name = path.rpartition(".")[2]
    flags: str = facts.get("flags", "")
    binding = facts.get("binding")
    return Element(
        path=path,
        name=name.removesuffix("[x]"),
        min=facts["min"],
        max=None if facts["max"] == "*" else int(facts["max"]),
        types=tuple(_type_ref(each) for each in facts.get("types", ())),
        content_reference=facts.get("contentReference", ""),
        binding=(binding[0], binding[1]) if binding else None,
        is_choice=name.endswith("[x]"),
        is_modifier="M" in flags,
        is_summary="S" in flags,
        is_xml_attribute="A" in flags,
        invariants=tuple(invariants[key] for key in facts.get("constraint", ())),
    )


def _type_ref(facts: str | dict[str, Any]) -> TypeRef:
    if isinstance(facts, str):
        return TypeRef(facts)
    return TypeRef(
        facts["code"], tuple(map(_url, facts.get("profile", ()))), tuple(map(_url, facts.get("targetProfile", ())))
    )


def _url(name: str) -> str:
    return name if ":" in name else _CANONICAL + name
