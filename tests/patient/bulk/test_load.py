"""Loading and linking in bulk: MAT-66; what is loaded is what feeds would have made."""

from __future__ import annotations

from typing import Any

import httpx
import pytest
from fastapi import FastAPI

from app.fhir.outcome import FhirError
from app.patient.bulk.link import link
from app.patient.bulk.load import load, plan_of
from app.patient.bulk.making import Maker
from app.patient.commands import rebuild_keys
from app.patient.persons import persons_of
from app.patient.review import cases, decide, explain, undo
from app.patient.synthetic.sources import BLOCK, Sources, record_id
from app.store.change import Create, KeyTaken
from app.store.driver import Connection
from app.store.facts import Facts
from app.transaction import Context
from tests.patient.test_commands import typed
from tests.patients import feed, identifiers, person, pix

COUNT = 300


@pytest.fixture
def context(index_app: FastAPI, index: httpx.AsyncClient) -> Context:
    """What handlers reach, over an empty index."""
    found: Context = index_app.state.context
    return found


@pytest.fixture
def facts(context: Context) -> Facts:
    """What is known beside resources."""
    return context.store.facts


async def kept(facts: Facts, collection: str, *left_out: str) -> dict[str, Any]:
    """All of a collection by id, without the members that tell a time."""
    found = await facts.after(collection, "", 10_000)
    return {one["_id"]: {name: value for name, value in one.items() if name not in left_out} for one in found}


def plain(edges: dict[str, Any]) -> dict[str, Any]:
    """Edges with decimals that were added up in another order."""
    return {name: {**edge, "weight": round(edge["weight"], 6)} for name, edge in edges.items()}


async def test_same_people_whoever_makes_them(context: Context) -> None:
    """MAT-66, 9.1: a seed is a population: any block, made anywhere, in any order."""
    one, two = Sources(context.domains, 5), Sources(context.domains, 5)
    later = two.block(1)
    assert one.block(0) == two.block(0)
    assert one.block(1) == later
    assert len({each.id for each in later}) == len(later) == BLOCK
    assert len({each.key.unique for each in later}) == BLOCK
    assert Sources(context.domains, 6).block(0)[0].patient != one.block(0)[0].patient
    persons = {each.key.domain.source for each in later}
    assert len(persons) > 1


async def test_load_is_feeding(index: httpx.AsyncClient, context: Context, facts: Facts) -> None:
    """MAT-66, PIXM-104-19, PIXM-104-23: records, keys, edges and persons are those of feeding one by one."""
    done = await load(COUNT, 3, 1, context)
    assert (done.count, done.written) == (COUNT, COUNT)
    linked = await link(1, context)
    assert linked.persons > 20
    loaded = await kept(facts, "Patient", "updated", "json", "by")
    edges, persons = await kept(facts, "match_edge", "updated"), await kept(facts, "person", "since", "past")
    held = await kept(facts, "unique_key")
    for collection in ("Patient", "match_edge", "person", "unique_key", "deleted"):
        await facts.forget(collection, [one["_id"] for one in await facts.after(collection, "", 10_000)])
    names: dict[str, str] = {}
    for one in Sources(context.domains, 3).block(0)[:COUNT]:
        answer = await feed(index, one.patient, one.key.system, one.key.value)
        assert answer.status_code == 201, answer.text
        names[answer.json()["id"]] = one.id
    fed = {names[name]: each for name, each in (await kept(facts, "Patient", "updated", "json", "by")).items()}
    assert {name: {**each, "_id": name} for name, each in fed.items()} == loaded
    assert len(await kept(facts, "unique_key")) == len(held)
    assert _renamed(await kept(facts, "match_edge", "updated"), names) == _known(edges)
    groups = {tuple(sorted(names[one] for one in each["members"])) for each in (await kept(facts, "person")).values()}
    assert groups == {tuple(each["members"]) for each in persons.values()}


def _known(edges: dict[str, Any]) -> dict[tuple[str, ...], Any]:
    return {tuple(sorted(one["ends"])): _told(one) for one in edges.values()}


def _renamed(edges: dict[str, Any], names: dict[str, str]) -> dict[tuple[str, ...], Any]:
    return {tuple(sorted(names[end] for end in one["ends"])): _told(one) for one in edges.values()}


def _told(edge: dict[str, Any]) -> Any:
    return edge["grade"], round(edge["weight"], 6), edge.get("review"), edge["explanation"]["parts"]


async def test_an_interrupted_load_goes_on(context: Context, facts: Facts) -> None:
    """MAT-66: what is there stays, what is missing comes; also a key whose record did not come to be."""
    made = Maker(plan_of(context, 4)).make(0, 50)
    await context.store.bulk.create("Patient", made.records[:20], dict(list(made.keys.items())[:30]))
    assert (await load(50, 4, 1, context)).written == 30
    assert (await load(50, 4, 1, context)).written == 0
    assert len(await facts.after("Patient", "", 1000)) == 50
    assert len(await facts.after("unique_key", "", 1000)) == 50


