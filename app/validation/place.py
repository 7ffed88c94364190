"""Where a check stands: the resource it is in, that one's container, and the Bundle around both.

Spec: FHIR R4 references.html#contained; bundle.html#references; fhirpath.html#variables.
"""

from __future__ import annotations

from typing import Any

from app.fhir import reference
from app.fhir.path import Environment
from app.fhir.resource import Resource

_MOST_HINTS = 50


class Run:
    """What one validation shares.

    Attributes:
        claims: whether resources are also held to the profiles that their `meta.profile` claims.
        soft: what the URLs of profiles begin with that may be claimed and not met; "" for none.
        verdicts: (identity of a resource, profile) -> whether it conforms; also breaks circles.
        hints: how many spelling suggestions may still be looked for.
        has_known_extension: whether an extension was met that a package defines, outside a profile's slices.
    """

    __slots__ = ("claims", "has_known_extension", "hints", "soft", "verdicts")

    def __init__(self, *, claims: bool = False, soft: str = "") -> None:
        self.claims = claims
        self.soft = soft
        self.verdicts: dict[tuple[int, str], bool] = {}
        self.hints = _MOST_HINTS
        self.has_known_extension = False


class Place:
    """A resource under validation.

    Attributes:
        resource: what `%resource` means.
        root: what `%rootResource` means: the container of a contained resource, else `resource`.
        bundle: the entries of the Bundle around it, None outside of one.
        local_names: `#id` of every Reference met so far in the container and what it contains.
        element_ids: ids of elements seen in `resource`, which must not repeat, each with the identity of its object:
            an object may be looked at more than once.
    """

    __slots__ = ("_contained", "_entries", "bundle", "element_ids", "local_names", "resource", "root", "run")

    def __init__(self, resource: Resource, root: Resource, bundle: Entries | None, run: Run) -> None:
        self.resource = resource
        self.root = root
        self.bundle = bundle
        self.run = run
        self.local_names: set[str] = set()
        self.element_ids: dict[str, int] = {}
        self._entries: Entries | None = None
        self._contained: dict[str, Resource] | None = None

    def inside(self, resource: Resource, *, contained: bool) -> Place:
        """Return the place of a resource that stands in this one."""
        if contained:
            place = Place(resource, self.root, self.bundle, self.run)
            place._contained, place.local_names = self._names(), self.local_names
            return place
        if self._entries is None and self.resource.get("resourceType") == "Bundle":
            self._entries = Entries(self.resource)
        return Place(resource, resource, self._entries or self.bundle, self.run)

    def environment(self, path: str) -> Environment:
        """Return what FHIRPath may ask for, about a focus of the type or element path `path`."""
        return Environment(self.resource, self.root, self.resolve, path)

    def resolve(self, text: str) -> Resource | None:
        """Return the resource that a reference leads to within what is being validated, else None."""
        if text.startswith("#"):
            return self.contained(text[1:])
        return self.bundle.find(text) if self.bundle else None

    def contained(self, name: str) -> Resource | None:
        """Return the contained resource `name` of the container; an empty name is the container itself."""
        return self._names().get(name) if name else self.root

    def _names(self) -> dict[str, Resource]:
        if self._contained is None:
            listed = reversed(_dicts(self.root.get("contained")))
            self._contained = {each["id"]: each for each in listed if isinstance(each.get("id"), str)}
        return self._contained

    def may_suggest(self) -> bool:
        """Whether another spelling suggestion may be looked for; each is slow, and many help nobody."""
        self.run.hints -= 1
        return self.run.hints >= 0


class Entries:
    """The entries of a Bundle by the ways in which references name them; read when first asked."""

    __slots__ = ("_bundle", "_by_name")

    def __init__(self, bundle: Resource) -> None:
        self._bundle = bundle
        self._by_name: dict[str, Resource] | None = None

    @property
    def kind(self) -> str:
        """`Bundle.type` as sent, empty when it is no text."""
        kind = self._bundle.get("type")
        return kind if isinstance(kind, str) else ""

    def find(self, text: str) -> Resource | None:
        """Return the entry's resource that `text` names by `fullUrl`, or by type and id."""
        if self._by_name is None:
            self._by_name = self._read()
        found = self._by_name.get(text)
        if found is None and not text.startswith("urn:"):
            found = self._by_name.get(reference.parse(text).url)
        return found

    def _read(self) -> dict[str, Resource]:
        names: dict[str, Resource] = {}
        for entry in _dicts(self._bundle.get("entry")):
            resource = entry.get("resource")
            if not isinstance(resource, dict):
                continue
            kind, name, full_url = resource.get("resourceType"), resource.get("id"), entry.get("fullUrl")
            if isinstance(full_url, str):
                names.setdefault(full_url, resource)
                _add_relative(names, full_url, resource)
            if isinstance(kind, str) and isinstance(name, str):
                names.setdefault(f"{kind}/{name}", resource)
        return names


def _add_relative(names: dict[str, Resource], full_url: str, resource: Resource) -> None:
    found = reference.parse(full_url)
    if found.resource_type and found.id:
        names.setdefault(f"{found.resource_type}/{found.id}", resource)
        names.setdefault(found.url, resource)


def _dicts(items: Any) -> list[Resource]:
    return [each for each in items if isinstance(each, dict)] if isinstance(items, list) else []
