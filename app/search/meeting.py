"""Does a record meet a criterion? Answered from its index terms in memory, as the store would answer it.

Used for records that are not stored yet, or not any more: what a caller may create, which past version they may see.

Spec: as `app.search.criteria`; the store's own answer is `app.store.filter`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

from app.search.criteria import (
    All,
    Criterion,
    Embedded,
    Interval,
    Linked,
    Missing,
    Not,
    StartsWith,
    Substring,
    Terms,
)
from app.search.criteria import Any as AnyOf
from app.search.string_type import SEPARATOR

# How a stored interval, s to e, stands to the asked one, start to end: `app.search.criteria.Interval`.
_STANDS: Mapping[str, Callable[[datetime, datetime, datetime, datetime], bool]] = {
    "eq": lambda s, e, start, end: start <= s and e <= end,
    "ne": lambda s, e, start, end: s < start or end < e,
    "gt": lambda s, e, start, end: end < e,
    "lt": lambda s, e, start, end: s < start,
    "ge": lambda s, e, start, end: end < e or start <= s,
    "le": lambda s, e, start, end: s < start or e <= end,
    "sa": lambda s, e, start, end: end <= s,
    "eb": lambda s, e, start, end: e <= start,
    "ap": lambda s, e, start, end: s < end and start < e,
}


def with_record(terms: Mapping[str, Sequence[Any]], id: str, updated: datetime) -> dict[str, Sequence[Any]]:  # noqa: A002
    """Return `terms` with those that stand for the record itself: `_id` and `_lastUpdated`."""
    moment = {"start": updated, "end": updated + timedelta(milliseconds=1)}
    return {**terms, "_id": [id], "_lastUpdated": [moment]}


def meets(criterion: Criterion, terms: Mapping[str, Sequence[Any]]) -> bool:
    """Tell whether a record with `terms` meets `criterion`, whose links have been resolved.

    Args:
        terms: parameter -> terms (`app.search.index`), with `with_record` for `_id` and `_lastUpdated`.

    Raises:
        TypeError: there is a link in it.
    """
    match criterion:
        case Not(below):
            return not meets(below, terms)
        case All(criteria):
            return all(meets(each, terms) for each in criteria)
        case AnyOf(criteria):
            return any(meets(each, terms) for each in criteria)
        case Embedded(parameter, below):
            return any(meets(below, target) for target in terms.get(f"{parameter}:target", ()))
        case Missing(parameter, missing):
            return (parameter not in terms) == missing
        case Linked():
            raise TypeError("links are resolved before a record is looked at")
        case _:
            return any(_is_met(criterion, term) for term in terms.get(criterion.parameter, ()))


def _is_met(criterion: Terms | StartsWith | Substring | Interval, term: Any) -> bool:
    match criterion:
        case Terms(_, values):
            return term in values
        case StartsWith(_, text):
            return isinstance(term, str) and term.startswith(text)
        case Substring(_, text):
            return isinstance(term, str) and text in term.partition(SEPARATOR)[0]
        case Interval(_, operator, start, end):
            return _STANDS[operator](term["start"], term["end"], start, end)