async def indexes_of(database: Connection) -> set[str]:
    """The names of the indexes on patients."""
    return set(await database.database["Patient"].index_information())


async def test_indexes_come_afterwards(context: Context, database: Connection) -> None:
    """MAT-20, MAT-80: an empty index is loaded without its indexes; in the end all are there, also after a failure."""
    bulk, all_of_them = context.store.bulk, await indexes_of(database)
    assert len(all_of_them) > 10

    async def failing() -> None:
        async with bulk.indexed_afterwards("Patient"):
            assert await indexes_of(database) == {"_id_"}
            raise ArithmeticError

    with pytest.raises(ArithmeticError):
        await failing()
    assert await indexes_of(database) == all_of_them
    assert (await load(20, 4, 1, context)).written == 20
    async with bulk.indexed_afterwards("Patient"):
        assert await indexes_of(database) == all_of_them


async def test_nobody_is_loaded_over(context: Context, facts: Facts) -> None:
    """PIXM-104-09: an identifier that another record holds stops the load, and it says which."""
    taken = Sources(context.domains, 4).block(0)[7].key.unique
    await context.store.commit([Create({"resourceType": "Patient", "id": "other"}, unique=(taken,))], context.now())
    with pytest.raises(KeyTaken, match="unique key"):
        await load(20, 4, 1, context)
    with pytest.raises(FhirError, match="nothing was loaded"):
        await typed(context, "load", "--count", "20", "--seed", "4", "--workers", "1")
    assert len(await facts.after("Patient", "", 1000)) == 1


async def test_what_is_loaded_lives_on(index: httpx.AsyncClient, context: Context, facts: Facts) -> None:
    """MAT-66, PIXM-XREF-01, MAT-64: loaded records are queried, revised, removed, decided and undone as fed ones are."""
    told = await typed(context, "load", "--count", "200", "--seed", "9", "--workers", "1")
    assert told[0].startswith("200 of 200 records written")
    assert told[1].startswith("200 records compared")
    person_of = (await facts.after("person", "", 1))[0]["members"]
    sources = {one.id: one for one in Sources(context.domains, 9).block(0)}
    first, second = (sources[one].key for one in person_of[:2])
    assert f"{second.system}|{second.value}" in identifiers(await pix(index, f"{first.system}|{first.value}"))
    ends = (person_of[0], person_of[1])
    assert (await explain(ends, context))["same_person"]
    decision = await decide(ends, "different", "admin", "two people", context)
    assert not (await explain(ends, context))["same_person"]
    await undo(decision.id, "admin", "one person after all", context)
    assert (await explain(ends, context))["same_person"]
    same = await feed(index, sources[ends[0]].patient, first.system, first.value)
    assert (same.status_code, same.headers["etag"]) == (200, 'W/"1"')
    gone = await index.delete("/Patient", params={"identifier": f"{first.system}|{first.value}"})
    assert gone.status_code == 204
    assert ends[0] not in (await persons_of(facts, [ends[1]]))[ends[1]]


async def test_linking_again(index: httpx.AsyncClient, context: Context, facts: Facts) -> None:
    """MAT-60, MAT-64, MAT-66: fed, merged and decided records among loaded ones; what was decided holds."""
    await load(200, 9, 1, context)
    await link(1, context)
    waiting = (await cases(facts))[0]
    await decide((waiting.a, waiting.b), "same", "admin", "looked", context)
    key = Sources(context.domains, 9).block(0)[3].key
    stranger = person(key.system, "X-1", name=[{"family": "Zbytočný"}], active=False)
    survivor = {"other": {"identifier": {"system": key.system, "value": key.value}}, "type": "replaced-by"}
    assert (await feed(index, stranger | {"link": [survivor]})).status_code == 201
    before = await kept(facts, "person", "since", "past"), plain(await kept(facts, "match_edge", "updated"))
    await link(1, context)
    after = await kept(facts, "person", "since", "past"), plain(await kept(facts, "match_edge", "updated"))
    assert after == before
    async for _ in rebuild_keys(context):
        pass
    assert plain(await kept(facts, "match_edge", "updated")) == before[1]


async def test_persons_that_fell_apart(context: Context, facts: Facts) -> None:
    """MAT-62: who is no person any more keeps the past; edges of nobody are removed."""
    await load(30, 9, 1, context)
    ids = [record_id(9, number) for number in (0, 1)]
    then = context.now()
    wrong = {"_id": ids[0], "members": ids, "since": then, "past": []}
    await facts.keep("person", [wrong])
    await facts.keep("match_edge", [{"_id": "/".join(ids), "ends": ids, "grade": "certain"}])
    await link(1, context)
    found = {one["_id"]: one for one in await facts.after("person", "", 1000)}[ids[0]]
    assert found["members"] != ids
    assert found["past"][0]["members"] == ids
    assert not await facts.having("match_edge", "_id", ["/".join(ids)])
