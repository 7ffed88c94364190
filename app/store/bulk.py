"""Bulk: many records that are new, and many facts, written at once.

There is no transaction around them: who loads in bulk chooses ids that a second run chooses again, so that a load which
was interrupted is run again and finds what is there. First come the unique keys, then the records: a key without its
record is completed by the second run; a record without its key does not happen.

Spec: own choice; MAT-66.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import Any

import bson
from bson.raw_bson import RawBSONDocument
from pymongo.asynchronous.database import AsyncDatabase
from pymongo.errors import BulkWriteError

from app.search.definitions import Definitions
from app.store.change import KeyTaken
from app.store.driver import Document, failures_told
from app.store.facts import ensure_fact_indexes
from app.store.indexes import ensure_indexes

_DUPLICATE_KEY = 11000


def packed(document: Mapping[str, Any]) -> bytes:
    """Return a record or a fact as the bytes that the database is sent: what one process made, another one writes."""
    return bson.encode(document)


class Bulk:
    """Writes many documents at once."""

    def __init__(self, database: AsyncDatabase[Document], definitions: Definitions) -> None:
        self._database = database
        self._definitions = definitions

    @asynccontextmanager
    async def indexed_afterwards(self, resource_type: str) -> AsyncIterator[None]:
        """Write without indexes meanwhile, if there is no record yet, and make them when all is written.

        Ten indexes kept record by record cost the database more than the records do. A load that is killed leaves them
        to the next start, which makes what is missing.
        """
        records = self._database[resource_type]
        with failures_told():
            is_empty = await records.find_one({}, {"_id": 1}) is None
            if is_empty:
                await records.drop_indexes()
        try:
            yield
        finally:
            if is_empty:
                with failures_told():
                    await ensure_indexes(self._database, self._definitions, [resource_type])
                    await ensure_fact_indexes(self._database)

    async def create(self, resource_type: str, records: Iterable[bytes], keys: Mapping[str, str]) -> int:
        """Write `records`, packed, that are not there yet; return how many there were to write.

        Args:
            keys: the unique keys of all of them -> who holds it, `Type/id`.

        Raises:
            KeyTaken: another record holds a key; of these records nothing was written then.
            FhirError: `transient` (503), `too-long` (413).
        """
        with failures_told():
            claims = [{"_id": key, "holder": holder} for key, holder in keys.items()]
            if await self._inserted("unique_key", claims) < len(claims):
                await self._require_held(keys)
            return await self._inserted(resource_type, [RawBSONDocument(one) for one in records])

    async def add(self, collection: str, facts: Iterable[bytes]) -> None:
        """Write `facts`, packed, none of which is there yet."""
        documents = [RawBSONDocument(one) for one in facts]
        if documents:
            with failures_told():
                await self._database[collection].insert_many(documents, ordered=False)

    async def _inserted(self, collection: str, documents: Sequence[Any]) -> int:
        """Insert `documents`; one that is there already stays as it is. Returns how many were not."""
        if not documents:
            return 0
        try:
            await self._database[collection].insert_many(documents, ordered=False)
        except BulkWriteError as error:
            told = error.details or {}
            if any(one["code"] != _DUPLICATE_KEY for one in told["writeErrors"]) or told.get("writeConcernErrors"):
                raise
            return int(told["nInserted"])
        return len(documents)

    async def _require_held(self, keys: Mapping[str, str]) -> None:
        found = await self._database["unique_key"].find({"_id": {"$in": list(keys)}}).to_list(None)
        for one in found:
            if one.get("holder") != keys[one["_id"]]:
                raise KeyTaken(one["_id"])
