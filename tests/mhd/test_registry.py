"""What a registry of MHDS owes beside storing: time and transport, as far as a server can show them itself."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import httpx

from tests.mhd.conftest import Publish, Server
from tests.submissions import submission

if TYPE_CHECKING:
    from app.store.driver import Connection

JSON = {"content-type": "application/fhir+json"}


def moment(text: str) -> datetime:
    return datetime.fromisoformat(text.replace("Z", "+00:00"))


async def test_times_are_those_of_the_clock(client: httpx.AsyncClient, publish: Publish) -> None:
    """MHD-MHDS-07: what the server dates is dated in UTC by the host's clock, which the deployment synchronises."""
    before = datetime.now(UTC) - timedelta(milliseconds=1)
    answered = (await publish(submission())).json()["entry"]
    after = datetime.now(UTC)

    for one in answered:
        told = one["response"]["lastModified"]
        assert told.endswith("Z")
        assert before <= moment(told) <= after
    stored = (await client.get(answered[1]["response"]["location"])).json()
    assert before <= moment(stored["meta"]["lastUpdated"]) <= after


async def test_links_keep_to_tls(patients: None, server: Server) -> None:
    """MHD-MHDS-07: behind a front that speaks TLS every link leads to that front, whatever came in."""
    base = "https://registry.example/fhir"
    client = await server(base_url=base)
    published = await client.post(f"{base}", json=submission(), headers=JSON)
    found = await client.get(f"{base}/DocumentReference?patient=p1")

    urls = [one["response"]["location"] for one in published.json()["entry"]]
    urls += [one["url"] for one in found.json()["link"]]
    for one in found.json()["entry"]:
        urls += [one["fullUrl"], one["resource"]["content"][0]["attachment"]["url"]]
    assert {url[: len(base)] for url in urls} == {base}


async def test_every_request_is_recorded(client: httpx.AsyncClient, publish: Publish, database: Connection) -> None:
    """MHD-MHDS-07: a submission, a search, a retrieval and a refusal are each an event of the audit."""
    events = database.database["AuditEvent"]
    before = await events.count_documents({})
    await publish(submission())
    await publish(submission(subject="Patient/nobody"))
    await client.get("/DocumentReference?patient=p1")
    await client.get("/Binary/none")
    assert await events.count_documents({}) == before + 4
