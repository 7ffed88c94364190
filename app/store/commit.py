"""One commit in its transaction: claims keys, owns documents, writes records and their history.

The collection of a type holds current versions only, `history` those before, `deleted` a line for each record that is
no more, `unique_key` who holds which key.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime

from pymongo import UpdateOne
from pymongo.asynchronous.database import AsyncDatabase
from pymongo.errors import BulkWriteError

from app.fhir.outcome import FhirError
from app.store.change import Change, Create, Delete, KeyTaken, Purge, Require, Update, VersionConflict
from app.store.content import CHUNK_BYTES, ContentStore
from app.store.driver import Document, Session
from app.store.record import Kept, Recording, history_key, kept, past, recorded, to_milliseconds
from app.store.writer import writer

_DUPLICATE_KEY = 11000

# A find that a change begins with needs all of a record but its terms.
_WITHOUT_INDEX = {"index": 0, "derived": 0}


@dataclass(frozen=True, slots=True)
class Commit:
    """What the steps of one commit share.

    Attributes:
        new: the records of the `Create` among `changes`, made once, although a transaction may be tried again.
    """

    database: AsyncDatabase[Document]
    content: ContentStore
    recording: Recording
    now: datetime
    changes: Sequence[Change]
    new: dict[int, Document]

    async def run(self, session: Session) -> tuple[Kept, ...]:
        """Carry out the changes in `session`; return what is kept, one for each change."""
        writes = [change for change in self.changes if isinstance(change, Create | Update)]
        await self.content.own((change.content for change in writes if change.content), session)
        await self._claim(writes, session)
        await self._insert_new(session)
        return tuple([await self._carry_out(at, change, session) for at, change in enumerate(self.changes)])

    async def _carry_out(self, at: int, change: Change, session: Session) -> Kept:
        if isinstance(change, Create):
            return kept(change.resource["resourceType"], change.resource["id"], self.new[at])
        if isinstance(change, Update):
            return await self._update(change, session)
        if isinstance(change, Delete):
            return await self._delete(change, session)
        if isinstance(change, Purge):
            return await self._purge(change, session)
        return await self._require(change, session)

    async def _claim(self, writes: Iterable[Create | Update], session: Session) -> None:
        """Write who holds the unique keys of `writes`; a key that its holder has already stays as it is."""
        claims = [claim for change in writes for claim in _claims(change)]
        if claims:
            with _taken("unique_key"):
                await self.database["unique_key"].bulk_write(claims, session=session)

    async def _insert_new(self, session: Session) -> None:
        by_type: defaultdict[str, list[Document]] = defaultdict(list)
        for at, made in self.new.items():
            change = self.changes[at]
            assert isinstance(change, Create)  # noqa: S101 - for the type checker
            by_type[change.resource["resourceType"]].append(made)
        for resource_type, records in by_type.items():
            await self._insert(resource_type, records, session)

    async def _insert(self, collection: str, records: Sequence[Document], session: Session) -> None:
        if not records:
            return
        with _taken(collection):
            await self.database[collection].insert_many(records, session=session)

    async def _update(self, change: Update, session: Session) -> Kept:
        resource_type, id = change.resource["resourceType"], change.resource["id"]  # noqa: A001 - FHIR's word
        records = self.database[resource_type]
        current = await records.find_one({"_id": id}, _WITHOUT_INDEX, session=session)
        version = current["version"] if current else 0
        required = current.get("required", 0) if current else 0
        if change.if_version not in (None, version) or change.if_required not in (None, required):
            raise VersionConflict(resource_type, id)
        if current is None:
            version = await self._revive(resource_type, id, session)
        made = recorded(self.recording, change, self.now, version + 1, current)
        if current is None:
            await self._insert(resource_type, [made], session)
        else:
            await self.database["history"].insert_one(past(resource_type, current), session=session)
            await records.replace_one({"_id": id}, made, session=session)
        return kept(resource_type, id, made)

    async def _revive(self, resource_type: str, id: str, session: Session) -> int:  # noqa: A002
        """Return the version that a record was deleted with, 0 when there never was one; it is deleted no more."""
        key = {"_id": f"{resource_type}/{id}"}
        tombstone = await self.database["deleted"].find_one_and_delete(key, session=session)
        return tombstone["version"] if tombstone else 0

    async def _delete(self, change: Delete, session: Session) -> Kept:
        name = f"{change.resource_type}/{change.id}"
        records, history = self.database[change.resource_type], self.database["history"]
        current = await records.find_one_and_delete({"_id": change.id}, _WITHOUT_INDEX, session=session)
        if current is None:
            return await self._already_deleted(change, session)
        version, updated = current["version"] + 1, max(to_milliseconds(self.now), current["updated"])
        tombstone = {"version": version, "updated": updated, "json": b"", "deleted": True}
        if by := writer():
            tombstone["by"] = by
        key = history_key(change.resource_type, change.id, version)
        await history.insert_many([past(change.resource_type, current), {"_id": key, **tombstone}], session=session)
        await self.database["deleted"].insert_one({"_id": name, **tombstone}, session=session)
        await self._release(name, session)
        return kept(change.resource_type, change.id, tombstone)

    async def _purge(self, change: Purge, session: Session) -> Kept:
        """Delete the record, then its versions; its documents are doomed, and the next sweep takes them."""
        name, history = f"{change.resource_type}/{change.id}", self.database["history"]
        tombstone = await self._delete(Delete(change.resource_type, change.id), session)
        versions = {"_id": {"$regex": f"^{re.escape(name)}/"}, "deleted": None}
        sizes = {"content.id": 1, "content.size": 1}
        held = [
            one["content"]
            for one in await history.find(versions, sizes, session=session).to_list(None)
            if one.get("content")
        ]
        await self.content.doom({one["id"] for one in held if one["size"] > CHUNK_BYTES}, session)
        await history.delete_many(versions, session=session)
        await self.database["deleted"].update_one({"_id": name}, {"$set": {"purged": True}}, session=session)
        return tombstone

    async def _release(self, name: str, session: Session) -> None:
        """Free the keys of a record; a shared one is free when its last holder goes."""
        keys = self.database["unique_key"]
        await keys.delete_many({"holder": name}, session=session)
        await keys.delete_many({"holders": [name]}, session=session)
        await keys.update_many({"holders": name}, {"$pull": {"holders": name}}, session=session)

    async def _already_deleted(self, change: Delete, session: Session) -> Kept:
        name = f"{change.resource_type}/{change.id}"
        tombstone = await self.database["deleted"].find_one({"_id": name}, session=session)
        if tombstone is None:
            raise FhirError("not-found", f"There is no {name}.")
        return kept(change.resource_type, change.id, tombstone)

    async def _require(self, change: Require, session: Session) -> Kept:
        """Write to the record, so that whoever changes it meanwhile is met: a read alone would not be noticed."""
        found = await self.database[change.resource_type].find_one_and_update(
            {"_id": change.id, "version": change.version},
            {"$inc": {"required": 1}},
            _WITHOUT_INDEX,
            session=session,
        )
        if found is None:
            raise VersionConflict(change.resource_type, change.id)
        return kept(change.resource_type, change.id, found)


def _claims(change: Create | Update) -> Iterator[UpdateOne]:
    """Yield the writes by which `change` holds its keys: each finds the key so held already, or makes it.

    When another record holds the key, or means something else by it, the write makes it a second time, which fails.
    All are of one kind, so that they are one message to the database.
    """
    name = f"{change.resource['resourceType']}/{change.resource['id']}"
    for key in change.unique:
        yield UpdateOne({"_id": key, "holder": name}, {"$set": {"holder": name}}, upsert=True)
    for key, meaning in change.shared if isinstance(change, Create) else ():
        yield UpdateOne({"_id": key, "meaning": meaning}, {"$addToSet": {"holders": name}}, upsert=True)


@contextmanager
def _taken(collection: str) -> Iterator[None]:
    """Turn what the driver raises for a key that is there already into KeyTaken."""
    try:
        yield
    except BulkWriteError as error:
        failed = (error.details or {}).get("writeErrors", [{}])[0]
        if failed.get("code") != _DUPLICATE_KEY:
            raise
        key = str(failed["keyValue"]["_id"])
        raise KeyTaken(key if collection == "unique_key" else f"{collection}/{key}") from error


def new_records(recording: Recording, changes: Sequence[Change], now: datetime) -> dict[int, Document]:
    """Return the records of the `Create` among `changes`, by their place."""
    return {at: recorded(recording, change, now) for at, change in enumerate(changes) if isinstance(change, Create)}
