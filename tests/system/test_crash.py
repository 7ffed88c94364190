"""`kill -9` in the middle of submissions: what was acknowledged is whole, what was not is whole or absent."""

from __future__ import annotations

import asyncio
import random
from dataclasses import dataclass
from pathlib import Path

import httpx
import orjson
import pytest

from app.fhir.resource import Resource
from tests.submissions import submission
from tests.system.consistency import contradictions
from tests.system.program import Program, database_of, is_gone, served, wait_until

JSON = {"content-type": "application/fhir+json"}
AT_ONCE = 200


@dataclass(frozen=True, slots=True)
class Sent:
    """A submission and its document."""

    bundle: Resource
    document: bytes

    @property
    def unique_id(self) -> str:
        return str(self.bundle["entry"][1]["resource"]["masterIdentifier"]["value"])


def submissions(seed: int) -> list[Sent]:
    """Return 200 submissions, one in ten with a document too large for one record."""
    chance = random.Random(seed)
    documents = [chance.randbytes(1_300_000 if number % 10 == 0 else 3_000) for number in range(AT_ONCE)]
    return [Sent(submission(document, subject="Patient/ida"), document) for document in documents]


async def publish_until(program: Program, sent: list[Sent], enough: int, *, mongod_too: bool) -> dict[str, list[str]]:
    """Publish all of `sent` at once; kill the server when `enough` are acknowledged.

    Returns:
        uniqueId -> locations of what was acknowledged.
    """
    acknowledged: dict[str, list[str]] = {}
    mongod = program.mongod()

    async def publish(client: httpx.AsyncClient, one: Sent) -> None:
        try:
            answer = await client.post(program.url, content=orjson.dumps(one.bundle), headers=JSON)
        except httpx.HTTPError:
            return
        if answer.status_code == 200:
            entries = answer.json()["entry"]
            acknowledged[one.unique_id] = [entry["response"]["location"] for entry in entries]
        if len(acknowledged) == enough:
            if mongod_too:
                mongod.kill()
            program.process.kill()

    async with httpx.AsyncClient(timeout=120, limits=httpx.Limits(max_connections=AT_ONCE)) as client:
        await asyncio.gather(*(publish(client, one) for one in sent))
    program.process.wait()
    wait_until(lambda: is_gone(mongod))
    return acknowledged


def check_whole(client: httpx.Client, one: Sent, locations: list[str]) -> None:
    """Fail unless SubmissionSet, DocumentReference and document are what was sent."""
    submission_set, reference, binary = (httpx.URL(location).path for location in locations)
    held = client.get(submission_set).json()
    described = client.get(reference).json()
    document = client.get(binary)
    member = held["entry"][0]["item"]["reference"]
    assert reference.partition("/_history/")[0].endswith(member.partition("DocumentReference/")[2])
    assert described["masterIdentifier"]["value"] == one.unique_id
    assert described["content"][0]["attachment"]["url"].endswith(binary.partition("/_history/")[0])
    assert document.content == one.document


def locations_of(client: httpx.Client, one: Sent) -> list[str]:
    """Return the locations of a submission by what a search finds of it; an empty list when nothing is visible."""
    identifier = f"urn:ietf:rfc:3986|{one.unique_id}"
    found = client.get("/fhir/DocumentReference", params={"identifier": identifier}).json()
    own = one.bundle["entry"][0]["resource"]["identifier"][0]["value"]
    sets = client.get("/fhir/List", params={"identifier": f"urn:ietf:rfc:3986|{own}", "code": "submissionset"}).json()
    assert found["total"] == sets["total"]
    if not found["total"]:
        return []
    reference, submission_set = found["entry"][0]["resource"], sets["entry"][0]["resource"]
    url = reference["content"][0]["attachment"]["url"]
    return [f"/fhir/List/{submission_set['id']}", f"/fhir/DocumentReference/{reference['id']}", httpx.URL(url).path]


def check_all(client: httpx.Client, sent: list[Sent], acknowledged: dict[str, list[str]]) -> list[Sent]:
    """Fail unless each of `sent` is whole or absent, and present when acknowledged; return those that are absent."""
    absent = []
    for one in sent:
        locations = locations_of(client, one)
        assert locations or one.unique_id not in acknowledged
        if locations:
            check_whole(client, one, acknowledged.get(one.unique_id, locations))
        else:
            absent.append(one)
    return absent


@pytest.mark.slow
def test_kill_in_the_middle_of_200_submissions(folder: Path) -> None:
    """MHD-65-20, MHD-65-21: after restart each acknowledged one is whole, no other is visible in part."""
    for seed, (enough, mongod_too) in enumerate([(5, False), (60, True), (120, False)]):
        sent = submissions(seed)
        with served(folder) as program:
            acknowledged = asyncio.run(publish_until(program, sent, enough, mongod_too=mongod_too))
        assert enough <= len(acknowledged) < AT_ONCE
        with served(folder) as program, httpx.Client(base_url=program.root, timeout=60) as client:
            with database_of(folder) as database:
                assert contradictions(database) == []
            absent = check_all(client, sent, acknowledged)
            again = client.post("/fhir", content=orjson.dumps(absent[0].bundle), headers=JSON)
            assert again.status_code == 200
            check_whole(client, absent[0], [entry["response"]["location"] for entry in again.json()["entry"]])
