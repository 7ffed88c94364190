"""Completeness: of the pairs that are one person, how many are found by one kind of blocking key alone.

Such a key is a single point of failure: the next slip of the pen in what it is made of, and the pair is not found.

Spec: MAT-23.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from itertools import combinations
from typing import Any

from app.patient.candidates import COMPARED, readable
from app.patient.keys import meeting_kinds
from app.patient.vector import MatchVector
from app.store.facts import Facts

# From this share of pairs on, that one kind alone finds, somebody should look.
ALARM = 0.02
_BATCH = 500


@dataclass(frozen=True, slots=True)
class Completeness:
    """What was counted.

    Attributes:
        pairs: of active records of one person.
        alone: kind of key -> the pairs that it alone finds; `none` for those that no key finds, as after a merge or a
            decision.
    """

    pairs: int
    alone: Mapping[str, int]

    @property
    def share(self) -> float:
        """The share of pairs that one kind alone finds."""
        found = sum(count for kind, count in self.alone.items() if kind != "none")
        return found / max(self.pairs, 1)

    @property
    def alarming(self) -> list[str]:
        """The kinds of key that are single points of failure."""
        return sorted(kind for kind, count in self.alone.items() if kind != "none" and count > ALARM * self.pairs)


def completeness_of(persons: Iterable[Iterable[MatchVector]]) -> Completeness:
    """Count over the pairs of each person."""
    alone: Counter[str] = Counter()
    pairs = 0
    for person in persons:
        for a, b in combinations(person, 2):
            pairs += 1
            kinds = meeting_kinds(a, b)
            if len(kinds) < 2:
                alone[next(iter(kinds), "none")] += 1
    return Completeness(pairs, dict(alone))


async def completeness(facts: Facts) -> Completeness:
    """Count over all persons of the index."""
    last, pairs = "", 0
    alone: Counter[str] = Counter()
    while batch := await facts.after("person", last, _BATCH, fields=("members",)):
        last = batch[-1]["_id"]
        part = completeness_of(await _vectors(batch, facts))
        pairs += part.pairs
        alone.update(part.alone)
    return Completeness(pairs, dict(alone))


async def _vectors(persons: Iterable[Mapping[str, Any]], facts: Facts) -> list[list[MatchVector]]:
    """Return the vectors of the members of each person."""
    members = [one["members"] for one in persons]
    ids = [each for one in members for each in one]
    found = {one.id: one.vector for one in readable(await facts.having("Patient", "_id", ids, fields=COMPARED))}
    return [[found[each] for each in one if each in found] for one in members]
