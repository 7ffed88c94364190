"""Discriminators: the question that tells whether an item is in a slice.

Spec: FHIR R4 profiling.html#discriminator; elementdefinition.html#ElementDefinition.slicing.discriminator.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from app.validation.compiling import Compiling
from app.validation.element_tree import ElementType, Node
from app.validation.finding import brief, has_errors, nearest
from app.validation.pattern import meets, summary
from app.validation.place import Place
from app.validation.snapshot import Snapshots
from app.validation.terminology import ValueSet

Value = tuple[Any, str]
Run = Callable[[Any, Place], bool]
_STEP = re.compile(
    r"\s*(?:extension\(\s*'(?P<url>[^']*)'\s*\)|ofType\(\s*(?P<type>\w+)\s*\)|(?P<name>[\w$\[\]]+(?:\(\))?))"
)


@dataclass(frozen=True, slots=True)
class Test:
    """One discriminator of one slice; `words` say what it expects, `codes` are the texts it takes, for suggestions."""

    run: Run
    words: str
    values: Callable[[Any, Place], list[Value]]
    codes: tuple[str, ...] = ()

    def nearest(self, item: Any, place: Place) -> str:
        """Return a suggestion when the item has nearly what is expected."""
        for value, _ in self.values(item, place) if self.codes else ():
            if isinstance(value, str) and (hint := nearest(value, self.codes)):
                return hint
        return ""


def tests(node: Node, discriminators: tuple[tuple[str, str], ...], compiling: Compiling) -> tuple[Test, ...]:
    """Return the tests of a slice; a discriminator about which the slice says nothing has none."""
    found = (_test(node, kind, path, compiling) for kind, path in discriminators)
    return tuple(each for each in found if each is not None)


def steps_of(path: str) -> tuple[tuple[str, str], ...]:
    """Return the steps of a discriminator's path as pairs (name | extension | ofType | resolve, argument)."""
    found: list[tuple[str, str]] = []
    for match in _STEP.finditer(path):
        if match["url"] is not None:
            found.append(("extension", match["url"]))
        elif match["type"]:
            found.append(("ofType", match["type"]))
        elif match["name"] == "resolve()":
            found.append(("resolve", ""))
        elif match["name"] != "$this":
            found.append(("name", match["name"].removesuffix("[x]")))
    return tuple(found)


def _test(node: Node, kind: str, path: str, compiling: Compiling) -> Test | None:
    steps = steps_of(path)
    values = _getter(steps)
    if kind in ("value", "pattern") and (part := _prescribed(node, steps, compiling.snapshots)) is not None:
        return _value_test(values, *part)
    targets = list(_walk(node, steps, compiling.snapshots))
    for target in targets:
        maker = {"exists": _exists, "type": _type, "profile": _profile}.get(kind, _value)
        if test := maker(target, values, compiling):
            return test
    if kind in ("value", "pattern") and steps == (("name", "url"),) and node.types[0].profiles:
        return _value_test(values, "fixed", node.types[0].profiles[0].partition("|")[0])
    return None


def _prescribed(node: Node, steps: tuple[tuple[str, str], ...], snapshots: Snapshots) -> tuple[str, Any] | None:
    """Return what a fixed value or pattern, of the slice or of an element on the way, says of the path's end."""
    for length in range(len(steps) + 1):
        for target in _walk(node, steps[:length], snapshots):
            if target.fixed and (part := _part(*target.fixed, steps[length:])) is not None:
                return part
    return None


def _part(kind: str, value: Any, steps: tuple[tuple[str, str], ...]) -> tuple[str, Any] | None:
    for name, argument in steps:
        value = value[0] if isinstance(value, list) and len(value) == 1 else value
        if name != "name" or not isinstance(value, dict) or argument not in value:
            return None
        value = value[argument]
    return kind, value


def _value_test(values: Callable[[Any, Place], list[Value]], kind: str, expected: Any) -> Test:
    if isinstance(expected, list):
        is_met = meets("pattern", expected)
        return Test(lambda item, place: is_met([v for v, _ in values(item, place)]), summary(expected), values)
    is_met = meets(kind, expected)
    codes = (expected,) if isinstance(expected, str) else ()
    return Test(lambda item, place: any(is_met(v) for v, _ in values(item, place)), summary(expected), values, codes)


def _value(node: Node, values: Callable[[Any, Place], list[Value]], compiling: Compiling) -> Test | None:
    if node.fixed:
        return _value_test(values, *node.fixed)
    if node.max == 0 and node.origin.get("max"):
        return Test(lambda item, place: not values(item, place), f"no `{node.name}`", values)
    if node.touched and (node.children or node.slices):
        check = compiling.value(node)
        words = f"its `{node.name}`"
        return Test(
            lambda item, place: any(not has_errors(check(v, place)) for v, _ in values(item, place)), words, values
        )
    if node.binding and node.binding[0] == "required" and node.origin.get("binding"):
        return _bound(compiling.value_set(node.binding, node.origin["binding"]), values)
    return None


