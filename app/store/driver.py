"""The connection to MongoDB, and the one place where PyMongo Async and motor differ.

Everything else in the store awaits the same words on both: motor's collections are PyMongo's, but for sessions.
Writes are acknowledged when a majority has them in its journal; reads see only what a majority has.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from inspect import isawaitable
from typing import Any, Literal, TypeVar

from pymongo import AsyncMongoClient
from pymongo.asynchronous.client_session import AsyncClientSession
from pymongo.asynchronous.database import AsyncDatabase
from pymongo.errors import (
    ConfigurationError,
    ConnectionFailure,
    DocumentTooLarge,
    ExecutionTimeout,
    OperationFailure,
    PyMongoError,
    ServerSelectionTimeoutError,
    WTimeoutError,
)
from pymongo.read_concern import ReadConcern
from pymongo.write_concern import WriteConcern

from app.fhir.outcome import FhirError

Driver = Literal["pymongo", "motor"]
Document = dict[str, Any]
Session = AsyncClientSession
T = TypeVar("T")

DEFAULT_DATABASE = "mhd"

# What a URL may say otherwise, in milliseconds: how long to look for a server, to connect, to wait for an answer.
OPTIONS: dict[str, Any] = {
    "serverSelectionTimeoutMS": 5_000,
    "connectTimeoutMS": 5_000,
    "socketTimeoutMS": 60_000,
    "retryWrites": True,
    "retryReads": True,
    "appName": "mhd",
}

MAJORITY = WriteConcern(w="majority", j=True, wtimeout=20_000)
SNAPSHOT = ReadConcern("snapshot")

# A transaction that met another one is tried again, at first after some 2 ms, then later and later, for so long.
RETRY_S = 10.0
_FIRST_PAUSE_S, _LONGEST_PAUSE_S = 0.002, 0.1

_BSON_TOO_LARGE = 10334
_REFUSED = (13, 18)  # Unauthorized, AuthenticationFailed

# WriteConflict, LockTimeout, SnapshotUnavailable, NoSuchTransaction: another transaction had the records first.
_MET_OTHERS = (112, 24, 246, 251)

UNREACHABLE = "The database does not answer. Try again in a moment."
BUSY = "Others write the same records at this moment; nothing of this request was kept. Send it again."
REFUSED = "The database refuses this server: its user or password is wrong, or the user may not read and write."
NO_REPLICA_SET = "The database is not a replica set, which transactions need: start mongod with --replSet."
TOO_SLOW = "The database took too long. Try again, or ask for less."
TOO_LARGE = "The resource is larger than a record of the database can be (16 MB); large documents belong in a Binary."


class Connection:
    """A database and its sessions, alike for both drivers.

    Attributes:
        database: PyMongo's asynchronous database, or motor's, whose methods have the same names.
    """

    def __init__(self, client: Any, database: str = "") -> None:
        self._client = client
        concerns: Document = {"write_concern": MAJORITY, "read_concern": ReadConcern("majority")}
        self.database: AsyncDatabase[Document] = (
            client.get_database(database, **concerns)
            if database
            else client.get_default_database(DEFAULT_DATABASE, **concerns)
        )

    async def close(self) -> None:
        """Close all connections."""
        await _settled(self._client.close())

    async def require_transactions(self) -> None:
        """Raise FhirError when the database has none, because it is a single server."""
        hello = await self.database.command("hello")
        if "setName" not in hello and hello.get("msg") != "isdbgrid":
            raise FhirError("exception", NO_REPLICA_SET)

    async def in_transaction(self, work: Callable[[Session], Awaitable[T]]) -> T:
        """Return what `work` returns, when all that it wrote in the session it is handed is committed.

        `work` is run again when its transaction met another one, so it must have no other effects.

        Raises:
            PyMongoError: the last failure, when none of the attempts within `RETRY_S` got through.
        """
        deadline = asyncio.get_running_loop().time() + RETRY_S
        async with self._session() as session:
            for pause_s in _pauses():
                try:
                    return await self._attempt(session, work, deadline)
                except PyMongoError as error:
                    if not _may_try_again(error, "TransientTransactionError") or _is_past(deadline):
                        raise
                await asyncio.sleep(pause_s)
        raise AssertionError("the pauses never end")

    async def _attempt(self, session: Session, work: Callable[[Session], Awaitable[T]], deadline: float) -> T:
        await _settled(session.start_transaction(SNAPSHOT, MAJORITY))
        try:
            result = await work(session)
        except BaseException:
            await _abort(session)
            raise
        await self._commit(session, deadline)
        return result

    async def _commit(self, session: Session, deadline: float) -> None:
        for pause_s in _pauses():
            try:
                return await session.commit_transaction()
            except PyMongoError as error:
                if not _may_try_again(error, "UnknownTransactionCommitResult") or _is_past(deadline):
                    raise
            await asyncio.sleep(pause_s)
        return None

    @asynccontextmanager
    async def _session(self) -> AsyncIterator[Session]:
        session = await _settled(self._client.start_session())
        try:
            yield session
        finally:
            await session.end_session()


def connect(url: str, driver: Driver = "pymongo", database: str = "") -> Connection:
    """Return a connection to the MongoDB at `url`; nothing is sent before it is used.

    Args:
        database: its name; empty for the one that `url` names, or `mhd`.

    Raises:
        FhirError: `exception` when `url` cannot be read.
    """
    named = url.lower()
    options = {name: value for name, value in OPTIONS.items() if f"{name.lower()}=" not in named}
    try:
        return Connection(_client_class(driver)(url, tz_aware=True, **options), database)
    except (ConfigurationError, ValueError) as error:
        raise FhirError("exception", f"The URL of the database cannot be read: {error}.") from error


async def aggregated(collection: Any, stages: list[Document], max_time_ms: int) -> list[Document]:
    """Return what comes out of `stages`; PyMongo's call is awaited for its cursor, motor's is not."""
    cursor = await _settled(collection.aggregate(stages, maxTimeMS=max_time_ms))
    found: list[Document] = await cursor.to_list(None)
    return found


@contextmanager
def failures_told() -> Iterator[None]:
    """Turn what the driver raises when the database is away, slow or full into FhirError."""
    try:
        yield
    except (ExecutionTimeout, WTimeoutError) as error:
        raise FhirError("timeout", TOO_SLOW) from error
    except (DocumentTooLarge, OverflowError) as error:
        raise FhirError("too-long", TOO_LARGE) from error
    except (ConnectionFailure, ConfigurationError) as error:  # the latter: a mongodb+srv name that DNS does not know
        raise FhirError("transient", UNREACHABLE) from error
    except OperationFailure as error:
        if error.code == _BSON_TOO_LARGE:
            raise FhirError("too-long", TOO_LARGE) from error
        if error.code in _REFUSED:
            raise FhirError("exception", REFUSED) from error
        if error.code in _MET_OTHERS:
            raise _busy() from error
        if error.has_error_label("TransientTransactionError") or error.has_error_label("RetryableWriteError"):
            raise FhirError("transient", UNREACHABLE) from error
        raise


def _busy() -> FhirError:
    refused = FhirError("transient", BUSY)
    refused.headers["Retry-After"] = "1"
    return refused


def _client_class(driver: Driver) -> Any:
    if driver == "pymongo":
        return AsyncMongoClient
    from motor.motor_asyncio import AsyncIOMotorClient  # noqa: PLC0415 - loaded only when it is chosen

    return AsyncIOMotorClient


async def _settled(result: Any) -> Any:
    """Return `result`, awaited where the driver says so: the two drivers disagree on which calls are asynchronous."""
    return await result if isawaitable(result) else result


async def _abort(session: Session) -> None:
    try:
        if session.in_transaction:
            await session.abort_transaction()
    except PyMongoError:
        pass  # the server aborts it by itself; the failure that led here is the one to tell


def _may_try_again(error: PyMongoError, label: str) -> bool:
    """Whether `error` says with `label` that another try may do; if no server was found, we waited already."""
    return error.has_error_label(label) and not isinstance(error, ServerSelectionTimeoutError)


def _pauses() -> Iterator[float]:
    pause_s = _FIRST_PAUSE_S
    while True:
        yield pause_s * random.uniform(0.5, 1.5)  # noqa: S311 - jitter
        pause_s = min(2 * pause_s, _LONGEST_PAUSE_S)


def _is_past(deadline: float) -> bool:
    return asyncio.get_running_loop().time() > deadline
