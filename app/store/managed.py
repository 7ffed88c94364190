"""Starts and stops a private mongod, for when no MongoDB is configured."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path


class MongodUnavailableError(Exception):
    """The private mongod cannot run; the message is one sentence for the operator."""


@contextmanager
def private_mongodb(folder: Path) -> Iterator[str]:
    """Run a mongod of our own with its data in `folder`; yields its URL.

    Raises:
        MongodUnavailableError: no program, the folder is in use, or it does not start.
    """
    raise NotImplementedError
    yield ""


@asynccontextmanager
async def managed_mongodb(folder: Path) -> AsyncIterator[str]:
    """Run `private_mongodb` in an asynchronous program."""
    with private_mongodb(folder) as url:
        yield url
