"""Objects, arrays, cardinality, primitives: the checks that a tree of elements is compiled to.

Two kinds of closures: a `Check` looks at a value, a `Member` at a property of an object. Both return None when
all is well, which costs nothing; findings get their steps on the way up.

Spec: FHIR R4 json.html; elementdefinition.html; the invariant ele-1.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from app.validation.finding import MOST_FINDINGS, Finding, Findings, below, kind_of, nearest, shown
from app.validation.place import Place
from app.validation.primitive import EXPECTED, format_of, is_text

Check = Callable[[Any, Place], Findings]
Member = Callable[[Any, dict[str, Any], Place], Findings]


@dataclass(slots=True)
class Parts:
    """What an object is checked by.

    Attributes:
        label: type or path for messages.
        members: JSON property -> its check.
        required: names, the properties any of which satisfies it, and who demands it.
        rules: checks of the whole object.
        is_resource: a resource has `resourceType`, and its `id` is no element id.
    """

    label: str
    members: dict[str, Member] = field(default_factory=dict)
    required: list[tuple[str, tuple[str, ...], str]] = field(default_factory=list)
    rules: list[Check] = field(default_factory=list)
    is_resource: bool = False


def check_object(parts: Parts) -> Check:  # noqa: C901 - the hot loop, whose steps are not worth a call each
    """Return the check of a JSON object."""
    members, label, is_resource = parts.members, parts.label, parts.is_resource
    required, rules = tuple(parts.required), tuple(parts.rules)

    def check(value: Any, place: Place) -> Findings:  # noqa: C901
        if type(value) is not dict:
            return [wrong_type(value, f"an object (`{label}`)")]
        found: list[Finding] = []
        for key, item in value.items():
            member = members.get(key)
            more = member(item, value, place) if member else [_unknown(key, label, members, place)]
            if more:
                found += more
                if len(found) >= MOST_FINDINGS:
                    return found
        if "id" in value or not value:
            found += _check_id(value, label, place, is_resource=is_resource)
        for name, keys, who in required:
            for key in keys:
                if key in value:
                    break
            else:
                found.append(_missing(name, who))
        for rule in rules:
            if more := rule(value, place):
                found += more
        return found or None

    return check


def chain(first: Check, rest: tuple[Check, ...], *, anyway: bool) -> Check:
    """Return `first`, then the `rest`.

    Args:
        anyway: ask the rest of a JSON object even when `first` found something in it.
    """
    if not rest:
        return first

    def check(value: Any, place: Place) -> Findings:
        found = first(value, place)
        if found and not (anyway and type(value) is dict):
            return found
        for each in rest:
            if more := each(value, place):
                found = found + more if found else more
        return found

    return check


def single(name: str, check: Check) -> Member:
    """Return the member for an element that JSON writes as one value."""

    def member(item: Any, owner: dict[str, Any], place: Place) -> Findings:
        found = check(item, place)
        return below(found, name) if found else None

    return member


def array(name: str, check: Check, *, low: int, high: int | None, who: str) -> Member:
    """Return the member for an element that JSON writes as an array of `low` to `high` items, as `who` demands."""
    partner = "_" + name

    def member(items: Any, owner: dict[str, Any], place: Place) -> Findings:
        if type(items) is not list or not items:
            return no_array(name, items)
        found = check_count(name, len(items), low, high, who)
        for index, item in enumerate(items):
            if item is None and has_partner(owner.get(partner), index):
                continue
            if more := check(item, place):
                step = (name, index)
                for each in more:
                    each.steps.append(step)
                found += more
                if len(found) >= MOST_FINDINGS:
                    break
        return found or None

    return member


def no_array(name: str, items: Any) -> list[Finding]:
    """Return the finding for a value that must be an array with items in it."""
    if type(items) is not list:
        return [_at(name, wrong_type(items, "an array"))]
    return [_at(name, Finding("structure", f"`{name}` is an empty array; leave it out instead."))]


def check_count(name: str, count: int, low: int, high: int | None, who: str) -> list[Finding]:
    """Return the finding when there are fewer items than `low` or more than `high`."""
    if high is not None and count > high:
        return [_at(name, Finding("structure", f"`{name}` comes {count} times; {who} allows at most {high}."))]
    if count < low:
        return [_at(name, Finding("required", f"`{name}` comes {count} times; {who} demands at least {low}."))]
    return []


def has_partner(extras: Any, index: int) -> bool:
    """Whether an item of a primitive array that is null has its content in the `_name` array."""
    return isinstance(extras, list) and index < len(extras) and isinstance(extras[index], dict)


def is_only_id(item: Any, value: Any) -> bool:
    """Whether `item` gives nothing but an id to a primitive that has a `value`, which ele-1 allows."""
    return value is not None and type(item) is dict and item.keys() == {"id"} and isinstance(item["id"], str)


def partner(name: str, check: Check, *, is_array: bool, key: str = "") -> Member:
    """Return the member `_name`: id and extensions of the primitive `name`, whose property, if a choice, is `key`."""
    key = key or name

    def one(item: Any, owner: dict[str, Any], place: Place) -> Findings:
        return None if is_only_id(item, owner.get(key)) else below(check(item, place), name)

    def many(items: Any, owner: dict[str, Any], place: Place) -> Findings:
        if type(items) is not list or not items:
            return [_at(name, wrong_type(items, "an array with an item for each value"))]
        values = owner.get(name)
        found: list[Finding] = []
        for index, item in enumerate(items):
            value = values[index] if isinstance(values, list) and index < len(values) else None
            if item is not None and not is_only_id(item, value):
                found += below(check(item, place), (name, index)) or ()
            elif value is None:
                found.append(_at((name, index), Finding("structure", "null needs a value beside it.")))
        if isinstance(values, list) and len(values) != len(items):
            found.append(_at(name, Finding("structure", f"`{name}` and `_{name}` differ in length.")))
        return found[:MOST_FINDINGS] or None

    return many if is_array else one


def refuse(name: str, words: str) -> Member:
    """Return the member for a property that may not be there."""
    return lambda item, owner, place: [_at(name, Finding("structure", words))]


def check_primitive(code: str) -> Check:
    """Return the check of a primitive's JSON value."""
    is_valid, expected = format_of(code), EXPECTED.get(code, EXPECTED["string"])
    text = is_text(code)

    def check(value: Any, place: Place) -> Findings:
        if is_valid(value):
            return None
        if value == "" and text:
            return [Finding("structure", f"An empty string is not allowed; expected is a `{code}`: {expected}.")]
        if (type(value) is str) is not text or isinstance(value, (dict, list)) or value is None:
            return [wrong_type(value, f"a `{code}`: {_in_words(expected, text=text)}")]
        return [Finding("value", f"This is not a valid `{code}`: expected is {expected}.")]

    return check


