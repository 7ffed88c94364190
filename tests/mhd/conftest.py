"""What the tests of MHD share: two known patients, a way to publish, and a count of everything that is stored."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import httpx
import pytest
from pydantic import SecretStr

from app.fhir.resource import Resource
from app.main import create_app
from app.settings import Settings
from app.store.change import Create
from tests.builders import patient
from tests.conftest import BASE_URL

if TYPE_CHECKING:
    from app.store.driver import Connection
    from app.store.resources import Store

DOMAIN = "urn:oid:2.999.40.1"

Publish = Callable[..., Awaitable[httpx.Response]]
Count = Callable[[], Awaitable[dict[str, int]]]


@asynccontextmanager
async def served(mongodb_url: str, database_name: str, **settings: Any) -> AsyncIterator[httpx.AsyncClient]:
    """Yield a client of the real server over `database_name`; `settings` replace defaults."""
    app = create_app(
        Settings(
            mongodb_url=SecretStr(mongodb_url),
            mongodb_database=database_name,
            example_data=False,
            **({"base_url": BASE_URL} | settings),
        )
    )
    async with app.router.lifespan_context(app):
        transport = httpx.ASGITransport(app, raise_app_exceptions=False)
        async with httpx.AsyncClient(transport=transport, base_url=BASE_URL, timeout=60) as client:
            yield client


Server = Callable[..., Awaitable[httpx.AsyncClient]]


@pytest.fixture(scope="module")
async def server(mongodb_url: str, database_name: str) -> AsyncIterator[Server]:
    """Makes clients of servers with settings that differ from the defaults; each is started once for a module."""
    running: dict[str, httpx.AsyncClient] = {}
    async with AsyncExitStack() as stack:

        async def client_of(**settings: Any) -> httpx.AsyncClient:
            key = repr(sorted(settings.items()))
            if key not in running:
                running[key] = await stack.enter_async_context(served(mongodb_url, database_name, **settings))
            return running[key]

        yield client_of


@pytest.fixture
async def small_client(mongodb_url: str, database_name: str, database: Connection) -> AsyncIterator[httpx.AsyncClient]:
    """A client of a server that takes bodies of at most 100,000 bytes."""
    async with served(mongodb_url, database_name, max_body_bytes=100_000) as client:
        yield client


@pytest.fixture
async def patients(store: Store) -> None:
    """`Patient/p1` and `Patient/p2`, each with an identifier; `gone` is inactive; two share the identifier `twin`."""
    people = {
        "p1": {"identifier": [{"system": DOMAIN, "value": "4711"}]},
        "p2": {"identifier": [{"system": DOMAIN, "value": "5120"}]},
        "gone": {"active": False},
        "twin1": {"identifier": [{"system": DOMAIN, "value": "twin"}]},
        "twin2": {"identifier": [{"system": DOMAIN, "value": "twin"}]},
    }
    await store.commit([Create(patient(name, **more)) for name, more in people.items()], datetime.now(UTC))


@pytest.fixture
def publish(client: httpx.AsyncClient, patients: None) -> Publish:
    """Post a Bundle to `[base]` as FHIR JSON; keywords are headers, with `_` for `-`."""

    async def post(bundle: Resource | bytes, **headers: str) -> httpx.Response:
        sent = {"content-type": "application/fhir+json"} | {name.replace("_", "-"): v for name, v in headers.items()}
        if isinstance(bundle, bytes):
            return await client.post("", content=bundle, headers=sent)
        return await client.post("", json=bundle, headers=sent)

    return post


@pytest.fixture
def counts(database: Connection) -> Count:
    """Count the records of every collection; that of the audit grows with every request, whatever it does."""

    async def count() -> dict[str, int]:
        names = sorted(name for name in await database.database.list_collection_names() if "audit" not in name.lower())
        return {name: await database.database[name].count_documents({}) for name in names}

    return count


def issue(response: httpx.Response, position: int = 0) -> Resource:
    """Return one issue of an OperationOutcome."""
    body = response.json()
    assert body["resourceType"] == "OperationOutcome", body
    found: Resource = body["issue"][position]
    return found


def details(found: Resource) -> str:
    """Return the Document Sharing code of an issue; "" when it has none."""
    return str(found.get("details", {}).get("coding", [{}])[0].get("code", ""))


def locations(response: httpx.Response) -> list[str]:
    """Return `response.location` of each entry of a transaction-response, without version."""
    assert response.status_code == 200, response.text
    return [one["response"]["location"].partition("/_history/")[0] for one in response.json()["entry"]]
