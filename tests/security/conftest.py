"""A guarded server: several issuers, a patient with documents, and clients that show tokens."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any
from uuid import uuid4

import httpx
import pytest
import respx
from fastapi import FastAPI
from pydantic import SecretStr

from app.fhir.resource import Resource
from app.main import create_app
from app.settings import Settings
from tests.conftest import BASE_URL, PROJECT
from tests.patients import DOMAINS, KATARINA
from tests.security.issuing import (
    CURVES,
    INTROSPECTION,
    LOGIN,
    OPAQUE,
    SECRET,
    SHARED,
    STATIC_TOKEN,
    Servers,
    bearer,
)
from tests.security.records import Records, headers, stored
from tests.security.submitted import fhir_submission, of_patient
from tests.submissions import submission

FILE = f"""
[[issuer]]
issuer = "{LOGIN}"

[[issuer]]
issuer = "{CURVES}"
jwks_url = "{CURVES}/keys"
algorithms = ["ES256", "EdDSA"]

[[issuer]]
issuer = "{SHARED}"
secret_env = "TEST_SHARED_SECRET"

[[issuer]]
issuer = "{OPAQUE}"
opaque = true
introspection_url = "{INTROSPECTION}"
introspection_client = "fhir"
introspection_secret_env = "TEST_SHARED_SECRET"

[[token]]
client = "north-adt"
env = "TEST_STATIC_TOKEN"
scope = "system/*.cruds ITI-104 ITI-65 ITI-106 ITI-81 admin"

[[certificate]]
subject = "CN=adt,O=North Hospital,C=SK"
client = "north-adt"
scope = "ITI-78"
"""

Guarded = Callable[..., AbstractAsyncContextManager[httpx.AsyncClient]]


@dataclass(frozen=True, slots=True)
class Known:
    """Names of what is stored.

    Attributes:
        patient: id of a Patient who has the documents; the others are ids of what their names say.
    """

    patient: str
    reference: str
    submission_set: str
    binary: str
    bundle: str


@pytest.fixture
def servers() -> Iterator[Servers]:
    """The authorization servers, as long as one test."""
    with respx.mock(assert_all_called=False, assert_all_mocked=True) as router:
        yield Servers(router)


@pytest.fixture(scope="session")
def auth_file(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """The file of authorization, and the environment that holds its secrets."""
    path = tmp_path_factory.mktemp("auth") / "auth.toml"
    path.write_text(FILE)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("TEST_SHARED_SECRET", SECRET)
        patch.setenv("TEST_STATIC_TOKEN", STATIC_TOKEN)
        yield path


@pytest.fixture(scope="session")
def guarded(mongodb_url: str, database_name: str, auth_file: Path) -> Guarded:
    """Runs a guarded server over a database of its own: `async with guarded(auth_conceal=True) as client`."""

    @asynccontextmanager
    async def running(**changes: Any) -> AsyncIterator[httpx.AsyncClient]:
        values: dict[str, Any] = {
            "auth": "iua",
            "auth_file": str(auth_file),
            "base_url": BASE_URL,
            "mongodb_url": SecretStr(mongodb_url),
            "mongodb_database": f"{database_name}_guarded",
            "example_data": False,
            "domains": str(DOMAINS),
            "profiles_dir": PROJECT / "profiles",
            "rate_limit_per_s": 0,
        }
        app = create_app(Settings(**(values | changes)))
        async with app.router.lifespan_context(app), client_of(app) as client:
            yield client

    return running


def client_of(app: FastAPI) -> httpx.AsyncClient:
    """A client of `app`, its URLs relative to `[base]`, who shows nothing."""
    transport = httpx.ASGITransport(app, raise_app_exceptions=False)
    return httpx.AsyncClient(transport=transport, base_url=BASE_URL, timeout=60)


@pytest.fixture(scope="session")
async def guarded_client(guarded: Guarded) -> AsyncIterator[httpx.AsyncClient]:
    """A client of the guarded server, which runs as long as the worker does."""
    async with guarded() as client:
        yield client


@pytest.fixture(scope="session")
async def known(guarded_client: httpx.AsyncClient) -> Known:
    """A patient, a text and a FHIR document of theirs: put there once, with the static token."""
    headers = bearer(STATIC_TOKEN) | {"Content-Type": "application/fhir+json"}
    number = KATARINA["identifier"][0]
    key = f"{number['system']}|{number['value']}"
    fed = await guarded_client.put("Patient", params={"identifier": key}, json=KATARINA, headers=headers)
    assert fed.status_code in (200, 201), fed.text
    patient = fed.json()["id"]
    text = await _stored(guarded_client, of_patient(submission(), patient), headers)
    document = await _stored(guarded_client, of_patient(fhir_submission(), patient), headers)
    return Known(patient, text["DocumentReference"], text["List"], text["Binary"], document["Bundle"])


async def _stored(client: httpx.AsyncClient, made: Resource, headers: dict[str, str]) -> dict[str, str]:
    """Publish; return the ids by type."""
    answer = await client.post("", json=made, headers=headers)
    assert answer.status_code == 200, answer.text
    urls = [one["response"]["location"].removeprefix(f"{BASE_URL}/").split("/") for one in answer.json()["entry"]]
    return {parts[0]: parts[1] for parts in urls}


@pytest.fixture(scope="module")
def again(guarded: Guarded, database_name: str, request: pytest.FixtureRequest) -> Iterator[Guarded]:
    """Runs a guarded server over the database of the module, with other settings: `async with again(…) as client`."""
    name = request.module.__name__.rpartition(".")[2]
    with respx.mock(assert_all_called=False) as router:
        Servers(router)
        yield partial(guarded, mongodb_database=f"{database_name}_{name}", auth_smart_feed=True)


@pytest.fixture(scope="module")
async def asking(again: Guarded) -> AsyncIterator[httpx.AsyncClient]:
    """A client of a guarded server over the database of the module."""
    async with again() as client:
        yield client


@pytest.fixture(scope="module")
async def records(asking: httpx.AsyncClient) -> Records:
    """Two people and their documents."""
    return await stored(asking)


@pytest.fixture
async def audited(asking: httpx.AsyncClient) -> AsyncIterator[None]:
    """AUD-02, AUD-71: whatever is tried here leaves an event, and one of failure where it was refused."""
    answers: dict[str, int] = {}

    async def numbered(request: httpx.Request) -> None:
        request.headers["X-Request-Id"] = str(uuid4())

    async def answered(answer: httpx.Response) -> None:
        answers[answer.request.headers["X-Request-Id"]] = answer.status_code

    asking.event_hooks = {"request": [numbered], "response": [answered]}
    yield
    asking.event_hooks = {}
    outcomes = {name: await outcomes_of(asking, name) for name in answers}
    assert all(outcomes.values())
    assert all(("0" in outcomes[name]) == (status < 400) for name, status in answers.items())


async def outcomes_of(client: httpx.AsyncClient, name: str) -> set[str]:
    """The outcomes of the events of one request."""
    url = f"AuditEvent?date=ge2000&entity.identifier={name}"
    answer = await client.get(url, headers=headers("ITI-81"))
    assert answer.status_code == 200, answer.text
    return {one["resource"]["outcome"] for one in answer.json().get("entry", [])}
