"""The few questions that a search becomes: what a store must be able to answer, and no more.

A criterion speaks about the index terms of one record (`app.search.index`): `parameter` is a key of the index,
which is the parameter's code (`status`, `patient`) or one of its companions (`type:text`). `_id` and
`_lastUpdated` are not indexed; they stand for the record's own id and time of change. All that FHIR says about
prefixes, modifiers, precision and normalisation has been spent before a criterion is made.

Spec: FHIR R4 search.html; own choice of questions.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime


@dataclass(frozen=True, slots=True)
class Terms:
    """One of `values` is among the terms of the parameter."""

    parameter: str
    values: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class StartsWith:
    """A term of the parameter begins with `text`."""

    parameter: str
    text: str


@dataclass(frozen=True, slots=True)
class Substring:
    """The normalised half of a string term contains `text`."""

    parameter: str
    text: str


@dataclass(frozen=True, slots=True)
class Interval:
    """A stored interval [s, e) stands to the asked one, [start, end) in UTC, as `operator` says.

    The operators are FHIR's prefixes, read as in MHD-GEN-22, asked of one and the same stored interval:
        eq: start <= s and e <= end        ne: not eq
        gt: end < e                        lt: s < start
        ge: gt or eq                       le: lt or eq
        sa: end <= s                       eb: e <= start
        ap: s < end and start < e, where the asked interval was widened before
    """

    parameter: str
    operator: str
    start: datetime
    end: datetime


@dataclass(frozen=True, slots=True)
class Missing:
    """The resource has no value for the parameter (`missing`), or has one."""

    parameter: str
    missing: bool


@dataclass(frozen=True, slots=True)
class Embedded:
    """A target of the reference whose facts stand in the record itself meets `criterion`.

    That is a contained resource, or a target that is known by its identifier only (a logical reference).
    """

    parameter: str
    criterion: Criterion


@dataclass(frozen=True, slots=True)
class Linked:
    """The reference points to a stored resource of `resource_type` that meets `criterion`."""

    parameter: str
    resource_type: str
    criterion: Criterion


@dataclass(frozen=True, slots=True)
class Not:
    """The criterion does not hold."""

    criterion: Criterion


@dataclass(frozen=True, slots=True)
class All:
    """Every criterion holds; true when there is none."""

    criteria: tuple[Criterion, ...]


@dataclass(frozen=True, slots=True)
class Any:
    """At least one criterion holds; false when there is none."""

    criteria: tuple[Criterion, ...]


Criterion = Terms | StartsWith | Substring | Interval | Missing | Embedded | Linked | Not | All | Any

EVERYTHING = All(())
NOTHING = Any(())


def all_of(criteria: Iterable[Criterion]) -> Criterion:
    """Return the criterion that `criteria` hold together, as flat as it can be said."""
    criteria = tuple(criteria)
    if len(criteria) == 1:
        return criteria[0]
    found: dict[Criterion, None] = {}
    for criterion in criteria:
        found.update(dict.fromkeys(criterion.criteria if isinstance(criterion, All) else (criterion,)))
    if NOTHING in found:
        return NOTHING
    return next(iter(found)) if len(found) == 1 else All(tuple(found))


def any_of(criteria: Iterable[Criterion]) -> Criterion:
    """Return the criterion that one of `criteria` holds, as flat as it can be said; terms of one parameter merge."""
    criteria = tuple(criteria)
    if len(criteria) == 1:
        return criteria[0]
    values: dict[str, dict[str, None]] = {}
    others: dict[Criterion, None] = {}
    for criterion in criteria:
        for part in criterion.criteria if isinstance(criterion, Any) else (criterion,):
            if isinstance(part, Terms):
                values.setdefault(part.parameter, {}).update(dict.fromkeys(part.values))
            else:
                others[part] = None
    if EVERYTHING in others:
        return EVERYTHING
    merged = (*(Terms(parameter, tuple(terms)) for parameter, terms in values.items()), *others)
    return merged[0] if len(merged) == 1 else Any(merged)
