"""One mistake in a resource: what is changed, and where that must be told.

Spec: own choice.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from app.fhir.resource import Resource
from tests.validation.published import Spot


@dataclass(frozen=True, slots=True)
class Edit:
    """A mistake: the object `owner` has the members `content` instead of its own.

    Attributes:
        where: expressions, one of which must be reported: of the changed element, or of anything below it; of the
            object in which an element is missing, itself.
        is_missing: something is not there, so that nothing below `where` will do.
    """

    kind: str
    where: tuple[str, ...]
    owner: Resource
    content: Resource
    at: tuple[str, ...]
    is_missing: bool = False

    def is_reported(self, expressions: list[str]) -> bool:
        """Whether one of the expressions says where the mistake is."""
        if self.is_missing:
            return any(each in self.where for each in expressions)
        return any(
            each == where or each.startswith((f"{where}.", f"{where}[")) for each in expressions for where in self.where
        )


def edit_of(
    kind: str, where: tuple[str, ...], spot: Spot, content: Resource, at: str, is_missing: bool = False
) -> Edit:
    return Edit(kind, where, spot.value, content, (*spot.place, at), is_missing)


def at_value(kind: str, spot: Spot, value: Any, at: str = "", more: tuple[str, ...] = ()) -> Edit:
    """Return the edit that puts another value in the place of the spot's."""
    items = spot.parent.get(spot.name)
    if isinstance(items, list):
        value = [*items[: spot.key], value, *items[spot.key + 1 :]]
    where = (spot.path, *more)
    return Edit(kind, where, spot.parent, {**spot.parent, spot.name: value}, (*spot.place, spot.code, at))


def missed(spot: Spot, path: str) -> tuple[str, ...] | None:
    """Return where it is told when a change at `path` takes the item out of its slice; None when nobody minds."""
    found: tuple[str, ...] = ()
    for guard in spot.guards:
        if any(_is_on(path, each) for each in guard.on):
            if not guard.is_missed:
                return None
            found += (guard.parent, guard.item)
    return found


def _is_on(path: str, way: str) -> bool:
    return path == way or path.startswith((f"{way}.", f"{way}[")) or way.startswith(f"{path}.")


def without(value: Resource, key: str) -> Resource:
    return {name: each for name, each in value.items() if name not in (key, f"_{key}")}


def copied(value: Any) -> Any:
    """Return a copy without shared parts, which JSON does not have either."""
    if isinstance(value, dict):
        return {name: copied(each) for name, each in value.items()}
    return [copied(each) for each in value] if isinstance(value, list) else value


def replace(owner: Resource, content: Resource) -> None:
    owner.clear()
    owner.update(content)
