"""What every test may ask for: a real MongoDB, a store over either driver, the profile packages, the server itself."""

from __future__ import annotations

import itertools
import tempfile
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, ExitStack, asynccontextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest
from fastapi import FastAPI
from pydantic import SecretStr

from app.fhir import packages as fhir_packages
from app.fhir.packages import Packages
from app.main import create_app
from app.search.definitions import Definitions
from app.settings import Settings
from app.store.driver import Connection, Driver, connect
from app.store.managed import private_mongodb
from app.store.resources import Store
from tests.patients import client_of, running_app, settings_of

PROJECT = Path(__file__).parent.parent

BASE_URL = "http://test.example.org/fhir"

RESOURCE_TYPES = ("Binary", "DocumentReference", "List", "Patient")

Serve = Callable[..., AbstractAsyncContextManager[httpx.AsyncClient]]

_mongodb = pytest.StashKey[tuple[ExitStack, str]]()


def _started_mongodb(config: pytest.Config) -> str:
    """Return the URL of the run's only mongod, started when it is first asked for."""
    if _mongodb not in config.stash:
        stack = ExitStack()
        folder = stack.enter_context(tempfile.TemporaryDirectory(prefix="mhd-test-"))
        config.stash[_mongodb] = stack, stack.enter_context(private_mongodb(Path(folder)))
    return config.stash[_mongodb][1]


@pytest.hookimpl(optionalhook=True)
def pytest_configure_node(node: object) -> None:
    """Hand the mongod of the controlling process to a worker of pytest-xdist, which may end before the others do."""
    node.workerinput["mongodb_url"] = _started_mongodb(node.config)  # type: ignore[attr-defined]


def pytest_unconfigure(config: pytest.Config) -> None:
    """Stop the mongod, when the run has started one."""
    if _mongodb in config.stash:
        config.stash[_mongodb][0].close()


@pytest.fixture(scope="session")
def mongodb_url(request: pytest.FixtureRequest) -> str:
    """The run's MongoDB: a replica set of one node, shared by all workers."""
    shared: dict[str, str] = getattr(request.config, "workerinput", {})
    return shared.get("mongodb_url") or _started_mongodb(request.config)


@pytest.fixture(scope="session")
def database_name(request: pytest.FixtureRequest) -> str:
    """A database for each worker."""
    worker: dict[str, str] = getattr(request.config, "workerinput", {})
    return f"test_{worker.get('workerid', 'main')}"


@pytest.fixture(scope="session")
def packages() -> Packages:
    """The profile packages of this project."""
    return fhir_packages.load(PROJECT / "profiles")


@pytest.fixture(scope="session")
def definitions(packages: Packages) -> Definitions:
    """The search parameters of R4 and of the profile packages."""
    return Definitions(packages)


@pytest.fixture
def driver() -> Driver:
    """The driver under the store; tests/store asks for both."""
    return "pymongo"


@pytest.fixture
async def database(mongodb_url: str, database_name: str, driver: Driver) -> AsyncIterator[Connection]:
    """A connection to the worker's database, all of whose collections are empty."""
    connection = connect(mongodb_url, driver, database_name)
    for name in await connection.database.list_collection_names():
        await connection.database[name].delete_many({})
    yield connection
    await connection.close()


@pytest.fixture
async def store(database: Connection, definitions: Definitions) -> Store:
    """An empty store with its collections and indexes."""
    made = Store(database, definitions)
    await made.ensure(RESOURCE_TYPES)
    return made


@pytest.fixture(scope="session")
def settings(mongodb_url: str, database_name: str) -> Settings:
    """The settings of the server that `client` asks: the worker's database, no examples."""
    return Settings(
        mongodb_url=SecretStr(mongodb_url),
        mongodb_database=database_name,
        base_url=BASE_URL,
        example_data=False,
        profiles_dir=PROJECT / "profiles",
    )


@pytest.fixture(scope="session")
async def app(settings: Settings) -> AsyncIterator[FastAPI]:
    """The real server, running as long as the worker does: it has no state outside the database."""
    made = create_app(settings)
    async with made.router.lifespan_context(made):
        yield made


@pytest.fixture
async def client(app: FastAPI, store: Store) -> AsyncIterator[httpx.AsyncClient]:
    """A client of the real server over an empty store; URLs are relative to `[base]`."""
    transport = httpx.ASGITransport(app, raise_app_exceptions=False)
    async with httpx.AsyncClient(transport=transport, base_url=BASE_URL) as asking:
        yield asking


@pytest.fixture
def clock() -> Callable[[], datetime]:
    """A clock that goes on by a second whenever it is asked."""
    seconds = itertools.count()
    start = datetime(2025, 3, 4, 10, 0, tzinfo=UTC)
    return lambda: start + timedelta(seconds=next(seconds))


@pytest.fixture
def ids() -> Callable[[], str]:
    """Makes ids that are the same in every run: 32 hexadecimal digits, counted up."""
    numbers = itertools.count(1)
    return lambda: f"{next(numbers):032x}"


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
