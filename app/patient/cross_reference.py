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
from functools import lru_cache
from itertools import count
from typing import Any

from app.patient.cluster import LARGEST_COMPONENT, Component, Decision, Edge, edges_among, rebuild
from app.patient.keys import POSTING_CAP, Selection, hashed, select
from app.patient.matching import Score, score
from app.patient.parameters import Parameters, load
from app.patient.persons import persons_of
from app.patient.vector import NORM_VERSION, MatchVector, from_document
from app.store.atomic import Atomic
from app.store.facts import Facts

# Names that two feeds of one person have in common are folded to so many locks: enough that others rarely wait.
LOCKS = 65_536

_LONGEST_PAST = 50
_COMPARED = ("derived.mv", "derived.state", "derived.replacedBy", "beside.feed")
# Grades that are worth an edge: what is certainly not the same is told by comparing again.
_WORTH = frozenset({"certain", "probable", "possible"})


@dataclass(frozen=True, slots=True)
class Compared:
    """A record as matching reads it.

    Attributes:
        state: `active`, `merged` or `inactive`.
        system: the domain under which a source feeds it; empty when none does.
        replaced_by: the record that it was merged into; empty when it was not.
    """

    id: str
    vector: MatchVector
    state: str
    system: str = ""
    replaced_by: str = ""


@dataclass(frozen=True, slots=True)
class Candidates:
    """Who may be the same person as somebody.

    Attributes:
        is_cut: some keys name so many records that they were left out, or not read to the end (MAT-22).
    """

    records: tuple[Compared, ...]
    is_cut: bool = False


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


def compared(document: Mapping[str, Any]) -> Compared:
    """Return a record of the store, read with the fields that matching needs."""
    derived, feed = document["derived"], document.get("beside", {}).get("feed", {})
    vector, survivor = from_document(derived["mv"]), derived.get("replacedBy", "")
    return Compared(document["_id"], vector, derived["state"], feed.get("system", ""), survivor)


async def candidates(facts: Facts, keys: Sequence[int]) -> Candidates:
    """Return the records that share one of `keys`, merged ones among them (MAT-21, MAT-22)."""
    chosen = Selection(tuple(keys), cut=False)
    found = await facts.having(
        "Patient", "derived.keys", chosen.keys, fields=_COMPARED, limit=min(chosen.limit, POSTING_CAP) + 1
    )
    if len(found) > POSTING_CAP:
        sizes = {key: await facts.count("Patient", "derived.keys", key, POSTING_CAP + 1) for key in keys}
        chosen = select(keys, sizes)
        found = await facts.having("Patient", "derived.keys", chosen.keys, fields=_COMPARED, limit=chosen.limit)
        return Candidates(_readable(found), is_cut=chosen.cut or len(chosen.keys) < len(keys))
    return Candidates(_readable(found))


def _readable(found: Iterable[Mapping[str, Any]]) -> tuple[Compared, ...]:
    """Return the records whose vectors these rules made; the others wait for `patients rebuild-keys` (MAT-10)."""
    current = (one for one in found if one.get("derived", {}).get("mv", {}).get("norm_version") == NORM_VERSION)
    return tuple(map(compared, current))


async def parameters_now(facts: Facts) -> Parameters:
    """Return the weights for a population of the present size, rounded up to a power of two.

    Rounded, so that one more record does not change every score; a pair weighs the same until the population doubled.
    """
    records = await facts.estimate("Patient")
    return parameters_for(1 << max(records - 1, 1).bit_length())


@lru_cache(maxsize=64)
def parameters_for(population: int) -> Parameters:
    """Return the current parameter set for `population` records."""
    return load().for_population(population)


async def relink(atomic: Atomic, ids: Collection[str], parameters: Parameters, now: datetime) -> None:
    """Compare the records `ids`, which changed in this transaction, and rebuild the persons around them."""
    before = {member for person in (await persons_of(atomic, ids)).values() for member in person}
    before |= await _neighbours(atomic, ids)
    for each in ids:
        await _compare_anew(atomic, each, parameters, now)
    await rebuild_around(atomic, {*before, *ids}, parameters, now)


async def rebuild_around(atomic: Atomic, ids: Collection[str], parameters: Parameters, now: datetime) -> None:
    """Rebuild the persons of all records that are connected with `ids` (MAT-60)."""
    around = await _connected(atomic, ids)
    await atomic.lock(locks_of_records(around.ids))
    records = await _comparable(atomic, around.ids)
    decisions = await decided(atomic, around.ids)
    old = await atomic.having("person", "members", around.ids)
    groups: list[tuple[str, ...]] = []
    for component in _components(around, records):
        groups += _clusters(component, records, decisions, parameters, old)
    await _write(atomic, old, groups, now)


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
    found = await atomic.having("Patient", "_id", [id], fields=(*_COMPARED, "derived.keys"))
    edges = []
    if (readable := _readable(found)) and readable[0].state != "inactive":
        own, near = readable[0], await candidates(atomic, found[0]["derived"]["keys"])
        others = [one for one in near.records if one.id != id]
        verdicts = await _verdicts(atomic, id)
        edges = [
            edge_document(own, other, scored, verdicts.get(other.id, ""), now)
            for other in others
            if (scored := score(own.vector, other.vector, parameters)).grade in _WORTH
        ]
    kept = {edge["_id"] for edge in edges}
    await atomic.forget("match_edge", [edge["_id"] for edge in old if edge["_id"] not in kept])
    await atomic.keep("match_edge", edges)


async def _verdicts(atomic: Atomic, id: str) -> dict[str, str]:  # noqa: A002
    """Return with whom this record's case is decided already."""
    found = await atomic.having("match_decision", "ends", [id])
    valid = sorted((one for one in found if not one.get("undone")), key=lambda one: (one["at"], one["_id"]))
    return {end: one["verdict"] for one in valid for end in one["ends"] if end != id}


