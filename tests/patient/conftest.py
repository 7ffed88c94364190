"""A patient index for these tests: the real server, empty before each of them."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import TYPE_CHECKING, Any

import httpx
import pytest
from fastapi import FastAPI

from tests.patients import client_of, running_app, settings_of

if TYPE_CHECKING:
    from app.store.driver import Connection

Serve = Callable[..., AbstractAsyncContextManager[httpx.AsyncClient]]


@pytest.fixture(scope="session")
async def index_app(mongodb_url: str, database_name: str) -> AsyncIterator[FastAPI]:
    """The patient index, running as long as the worker does."""
    async with running_app(settings_of(mongodb_url, database_name)) as app:
        yield app


@pytest.fixture
async def index(index_app: FastAPI, database: Connection) -> AsyncIterator[httpx.AsyncClient]:
    """A client of the empty patient index."""
    async with client_of(index_app) as client:
        yield client


@pytest.fixture
def serve(mongodb_url: str, database_name: str, database: Connection) -> Serve:
    """Runs an index with other settings over the same database: `async with serve(allow_unmerge=True) as client`."""

    @asynccontextmanager
    async def serving(**changes: Any) -> AsyncIterator[httpx.AsyncClient]:
        async with running_app(settings_of(mongodb_url, database_name, **changes)) as app, client_of(app) as client:
            yield client

    return serving
