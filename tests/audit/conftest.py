"""What the tests of audit events share: the real server, its events collected."""

from __future__ import annotations

from collections.abc import AsyncIterator

import httpx
import pytest
from fastapi import FastAPI

from app.fhir.packages import Packages
from app.store.audit import AuditStore
from app.store.driver import Connection
from app.validation.validator import Validator
from tests.audit.collecting import World, collecting, populated
from tests.audit.keeping import Log


@pytest.fixture(scope="session")
def validator(packages: Packages) -> Validator:
    """Holds events against their profiles."""
    return Validator(packages)


@pytest.fixture
async def nobody(index_app: FastAPI, database: Connection) -> AsyncIterator[World]:
    """A server that knows nobody yet."""
    async with collecting(index_app) as world:
        yield world


@pytest.fixture
async def world(nobody: World) -> World:
    """A server that knows a few patients and their documents."""
    return await populated(nobody)


@pytest.fixture
async def audit(database: Connection) -> AuditStore:
    """An empty audit store."""
    store = AuditStore(database)
    await store.ensure()
    return store


@pytest.fixture
async def log(client: httpx.AsyncClient, audit: AuditStore) -> Log:
    """The log of the server over an empty store."""
    return Log(client)
