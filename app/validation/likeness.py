"""Which slice an item was meant for, when it fits none: the one that least speaks against it.

Own choice: the type of the resource must agree; then each code that the slice's profile prescribes and the item
contradicts counts, most of all a `code` or `type`, and each discriminator value that differs.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

from app.validation.element_tree import Node, Slicing
from app.validation.pattern import meets
from app.validation.snapshot import Snapshots

_WEIGHTS = {"code": 8, "type": 8, "category": 4}
_DEFAULT_WEIGHT = 1
_DISCRIMINATOR_WEIGHT = 6

Contradicts = Callable[[Any], bool]


def likeness(node: Node, slicing: Slicing, snapshots: Snapshots) -> tuple[Callable[[Any], bool], Callable[[Any], int]]:
    """Return two functions of an item: may it be meant for the slice at all, and how much speaks against that."""
    paths = [tuple(path.split(".")) for kind, path in slicing.discriminators if kind == "profile"]
    kinds = [(path, _codes(node, path, snapshots)) for path in paths]
    weights = [each for path, _ in kinds for each in _prescribed(node, path, snapshots)]
    for kind, path in slicing.discriminators:
        target = _at(node, tuple(path.split(".")), snapshots) if kind != "profile" else None
        if target and target.fixed:
            weights.append((_DISCRIMINATOR_WEIGHT, _differs(tuple(path.split(".")), *target.fixed)))

    def is_alike(item: Any) -> bool:
        return all(
            not codes or (_resource_type(_value(item, path)) or _type_in_url(item)) in codes for path, codes in kinds
        )

    def distance(item: Any) -> int:
        return sum(weight for weight, contradicts in weights if contradicts(item))

    return is_alike, distance


def _codes(node: Node, path: tuple[str, ...], snapshots: Snapshots) -> frozenset[str]:
    target = _at(node, path, snapshots)
    codes = frozenset(each.code for each in target.types) if target else frozenset()
    return codes - {"Resource", "DomainResource"}


def _prescribed(node: Node, path: tuple[str, ...], snapshots: Snapshots) -> Iterator[tuple[int, Contradicts]]:
    """Yield what the profile of the resource at `path` prescribes of its own elements."""
    target = _at(node, path, snapshots)
    for url in (url for each in target.types for url in each.profiles) if target else ():
        tree = snapshots.tree(url)
        for child in snapshots.children(tree).values() if tree else ():
            if child.fixed:
                yield _WEIGHTS.get(child.name, _DEFAULT_WEIGHT), _differs((*path, child.name), *child.fixed)


def _at(node: Node, path: tuple[str, ...], snapshots: Snapshots) -> Node | None:
    found: Node | None = node
    for name in path:
        if name != "$this" and found is not None:
            found = snapshots.children(found).get(name)
    return found


def _differs(path: tuple[str, ...], kind: str, expected: Any) -> Contradicts:
    is_met = meets(kind, expected)
    return lambda item: not is_met(_value(item, path))


def _value(item: Any, path: tuple[str, ...]) -> Any:
    for name in path:
        if name != "$this":
            item = item.get(name) if isinstance(item, dict) else None
    return item


def _type_in_url(item: Any) -> Any:
    """A Bundle entry without a resource still says by `request.url` which type it is about."""
    url = _value(item, ("request", "url"))
    return url.partition("?")[0].partition("/")[0] if isinstance(url, str) else None


def _resource_type(value: Any) -> Any:
    kind = value.get("resourceType") if isinstance(value, dict) else None
    return kind if isinstance(kind, str) else None
