"""Cross-referencing: a record that changed is compared anew, and the persons around it are rebuilt.

All of it happens in the transaction that changes the record, so that a query right after the answer sees the result,
and a crash leaves no half of it. The persons depend on the current records and on decisions alone, not on the order of
feeds: undoing what was decided gives back what was there before.

Spec: PIXM-104-20, PIXM-104-21, PIXM-XREF-01 to PIXM-XREF-08; MAT-22, MAT-60 to MAT-65.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from app.patient.candidates import COMPARED, Compared, candidates, readable
from app.patient.cluster import LARGEST_COMPONENT, Decision
from app.patient.edges import WORTH, edge_document, verdicts_about
from app.patient.grouping import connected_parts, persons_in
from app.patient.keys import hashed
from app.patient.matching import score
from app.patient.parameters import Parameters
from app.patient.persons import persons_of
from app.store.atomic import Atomic
from app.store.facts import Facts

# Names that two feeds of one person have in common are folded to so many locks: enough that others rarely wait.
LOCKS = 65_536

_LONGEST_PAST = 50

# Groups of ids of records whose persons changed together.
Moved = tuple[tuple[str, ...], ...]


@dataclass(slots=True)
class _Around:
    """A record that changed and all that is connected with it."""

    ids: set[str] = field(default_factory=set)
    links: dict[str, set[str]] = field(default_factory=dict)


def locks_of(keys: Iterable[int]) -> set[int]:
    """Return the locks for blocking keys; see `Atomic.lock`."""
    return {key % LOCKS for key in keys}


def locks_of_records(ids: Iterable[str]) -> set[int]:
    """Return the locks for records by their ids."""
    return {hashed(each) % LOCKS for each in ids}


async def relink(atomic: Atomic, ids: Collection[str], parameters: Parameters, now: datetime) -> Moved:
    """Compare the records `ids`, which changed in this transaction, and rebuild the persons around them.

    Returns: as `rebuild_around`.
    """
    before = {member for person in (await persons_of(atomic, ids)).values() for member in person}
    before |= await _neighbours(atomic, ids)
    for each in ids:
        await _compare_anew(atomic, each, parameters, now)
    return await rebuild_around(atomic, {*before, *ids}, parameters, now)


async def rebuild_around(atomic: Atomic, ids: Collection[str], parameters: Parameters, now: datetime) -> Moved:
    """Rebuild the persons of all records that are connected with `ids` (MAT-60).

    Returns:
        for each person that changed, or several that changed together, the records in it before or after (AUD-38).
    """
    around = await _connected(atomic, ids)
    await atomic.lock(locks_of_records(around.ids))
    records = await _comparable(atomic, around.ids)
    decisions = await decided(atomic, around.ids)
    old = await atomic.having("person", "members", around.ids)
    groups: list[tuple[str, ...]] = []
    for component in connected_parts(around.links, records):
        groups += persons_in(component, records, decisions, parameters, old)
    return await _write(atomic, old, groups, now)


async def decided(facts: Facts, ids: Collection[str]) -> list[Decision]:
    """Return what was decided of pairs among `ids` and is not undone; of each pair the last decision."""
    found = await facts.having("match_decision", "ends", ids)
    valid = [one for one in found if one["verdict"] in ("same", "different") and not one.get("undone")]
    latest = {tuple(one["ends"]): one for one in sorted(valid, key=lambda one: (one["at"], one["_id"]))}
    return [Decision(a, b, one["verdict"] == "same") for (a, b), one in latest.items()]


async def _neighbours(atomic: Atomic, ids: Collection[str]) -> set[str]:
    found = await atomic.having("match_edge", "ends", ids, fields=("ends", "grade"))
    return {end for edge in found if edge["grade"] == "certain" for end in edge["ends"]}


async def _compare_anew(atomic: Atomic, id: str, parameters: Parameters, now: datetime) -> None:  # noqa: A002
    """Replace the edges of a record by those that it has now (MAT-60)."""
    old = await atomic.having("match_edge", "ends", [id], fields=("ends",))
    found = await atomic.having("Patient", "_id", [id], fields=(*COMPARED, "derived.keys"))
    edges = []
    if (known := readable(found)) and known[0].state != "inactive":
        own, near = known[0], await candidates(atomic, found[0]["derived"]["keys"])
        others = [one for one in near.records if one.id != id]
        verdicts = await verdicts_about(atomic, id)
        edges = [
            edge_document(own, other, scored, verdicts.get(other.id, ""), now)
            for other in others
            if (scored := score(own.vector, other.vector, parameters)).grade in WORTH
        ]
    kept = {edge["_id"] for edge in edges}
    await atomic.forget("match_edge", [edge["_id"] for edge in old if edge["_id"] not in kept])
    await atomic.keep("match_edge", edges)


async def _connected(atomic: Atomic, ids: Collection[str]) -> _Around:
    """Return all that certain edges, "same" decisions and present persons connect with `ids`."""
    around, wave = _Around(), set(ids)
    while wave:
        around.ids |= wave
        edges = await atomic.having("match_edge", "ends", wave, fields=("ends", "grade"))
        decisions = await atomic.having("match_decision", "ends", wave, fields=("ends", "verdict", "undone"))
        persons = await atomic.having("person", "members", wave, fields=("members",))
        pairs = [tuple(one["ends"]) for one in edges if one["grade"] == "certain"]
        pairs += [(a, b) for a, b in (await _merges(atomic, wave)).items()]
        pairs += [tuple(one["ends"]) for one in decisions if one["verdict"] == "same" and not one.get("undone")]
        for a, b in pairs:
            around.links.setdefault(a, set()).add(b)
            around.links.setdefault(b, set()).add(a)
        reached = {end for pair in pairs for end in pair} | {one for person in persons for one in person["members"]}
        wave = reached - around.ids
        if len(around.ids) > 40 * LARGEST_COMPONENT:
            break
    return around


async def _merges(atomic: Atomic, ids: Collection[str]) -> dict[str, str]:
    """Return the merges that `ids` have part in: the record that was merged away -> the one that replaced it."""
    fields = ("derived.replacedBy",)
    found = await atomic.having("Patient", "derived.replacedBy", ids, fields=fields)
    found += await atomic.having("Patient", "_id", ids, fields=fields)
    return {one["_id"]: target for one in found if (target := one.get("derived", {}).get("replacedBy"))}


async def _comparable(atomic: Atomic, ids: Collection[str]) -> dict[str, Compared]:
    found = await atomic.having("Patient", "_id", ids, fields=COMPARED)
    return {one.id: one for one in readable(found) if one.state != "inactive"}


async def _write(
    atomic: Atomic, old: Sequence[Mapping[str, Any]], groups: Iterable[tuple[str, ...]], now: datetime
) -> Moved:
    """Write the persons that changed: a person of one record is not written, one that fell apart keeps its past."""
    persons = {min(group): sorted(group) for group in groups if len(group) > 1}
    before = {person["_id"]: person for person in old if person["members"]}
    names = [name for name in {*persons, *before} if before.get(name, {}).get("members") != persons.get(name)]
    held = {one["_id"]: one for one in await atomic.having("person", "_id", names)}
    made = [person_document(name, persons.get(name, []), held.get(name, {}), now) for name in names]
    await atomic.keep("person", made)
    return _joined({*before.get(name, {}).get("members", ()), *persons.get(name, ())} for name in names)


def _joined(groups: Iterable[set[str]]) -> Moved:
    """Return `groups`, those that have a record in common as one."""
    apart: list[set[str]] = []
    for group in groups:
        near = [one for one in apart if one & group]
        apart = [one for one in apart if not one & group] + [group.union(*near)]
    return tuple(sorted(tuple(sorted(group)) for group in apart))


def person_document(name: str, members: Sequence[str], then: Mapping[str, Any], now: datetime) -> dict[str, Any]:
    """Return the person `name` with its past, so that an id that went out of use still tells what it was (MAT-62)."""
    past = [*then.get("past", ()), {"members": then.get("members", []), "since": then.get("since"), "until": now}]
    return {"_id": name, "members": list(members), "since": now, "past": past[-_LONGEST_PAST:] if then else []}