def edge_document(a: Compared, b: Compared, scored: Score, verdict: str, now: datetime) -> dict[str, Any]:
    """Return the edge of two records, with how its weight came about (MAT-63), and why somebody should look at it.

    Args:
        verdict: what was decided of the pair, empty when nothing was.
    """
    ends = sorted((a.id, b.id))
    edge: dict[str, Any] = {
        "_id": "/".join(ends),
        "ends": ends,
        "weight": scored.weight,
        "grade": scored.grade,
        "explanation": scored.explanation(),
        "updated": now,
    }
    if kind := review_kind(a, b, scored):
        edge["kind"] = kind
        if not verdict:
            edge["review"] = kind
    return edge


def review_kind(a: Compared, b: Compared, scored: Score) -> str:
    """Return why somebody should look at a pair, "" when nobody need (MAT-51, MAT-64, PIXM-XREF-02, PIXM-XREF-06)."""
    if "merged" in (a.state, b.state):
        return ""
    if scored.conflict and scored.grade == "possible":
        return "conflict"
    if scored.grade not in ("certain", "probable"):
        return ""
    if a.system and a.system == b.system:
        return "duplicate"
    return "cross-domain" if scored.grade == "probable" else ""


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
    found = await atomic.having("Patient", "_id", ids, fields=_COMPARED)
    return {one.id: one for one in _readable(found) if one.state != "inactive"}


def _components(around: _Around, records: Mapping[str, Compared]) -> list[list[str]]:
    """Return the connected components of `records`; one that was merged away connects those that it was the same as."""
    left, parts = set(records), []
    for each in sorted(records):
        if each not in left:
            continue
        part, wave = [], [each]
        left.discard(each)
        while wave:
            part += wave
            reached = {other for one in wave for other in around.links.get(one, ()) if other in left}
            left -= reached
            wave = sorted(reached)
        parts.append(sorted(part))
    return parts


def _clusters(
    component: Sequence[str],
    records: Mapping[str, Compared],
    decisions: Iterable[Decision],
    parameters: Parameters,
    old: Iterable[Mapping[str, Any]],
) -> list[tuple[str, ...]]:
    """Return the persons of one component; one that is too large stays as it was (MAT-61)."""
    if len(component) > LARGEST_COMPONENT:
        kept = [tuple(one for one in sorted(person["members"]) if one in component) for person in old]
        return [group for group in kept if group]
    inside = [one for one in decisions if one.a in component and one.b in component]
    merges = [_merge(one, records[one].replaced_by) for one in component if records[one].replaced_by]
    vectors = {one: records[one].vector for one in component}
    found = list(edges_among(vectors, parameters))
    carried = _carried(found, records, parameters)
    edges = [one for one in found if not one.vetoes or (_are_active(one, records) and one.pair not in carried)]
    rebuilt = rebuild(Component({one: one for one in component}, edges, [*inside, *merges]), map(str, count()))
    active = (tuple(one for one in group if records[one].state == "active") for group in rebuilt.clusters.values())
    return [group for group in active if group]


def _merge(merged: str, survivor: str) -> Decision:
    """Return what a source said by merging, as a decision: it beats all evidence."""
    return Decision(min(merged, survivor), max(merged, survivor), same=True)


def _carried(edges: Iterable[Edge], records: Mapping[str, Compared], parameters: Parameters) -> set[tuple[str, str]]:
    """Return the pairs that a merge made: who was certainly the same as the loser is told to be the survivor.

    The source knows its own patients better than their data do; so what the survivor's data lack keeps nobody out
    (PIXM-104-31), except two different trusted numbers.
    """
    pairs: set[tuple[str, str]] = set()
    for edge in edges:
        if edge.grade == "certain":
            a, b = _end(edge.a, records), _end(edge.b, records)
            if a != b and (a, b) != edge.pair and a in records and b in records:
                pairs.add((min(a, b), max(a, b)))
    return {one for one in pairs if not score(records[one[0]].vector, records[one[1]].vector, parameters).conflict}


def _end(name: str, records: Mapping[str, Compared]) -> str:
    """Return who replaced `name` in the end, as far as `records` tell."""
    seen = {name}
    while name in records and (onward := records[name].replaced_by) and onward not in seen:
        seen.add(onward)
        name = onward
    return name


def _are_active(edge: Edge, records: Mapping[str, Compared]) -> bool:
    """Tell whether both records are active: what one that was merged away says is no reason to keep others apart."""
    return records[edge.a].state == records[edge.b].state == "active"


async def _write(
    atomic: Atomic, old: Sequence[Mapping[str, Any]], groups: Iterable[tuple[str, ...]], now: datetime
) -> None:
    """Write the persons that changed: a person of one record is not written, one that fell apart keeps its past."""
    persons = {min(group): sorted(group) for group in groups if len(group) > 1}
    before = {person["_id"]: person for person in old if person["members"]}
    names = [name for name in {*persons, *before} if before.get(name, {}).get("members") != persons.get(name)]
    held = {one["_id"]: one for one in await atomic.having("person", "_id", names)}
    await atomic.keep("person", [_person(name, persons.get(name, []), held.get(name, {}), now) for name in names])


def _person(name: str, members: Sequence[str], then: Mapping[str, Any], now: datetime) -> dict[str, Any]:
    """Return the person `name` with its past, so that an id that went out of use still tells what it was (MAT-62)."""
    past = [*then.get("past", ()), {"members": then.get("members", []), "since": then.get("since"), "until": now}]
    return {"_id": name, "members": list(members), "since": now, "past": past[-_LONGEST_PAST:] if then else []}
