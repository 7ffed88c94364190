"""Criteria -> MongoDB filters, sort keys and page bounds.

A record has its terms under `index.<parameter>`, always as a list: strings, or `{start, end}` for dates, or one
document of terms for each target of a reference. MongoDB compares a list element by element, so conditions that
must hold of one and the same element stand inside `$elemMatch`; a bare pair of bounds could be met by two elements.

Sorting uses the first term of a list, `index.<parameter>.0`, which is a single value; so nothing is stored for
sorting alone. A record without the parameter comes first when ascending, last when descending, as MongoDB has it.

Spec: FHIR R4 search.html; MHD-GEN-20 to MHD-GEN-26. Intervals: see `app.search.criteria.Interval`.
"""

from __future__ import annotations

import re
from asyncio import gather
from collections.abc import Awaitable, Callable, Iterable, Sequence
from typing import Any

from app.fhir.outcome import FhirError
from app.search.criteria import (
    NOTHING,
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
    all_of,
    any_of,
)
from app.search.criteria import Any as AnyOf
from app.search.page import Position
from app.search.result import Sort
from app.search.string_type import SEPARATOR

Filter = dict[str, Any]
# (resource type, criterion, limit) -> the ids of at most so many records that meet it.
FindIds = Callable[[str, Criterion, int], Awaitable[Sequence[str]]]

INDEX = "index."
# What a record has beside its index: parameter -> field.
RECORD = {"_id": "_id", "_lastUpdated": "updated"}
# How many targets a chain may find before it costs more than a search should.
MAX_LINKED = 1_000

_NOTHING: Filter = {"_id": {"$in": []}}


def to_filter(criterion: Criterion) -> Filter:
    """Return the filter that finds the records, deletions excepted, that meet `criterion`; links must be resolved."""
    found = _filter(criterion, INDEX)
    # A deletion has no terms: where terms are asked for, it need not be excluded, and an index may answer alone.
    return found if _asks_for_terms(criterion) else {**found, "deleted": None}


def sort_keys(sort: Sequence[Sort]) -> list[tuple[str, int]]:
    """Return the sort as pairs of field and direction; ids, descending, decide among equals."""
    keys = {sort_field(each): -1 if each.descending else 1 for each in reversed(sort)}
    keys = dict(reversed(keys.items()))
    return list((keys if "_id" in keys else {**keys, "_id": -1}).items())


def sort_field(key: Sort) -> str:
    """Return the field whose value orders records by `key`."""
    first = f"{INDEX}{key.parameter}.0"
    return RECORD.get(key.parameter) or (f"{first}.start" if key.type == "date" else first)


def projection(sort: Sequence[Sort]) -> Filter:
    """Return what a search must read of a record, beside `json`, `version` and `updated`, to know its position."""
    return {f"{INDEX}{each.parameter}": {"$slice": 1} for each in sort if each.parameter not in RECORD}


def position(record: Filter, sort: Sequence[Sort]) -> Position:
    """Return the position of `record`, read with `projection`, in the order of `sort`."""
    return Position(tuple(_value(record, each) for each in sort), record["_id"])


def after(sort: Sequence[Sort], position: Position) -> Filter:  # noqa: PLW0621 - FHIR's word for both
    """Return the filter for the records that come behind `position` in the order of `sort`."""
    fields = [(sort_field(key), key.descending, value) for key, value in zip(sort, position.values, strict=True)]
    branches, equal = [], {}
    for field, is_descending, value in (*fields, ("_id", True, position.id)):
        if field in equal:
            continue
        if (beyond := _beyond(field, value, is_descending=is_descending)) is not None:
            branches.append(_together([equal, beyond]))
        equal = {**equal, field: value}
    return branches[0] if len(branches) == 1 else {"$or": branches}


def page_filter(criterion: Criterion, sort: Sequence[Sort], start: Position | None) -> Filter:
    """Return the filter for the records that meet `criterion` and come behind `start`, if there is one."""
    found = to_filter(criterion)
    return _together([found, after(sort, start)]) if start else found


async def resolve_links(criterion: Criterion, find_ids: FindIds) -> Criterion:
    """Return `criterion` with each link turned into references to the stored resources that meet its criterion.

    Raises:
        FhirError: `too-costly` (400) when a link is met by more than `MAX_LINKED` resources.
    """
    match criterion:
        case Linked():
            return await _resolve_link(criterion, find_ids)
        case All(criteria):
            return all_of(await gather(*(resolve_links(each, find_ids) for each in criteria)))
        case AnyOf(criteria):
            return any_of(await gather(*(resolve_links(each, find_ids) for each in criteria)))
        case Not(below):
            return Not(await resolve_links(below, find_ids))
        case Embedded(parameter, below):
            resolved = await resolve_links(below, find_ids)
            return NOTHING if resolved == NOTHING else Embedded(parameter, resolved)
        case _:
            return criterion


async def _resolve_link(link: Linked, find_ids: FindIds) -> Criterion:
    below = await resolve_links(link.criterion, find_ids)
    ids = await find_ids(link.resource_type, below, MAX_LINKED + 1) if below != NOTHING else ()
    if len(ids) > MAX_LINKED:
        message = (
            f"More than {MAX_LINKED} resources of type `{link.resource_type}` match the chain on `{link.parameter}`."
        )
        raise FhirError("too-costly", f"{message} Ask for less.")
    return Terms(link.parameter, tuple(f"{link.resource_type}/{each}" for each in ids)) if ids else NOTHING


