"""Match: who in the index is the person that somebody describes, how sure that is, and why.

The description need not be a valid Patient. Nothing is linked and nothing is learned from the question.

Spec: ITI-119, 2:3.119.4; PDQM-119-03 to PDQM-119-39; MAT-21, MAT-22, MAT-36, MAT-50, MAT-52, MAT-82.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from copy import deepcopy
from dataclasses import dataclass, replace
from typing import Any

from app.fhir.outcome import FhirError, Issue
from app.fhir.resource import Resource
from app.patient.candidates import Compared, candidates
from app.patient.derived import conventions
from app.patient.keys import match_keys
from app.patient.matching import Score, score
from app.patient.parameters import Parameters
from app.patient.persons import persons_of, survivors_of
from app.patient.vector import MatchVector, match_vector
from app.patient.weighing import parameters_now
from app.transaction import Context

DEFAULT_COUNT, MAX_COUNT = 20, 200
# Pairs that are scored without letting others have a turn: some 5 ms.
_AT_ONCE = 1000

NOT_ENOUGH = "not enough demographics: give an identifier with system and value, or a family name and a birth date"
TOO_MANY = "very many patients resemble this one; only those that share the rarer facts were compared"
NO_SINGLE = "no single certain person"

# What an expression of an issue is made of: `Patient.name[0].given` is Patient, name, 0, given.
_STEP = re.compile(r"[^.\[\]]+")


@dataclass(frozen=True, slots=True)
class MatchRequest:
    """What is asked.

    Attributes:
        patient: the description.
        count: at most so many patients; None: the caller did not say.
        explained: each match shows how its weight came about.
        warnings: what of the description could not be read.
    """

    patient: Resource
    only_certain: bool = False
    count: int | None = None
    explained: bool = False
    warnings: tuple[Issue, ...] = ()


@dataclass(frozen=True, slots=True)
class Matched:
    """A record that may be the person.

    Attributes:
        scored: weight, grade and levels.
    """

    id: str
    scored: Score


@dataclass(frozen=True, slots=True)
class MatchResult:
    """The answer, best first.

    Attributes:
        total: of all matches; with a count that was asked for, of those that are returned.
    """

    matches: tuple[Matched, ...]
    total: int
    warnings: tuple[Issue, ...] = ()


async def match(asked: MatchRequest, context: Context) -> MatchResult:
    """Return who is described.

    Raises:
        FhirError: `required` (400) when the description says too little.
    """
    vector = match_vector(asked.patient, conventions(context.domains, context.switches.home_country))
    require_enough(asked.patient, vector)
    facts = context.store.facts
    near = await candidates(facts, match_keys(vector))
    parameters = await parameters_now(facts)
    scored = await _scored(vector, near.records, parameters)
    found = await _for_survivors([pair for pair in scored if pair[1].grade != "certainly-not"], context)
    if not context.store.is_whole:  # nobody else is counted, or told to be there
        seen = await context.store.seen("Patient", [one.id for one in found])
        found = [one for one in found if one.id in seen]
    is_cut = near.is_cut and not context.store.is_bound
    warnings = [*asked.warnings, *([Issue("too-costly", TOO_MANY, severity="warning")] if is_cut else [])]
    if asked.only_certain:
        return await _certain(found, asked, warnings, context)
    return _cut(found, asked, warnings)


async def _scored(
    vector: MatchVector, records: Sequence[Compared], parameters: Parameters
) -> list[tuple[Compared, Score]]:
    """Score all pairs; many of them in a thread, so that others are answered meanwhile (MAT-82)."""

    def work() -> list[tuple[Compared, Score]]:
        return [(one, score(vector, one.vector, parameters)) for one in records]

    return work() if len(records) <= _AT_ONCE else await asyncio.to_thread(work)


def require_enough(patient: Resource, vector: MatchVector) -> None:
    """Refuse a description that says too little (PDQM-119-15).

    Raises:
        FhirError: `required` (400).
    """
    family, given = bool(vector.family or vector.former), bool(vector.given)
    others = bool(vector.gender or vector.places or vector.telecom or vector.maiden)
    is_enough = (
        bool(vector.identifiers or vector.numbers)
        or ((family or _has_text(patient)) and bool(vector.birth))
        or (family and given and others)
        or (bool(vector.telecom) and (family or given))
    )
    if not is_enough:
        raise FhirError("required", NOT_ENOUGH)


def _has_text(patient: Resource) -> bool:
    names = patient.get("name")
    return isinstance(names, list) and any(isinstance(one, dict) and one.get("text") for one in names)


async def _for_survivors(scored: Sequence[tuple[Compared, Score]], context: Context) -> list[Matched]:
    """Return the matches, best first, ties by id; that of a merged record counts for its survivor (PDQM-119-33)."""
    merged = [one.id for one, _ in scored if one.state == "merged"]
    ends = await survivors_of(context.store.facts, merged) if merged else {}
    active = await _active(set(ends.values()), context)
    best: dict[str, Score] = {}
    for one, each in scored:
        name = one.id if one.state == "active" else ends.get(one.id, "")
        if name and (one.state == "active" or name in active) and (name not in best or each.weight > best[name].weight):
            best[name] = each
    order = {"certain": 0, "probable": 1, "possible": 2}
    names = sorted(best, key=lambda name: (order[best[name].grade], -best[name].score, -best[name].weight, name))
    return [Matched(name, best[name]) for name in names]


async def _active(ids: Iterable[str], context: Context) -> set[str]:
    found = await context.store.facts.having("Patient", "_id", tuple(ids), fields=("derived.state",))
    return {one["_id"] for one in found if one.get("derived", {}).get("state") == "active"}


async def _certain(
    found: Sequence[Matched], asked: MatchRequest, warnings: Sequence[Issue], context: Context
) -> MatchResult:
    """Return the certain matches when they are all one person (PDQM-119-27 to PDQM-119-29)."""
    certain = [one for one in found if one.scored.grade == "certain"]
    persons = await persons_of(context.store.facts, (one.id for one in certain))
    may_be = {one.id for one in found}
    is_one = len(set(persons.values())) <= 1
    if certain and is_one:
        return _cut(certain, asked, warnings)
    told = [Issue("multiple-matches", NO_SINGLE, severity="information")] if len(may_be) > 1 else []
    return MatchResult((), 0, (*warnings, *told))


def _cut(found: Sequence[Matched], asked: MatchRequest, warnings: Sequence[Issue]) -> MatchResult:
    """Return the best of `found`; all are counted, or those that are shown when their number was asked for."""
    shown = tuple(found[: DEFAULT_COUNT if asked.count is None else min(asked.count, MAX_COUNT)])
    return MatchResult(shown, len(found) if asked.count is None else len(shown), tuple(warnings))


def readable(patient: Resource, issues: Iterable[Issue]) -> tuple[Resource, tuple[Issue, ...]]:
    """Return `patient` without what cannot be read, and a warning for each such value (PDQM-119-07).

    Args:
        issues: what validation found wrong with it, in the order of the document.
    """
    copy: Resource = deepcopy(patient)
    told = [issue for issue in issues if issue.code in ("value", "structure", "code-invalid") and issue.is_error]
    for issue in reversed(told):  # an item that is left out moves those behind it
        _drop(copy, _STEP.findall(issue.expression)[1:])
    return copy, tuple(replace(issue, severity="warning") for issue in told)


def _drop(value: Any, steps: Sequence[str]) -> None:
    """Leave out of `value` what `steps` lead to: names of properties, and indexes in arrays."""
    for count, step in enumerate(steps, 1):
        key = int(step) if isinstance(value, list) and step.isdecimal() else step
        is_there = key < len(value) if isinstance(key, int) else isinstance(value, dict) and key in value
        if not is_there:
            return
        if count == len(steps):
            del value[key]
        else:
            value = value[key]


def explanation(scored: Score, url: str) -> Resource:
    """Return how a weight came about, as an extension at `url`: one part for each field, their bits sum up to it."""
    told: Mapping[str, Any] = scored.explanation()
    return {"url": url, "extension": [*_parts(told["parts"]), *_sums(told)]}


def _parts(parts: Iterable[Mapping[str, Any]]) -> Iterator[Resource]:
    for part in parts:
        yield {
            "url": "part",
            "extension": [
                {"url": "field", "valueCode": part["field"]},
                {"url": "level", "valueCode": part["level"]},
                {"url": "bits", "valueDecimal": round(part["bits"], 2)},
            ],
        }


def _sums(told: Mapping[str, Any]) -> Iterator[Resource]:
    yield {"url": "weight", "valueDecimal": round(told["weight"], 2)}
    yield {"url": "parameters", "valueString": told["parameters"]}
    yield {"url": "population", "valueInteger": told["population"]}
