"""A client that pages through 10,000 results while others publish, supersede and delete: MHD-66-22, MHD-67-21."""

from __future__ import annotations

import asyncio
import random
from datetime import UTC, datetime, timedelta

import httpx
import pytest

from app.main import new_id
from app.store.change import Change, Create, Delete, Update
from app.store.driver import Connection
from app.store.resources import Store
from tests.builders import document_reference, patient

COUNT = 10_000
PAGE = 400
START = datetime(2025, 1, 1, tzinfo=UTC)


def name(number: int) -> str:
    """Return an id that sorts as the server's own do, and before all that are made now."""
    return f"{number:012x}{'0' * 20}"


@pytest.fixture
async def loaded(store: Store, database: Connection) -> list[str]:
    """10,000 DocumentReferences of one patient; ids, oldest first."""
    await store.commit([Create(patient("p1"))], START)
    ids = [name(number) for number in range(COUNT)]
    await store.commit([Create(document_reference("template", status="current"))], START)
    template = await database.database["DocumentReference"].find_one_and_delete({"_id": "template"})
    assert template
    json = template["json"].replace(b"template", b"%b")
    rows = [
        {**template, "_id": one, "updated": START + timedelta(seconds=at), "json": json % (one.encode(), one.encode())}
        for at, one in enumerate(ids)
    ]
    for at in range(0, COUNT, 2_000):
        await database.database["DocumentReference"].insert_many(rows[at : at + 2_000])
    return ids


class Others:
    """Clients that publish, supersede and delete as long as the pages are read."""

    def __init__(self, store: Store, ids: list[str]) -> None:
        self.deleted: set[str] = set()
        self.written = 0
        self._store, self._ids = store, ids
        self._random = random.Random(22)
        self._changed: set[str] = set()

    async def work(self, *, may_delete: bool = True) -> None:
        """Do a few things at random places."""
        changes: list[Change] = [Create(document_reference(new_id(), status="current"))]
        for one in self._random.sample(self._ids, 12):
            if one in self._changed:
                continue
            self._changed.add(one)
            if may_delete and self._random.random() < 0.3:
                self.deleted.add(one)
                changes.append(Delete("DocumentReference", one))
            else:
                status = self._random.choice(["superseded", "current"])
                changes.append(Update(document_reference(one, status=status)))
        await self._store.commit(changes, datetime.now(UTC))
        self.written += len(changes)


@pytest.mark.parametrize("sort", ["", "_sort=_id&"])
async def test_every_result_once(client: httpx.AsyncClient, store: Store, loaded: list[str], sort: str) -> None:
    """MHD-66-22, MHD-67-21: what matched all the time comes exactly once; what was deleted at most once."""
    others, seen = Others(store, loaded), list[str]()
    url = f"DocumentReference?patient=p1&status=current,superseded&{sort}_count={PAGE}"
    while url:
        response, *_ = await asyncio.gather(client.get(url), others.work(), others.work())
        assert response.status_code == 200, response.text
        body = response.json()
        seen += [one["resource"]["id"] for one in body.get("entry", [])]
        url = next((link["url"] for link in body["link"] if link["relation"] == "next"), "")

    assert others.written > 200
    assert len(seen) == len(set(seen))
    assert set(loaded) - others.deleted <= set(seen)
    old = [one for one in seen if one in set(loaded)]
    assert old == sorted(old, reverse=not sort)


async def test_every_result_that_met_the_question_throughout(
    client: httpx.AsyncClient, store: Store, loaded: list[str], database: Connection
) -> None:
    """MHD-67-19, MHD-67-21: asked for current documents, those that stay current come once, whoever is superseded."""
    others, seen = Others(store, loaded), list[str]()
    url = f"DocumentReference?patient=p1&status=current&_count={PAGE}"
    while url:
        response, *_ = await asyncio.gather(client.get(url), others.work(may_delete=False), others.work())
        body = response.json()
        seen += [one["resource"]["id"] for one in body.get("entry", [])]
        url = next((link["url"] for link in body["link"] if link["relation"] == "next"), "")

    current = {one["_id"] async for one in database.database["DocumentReference"].find({"index.status": "current"})}
    assert 0 < len(current & set(loaded)) < COUNT
    assert current & set(loaded) <= set(seen)
    assert len(seen) == len(set(seen))