def _filter(criterion: Criterion, prefix: str) -> Filter:
    """Return the filter for `criterion`; `prefix` leads to the terms, and is empty inside of `$elemMatch`."""
    match criterion:
        case Terms(parameter, values):
            return {_field(parameter, prefix): values[0] if len(values) == 1 else {"$in": list(values)}}
        case StartsWith(parameter, text):
            return {_field(parameter, prefix): {"$regex": f"^{re.escape(text)}"}}
        case Substring(parameter, text):
            return {_field(parameter, prefix): {"$regex": f"^[^{SEPARATOR}]*{re.escape(text)}"}}
        case Interval():
            return _moment(criterion) if criterion.parameter in RECORD else _interval(criterion, prefix)
        case Missing(parameter, missing):
            return {_field(parameter, prefix): {"$exists": not missing}}
        case Not(below):
            return {"$nor": [_filter(below, prefix)]}
        case All(criteria):
            return _together([_filter(each, prefix) for each in criteria])
        case AnyOf(criteria):
            return {"$or": [_filter(each, prefix) for each in criteria]} if criteria else _NOTHING
        case Embedded(parameter, below):
            return _embedded(_field(f"{parameter}:target", prefix), below)
        case Linked():
            raise TypeError("links are resolved before a filter is made")


def _field(parameter: str, prefix: str) -> str:
    return RECORD.get(parameter, f"{prefix}{parameter}") if prefix else parameter


def _embedded(field: str, below: Criterion) -> Filter:
    # One condition can be said as a path, and an index on the path serves it.
    if isinstance(below, Terms | StartsWith | Substring):
        return _filter(below, f"{field}.")
    return {field: {"$elemMatch": _filter(below, "")}}


def _interval(asked: Interval, prefix: str) -> Filter:
    """Return the filter on stored intervals, each `{start, end}`."""
    field, start, end = _field(asked.parameter, prefix), asked.start, asked.end
    begins, ends = f"{field}.start", f"{field}.end"
    match asked.operator:
        case "eq":
            return {field: {"$elemMatch": {"start": {"$gte": start}, "end": {"$lte": end}}}}
        case "ne":
            return {"$or": [{begins: {"$lt": start}}, {ends: {"$gt": end}}]}
        case "gt":
            return {ends: {"$gt": end}}
        case "lt":
            return {begins: {"$lt": start}}
        case "ge":  # ends behind the asked interval, or lies in it: that is, or begins in it or later
            return {"$or": [{ends: {"$gt": end}}, {begins: {"$gte": start}}]}
        case "le":
            return {"$or": [{begins: {"$lt": start}}, {ends: {"$lte": end}}]}
        case "sa":
            return {begins: {"$gte": end}}
        case "eb":
            return {ends: {"$lte": start}}
        case _:
            return {field: {"$elemMatch": {"start": {"$lt": end}, "end": {"$gt": start}}}}


def _moment(asked: Interval) -> Filter:
    """Return the filter on the time of the last change, which is one millisecond long."""
    field, start, end = RECORD[asked.parameter], asked.start, asked.end
    match asked.operator:
        case "ne":
            return {"$nor": [{field: {"$gte": start, "$lt": end}}]}
        case "gt" | "sa":
            return {field: {"$gte": end}}
        case "lt" | "eb":
            return {field: {"$lt": start}}
        case "ge":
            return {field: {"$gte": start}}
        case "le":
            return {field: {"$lt": end}}
        case _:
            return {field: {"$gte": start, "$lt": end}}


def _together(filters: Iterable[Filter]) -> Filter:
    """Return the filter that `filters` hold together: in one document as far as their keys differ."""
    merged: Filter = {}
    others = []
    for each in filters:
        if merged.keys().isdisjoint(each):
            merged.update(each)
        else:
            others.append(each)
    return {**merged, "$and": [*merged.get("$and", ()), *others]} if others else merged


def _asks_for_terms(criterion: Criterion) -> bool:
    match criterion:
        case All(criteria):
            return any(map(_asks_for_terms, criteria))
        case AnyOf(criteria):
            return all(map(_asks_for_terms, criteria))
        case Missing(_, missing):
            return not missing
        case Not():
            return False
        case Embedded():
            return True
        case _:
            return criterion.parameter not in RECORD


def _beyond(field: str, value: Any, *, is_descending: bool) -> Filter | None:
    if not is_descending:
        return {field: {"$ne": None} if value is None else {"$gt": value}}
    if value is None:
        return None
    # Only the record's own fields are never missing; for them the bound alone lets an index do the work.
    return {field: {"$lt": value}} if field in RECORD.values() else {"$or": [{field: {"$lt": value}}, {field: None}]}


def _value(record: Filter, key: Sort) -> Any:
    if key.parameter in RECORD:
        return record[RECORD[key.parameter]]
    first = next(iter(record.get("index", {}).get(key.parameter, ())), None)
    return first["start"] if isinstance(first, dict) else first
