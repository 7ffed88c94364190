"""An authorization server under test, at https://login.example.org, for the resource server of the worked exchanges."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import replace
from datetime import datetime
from typing import Any

import httpx
import pytest
from fastapi import FastAPI

from app.iua.registration import Client, User, keep_client, keep_user
from app.iua.secret import hashed
from app.store.authority import CLIENTS, PASSING, USERS, AuthorityStore
from app.store.driver import Connection, connect
from app.transaction import Context
from tests.iua.parties import (
    CALLBACK,
    EC,
    ISSUER,
    NORTH,
    ORGANIZATION,
    PASSWORD,
    RS,
    RSA,
    SECRET,
    jwks,
)
from tests.patients import running_app, settings_of

Authorize = Callable[..., AbstractAsyncContextManager[httpx.AsyncClient]]


@pytest.fixture(scope="session")
def iua_database(database_name: str) -> str:
    """A database of its own: keys live as long as the server that made them."""
    return f"{database_name}_iua"


@pytest.fixture(scope="session")
async def login_app(mongodb_url: str, iua_database: str) -> AsyncIterator[FastAPI]:
    """The server, giving tokens."""
    changes = {"authority": True, "authority_issuer": ISSUER, "authority_tenants": ("north",)}
    async with running_app(settings_of(mongodb_url, iua_database, **changes)) as app:
        yield app


@pytest.fixture
async def parties(mongodb_url: str, iua_database: str) -> AsyncIterator[AuthorityStore]:
    """The clients and users of the worked exchanges; nobody else, and nothing that was used."""
    connection = connect(mongodb_url, "pymongo", iua_database)
    await forget(connection)
    store = AuthorityStore(connection.database)
    for client in clients():
        await keep_client(store, client)
    await keep_user(store, User("u-5521", password=hashed(PASSWORD), claims=DOCTOR))
    await keep_user(store, User("p-1", password=hashed(PASSWORD), claims={"subject_name": "P"}, patient="Patient/p1"))
    yield store
    await connection.close()


async def forget(connection: Connection) -> None:
    """Empty all collections but that of the keys."""
    for name in (CLIENTS, USERS, *PASSING):
        if name != "oauth_key":
            await connection.database[name].delete_many({})


DOCTOR: dict[str, Any] = {
    "subject_name": "MUDr. Jana Malá",
    **ORGANIZATION,
    "subject_role": [{"system": "http://terminology.hl7.org/CodeSystem/practitioner-role", "code": "doctor"}],
    "purpose_of_use": [{"system": "http://terminology.hl7.org/CodeSystem/v3-ActReason", "code": "TREAT"}],
}


def clients() -> list[Client]:
    """The registered clients."""
    secret = hashed(SECRET)
    return [
        Client(NORTH, scopes=("ITI-104", "ITI-83"), secret=secret, takes_basic=True, claims=ORGANIZATION),
        Client("trial", scopes=("ITI-83",), secret=secret),
        Client("backend", scopes=("system/DocumentReference.rs", "system/List.cruds", "ITI-67"), jwks=jwks(RSA, EC)),
        Client("ward-viewer", scopes=("ITI-83", "ITI-78"), redirect_uris=(CALLBACK,)),
        Client(
            "ward-server", scopes=("ITI-83",), secret=secret, takes_basic=True, redirect_uris=(CALLBACK, f"{CALLBACK}2")
        ),
        Client("auditor", scopes=("ITI-81",), secret=secret, takes_basic=True),
        Client("index", scopes=("introspect",), secret=secret, takes_basic=True, resource=RS),
        Client(
            "other-rs",
            scopes=("introspect",),
            secret=secret,
            takes_basic=True,
            resource="https://other.example.org/fhir",
        ),
    ]


@pytest.fixture
async def login(login_app: FastAPI, parties: AuthorityStore) -> AsyncIterator[httpx.AsyncClient]:
    """Somebody who asks the authorization server."""
    async with asking(login_app) as client:
        yield client


@asynccontextmanager
async def asking(app: FastAPI) -> AsyncIterator[httpx.AsyncClient]:
    """Ask `app` at the host of the authorization server."""
    transport = httpx.ASGITransport(app, raise_app_exceptions=False)
    async with httpx.AsyncClient(transport=transport, base_url=ISSUER, timeout=60) as client:
        yield client


@pytest.fixture
def authorize(mongodb_url: str, iua_database: str, parties: AuthorityStore) -> Authorize:
    """Runs the server with other settings over the same database: `async with authorize(dev_mode=True) as client`."""

    @asynccontextmanager
    async def serving(**changes: Any) -> AsyncIterator[httpx.AsyncClient]:
        values = {"authority": True, "authority_issuer": ISSUER} | changes
        async with running_app(settings_of(mongodb_url, iua_database, **values)) as app, asking(app) as client:
            yield client

    return serving


@pytest.fixture
def at(login_app: FastAPI) -> Any:
    """Sets the clock of the server, until the end of the test: `at(time)`."""
    context: Context = login_app.state.context

    def set_clock(time: datetime) -> None:
        login_app.state.context = replace(context, now=lambda: time)

    yield set_clock
    login_app.state.context = context
