"""Facts beside resources, and transactions that read: MAT-21, MAT-65, MAT-70, docs/decisions/0021."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime
from typing import Any

import pytest

from app.store.atomic import Atomic
from app.store.change import Create, KeyTaken, Update
from app.store.driver import Connection
from app.store.facts import DERIVED, FACTS
from app.store.resources import Store
from tests.builders import patient

NOW = datetime(2026, 1, 2, tzinfo=UTC)


async def test_facts_are_kept_and_forgotten(store: Store) -> None:
    """Decision 21: by id and by the fields that are asked for."""
    await store.facts.keep("person", [{"_id": "a", "members": ["a", "b"]}, {"_id": "c", "members": ["c", "d"]}])
    assert [one["_id"] for one in await store.facts.having("person", "members", ["b", "x"])] == ["a"]
    assert await store.facts.having("person", "members", []) == []
    assert [one["_id"] for one in await store.facts.after("person", "a", 10)] == ["c"]
    await store.facts.forget("person", ["a"])
    assert await store.facts.count("person", "members", "b", 5) == 0


@pytest.mark.parametrize(
    ("collection", "field"),
    [(name, field) for table in (FACTS, DERIVED) for name, fields in table.items() for field in fields],
)
async def test_every_question_has_an_index(store: Store, database: Connection, collection: str, field: str) -> None:
    """MAT-21, MAT-70: no collection is scanned."""
    plan = await database.database[collection].find({field: {"$in": ["x", "y"]}}).explain()
    assert "IXSCAN" in str(plan["queryPlanner"]["winningPlan"])
    assert "COLLSCAN" not in str(plan["queryPlanner"]["winningPlan"])


async def test_beside_stays_through_updates(store: Store) -> None:
    """Decision 21: what is kept beside a resource is no part of it, and outlives versions that say nothing of it."""
    await store.commit([Create(patient("p1"), beside={"feed": {"source": "north"}})], NOW)
    await store.commit([Update(patient("p1", gender="female"))], NOW)
    (kept,) = await store.facts.having("Patient", "_id", ["p1"], fields=("beside",))
    assert kept["beside"] == {"feed": {"source": "north"}}
    assert b"north" not in (await store.read("Patient", "p1")).json


async def test_all_or_nothing(store: Store) -> None:
    """MAT-65: facts and resources change together, or not at all."""

    async def work(atomic: Atomic) -> None:
        await atomic.keep("person", [{"_id": "a", "members": ["a"]}])
        await atomic.commit([Create(patient("p1"), unique=("key",))], NOW)
        await atomic.commit([Create(patient("p2"), unique=("key",))], NOW)

    with pytest.raises(KeyTaken):
        await store.atomically(work)
    assert await store.facts.having("person", "_id", ["a"]) == []
    assert await store.find_ids("Patient", _everything(), 10) == ()


async def test_who_locks_the_same_misses_nothing(store: Store) -> None:
    """MAT-65: ten at once count up from what the one before wrote, with and without taking turns."""

    async def count_up(names: tuple[int, ...]) -> None:
        async def work(atomic: Atomic) -> None:
            await atomic.lock([7])
            found = await atomic.having("person", "_id", ["counter"])
            await atomic.keep("person", [{"_id": "counter", "n": (found[0]["n"] if found else 0) + 1}])

        await store.atomically(work, names)

    await asyncio.gather(*(count_up((7,) if number % 2 else ()) for number in range(10)))
    (counter,) = await store.facts.having("person", "_id", ["counter"])
    assert counter["n"] == 10


def _everything() -> Any:
    from app.search.criteria import EVERYTHING

    return EVERYTHING
