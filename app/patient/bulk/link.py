"""Linking a whole index: every record is compared with all that resemble it, and persons are made anew.

The result is that of feeding the records one by one with the weights of now (MAT-66). Nobody may feed meanwhile: what
is fed between reading and writing would be compared by its feed, and may be left out here. It may be run again.

Spec: MAT-32, MAT-60, MAT-66.
"""

from __future__ import annotations

import asyncio
import tempfile
from collections.abc import AsyncIterator, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from app.patient.bulk.comparing import Task, begin, compare, group
from app.patient.bulk.pool import Pool, processes
from app.patient.bulk.postings import Gathering
from app.patient.bulk.progress import Progress
from app.patient.candidates import COMPARED, compared
from app.patient.cluster import Decision
from app.patient.cross_reference import person_document
from app.patient.frequencies import NameCount, keep
from app.patient.parameter_sets import active
from app.patient.vector import NORM_VERSION
from app.patient.weighing import forget, sized
from app.store.bulk import packed
from app.store.facts import Facts
from app.transaction import Context

# Facts or records that are read or written at once; records whose pairs a process compares at once.
_BATCH, _PART = 1000, 2000

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Linked:
    """How many records were compared, and what came of it."""

    records: int
    edges: int
    persons: int
    rate: float


@dataclass(slots=True)
class _Index:
    """What was read of the index: each record's id by number, and which were merged into which."""

    ids: list[str]
    merges: list[tuple[str, str]]
    names: NameCount


@dataclass(slots=True)
class _Compared:
    """The ids of the edges that there are now, and the pairs of record numbers that are certain."""

    ids: set[str]
    certain: list[tuple[int, int]]


async def link(workers: int, context: Context) -> Linked:
    """Compare all records, and make persons of them.

    Raises:
        ValueError: a record was made by other rules; `patients rebuild-keys` comes first.
    """
    facts = context.store.facts
    with tempfile.TemporaryDirectory(prefix="mhd-link-") as folder:
        index = await _read(facts, Path(folder))
        task = await _task(index, Path(folder), context)
        with processes(workers, begin, task) as pool:
            progress = Progress("compared", len(index.ids))
            found = await _compare_all(pool, index, context, progress)
            rate = progress.rate
            persons = await _group_all(pool, _components(index, found.certain, task))
    await _write_persons(persons, task, context)
    forget(facts)
    return Linked(len(index.ids), len(found.ids), len(persons), rate)


async def _read(facts: Facts, folder: Path) -> _Index:
    index, gathering, last = _Index([], [], NameCount()), Gathering(folder), ""
    progress = Progress("read", await facts.estimate("Patient"))
    while batch := await facts.after("Patient", last, _BATCH, fields=(*COMPARED, "derived.keys")):
        last = batch[-1]["_id"]
        progress.add(len(batch))
        for document in batch:
            _take_in(document, index, gathering)
    await asyncio.to_thread(gathering.finish)
    return index


def _take_in(document: Mapping[str, Any], index: _Index, gathering: Gathering) -> None:
    derived = document.get("derived", {})
    if derived.get("mv", {}).get("norm_version") != NORM_VERSION:
        raise ValueError(f"Patient/{document['_id']} was made by other rules; run `patients rebuild-keys` first.")
    record = compared(document)
    if record.state == "inactive":
        return
    if record.replaced_by:
        index.merges.append((record.id, record.replaced_by))
    if record.state == "active":
        index.names.add(record.vector)
    index.ids.append(record.id)
    gathering.add(record, derived.get("keys", ()))


