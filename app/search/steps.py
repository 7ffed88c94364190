"""The steps of which compiled search expressions are made: plain look-ups in dictionaries and lists.

Spec: FHIRPath N1, the few forms that `app.search.expression` recognises.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from app.fhir import reference
from app.fhir.resource import Resource

Values = list[Any]
# (resource, its container) -> values; the container of a resource that is not contained is the resource itself.
Extract = Callable[[Resource, Resource], Values]
Step = Callable[[Values, Resource], Values]


def resource_type_of(value: Any, container: Resource) -> str:
    """Return the type of the resource that the Reference `value` points to, as far as the reference itself tells."""
    text = value.get("reference", "")
    if text.startswith("#"):
        found = contained(text, container)
        return str(found["resourceType"]) if found else ""
    return str(value.get("type") or (reference.parse(text).resource_type if text else ""))


def contained(text: str, container: Resource) -> Resource | None:
    """Return the resource within `container` that the reference text `#id` names."""
    found: Iterable[Resource] = container.get("contained", ())
    return next((resource for resource in found if resource.get("id") == text[1:]), None)


def fields(names: tuple[str, ...]) -> Extract:
    """Return the values at the end of a path of plain names."""

    def extract(resource: Resource, _: Resource) -> Values:
        values: Values = [resource]
        for name in names:
            found: Values = []
            for value in values:
                child = value.get(name)
                if type(child) is list:
                    found += child
                elif child is not None:
                    found.append(child)
            if not found:
                return found
            values = found
        return values if None not in values else [value for value in values if value is not None]

    return extract


def stepped(steps: list[Step]) -> Extract:
    """Return the values that are left after all `steps`."""

    def extract(resource: Resource, container: Resource) -> Values:
        values: Values = [resource]
        for step in steps:
            values = step(values, container)
            if not values:
                break
        return values

    return extract


def joined(extracts: list[Extract]) -> Extract:
    """Return the values of all `extracts`, in their order."""

    def extract(resource: Resource, container: Resource) -> Values:
        return [value for each in extracts for value in each(resource, container)]

    return extract


def field(keys: tuple[str, ...]) -> Step:
    """Go to the children under any of `keys`: one name, or the names of a choice element."""

    def step(values: Values, _: Resource) -> Values:
        found: Values = []
        for value in values:
            for key in keys:
                child = value.get(key)
                found += child if type(child) is list else (child,)
        return [each for each in found if each is not None]

    return step


def extension(url: str) -> Step:
    """Go to the extensions with `url`."""

    def step(values: Values, _: Resource) -> Values:
        return [each for value in values for each in value.get("extension", ()) if each.get("url") == url]

    return step


def where_equal(key: str, wanted: str) -> Step:
    """Keep what has `wanted` as its `key`."""

    def step(values: Values, _: Resource) -> Values:
        return [value for value in values if value.get(key) == wanted]

    return step


def where_target(resource_type: str) -> Step:
    """Keep references to `resource_type`.

    Laxer than FHIRPath: a reference that does not tell its type, such as a logical one, is kept (MHD-66-15).
    """

    def step(values: Values, container: Resource) -> Values:
        return [value for value in values if resource_type_of(value, container) in (resource_type, "")]

    return step
