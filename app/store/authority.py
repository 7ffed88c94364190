"""What the authorization server keeps: clients, users, keys, and what is good for one use or for a while.

Codes, assertions and tokens are kept under digests, never as they are, and forgotten by the database when they mean
nothing any more. What may happen once only is decided by one write on one document, so that it holds across workers.

Spec: IUA-58, IUA-67, IUA-70; EHDS-13.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from datetime import datetime, timedelta

from pymongo import ReturnDocument
from pymongo.asynchronous.database import AsyncDatabase
from pymongo.errors import DuplicateKeyError

from app.store.driver import Document, failures_told

CLIENTS, USERS, KEYS = "oauth_client", "oauth_user", "oauth_key"
CODES, REFRESH, TOKENS = "oauth_code", "oauth_refresh", "oauth_token"
ASSERTIONS, REVOKED, FAILURES = "oauth_assertion", "oauth_revoked", "oauth_failure"

# Documents with a time in `forget` are removed some time after it; until then each reader compares for itself.
PASSING = (CODES, REFRESH, TOKENS, ASSERTIONS, REVOKED, FAILURES, KEYS)


class AuthorityStore:
    """Reads and writes what the authorization server keeps; stateless, so that workers may share a database."""

    def __init__(self, database: AsyncDatabase[Document]) -> None:
        self._database = database

    async def ensure(self) -> None:
        """Create the collections and indexes that are missing.

        Raises:
            FhirError: the database cannot be used, and why.
        """
        with failures_told():
            for name in PASSING:
                await self._database[name].create_index("forget", name="forget", expireAfterSeconds=0)

    async def one(self, collection: str, name: str) -> Document | None:
        """Return the document `name`; None when there is none."""
        with failures_told():
            return await self._database[collection].find_one({"_id": name})

    async def all(self, collection: str, condition: Mapping[str, object] | None = None) -> list[Document]:
        """Return the documents whose fields equal those of `condition`, in the order of their names."""
        with failures_told():
            return await self._database[collection].find(dict(condition or {}), sort=[("_id", 1)]).to_list(None)

    async def names(self, collection: str, among: Collection[str]) -> set[str]:
        """Return those of `among` that name a document."""
        asked = {"_id": {"$in": list(among)}}
        with failures_told():
            return {one["_id"] for one in await self._database[collection].find(asked, {"_id": 1}).to_list(None)}

    async def keep(self, collection: str, document: Document) -> None:
        """Write `document` in the place of the one that has its `_id`."""
        with failures_told():
            await self._database[collection].replace_one({"_id": document["_id"]}, document, upsert=True)

    async def add(self, collection: str, document: Document) -> bool:
        """Write a new document; return False when its `_id` is taken: of many at once, one gets True."""
        with failures_told():
            try:
                await self._database[collection].insert_one(document)
            except DuplicateKeyError:
                return False
        return True

    async def use(self, collection: str, name: str, now: datetime) -> tuple[Document | None, bool]:
        """Use up the document `name`; return it, and whether this was its first use: of many at once, one is first."""
        with failures_told():
            found = await self._database[collection].find_one_and_update(
                {"_id": name, "used": None}, {"$set": {"used": now}}, return_document=ReturnDocument.AFTER
            )
            return (found, True) if found else (await self.one(collection, name), False)

    async def remove(self, collection: str, name: str) -> bool:
        """Remove the document `name`; return whether it was there."""
        with failures_told():
            return bool((await self._database[collection].delete_one({"_id": name})).deleted_count)

    async def failed(self, name: str, now: datetime, window: timedelta) -> None:
        """Remember that `name` failed to show who it is."""
        update: Document = {"$push": {"at": {"$each": [now], "$slice": -100}}, "$set": {"forget": now + window}}
        with failures_told():
            await self._database[FAILURES].update_one({"_id": name}, update, upsert=True)

    async def failures(self, name: str, since: datetime) -> int:
        """Return how often `name` failed after `since`."""
        found = await self.one(FAILURES, name)
        return sum(1 for at in found["at"] if at > since) if found else 0