def _in_words(expected: str, *, text: bool) -> str:
    """Return what is expected where JSON has a value of another kind; XML knows no kinds, and comes as strings."""
    return f"{expected}, in JSON {'a string' if text else 'without quotation marks'}"


def check_choice(name: str, keys: frozenset[str]) -> Check:
    """Return the check that at most one form of a choice is there."""

    def check(value: Any, place: Place) -> Findings:
        given = keys & value.keys()
        if len(given) < 2 or len({key.removeprefix("_") for key in given}) < 2:
            return None
        return [Finding("structure", f"`{name}[x]` may have one type only.", "error", name)]

    return check


def _check_id(value: dict[str, Any], label: str, place: Place, *, is_resource: bool) -> list[Finding]:
    """An object needs more than an id (ele-1), and an element's id is unique in its resource."""
    if not value or (len(value) == 1 and not is_resource):
        return [Finding("structure", f"An empty `{label}` is not allowed (FHIR R4 `ele-1`).")]
    name = value.get("id")
    if is_resource or not isinstance(name, str):
        return []
    if place.element_ids.setdefault(name, id(value)) == id(value):
        return []
    return [Finding("structure", "This `id` is that of another element of the resource already.", "error", "id")]


def wrong_type(value: Any, expected: str) -> Finding:
    """Return the finding for a JSON value of the wrong kind."""
    return Finding("structure", f"This is {kind_of(value)}; expected is {expected}.")


def _at(step: str | tuple[str, int], finding: Finding) -> Finding:
    finding.steps.append(step)
    return finding


def _missing(name: str, who: str) -> Finding:
    return Finding("required", f"`{name}` is missing; {who} demands it.")


def _unknown(key: str, label: str, members: Mapping[str, Member], place: Place) -> Finding:
    hint = nearest(key, members) if place.may_suggest() else ""
    finding = Finding("structure", f"`{label}` has no element {shown(key)}.{hint}")
    return _at(key, finding) if key.isascii() and key.isidentifier() and len(key) <= 64 else finding