async def _task(index: _Index, folder: Path, context: Context) -> Task:
    """Return what processes must know; the names were counted by the way."""
    facts, records = context.store.facts, len(index.ids)
    base = await active(facts)
    parameters = sized(base, records, base.frequencies)
    if records >= base.limits.smallest_population:
        frequencies = index.names.frequencies(base)
        await keep(facts, frequencies, records)
        parameters = sized(base, records, frequencies)
    decided = [one async for one in _all(facts, "match_decision") if not one.get("undone")]
    decided.sort(key=lambda one: (one["at"], one["_id"]))
    verdicts: dict[tuple[str, str], str] = {(one["ends"][0], one["ends"][1]): one["verdict"] for one in decided}
    decisions = tuple(Decision(a, b, told == "same") for (a, b), told in verdicts.items() if told != "later")
    persons = tuple([one async for one in _all(facts, "person") if one["members"]])
    return Task(folder, parameters, context.now(), verdicts, decisions, persons)


async def _compare_all(pool: Pool, index: _Index, context: Context, progress: Progress) -> _Compared:
    """Write the edges of all records, and remove those that there are no more."""
    facts, total = context.store.facts, len(index.ids)
    before = {one["_id"] async for one in _all(facts, "match_edge", ("grade",))}
    found = _Compared(set(), [])
    parts = [(first, min(first + _PART, total)) for first in range(0, total, _PART)]
    async for (first, last), edges in pool.each(compare, parts):
        new = dict(zip(edges.ids, edges.documents, strict=True))
        await facts.forget("match_edge", [one for one in new if one in before or one in found.ids])
        await context.store.bulk.add("match_edge", new.values())
        found.ids.update(new)
        found.certain += edges.certain
        progress.add(last - first)
    for names in _batches(sorted(before - found.ids)):
        await facts.forget("match_edge", names)
    return found


def _components(index: _Index, certain: Iterable[tuple[int, int]], task: Task) -> list[list[int]]:
    """Return the connected components of more than one record, by their numbers."""
    numbers = {name: number for number, name in enumerate(index.ids)}
    said = [one.pair for one in task.decisions if one.same]
    named = [(numbers[a], numbers[b]) for a, b in (*said, *index.merges) if a in numbers and b in numbers]
    parents = list(range(len(index.ids)))
    for a, b in (*certain, *named):
        parents[_root(a, parents)] = _root(b, parents)
    groups: dict[int, list[int]] = {}
    for number in range(len(parents)):
        if (root := _root(number, parents)) != number or root in groups:
            groups.setdefault(root, [root]).append(number)
    return [sorted(set(group)) for group in groups.values()]


def _root(number: int, parents: list[int]) -> int:
    while parents[number] != number:
        parents[number] = parents[parents[number]]
        number = parents[number]
    return number


async def _group_all(pool: Pool, components: list[list[int]]) -> dict[str, list[str]]:
    """Return the persons of more than one record, by the id of their oldest."""
    progress = Progress("grouped", len(components))
    persons: dict[str, list[str]] = {}
    async for (part,), found in pool.each(group, [(part,) for part in _batches(components)]):
        persons |= {min(one): sorted(one) for one in found if len(one) > 1}
        progress.add(len(part))
    return persons


async def _write_persons(persons: Mapping[str, list[str]], task: Task, context: Context) -> None:
    """Write the persons that changed; one that fell apart keeps its past."""
    facts = context.store.facts
    held = {one["_id"]: one async for one in _all(facts, "person")}
    changed = [name for name in {*persons, *held} if held.get(name, {}).get("members", []) != persons.get(name, [])]
    for names in _batches(sorted(changed)):
        new = [person_document(one, persons[one], {}, task.now) for one in names if one not in held]
        await context.store.bulk.add("person", map(packed, new))
        old = [person_document(one, persons.get(one, []), held[one], task.now) for one in names if one in held]
        await facts.keep("person", old)


async def _all(facts: Facts, collection: str, fields: Sequence[str] = ()) -> AsyncIterator[dict[str, Any]]:
    """Yield all facts of a collection, or records of a type."""
    last = ""
    while batch := await facts.after(collection, last, _BATCH, fields=fields):
        last = batch[-1]["_id"]
        for one in batch:
            yield one


def _batches(values: Sequence[T]) -> Iterator[Sequence[T]]:
    return (values[first : first + _BATCH] for first in range(0, len(values), _BATCH))
