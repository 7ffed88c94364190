"""How FHIRPath compares values: equality, order, and what a date says only in part.

Three answers are possible: True, False and None, which FHIRPath writes as the empty collection.

Spec: FHIRPath N1 equality, comparison; FHIR R4 fhirpath.html.
"""

from __future__ import annotations

import json
import re
from collections.abc import Hashable
from datetime import UTC, datetime
from decimal import Decimal, InvalidOperation
from typing import Any

from app.fhir.path_nodes import Node

_DATE_TYPES = frozenset({"date", "dateTime", "instant", "System.Date", "System.DateTime"})
_TIME_TYPES = frozenset({"time", "System.Time"})
_DATE = re.compile(r"(\d{4})(?:-(\d\d)(?:-(\d\d)(?:T(\d\d)(?::(\d\d)(?::(\d\d(?:\.\d+)?))?)?(Z|[+-]\d\d:\d\d)?)?)?)?$")
_TIME = re.compile(r"(\d\d)(?::(\d\d)(?::(\d\d(?:\.\d+)?))?)?$")

Parts = tuple[Decimal, ...]


def date_parts(text: str) -> Parts | None:
    """Return year, month, day, hour, minute, second of a FHIR date as far as given, in UTC; None when it is none."""
    match = _DATE.match(text)
    if match is None:
        return None
    *numbers, zone = match.groups()
    parts = tuple(Decimal(number) for number in numbers if number)
    return _in_utc(parts, zone) if zone and len(parts) > 4 else parts


def _in_utc(parts: Parts, zone: str) -> Parts | None:
    seconds = parts[5:]
    try:
        moment = datetime.strptime("-".join(str(p) for p in parts[:5]) + zone, "%Y-%m-%d-%H-%M%z").astimezone(UTC)
    except (ValueError, OverflowError):
        return None
    return (*map(Decimal, (moment.year, moment.month, moment.day, moment.hour, moment.minute)), *seconds)


def compare_dates(left: str, right: str) -> int | None:
    """Return -1, 0 or 1; None when the coarser of the two leaves it open, or one is no date."""
    if len(left) > 19 and len(right) > 19:
        try:
            one, other = datetime.fromisoformat(left), datetime.fromisoformat(right)
            return (one > other) - (one < other)
        except (ValueError, TypeError):
            return None
    return _compare(date_parts(left), date_parts(right))


def compare(left: Node, right: Node) -> int | None:
    """Return -1, 0 or 1 for two single values; None when they cannot be compared."""
    one, other = left.value, right.value
    if isinstance(one, str) and isinstance(other, str):
        if left.type in _DATE_TYPES or right.type in _DATE_TYPES:
            return compare_dates(one, other)
        if left.type in _TIME_TYPES or right.type in _TIME_TYPES:
            return _compare(_time_parts(one), _time_parts(other))
        return (one > other) - (one < other)
    if isinstance(one, dict) and isinstance(other, dict):
        return _compare_quantities(one, other)
    first, second = number(one), number(other)
    return None if first is None or second is None else (first > second) - (first < second)


def equal(left: list[Node], right: list[Node]) -> bool | None:
    """Return whether two collections are equal, in order; None when one is empty or a partial date leaves it open."""
    if not left or not right:
        return None
    if len(left) != len(right):
        return False
    answers = [_equal(one, other) for one, other in zip(left, right, strict=True)]
    return False if False in answers else None if None in answers else True


def identity(node: Node) -> Hashable:
    """Return what two items have in common when `distinct`, `in`, `|` and `intersect` take them for the same."""
    value = node.value
    amount = number(value)
    if amount is not None:
        return amount
    if isinstance(value, (str, bool)):
        return type(value), value
    return json.dumps([value, node.extra], sort_keys=True, default=str)


def number(value: Any) -> Decimal | None:
    """Return a JSON number as Decimal; None for everything else, booleans too."""
    if isinstance(value, bool) or not isinstance(value, (int, float, Decimal)):
        return None
    try:
        found = value if isinstance(value, Decimal) else Decimal(str(value))
    except InvalidOperation:  # pragma: no cover - str() of a float is a decimal
        return None
    return found if found.is_finite() else None


def _equal(left: Node, right: Node) -> bool | None:
    one, other = left.value, right.value
    if isinstance(one, str) and isinstance(other, str) and (left.type in _DATE_TYPES or right.type in _DATE_TYPES):
        order = compare_dates(one, other)
        return one == other or (None if order is None else order == 0)
    first, second = number(one), number(other)
    if first is not None and second is not None:
        return first == second
    return type(one) is type(other) and bool(one == other)


def _time_parts(text: str) -> Parts | None:
    match = _TIME.match(text)
    return tuple(Decimal(part) for part in match.groups() if part) if match else None


def _compare(left: Parts | None, right: Parts | None) -> int | None:
    if left is None or right is None:
        return None
    for one, other in zip(left, right, strict=False):
        if one != other:
            return 1 if one > other else -1
    # "10:00" and "10:00:30" agree as far as both go: which is later is not known.
    return 0 if len(left) == len(right) else None


def _compare_quantities(left: dict[str, Any], right: dict[str, Any]) -> int | None:
    unit = [(each.get("system"), each.get("code") or each.get("unit")) for each in (left, right)]
    first, second = number(left.get("value")), number(right.get("value"))
    if unit[0] != unit[1] or first is None or second is None:
        return None
    return (first > second) - (first < second)
