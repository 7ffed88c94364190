"""The published snapshots as a referee: what they say of each value of a resource, read without our engine.

A value is looked at through views, places in snapshots that speak of it: the element of its profile, the slices it is
in, the profiles of its type. Which slice an item is in is decided by the fixed values and patterns on its way, which is
all that IHE's slicings need.

Spec: FHIR R4 profiling.html; elementdefinition.html.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from app.fhir.resource import Resource

R4 = "http://hl7.org/fhir/StructureDefinition/"
GUIDES = ("mhd", "pixm", "pdqm", "balp")


@dataclass(frozen=True, slots=True)
class View:
    """A place in a snapshot; `slice_of` is the element that has the slicing, None for an unsliced view."""

    url: str
    id: str
    element: Resource = field(compare=False)
    slice_of: Resource | None = field(default=None, compare=False)


@dataclass(frozen=True, slots=True)
class Guard:
    """The slice that an item is in.

    Attributes:
        item: expression of the item; `parent`: of the object that has the array.
        on: expressions of what tells the slice, the discriminators' paths below the item.
        is_missed: whether it is a mistake when the item is in no slice any more.
    """

    item: str
    parent: str
    on: tuple[str, ...]
    is_missed: bool


@dataclass(frozen=True, slots=True)
class Spot:
    """A value in a resource.

    Attributes:
        owner: the object or array that holds the value under `key`.
        parent: the object it is an element of; `name`: its property there.
        path: expression; `entries`: fullUrl -> type, of the Bundle around it all.
        code: type of the value, the resource type of a resource.
        views: what speaks of the value, the unsliced first.
    """

    owner: Any
    key: Any
    value: Any
    parent: Resource
    name: str
    path: str
    code: str
    views: tuple[View, ...]
    guards: tuple[Guard, ...]
    entries: tuple[tuple[str, str], ...]

    @property
    def place(self) -> tuple[str, ...]:
        """Return where in the snapshots this is, for telling like from like."""
        return tuple(f"{view.url}#{view.id}" for view in self.views)


class Published:
    """The published snapshots below `folder`."""

    def __init__(self, folder: Path) -> None:
        self._elements: dict[str, dict[str, Resource]] = {}
        files = [*folder.glob("r4/StructureDefinition/*.json"), *folder.glob("r4/extensions-pack/*.json")]
        for file in [*files, *(each for guide in GUIDES for each in folder.glob(f"{guide}/snapshot/*.json"))]:
            definition = json.loads(file.read_bytes())
            elements = definition.get("snapshot", {}).get("element", ())
            self._elements[definition["url"]] = {each["id"]: each for each in elements}
        self._codes: dict[str, Any] = json.loads((folder / "r4" / "required-codes.json").read_bytes())

    def invariants(self) -> set[str]:
        """Return the keys of all invariants."""
        elements = (element for each in self._elements.values() for element in each.values())
        return {found["key"] for element in elements for found in element.get("constraint", ())}

    def types_of(self, urls: set[str]) -> set[str]:
        """Return the types that the profiles `urls` are about."""
        return {next(iter(self._elements.get(url.partition("|")[0], {})), url.removeprefix(R4)) for url in urls}

    def has_codes(self, value_set: str) -> bool:
        """Whether the codes of a value set are known."""
        return bool(self._codes.get(value_set.partition("|")[0]))

    def spots(self, resource: Resource, profile: str) -> Iterator[Spot]:
        """Yield every value of `resource`, itself first, with what `profile` (empty: its type) says of it."""
        kind = resource["resourceType"]
        views = tuple(self._roots((profile or R4 + kind,)))
        listed = [
            (each.get("fullUrl", ""), each.get("resource", {}))
            for each in resource.get("entry", ())
            if kind == "Bundle"
        ]
        entries = tuple((url, entry["resourceType"]) for url, entry in listed if url and entry)
        yield Spot({"": resource}, "", resource, {}, "", kind, kind, views, (), entries)
        yield from self._below(resource, kind, views, (), entries)

    def _below(
        self,
        value: Resource,
        path: str,
        views: tuple[View, ...],
        guards: tuple[Guard, ...],
        entries: tuple[tuple[str, str], ...],
    ) -> Iterator[Spot]:
        for key in [key for key in value if key != "resourceType" and key[0] != "_"]:
            found = [(view, name) for above in views for view, name in self._children(above, key)]
            if not found:
                continue
            here, code = f"{path}.{found[0][1]}", _code(found[0][0].element, key)
            items = value[key] if isinstance(value[key], list) else [value[key]]
            is_array = items is value[key]
            for index, item in enumerate(items):
                where = f"{here}[{index}]" if is_array else here
                own = tuple(dict.fromkeys(view for view, _ in found if self.is_in(view, item, key)))
                inner = (*guards, *self._guards(own, where, path))
                owner, at = (items, index) if is_array else (value, key)
                kind = item.get("resourceType", code) if isinstance(item, dict) else code
                kind = "id" if key == "id" and "resourceType" in value else kind
                yield Spot(owner, at, item, value, key, where, kind, own, inner, entries)
                if isinstance(item, dict):
                    yield from self._below(item, where, tuple(self._entered(own, item, kind)), inner, entries)

    def children(self, view: View, prefix: str = "") -> Iterator[View]:
        """Yield the unsliced elements directly below a view."""
        for name, element in self._elements[view.url].items():
            if name.startswith(f"{view.id}.") and "." not in (rest := name[len(view.id) + 1 :]) and ":" not in rest:
                yield View(view.url, name, element)

    def slices(self, view: View) -> Iterator[View]:
        """Yield the slices of an element."""
        for name, element in self._elements[view.url].items():
            if name.startswith(f"{view.id}:") and "." not in name[len(view.id) :]:
                yield View(view.url, name, element, view.element)

    def entered(self, spot: Spot) -> tuple[View, ...]:
        """Return the views below which the children of a spot's value are listed."""
        return tuple(self._entered(spot.views, spot.value, spot.code))

    def _children(self, view: View, key: str) -> Iterator[tuple[View, str]]:
        for child in self.children(view):
            name = child.id.rpartition(".")[2]
            if name == key or (name.endswith("[x]") and _code(child.element, key)):
                yield child, name.removesuffix("[x]")
                for each in self.slices(child):
                    yield each, name.removesuffix("[x]")

    def _entered(self, views: tuple[View, ...], value: Any, kind: str) -> Iterator[View]:
        """Replace each view without children of its own by its type or the type's profiles."""
        for view in views:
            reference = view.element.get("contentReference", "").rpartition("#")[2]
            if any(self.children(view)):
                yield view
            elif reference:
                url = R4 + reference.partition(".")[0]
                yield View(url, reference, self._elements[url][reference])
            else:
                listed = [each for each in view.element.get("type", ()) if each["code"] in (kind, "Resource")]
                profiles = [url for each in listed for url in each.get("profile", ())]
                yield from self._roots((*(profiles if len(profiles) == 1 else ()), R4 + kind))

    def _roots(self, urls: tuple[str, ...]) -> Iterator[View]:
        for url in urls:
            if elements := self._elements.get(url.partition("|")[0]):
                name = next(iter(elements))
                yield View(url.partition("|")[0], name, elements[name])

    def is_in(self, view: View, item: Any, key: str) -> bool:
        """Whether the view speaks of the item, always: in an open slicing by profile, a mistake makes it no member."""
        if view.slice_of is None:
            return True
        slicing = view.slice_of["slicing"]
        if slicing["rules"] == "open" and any(each["type"] == "profile" for each in slicing.get("discriminator", ())):
            return False
        if view.id.rpartition(".")[2].partition(":")[0].endswith("[x]"):
            return bool(_code(view.element, key))
        found = [self._tells(view, each, item) for each in view.slice_of["slicing"].get("discriminator", ())]
        return bool(found) and all(found)

    def _tells(self, view: View, discriminator: Resource, item: Any) -> bool:
        path = discriminator["path"].removeprefix("$this").replace("value.ofType(Identifier)", "valueIdentifier")
        value = item
        for step in path.split(".") if path else ():
            value = value.get(step) if isinstance(value, dict) else None
        if path == "url":
            return value in {url for each in view.element["type"] for url in each.get("profile", ())}
        element = self._within(view, path)
        if discriminator["type"] in ("profile", "type"):
            return isinstance(value, dict) and any(self._looks_like(value, each) for each in element.get("type", ()))
        if expected := prescribed(element):
            return is_part(expected[0], value)
        listed = self._codes.get(element.get("binding", {}).get("valueSet", "").partition("|")[0]) or ()
        codes = {each["code"] for each in listed}
        given = {each.get("code") for each in value.get("coding", ())} if isinstance(value, dict) else {value}
        return bool(codes & given)

    def _within(self, view: View, path: str) -> Resource:
        """Return the element that a path leads to below a view, in its own snapshot or that of its type's profile."""
        here = self._elements[view.url]
        element = here.get(f"{view.id}.{path}" if path else view.id)
        for url in (url for each in view.element.get("type", ()) for url in each.get("profile", ())):
            there = self._elements.get(url, {})
            element = element or there.get(f"{next(iter(there), '')}.{path}")
        return element or {}

    def _looks_like(self, resource: Resource, kind: Resource) -> bool:
        """Whether type and prescribed top elements fit, which tells IHE's Lists apart."""
        if resource.get("resourceType") != kind["code"]:
            return False
        tops = (child for root in self._roots(tuple(kind.get("profile", ()))) for child in self.children(root))
        wanted = ((child.id.rpartition(".")[2], prescribed(child.element)) for child in tops)
        return all(not expected or is_part(expected[0], resource.get(name)) for name, expected in wanted)

    def _guards(self, views: tuple[View, ...], item: str, parent: str) -> Iterator[Guard]:
        for view in views:
            if view.slice_of and "[x]" not in view.id.rpartition(".")[2]:
                slicing = view.slice_of["slicing"]
                paths = [each["path"].removeprefix("$this") for each in slicing.get("discriminator", ())]
                on = tuple(f"{item}.{path.replace('.ofType(Identifier)', '')}".rstrip(".") for path in paths)
                yield Guard(item, parent, on, slicing["rules"] == "closed" or view.element.get("min", 0) > 0)


def prescribed(element: Resource) -> tuple[Any] | None:
    """Return the fixed value or pattern of an element, as a tuple of one."""
    return next(((value,) for name, value in element.items() if name.startswith(("fixed", "pattern"))), None)


def is_part(expected: Any, value: Any) -> bool:
    """Whether a value meets a pattern."""
    if isinstance(expected, dict):
        return isinstance(value, dict) and all(is_part(each, value.get(name)) for name, each in expected.items())
    if isinstance(expected, list):
        return isinstance(value, list) and all(any(is_part(each, item) for item in value) for each in expected)
    return bool(expected == value)


def _code(element: Resource, key: str) -> str:
    """Return the type of the property `key` of an element; empty when the element is a choice that has no such form."""
    name = element["path"].rpartition(".")[2]
    codes = [each["code"].removeprefix("http://hl7.org/fhirpath/System.") for each in element.get("type", ())]
    if not name.endswith("[x]"):
        return "string" if codes == ["String"] else next(iter(codes), "BackboneElement")
    return next((code for code in codes if key == name[:-3] + code[0].upper() + code[1:]), "")
