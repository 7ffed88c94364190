"""ITI-65: what a submission costs, how much of it is validation, and its rate beside the bare driver's."""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import Callable
from statistics import median
from typing import Any

import orjson
from bson import ObjectId
from pymongo import AsyncMongoClient, MongoClient
from pymongo.read_concern import ReadConcern
from pymongo.write_concern import WriteConcern

from app.document.level import COMPREHENSIVE
from app.fhir.media_type import JSON
from app.fhir.packages import Packages
from app.fhir.parser import parse_resource
from app.validation.validator import Validator
from tests.bench.ask import Client
from tests.bench.program import DATABASE, Program
from tests.bench.row import Row, milliseconds
from tests.submissions import submission

BASE = "/fhir"
ROUNDS = 15
MAJORITY, SNAPSHOT = WriteConcern("majority", j=True), ReadConcern("snapshot")

Document = dict[str, Any]


def body(size: int) -> bytes:
    """Return a comprehensive submission of a new document of `size` bytes."""
    return orjson.dumps(submission(os.urandom(size), subject="Patient/p0", content_type="application/pdf"))


def validation_share(ours: Program, packages: Packages, requests: int) -> Row:
    """Measure which part of a submission of 100 KB is validation."""
    shares, totals = [], []
    validator = Validator(packages)
    with Client(ours.port) as client:
        client.post_all(BASE, [body(100_000) for _ in range(requests)])
        for _ in range(ROUNDS):
            bodies = [body(100_000) for _ in range(requests)]
            before = ours.cpu_s()
            client.post_all(BASE, bodies)
            totals.append((ours.cpu_s() - before) / requests)
            shares.append(_validation_s(validator, packages, bodies[:20]) / totals[-1])
    share, total = median(shares), median(totals)
    shown = f"{milliseconds(total)}, validation {milliseconds(share * total)}"
    return Row("ITI-65, 100 KB, comprehensive", shown, "", f"{share:.0%}", "<= 25%", share <= 0.25)


def _validation_s(validator: Validator, packages: Packages, bodies: list[bytes]) -> float:
    """Return the CPU time of validating one of `bodies`."""
    bundles = [parse_resource(each, JSON, packages.structures) for each in bodies]
    validator.validate(bundles[0], COMPREHENSIVE)
    before = time.process_time()
    for bundle in bundles:
        if validator.validate(bundle, COMPREHENSIVE):
            raise RuntimeError("the submission is not valid")
    return (time.process_time() - before) / len(bundles)


def atomic_rate(ours: Program, mongodb_url: str, requests: int) -> Row:
    """Measure submissions of 20 KB a second, one after the other, beside transactions that write the same records."""
    rates: list[tuple[float, float]] = []
    with Client(ours.port, 1) as client:
        writes = _writes_of(client, mongodb_url)
        for _ in range(ROUNDS + 1):
            bodies = [body(20_000) for _ in range(requests)]
            mine = _rate(requests, lambda bodies=bodies: client.post_all(BASE, bodies))  # type: ignore[misc]
            bare = _rate(requests, lambda: asyncio.run(_transactions(mongodb_url, writes, requests)))
            rates.append((mine, bare))
    mine, bare = (median(each[side] for each in rates[1:]) for side in (0, 1))
    ratio = median(here / there for here, there in rates[1:])
    shown = (f"{mine:.0f} a second (wall clock)", f"{bare:.0f}", f"{ratio:.2f}")
    return Row("ITI-65, 20 KB, atomic", *shown, ">= 0.60", ratio >= 0.6)


def _rate(requests: int, work: Callable[[], None]) -> float:
    before = time.perf_counter()
    work()
    return requests / (time.perf_counter() - before)


def _writes_of(client: Client, mongodb_url: str) -> dict[str, list[Document]]:
    """Return what one submission writes: collection -> records."""
    answer = orjson.loads(client.post(BASE, body(20_000))[1])
    names = ["/".join(each["response"]["location"].split("/")[-4:-2]) for each in answer["entry"]]
    with MongoClient[Document](mongodb_url) as bare:
        database = bare[DATABASE]
        written: dict[str, list[Document]] = {}
        for name in names:
            resource_type, _, record_id = name.partition("/")
            written.setdefault(resource_type, []).extend(database[resource_type].find({"_id": record_id}))
        held = {"$or": [{"holder": {"$in": names}}, {"holders": {"$in": names}}]}
        written["unique_key"] = list(database["unique_key"].find(held))
    return written


async def _transactions(mongodb_url: str, writes: dict[str, list[Document]], count: int) -> None:
    """Write `writes` `count` times, each time under new ids, all or nothing."""
    async with AsyncMongoClient[Document](mongodb_url) as client, client.start_session() as session:
        database = client[DATABASE]
        for _ in range(count):
            async with await session.start_transaction(SNAPSHOT, MAJORITY):
                for name, records in writes.items():
                    new = [each | {"_id": f"{each['_id']} {ObjectId()}"} for each in records]
                    await database[name].insert_many(new, session=session)
