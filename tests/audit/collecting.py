"""A server whose events are collected, and a small world of patients and documents to ask it about."""

from __future__ import annotations

import base64
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from typing import Any

import httpx
from fastapi import FastAPI

from app.audit.event import events_of
from app.audit.settings import AuditSettings
from app.fhir.resource import Resource
from app.security.access import UNRESTRICTED, Access
from app.security.guard import Credentials, Mode
from app.transaction import Occurrence
from tests.patients import BASE, KATARINA, KATARINA_SOUTH, PETER, fed
from tests.submissions import document_reference, submission

SETTINGS = AuditSettings(BASE, "patient-index", "national data centre")
PEER = "192.0.2.17"
Q = {"Accept": "application/fhir+json"}


@dataclass
class Collector:
    """Lets in whom it is told to, and collects what happened."""

    access: Access = UNRESTRICTED
    refusal: Exception | None = None
    mode: Mode = "smart"
    gauges: Mapping[str, tuple[str, Callable[[], float]]] = field(default_factory=dict)
    happened: list[Occurrence] = field(default_factory=list)

    async def admit(self, credentials: Credentials, transaction: str, scope: str) -> Access:
        """Let in, or turn away."""
        if self.refusal:
            raise self.refusal
        return self.access

    async def close(self) -> None:
        """Do nothing."""

    async def record(self, occurrence: Occurrence) -> None:
        """Collect `occurrence`."""
        self.happened.append(occurrence)

    async def keep(self, events: Sequence[Resource]) -> tuple[str, ...]:
        """Keep nothing."""
        return tuple("a1" for _ in events)


@dataclass
class World:
    """What there is, and who asks."""

    client: httpx.AsyncClient
    collector: Collector
    north: str = ""
    south: str = ""
    peter: str = ""
    document: Resource = field(default_factory=dict)

    def told(self, settings: AuditSettings = SETTINGS) -> list[Resource]:
        """Return the events of all that happened since they were asked for, and forget it."""
        happened, self.collector.happened = self.collector.happened, []
        return [event for one in happened for event in events_of(one, settings)]

    @property
    def binary(self) -> str:
        """Where the document is retrieved: `Binary/id`."""
        url: str = self.document["content"][0]["attachment"]["url"]
        return url.removeprefix(f"{BASE}/")


@asynccontextmanager
async def collecting(app: FastAPI, peer: str = PEER, access: Access | None = None) -> AsyncIterator[World]:
    """Yield a world of nobody yet; the server is as it was afterwards."""
    context, collector = app.state.context, Collector(access or UNRESTRICTED)
    app.state.context = replace(context, recorder=collector, guard=collector)
    transport = httpx.ASGITransport(app, raise_app_exceptions=False, client=(peer, 4711))
    try:
        async with httpx.AsyncClient(transport=transport, base_url=BASE, headers=Q, timeout=60) as client:
            yield World(client, collector)
    finally:
        app.state.context = context


async def populated(world: World) -> World:
    """Let there be Katarina, whom two sources know, with a document, and Peter with another; nothing is told of that."""
    world.north, world.south = await fed(world.client, KATARINA), await fed(world.client, KATARINA_SOUTH)
    world.peter = await fed(world.client, PETER)
    for patient in (world.peter, world.north):
        answer = await world.client.post("", json=submission(subject=f"Patient/{patient}"))
        assert answer.status_code == 200, answer.text
        name = answer.json()["entry"][1]["response"]["location"].partition("/_history")[0]
        world.document = (await world.client.get(name.removeprefix(f"{BASE}/"))).json()
    world.collector.happened.clear()
    return world


def simplified(patient: str, **elements: Any) -> Resource:
    """Return what ITI-105 takes."""
    made = document_reference("", **({"subject": {"reference": f"Patient/{patient}"}} | elements))
    made["masterIdentifier"] = {key: made["masterIdentifier"][key] for key in ("system", "value")}
    attachment = made["content"][0]["attachment"]
    del attachment["url"]
    attachment["data"] = base64.b64encode(b"Hello").decode()
    return made


def entity(event: Resource, role: str) -> Resource:
    """Return the first entity that has `role`."""
    return next(one for one in event["entity"] if one.get("role", {}).get("code") == role)


def asked(event: Resource) -> str:
    """Return the raw request of an event."""
    return base64.b64decode(entity(event, "24")["query"]).decode()
