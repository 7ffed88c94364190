"""ITI-65: what a submission costs, how much of it is validation, and its rate beside the bare driver's."""

from __future__ import annotations

import asyncio
import os
import time
from base64 import b64encode
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from statistics import median
from typing import Any
from uuid import uuid4

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
from tests.mhd.documents import cda
from tests.submissions import document_reference, submission

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
    with Client(ours.port, 1) as client:
        answer = orjson.loads(client.post(BASE, body(20_000))[1])
        names = ["/".join(each["response"]["location"].split("/")[-4:-2]) for each in answer["entry"]]
        shown, ratio = _beside(client, mongodb_url, names, Published(BASE, lambda: body(20_000), 200), requests)
    return Row("ITI-65, 20 KB, atomic", *shown, ">= 0.60", ratio >= 0.6)


@dataclass(frozen=True, slots=True)
class Published:
    """What is posted again and again: where, which new body each time, and the status of its answer."""

    path: str
    body: Callable[[], bytes]
    status: int


def simplified(ours: Program, mongodb_url: str, requests: int) -> Row:
    """Measure ITI-105 of 20 KB a second beside transactions that write the same records."""
    published = Published(f"{BASE}/DocumentReference", _simplified, 201)
    with Client(ours.port, 1) as client:
        made = orjson.loads(client.post(published.path, published.body())[1])
        names = _of_document(made["id"], mongodb_url)
        shown, _ = _beside(client, mongodb_url, names, published, requests)
    return Row("ITI-105, 20 KB", *shown)


def generated(ours: Program, mongodb_url: str, requests: int) -> Row:
    """Measure ITI-106 of a small CDA document a second beside transactions that write the same records."""
    published = Published(f"{BASE}/DocumentReference/$generate-metadata", _generated, 200)
    with Client(ours.port, 1) as client:
        answer = orjson.loads(client.post(published.path, published.body())[1])
        names = _of_document(answer["parameter"][0]["valueReference"]["reference"].split("/")[-1], mongodb_url)
        shown, _ = _beside(client, mongodb_url, names, published, requests)
    return Row("ITI-106, CDA", *shown)


def _simplified() -> bytes:
    """Return a new DocumentReference of a patient with a document of 20 KB in it."""
    document = os.urandom(20_000)
    made = document_reference("", subject={"reference": "Patient/p0"})
    attachment = {name: value for name, value in made["content"][0]["attachment"].items() if name != "url"}
    made["content"][0]["attachment"] = attachment | {"data": b64encode(document).decode()}
    return orjson.dumps(made)


def _generated() -> bytes:
    """Return Parameters with a new CDA document of a patient."""
    data = b64encode(cda(str(uuid4().int), patient="0")).decode()
    binary = {"resourceType": "Binary", "contentType": "text/xml", "data": data}
    return orjson.dumps({"resourceType": "Parameters", "parameter": [{"name": "document", "resource": binary}]})


def _of_document(document: str, mongodb_url: str) -> list[str]:
    """Return the names of a DocumentReference, of its Binary, and of the SubmissionSet that came with it."""
    with MongoClient[Document](mongodb_url) as bare:
        found = bare[DATABASE]["DocumentReference"].find_one({"_id": document}) or {}
        url = orjson.loads(found["json"].replace(b"\\u0000", b""))["content"][0]["attachment"]["url"]
        lists = bare[DATABASE]["List"].find({"index.item": f"DocumentReference/{document}"})
        return [f"DocumentReference/{document}", url.lstrip("/"), *(f"List/{one['_id']}" for one in lists)]


def _beside(
    client: Client, mongodb_url: str, names: list[str], published: Published, requests: int
) -> tuple[tuple[str, str, str], float]:
    """Return the rate here, that of the bare driver, and the ratio, as text; and the ratio."""
    rates: list[tuple[float, float]] = []
    writes = _writes_of(names, mongodb_url)
    for _ in range(ROUNDS + 1):
        bodies = [published.body() for _ in range(requests)]
        post = partial(client.post_all, published.path, bodies, status=published.status)
        bare = _rate(requests, lambda: asyncio.run(_transactions(mongodb_url, writes, requests)))
        rates.append((_rate(requests, post), bare))
    mine, bare = (median(each[side] for each in rates[1:]) for side in (0, 1))
    ratio = median(here / there for here, there in rates[1:])
    return (f"{mine:.0f} a second (wall clock)", f"{bare:.0f}", f"{ratio:.2f}"), ratio


def _rate(requests: int, work: Callable[[], None]) -> float:
    before = time.perf_counter()
    work()
    return requests / (time.perf_counter() - before)


def _writes_of(names: list[str], mongodb_url: str) -> dict[str, list[Document]]:
    """Return what was written with the records `names`: collection -> records."""
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
