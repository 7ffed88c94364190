"""What a question about the log asks, where it is not what R4's expressions say.

A chain to an identifier asks the reference itself, whose identifier or whose target's identifier was written down with
the event; and what is stored now. The date is the record's own, so that an index answers for a time.

Spec: AUD-92 to AUD-95; docs/decisions/0023.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from app.search import token_type
from app.search.criteria import EVERYTHING, All, Any, Criterion, Embedded, Interval, Not, Terms, all_of, any_of
from app.search.escape import split
from app.search.query import Query
from app.search.reference_type import IDENTIFIER
from app.search.result import Sort
from app.transaction import Context

# Name of a parameter -> the types of resource that may be meant by their own identifiers.
IDENTIFIED = {
    "agent.identifier": (),
    "patient.identifier": ("Patient",),
    "entity.identifier": ("Patient", "DocumentReference", "List"),
    "source.identifier": (),
}

# The record's own time of the event: a field, not a term.
RECORDED = "_recorded"
NEWEST = (Sort(RECORDED, "date", descending=True),)

# The texts of codings are not among the terms of an event: its codes are the same everywhere.
UNTOLD = ("type:text", "subtype:text", "entity-type:text", "entity-role:text", "agent-role:text")

_MOST = 200


async def identified(pairs: Sequence[tuple[str, str]], context: Context) -> Criterion:
    """Return what `pairs` of names in `IDENTIFIED` and values ask together.

    Raises:
        FhirError: `value` (400) for a value that is no token.
    """
    asked = [await _identified(name, text, context) for name, text in pairs if text]
    return all_of([EVERYTHING, *asked])


async def _identified(name: str, text: str, context: Context) -> Criterion:
    parameter = name.partition(".")[0]
    values = [token_type.criterion(IDENTIFIER, "", each) for each in split(text, ",") if each]
    found: list[Criterion] = [Embedded(parameter, each) for each in values]
    for resource_type in IDENTIFIED[name]:
        if ids := await context.store.find_ids(resource_type, any_of(values), _MOST):
            found += [Terms(parameter, tuple(f"{resource_type}/{each}" for each in ids))]
    return any_of(found)


def on_record(query: Query) -> Query:
    """Return `query` with the date asked of the record itself; newest first unless it says otherwise."""
    sort = tuple(replace(each, parameter=RECORDED) if each.parameter == "date" else each for each in query.sort)
    return replace(query, criterion=_on_record(query.criterion), sort=sort or NEWEST)


def _on_record(criterion: Criterion) -> Criterion:
    match criterion:
        case Interval("date", operator, start, end):
            return Interval(RECORDED, operator, start, end)
        case All(criteria):
            return All(tuple(map(_on_record, criteria)))
        case Any(criteria):
            return Any(tuple(map(_on_record, criteria)))
        case Not(below):
            return Not(_on_record(below))
        case _:
            return criterion