def _bound(value_set: ValueSet, values: Callable[[Any, Place], list[Value]]) -> Test | None:
    if not value_set.is_checked:
        return None

    def is_met(value: Any) -> bool:
        if not isinstance(value, dict):
            return isinstance(value, str) and value_set.has_code(value)
        codings = value.get("coding", [value])
        return isinstance(codings, list) and any(value_set.has_coding(each) for each in codings)

    words = f"a code of `{brief(value_set.url)}`"
    return Test(
        lambda item, place: any(is_met(v) for v, _ in values(item, place)), words, values, tuple(value_set.codes)
    )


def _exists(node: Node, values: Callable[[Any, Place], list[Value]], compiling: Compiling) -> Test | None:
    if node.max == 0:
        return Test(lambda item, place: not values(item, place), f"no `{node.name}`", values)
    if node.min > 0:
        return Test(lambda item, place: bool(values(item, place)), f"a `{node.name}`", values)
    return None


def _type(node: Node, values: Callable[[Any, Place], list[Value]], compiling: Compiling) -> Test | None:
    codes = frozenset(each.code for each in node.types)
    if not codes or codes & {"Resource", "DomainResource"} or (node.is_choice and not node.origin.get("types")):
        return None
    words = " or ".join(f"`{code}`" for code in sorted(codes))
    return Test(lambda item, place: any(_code(v) in codes for v in values(item, place)), words, values)


def _profile(node: Node, values: Callable[[Any, Place], list[Value]], compiling: Compiling) -> Test | None:
    types = tuple(each for each in node.types if each.code not in ("Resource", "DomainResource") or each.profiles)
    if not types:
        return None
    names = sorted({brief(url) for each in types for url in each.profiles or (each.code,)})
    words = " or ".join(f"`{name}`" for name in names)

    def run(item: Any, place: Place) -> bool:
        return any(_conforms(value, each, place, compiling) for value in values(item, place) for each in types)

    return Test(run, words, values)


def _conforms(value: Value, kind: ElementType, place: Place, compiling: Compiling) -> bool:
    if _code(value) != kind.code and isinstance(value[0], dict) and "resourceType" in value[0]:
        return False
    return not kind.profiles or any(compiling.conforms(value[0], profile, place) for profile in kind.profiles)


def _code(value: Value) -> str:
    """Return the type of a value: that of a resource, else what its property's name chose."""
    kind = value[0].get("resourceType") if isinstance(value[0], dict) else None
    return kind if isinstance(kind, str) else value[1]


def _getter(steps: tuple[tuple[str, str], ...]) -> Callable[[Any, Place], list[Value]]:
    def values(item: Any, place: Place) -> list[Value]:
        found: list[Value] = [(item, "")]
        for name, argument in steps:
            found = [each for value in found for each in _next(value, name, argument, place)]
        return [each for each in found if each[0] is not None]

    return values


def _next(value: Value, name: str, argument: str, place: Place) -> Iterator[Value]:
    item, code = value
    if name == "ofType":
        if code in (argument, ""):
            yield value
    elif isinstance(item, dict) and name == "resolve":
        reference = item.get("reference")
        yield place.resolve(reference) if isinstance(reference, str) else None, ""
    elif isinstance(item, dict) and name == "extension":
        yield from ((each, "Extension") for each in _listed(item.get("extension")) if _url(each) == argument)
    elif isinstance(item, dict) and argument in item:
        yield from ((each, "") for each in _listed(item[argument]))
    elif isinstance(item, dict):
        for key, each in item.items():
            if key.startswith(argument) and key[len(argument) : len(argument) + 1].isupper():
                kind = key[len(argument) :]
                yield each, kind if isinstance(each, dict) else kind[0].lower() + kind[1:]


def _listed(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [value]


def _url(extension: Any) -> Any:
    return extension.get("url") if isinstance(extension, dict) else None


def _walk(node: Node, steps: tuple[tuple[str, str], ...], snapshots: Snapshots) -> Iterator[Node]:
    """Yield the nodes that a path leads to within a slice, through type profiles."""
    if not steps:
        yield node
        return
    (name, argument), rest = steps[0], steps[1:]
    if name == "ofType":
        yield from _walk(snapshots.narrowed(node, argument), rest, snapshots)
    elif name == "resolve":
        for target in (url for each in node.types for url in each.targets):
            tree = snapshots.tree(target)
            if tree:
                yield from _walk(tree, rest, snapshots)
    elif node.is_choice:
        for each in node.types:
            yield from _walk(snapshots.narrowed(node, each.code), steps, snapshots)
    else:
        for child in _named(node, name, argument, snapshots):
            yield from _walk(child, rest, snapshots)


def _named(node: Node, name: str, argument: str, snapshots: Snapshots) -> list[Node]:
    children = snapshots.children(node)
    if name != "extension":
        child = children.get(argument)
        return [child] if child else []
    slices = children["extension"].slices.values() if "extension" in children else ()
    return [each for each in slices if argument in each.types[0].profiles]
