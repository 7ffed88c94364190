"""Criteria -> MongoDB filters.

A record has its terms under `index.<parameter>`, always as a list: strings, or `{start, end}` for dates, or one
document of terms for each target of a reference. MongoDB compares a list element by element, so conditions that
must hold of one and the same element stand inside `$elemMatch`; a bare pair of bounds could be met by two elements.

Spec: FHIR R4 search.html; MHD-GEN-20 to MHD-GEN-26. Intervals: see `app.search.criteria.Interval`.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from datetime import datetime
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

Filter = dict[str, Any]

INDEX = "index."
# What a record has beside its index: parameter -> field. That of an AuditEvent has its date too (`app.store.audit`).
RECORD = {"_id": "_id", "_lastUpdated": "updated", "_recorded": "recorded"}

# What a stored interval, from `begins` to `ends`, must meet; the asked one is [start, end). `ge` and `le` are `gt` or
# `eq`, `lt` or `eq`, in fewer words. Where two bounds must hold of one stored interval, they stand in `$elemMatch`.
_INTERVAL: Mapping[str, Callable[[str, datetime, datetime], Filter]] = {
    # Nothing begins behind its end; said so that an index on the beginning has two bounds.
    "eq": lambda field, start, end: {
        field: {"$elemMatch": {"start": {"$gte": start, "$lt": end}, "end": {"$lte": end}}}
    },
    "ne": lambda field, start, end: {"$or": [{f"{field}.start": {"$lt": start}}, {f"{field}.end": {"$gt": end}}]},
    "gt": lambda field, start, end: {f"{field}.end": {"$gt": end}},
    "lt": lambda field, start, end: {f"{field}.start": {"$lt": start}},
    "ge": lambda field, start, end: {"$or": [{f"{field}.end": {"$gt": end}}, {f"{field}.start": {"$gte": start}}]},
    "le": lambda field, start, end: {"$or": [{f"{field}.start": {"$lt": start}}, {f"{field}.end": {"$lte": end}}]},
    "sa": lambda field, start, end: {f"{field}.start": {"$gte": end}},
    "eb": lambda field, start, end: {f"{field}.end": {"$lte": start}},
    "ap": lambda field, start, end: {field: {"$elemMatch": {"start": {"$lt": end}, "end": {"$gt": start}}}},
}

# The same of a moment that is one millisecond long.
_MOMENT: Mapping[str, Callable[[str, datetime, datetime], Filter]] = {
    "eq": lambda field, start, end: {field: {"$gte": start, "$lt": end}},
    "ne": lambda field, start, end: {"$nor": [{field: {"$gte": start, "$lt": end}}]},
    "gt": lambda field, start, end: {field: {"$gte": end}},
    "lt": lambda field, start, end: {field: {"$lt": start}},
    "ge": lambda field, start, end: {field: {"$gte": start}},
    "le": lambda field, start, end: {field: {"$lt": end}},
    "sa": lambda field, start, end: {field: {"$gte": end}},
    "eb": lambda field, start, end: {field: {"$lt": start}},
    "ap": lambda field, start, end: {field: {"$gte": start, "$lt": end}},
}

NOTHING_FOUND: Filter = {"_id": {"$in": []}}


def to_filter(criterion: Criterion) -> Filter:
    """Return the filter that finds the records that meet `criterion`, whose links have been resolved.

    Raises:
        TypeError: there is a link in it (`app.store.links`).
    """
    return _filter(criterion, INDEX)


def together(filters: Iterable[Filter]) -> Filter:
    """Return the filter that `filters` hold together: in one document as far as their keys differ."""
    merged: Filter = {}
    others = []
    for each in filters:
        if merged.keys().isdisjoint(each):
            merged.update(each)
        else:
            others.append(each)
    return {**merged, "$and": [*merged.get("$and", ()), *others]} if others else merged


def _filter(criterion: Criterion, prefix: str) -> Filter:
    """Return the filter for `criterion`; `prefix` leads to the terms, and is empty inside of `$elemMatch`."""
    match criterion:
        case Not(below):
            return {"$nor": [_filter(below, prefix)]}
        case All(criteria):
            return together(_filter(each, prefix) for each in criteria)
        case AnyOf(criteria):
            return {"$or": [_filter(each, prefix) for each in criteria]} if criteria else NOTHING_FOUND
        case Embedded(parameter, below):
            return _embedded(_field(f"{parameter}:target", prefix), below)
        case Interval(parameter, operator, start, end):
            questions = _MOMENT if prefix == INDEX and parameter in RECORD else _INTERVAL
            return questions[operator](_field(parameter, prefix), start, end)
        case Linked():
            raise TypeError("links are resolved before a filter is made")
        case _:
            return {_field(criterion.parameter, prefix): _of_terms(criterion)}


def _of_terms(criterion: Terms | StartsWith | Substring | Missing) -> Any:
    match criterion:
        case Terms(_, values):
            return values[0] if len(values) == 1 else {"$in": list(values)}
        case StartsWith(_, text):
            return {"$regex": f"^{re.escape(text)}"}
        case Substring(_, text):
            return {"$regex": f"^[^{SEPARATOR}]*{re.escape(text)}"}
        case Missing(_, missing):
            return {"$exists": not missing}


def _field(parameter: str, prefix: str) -> str:
    # Below a reference these names would be the target's; what is embedded has neither an id nor a time of its own.
    return RECORD.get(parameter, f"{INDEX}{parameter}") if prefix == INDEX else f"{prefix}{parameter}"


def _embedded(field: str, below: Criterion) -> Filter:
    # One condition can be said as a path, and an index on the path serves it.
    if isinstance(below, Terms | StartsWith | Substring):
        return _filter(below, f"{field}.")
    return {field: {"$elemMatch": _filter(below, "")}}
