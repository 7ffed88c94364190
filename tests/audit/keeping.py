"""What the tests of the audit share: a chain of a process that ended or goes on, and events to keep."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx

from app.audit.keep import Keeper
from app.audit.recorder import Recorder
from app.audit.shelf import Database, Spooling
from app.fhir.resource import Resource
from app.store.audit import AuditStore

START = datetime(2026, 1, 15, 9, 0, tzinfo=UTC)


def event(number: int = 1, **elements: Any) -> Resource:
    """An event as its maker leaves it."""
    made: Resource = {
        "type": {"system": "http://terminology.hl7.org/CodeSystem/audit-event-type", "code": "rest"},
        "subtype": [{"system": "http://hl7.org/fhir/restful-interaction", "code": "read"}],
        "action": "R",
        "recorded": "2026-01-15T09:00:00.120Z",
        "outcome": "0",
        "agent": [{"requestor": True, "who": {"display": f"client {number}"}}],
        "source": {"observer": {"display": "test"}},
        "entity": [{"what": {"reference": f"Patient/p{number}"}}],
    }
    return made | elements


async def nobody(ids: Sequence[str], identifiers: Sequence[str]) -> Mapping[str, Sequence[str]]:
    """Know no patients."""
    return {}


def recorder(
    store: AuditStore, name: str, *, spool: Path | None = None, now: Callable[[], datetime] | None = None
) -> Recorder:
    """A recorder with a chain of its own, as each process has one."""
    clock = now or (lambda: START)
    database = Database(store, clock, name)
    shelf = Spooling(database, store, spool) if spool else database
    return Recorder(Keeper(name, nobody), shelf, lambda occurrence: (), clock)


async def kept(store: AuditStore, name: str, number: int) -> None:
    """Let a process keep `number` events, and end."""
    process = recorder(store, name)
    for one in range(1, number + 1):
        await process.keep([event(one)])
    await process.close()


ALWAYS = "date=ge2000"
JSON = {"Content-Type": "application/fhir+json"}


class Log:
    """The log of a server, as an Audit Consumer sees it."""

    def __init__(self, client: httpx.AsyncClient) -> None:
        self.client = client

    async def ask(self, query: str) -> list[Resource]:
        """Return the events that `query` finds, at whatever time."""
        answer = await self.client.get(f"AuditEvent?{ALWAYS}&{query}")
        assert answer.status_code == 200, answer.text
        return [entry["resource"] for entry in answer.json().get("entry", ())]

    async def ids(self, query: str) -> list[str]:
        """Return their ids."""
        return [each["id"] for each in await self.ask(query)]

    async def post(self, event: Resource) -> str:
        """Feed an event; return its id."""
        answer = await self.client.post("AuditEvent", json={"resourceType": "AuditEvent", **event}, headers=JSON)
        assert answer.status_code == 201, answer.text
        return answer.headers["location"].rpartition("/")[2]
