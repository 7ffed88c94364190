"""In which order results come, and where a page begins.

Sorting uses the first term of a parameter, `index.<parameter>.0`, which is a single value; so nothing is stored for
sorting alone. A record without the parameter comes first when ascending, last when descending, as MongoDB has it.
Ids, descending, decide among equals, and alone when no order was asked for: a record's id never changes, so a client
that pages while others write sees each record once. Ids that begin with the time make this "newest first".

Spec: FHIR R4 search.html#sort; http.html#paging; MHD-66-22. Architecture, decision 16.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from app.search.criteria import Criterion
from app.search.page import Position
from app.search.result import Sort
from app.store.filter import INDEX, RECORD, Filter, to_filter, together

# Not a comparison with null: that reads `0` in the path also as a name in each element, which no element has.
_ABSENT = {"$exists": False}


def sort_keys(sort: Sequence[Sort], *, backwards: bool = False) -> list[tuple[str, int]]:
    """Return the sort as pairs of field and direction; ids, descending, decide among equals.

    Args:
        backwards: the other way round, for a page that ends before a position.
    """
    keys: dict[str, int] = {}
    for each in sort:
        keys.setdefault(sort_field(each), -1 if each.descending else 1)
    keys.setdefault("_id", -1)
    return [(field, -direction if backwards else direction) for field, direction in keys.items()]


def sort_field(key: Sort) -> str:
    """Return the field whose value orders records by `key`."""
    first = f"{INDEX}{key.parameter}.0"
    return RECORD.get(key.parameter) or (f"{first}.start" if key.type == "date" else first)


def is_parallel(sort: Sequence[Sort]) -> bool:
    """Tell whether records have several arrays to be sorted by, which MongoDB refuses to find by."""
    return len({each.parameter for each in sort if each.parameter not in RECORD}) > 1


def stages(found: Filter, sort: Sequence[Sort], limit: int, *, backwards: bool = False) -> list[Filter]:
    """Return the stages that find what `find` would with `sort_keys`, when there are several arrays to sort by.

    What decides is taken out of the arrays first; no index helps, so that all that is found is sorted.

    Args:
        found: the filter of the page.
    """
    names = {field: f"order.{place}" for place, field in enumerate(dict.fromkeys(map(sort_field, sort)))}
    first = {names[sort_field(each)]: _first(each) for each in sort if each.parameter not in RECORD}
    keys = {
        names[field] if field.startswith(INDEX) else field: way for field, way in sort_keys(sort, backwards=backwards)
    }
    shown = {each.parameter: RECORD.get(each.parameter, f"{INDEX}{each.parameter}") for each in sort}
    kept = {"json": 1, **dict.fromkeys(shown.values(), 1)}
    return [{"$match": found}, {"$set": first}, {"$sort": keys}, {"$limit": limit}, {"$project": kept}]


def _first(key: Sort) -> Filter:
    first = {"$first": f"${INDEX}{key.parameter}"}
    return {"$let": {"vars": {"first": first}, "in": "$$first.start"}} if key.type == "date" else first


def projection(sort: Sequence[Sort]) -> Filter:
    """Return what a search must read of a record, beside `json` and `_id`, to know its position."""
    return {
        RECORD.get(each.parameter, f"{INDEX}{each.parameter}"): 1 if each.parameter in RECORD else {"$slice": 1}
        for each in sort
    }


def position(record: Filter, sort: Sequence[Sort]) -> Position:
    """Return the position of `record`, read with `projection`, in the order of `sort`."""
    return Position(tuple(_value(record, each) for each in sort), record["_id"])


def after(sort: Sequence[Sort], last: Position, *, backwards: bool = False) -> Filter:
    """Return the filter for the records that come behind `last` in the order of `sort`, or before it."""
    fields = [(sort_field(key), key.descending, value) for key, value in zip(sort, last.values, strict=True)]
    branches: list[Filter] = []
    equal: Filter = {}
    for field, is_descending, value in (*fields, ("_id", True, last.id)):
        if field in equal:
            continue
        if (beyond := _beyond(field, value, is_descending=is_descending != backwards)) is not None:
            branches.append(together([equal, beyond]))
        equal = {**equal, field: _ABSENT if value is None else value}
    return branches[0] if len(branches) == 1 else {"$or": branches}


def page_filter(
    criterion: Criterion, sort: Sequence[Sort], start: Position | None, *, backwards: bool = False
) -> Filter:
    """Return the filter for the records that meet `criterion` and come behind `start`, or before it."""
    found = to_filter(criterion)
    return together([found, after(sort, start, backwards=backwards)]) if start else found


def _beyond(field: str, value: Any, *, is_descending: bool) -> Filter | None:
    if not is_descending:
        return {field: {"$exists": True} if value is None else {"$gt": value}}
    if value is None:
        return None
    # Only the record's own fields are never missing; for them the bound alone lets an index do the work.
    return {field: {"$lt": value}} if field in RECORD.values() else {"$or": [{field: {"$lt": value}}, {field: _ABSENT}]}


def _value(record: Filter, key: Sort) -> Any:
    if key.parameter in RECORD:
        return record[RECORD[key.parameter]]
    first = next(iter(record.get("index", {}).get(key.parameter, ())), None)
    return first["start"] if isinstance(first, dict) else first
