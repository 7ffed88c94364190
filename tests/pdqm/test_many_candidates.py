"""A description that very many resemble: MAT-22, MAT-81, MAT-82, and what is read of the index: MAT-21, MAT-70."""

from __future__ import annotations

import asyncio
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import httpx
import pytest
from fastapi import FastAPI
from pymongo import MongoClient

from app.patient.derived import deriving
from app.store.bulk import packed
from app.store.change import Create
from app.store.record import Recording, recorded
from app.transaction import Context
from tests.patients import JSON, NORTH, person

NAMESAKES = 2_300


@pytest.fixture
async def crowd(index_app: FastAPI, index: httpx.AsyncClient) -> Context:
    """So many namesakes of one birthday that keys are left out, written without being compared with each other."""
    context: Context = index_app.state.context
    records, keys = [], {}
    recording = Recording(context.definitions, {"Patient": deriving(context.domains, "SK")})
    for number in range(NAMESAKES):
        month, day = number % 12 + 1, number % 28 + 1
        born = f"{1940 + number % 70}-{month:02}-{day:02}"
        patient = person(NORTH, str(number), name=[{"family": "Malá", "given": ["Anna"]}], birthDate=born)
        feed = {"feed": {"source": "north-adt", "system": NORTH, "value": str(number)}}
        records.append(packed(recorded(recording, Create({**patient, "id": f"n{number}"}, beside=feed), context.now())))
        keys[f"Patient/north-adt/{NORTH}|{number}"] = f"Patient/n{number}"
    await context.store.bulk.create("Patient", records, keys)
    return context


def _asked(born: str) -> dict[str, Any]:
    return {"resourceType": "Patient", "name": [{"family": "Malá", "given": ["Anna"]}], "birthDate": born}


async def test_namesakes(index: httpx.AsyncClient, crowd: Context) -> None:
    """MAT-22, MAT-81, PDQM-119-16: the frequent name is left out, those of the day are found, a warning tells it."""
    answer = (await index.post("/Patient/$match", json=_asked("1940-01-01"), headers=JSON)).json()
    found = [one["resource"] for one in answer["entry"] if one["search"]["mode"] == "match"]
    assert found[0]["birthDate"] == "1940-01-01"
    told = [one["resource"]["issue"][0] for one in answer["entry"] if one["search"]["mode"] == "outcome"]
    assert [one["code"] for one in told] == ["too-costly"]


class Counting(ThreadPoolExecutor):
    """Threads that know how often they were asked."""

    asked = 0

    def submit(self, *call: Any, **named: Any) -> Any:
        """Count, and do it."""
        self.asked += 1
        return super().submit(*call, **named)


async def test_others_are_answered_meanwhile(index: httpx.AsyncClient, crowd: Context) -> None:
    """MAT-82: more than a thousand pairs are scored in a thread, so that the event loop goes on; a few are not."""
    threads = Counting()
    asyncio.get_running_loop().set_default_executor(threads)
    few = await index.post("/Patient/$match", json=_asked("1940-01-01"), headers=JSON)
    assert (few.status_code, threads.asked) == (200, 0)
    many = await index.post("/Patient/$match", json=_asked("1933-12-31"), headers=JSON)
    assert (many.status_code, threads.asked) == (200, 1)


async def test_index_scans_only(index: httpx.AsyncClient, crowd: Context, mongodb_url: str, database_name: str) -> None:
    """MAT-21, MAT-70: the database itself says how it found, for a match, a cross-reference and both searches."""
    with MongoClient[dict[str, Any]](mongodb_url) as client:
        database = client[database_name]
        database.command("profile", 2)
        try:
            await index.post("/Patient/$match", json=_asked("1940-01-01"), headers=JSON)
            for path in (
                f"/Patient/$ihe-pix?sourceIdentifier={NORTH}|7",
                f"/Patient?identifier={NORTH}|7",
                "/Patient?family=mal&birthdate=1947-08-08",
            ):
                assert (await index.get(path)).status_code == 200
        finally:
            database.command("profile", 0)
        noted = list(
            database["system.profile"].find(
                {"planSummary": {"$exists": True}, "ns": {"$ne": f"{database_name}.system.profile"}}
            )
        )
        database["system.profile"].drop()
    assert len(noted) > 4
    assert not [one["planSummary"] for one in noted if "COLLSCAN" in one["planSummary"]]
    (by_date,) = [one for one in noted if "index.birthdate" in one.get("command", {}).get("filter", {})]
    assert by_date["keysExamined"] < NAMESAKES / 20, "a day is looked for among its own records, not among all later"
