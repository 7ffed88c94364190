"""One connection that is held for a stream of small writes, instead of being taken from the pool for each.

Own choice: selecting the server and checking a connection out and in is half of what a small insert costs (116 us, of
which 66 are left), and the audit makes one for every few requests. PyMongo's names for these steps are private; where
they are not to be had, as in motor, or when anything goes wrong, the write goes the ordinary way.

Spec: docs/decisions/0023.
"""

from __future__ import annotations

from contextlib import AsyncExitStack, suppress
from typing import Any

from pymongo import AsyncMongoClient
from pymongo.errors import OperationFailure, PyMongoError

from app.store.driver import Document


class HeldConnection:
    """A connection to the primary, for one command at a time."""

    def __init__(self, database: Any) -> None:
        """Hold a connection for `database`, once the first command comes."""
        self._database = database
        self._connection: Any = None
        self._stack = AsyncExitStack()
        self._is_able = isinstance(database.client, AsyncMongoClient) and hasattr(database.client, "_conn_for_writes")

    async def command(self, command: Document) -> Document | None:
        """Return the answer to `command`; None when it is not known whether it was carried out: the caller tries again.

        Raises:
            OperationFailure: the database refused it.
        """
        if not self._is_able:
            return None
        try:
            connection = self._connection or await self._taken()
            answer: Document = await connection.command(self._database.name, command)
        except OperationFailure:
            await self.release()
            raise
        except (PyMongoError, OSError, AttributeError, TypeError):
            await self.release()
            return None
        return answer

    async def release(self) -> None:
        """Close the connection: what is still on its way in it must reach nobody else."""
        if self._connection is not None:
            with suppress(Exception):
                await self._connection.close_conn(None)
        self._connection = None
        with suppress(Exception):
            await self._stack.aclose()

    async def _taken(self) -> Any:
        checkout = await self._database.client._conn_for_writes(None, "insert")
        self._connection = await self._stack.enter_async_context(checkout)
        return self._connection
