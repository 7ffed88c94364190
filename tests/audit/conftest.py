"""A repository of audit events under test: the real server, and what it keeps."""

from __future__ import annotations

from collections.abc import AsyncIterator

import httpx
import pytest
from fastapi import FastAPI

from app.fhir.packages import Packages
from app.fhir.resource import Resource
from app.store.audit import AuditStore
from app.store.driver import Connection
from app.validation.validator import Validator
from tests.audit.collecting import World, collecting, populated

ALWAYS = "date=ge2000"


@pytest.fixture
async def audit(database: Connection) -> AuditStore:
    """An empty audit store."""
    store = AuditStore(database)
    await store.ensure()
    return store


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


JSON = {"Content-Type": "application/fhir+json"}


@pytest.fixture
async def log(client: httpx.AsyncClient, audit: AuditStore) -> AsyncIterator[Log]:
    """The log of the server over an empty store."""
    yield Log(client)


@pytest.fixture(scope="session")
def validator(packages: Packages) -> Validator:
    """Holds events against their profiles."""
    return Validator(packages)


@pytest.fixture
async def nobody(index_app: FastAPI, database: Connection) -> AsyncIterator[World]:
    """A server whose events are collected and not kept; it knows nobody yet."""
    async with collecting(index_app) as world:
        yield world


@pytest.fixture
async def world(nobody: World) -> World:
    """The same, and it knows a few patients and their documents."""
    return await populated(nobody)
