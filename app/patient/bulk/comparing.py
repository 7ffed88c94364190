"""Comparing in a process of its own: all pairs of a part of the records, and which of them are one person.

Spec: MAT-60, MAT-63, MAT-66.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from app.patient.bulk.postings import Postings
from app.patient.cluster import LARGEST_COMPONENT, Decision
from app.patient.edges import WORTH, edge_document
from app.patient.grouping import persons_in
from app.patient.matching import score
from app.patient.parameters import Parameters
from app.store.bulk import packed


@dataclass(frozen=True, slots=True)
class Task:
    """What a process must know to compare; it can be sent to one.

    Attributes:
        folder: of the `Postings`.
        verdicts: pair of ids -> what was decided of it last.
        decisions: those that hold and say whether it is one person.
        persons: those that there are: of too large a component they stay as they are.
    """

    folder: Path
    parameters: Parameters
    now: datetime
    verdicts: Mapping[tuple[str, str], str]
    decisions: tuple[Decision, ...]
    persons: tuple[Mapping[str, Any], ...]


@dataclass(slots=True)
class Edges:
    """The edges of a part of the records: their ids, packed, and the pairs of numbers that are certain."""

    ids: list[str]
    documents: list[bytes]
    certain: list[tuple[int, int]]


class Comparer:
    """Compares records of one task."""

    def __init__(self, task: Task) -> None:
        self._task, self._postings = task, Postings(task.folder)

    def compare(self, numbers: range) -> Edges:
        """Return the edges of the records `numbers`, each pair where its first record is."""
        edges = Edges([], [], [])
        for number in numbers:
            self._compare(number, edges)
        return edges

    def group(self, components: Iterable[list[int]]) -> list[tuple[str, ...]]:
        """Return the persons of several components."""
        return [person for component in components for person in self._group(component)]

    def _compare(self, number: int, edges: Edges) -> None:
        own = self._postings.record(number)
        for other in self._postings.candidates(number):
            if other < number and not self._postings.is_wide(other):
                continue  # it finds this one too
            theirs = self._postings.record(other)
            scored = score(own.vector, theirs.vector, self._task.parameters)
            if scored.grade in WORTH:
                pair = (min(own.id, theirs.id), max(own.id, theirs.id))
                edge = edge_document(own, theirs, scored, self._task.verdicts.get(pair, ""), self._task.now)
                edges.ids.append(edge["_id"])
                edges.documents.append(packed(edge))
                if scored.grade == "certain":
                    edges.certain.append((number, other))

    def _group(self, component: list[int]) -> list[tuple[str, ...]]:
        records = {one.id: one for one in map(self._postings.record, component)}
        inside = [one for one in self._task.decisions if one.a in records and one.b in records]
        is_large = len(records) > LARGEST_COMPONENT
        old = [one for one in self._task.persons if is_large and not records.keys().isdisjoint(one["members"])]
        return persons_in(sorted(records), records, inside, self._task.parameters, old)


_comparers: list[Comparer] = []


def begin(task: Task) -> None:
    """Prepare this process to compare."""
    _comparers[:] = [Comparer(task)]


def compare(first: int, last: int) -> Edges:
    """Return the edges of the records from `first` to before `last`."""
    return _comparers[0].compare(range(first, last))


def group(components: list[list[int]]) -> list[tuple[str, ...]]:
    """Return the persons of `components`."""
    return _comparers[0].group(components)
