"""Facts: what the server knows beside resources: who is one person, which pairs were compared, what was decided.

A fact is a document with an `_id` in a collection of its own; it has no versions and is never served as it is. What is
kept beside a resource (`beside`) or derived from it (`derived`) is asked for in the same way, under the type's name.

Spec: own choice, docs/decisions/0021; MAT-20, MAT-60, MAT-70 (every question here is answered by an index).
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from typing import Any

from pymongo import DeleteMany, ReplaceOne, UpdateMany
from pymongo.asynchronous.database import AsyncDatabase

from app.store.driver import Document, Session, failures_told

# Collection -> the fields by which its facts are asked for, beside `_id`.
FACTS: Mapping[str, tuple[str, ...]] = {
    "person": ("members",),
    "match_edge": ("ends", "review"),
    "match_decision": ("ends",),
    "match_lock": (),
    "access_state": (),
    "match_frequency": (),
    "match_parameters": (),
}
# The same of what is derived from resources.
DERIVED: Mapping[str, tuple[str, ...]] = {
    "Patient": ("derived.keys", "index.identifier:own", "index.birthdate:family", "derived.replacedBy"),
    "Consent": ("derived.active",),
}


async def ensure_fact_indexes(database: Any) -> None:
    """Create the indexes of facts, and of what is derived from resources, where they are missing."""
    for collection, names in (*FACTS.items(), *DERIVED.items()):
        for name in names:
            await database[collection].create_index(name, name=name, sparse=True)


class Facts:
    """Reads and writes facts; within a transaction when there is a session."""

    def __init__(self, database: AsyncDatabase[Document], session: Session | None = None) -> None:
        self._database = database
        self._session = session

    def _telling(self) -> AbstractContextManager[None]:
        """Within a transaction the driver's failures stay as they are: who runs it must know which to try again."""
        return failures_told() if self._session is None else nullcontext()

    async def having(
        self, collection: str, field: str, values: Collection[Any], *, fields: Sequence[str] = (), limit: int = 0
    ) -> list[Document]:
        """Return the documents of `collection` that have one of `values` in `field`.

        Args:
            fields: what is read of each, beside its `_id`; empty for all.
            limit: at most so many; 0 for all.
        """
        if not values:
            return []
        asked = {field: {"$in": list(values)}}
        with self._telling():
            found = self._database[collection].find(
                asked,
                dict.fromkeys(fields, 1) or None,
                limit=limit,
                batch_size=limit + 1 if limit else 0,
                session=self._session,
            )
            return await found.to_list(None)

    async def count(self, collection: str, field: str, value: Any, limit: int) -> int:
        """Return how many documents have `value` in `field`, counted up to `limit`."""
        with self._telling():
            return await self._database[collection].count_documents(
                {field: value}, limit=limit, hint=field, session=self._session
            )

    async def estimate(self, collection: str) -> int:
        """Return about how many documents `collection` has."""
        with self._telling():
            return await self._database[collection].estimated_document_count()

    async def after(self, collection: str, last: str, limit: int, fields: Sequence[str] = ()) -> list[Document]:
        """Return the `limit` documents of `collection` that come behind the id `last`, in the order of their ids."""
        with self._telling():
            found = self._database[collection].find(
                {"_id": {"$gt": last}}, dict.fromkeys(fields, 1) or None, sort=[("_id", 1)], limit=limit
            )
            return await found.to_list(None)

    async def keep(self, collection: str, documents: Iterable[Document]) -> None:
        """Write `documents`, each in the place of the one that has its `_id`."""
        writes: list[Any] = [ReplaceOne({"_id": one["_id"]}, one, upsert=True) for one in documents]
        if writes:
            with self._telling():
                await self._database[collection].bulk_write(writes, session=self._session)

    async def amend(
        self,
        collection: str,
        field: str,
        value: Any,
        taken: Mapping[str, Sequence[Any]],
        added: Mapping[str, Sequence[Any]],
    ) -> None:
        """Change the lists of every document of `collection` that has `value` in `field`.

        Args:
            taken, added: field -> what its list loses, and what it gains where it has it not.
        """
        changes: list[Mapping[str, Any]] = [
            {"$pullAll": {name: list(items) for name, items in taken.items()}},
            {"$addToSet": {name: {"$each": list(items)} for name, items in added.items()}},
        ]
        with self._telling():
            await self._database[collection].bulk_write(
                [UpdateMany({field: value}, change) for change in changes], session=self._session
            )

    async def forget(self, collection: str, ids: Collection[str]) -> None:
        """Remove the documents of `collection` that have one of `ids`."""
        if ids:
            with self._telling():
                await self._database[collection].bulk_write(
                    [DeleteMany({"_id": {"$in": list(ids)}})], session=self._session
                )
