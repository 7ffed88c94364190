"""The content of documents, which may be larger than one record of MongoDB.

Up to `CHUNK_BYTES` a document's bytes lie in the record of its Binary. Above that they are chunk records, written
before the commit that refers to them: an orphan is harmless, a dangling reference is not. Until then a marker in
`staged_content` says that nobody owns them. The commit removes the marker in its own transaction; `sweep` first dooms
the marker, and only then deletes chunks. Both write the same record, so that one of them loses, however long either
takes: what a record refers to is never swept, and what was swept is never committed.
"""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import AsyncIterator, Iterable
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from bson import ObjectId

from app.fhir.outcome import FhirError
from app.store.driver import Connection, Document, Session, failures_told

CHUNK_BYTES = 1024 * 1024

# How many chunks are read at once; as many more are on their way meanwhile.
_READ_CHUNKS = 2

# After how many chunks a document that still arrives says that it is not abandoned.
_TOUCH_CHUNKS = 32

SWEPT = "The document took so long to arrive that it was given up. Send it again."


@dataclass(frozen=True, slots=True)
class ContentInfo:
    """The document of a kept Binary.

    Attributes:
        id: names its chunks.
        size: bytes.
        sha1: digest, 20 bytes.
        data: the bytes when they lie in the record, else None.
    """

    id: str
    size: int
    sha1: bytes
    data: bytes | None


@dataclass(frozen=True, slots=True)
class StagedContent(ContentInfo):
    """A document that no record refers to yet."""


class ContentStore:
    """Stages, opens and removes the content of documents."""

    def __init__(self, connection: Connection) -> None:
        self._chunks = connection.database["content_chunk"]
        self._staged = connection.database["staged_content"]

    async def stage(self, chunks: AsyncIterator[bytes]) -> StagedContent:
        """Write the document that `chunks` yields, in constant memory.

        Returns:
            what a `Create` or `Update` takes to own it.
        """
        upload = _Upload(self._chunks, self._staged)
        digest, size, held = hashlib.sha1(usedforsecurity=False), 0, bytearray()
        try:
            async for piece in chunks:
                digest.update(piece)
                size += len(piece)
                held += piece
                while len(held) > CHUNK_BYTES:
                    await upload.write(bytes(held[:CHUNK_BYTES]))
                    del held[:CHUNK_BYTES]
            if size <= CHUNK_BYTES:
                return StagedContent(upload.id, size, digest.digest(), bytes(held))
            await upload.write(bytes(held))
            await upload.settle()
        except FhirError:  # the document is at fault, and there is time to leave nothing of it behind
            await upload.settle()
            await self._discard(upload.id)
            raise
        except BaseException:
            await upload.give_up()
            raise
        return StagedContent(upload.id, size, digest.digest(), None)

    async def open(self, content: ContentInfo, start: int = 0, end: int | None = None) -> AsyncIterator[bytes]:
        """Return the bytes of `content` from `start` up to, not including, `end`; None is the end of the document."""
        end = content.size if end is None else min(end, content.size)
        if content.data is not None:
            yield content.data[start:end]
            return
        position = start
        async for chunk in self._read(content.id, start // CHUNK_BYTES, -(-end // CHUNK_BYTES)):
            offset = position % CHUNK_BYTES
            part = chunk[offset : offset + end - position]
            position += len(part)
            yield part

    async def discard(self, staged: ContentInfo) -> None:
        """Remove what was staged and will not be committed."""
        if staged.data is None:
            await self._discard(staged.id)

    async def sweep(self, older_than: timedelta) -> int:
        """Remove staged content that nobody committed within `older_than`; return how many documents that were.

        The age counts from the last 32 MB that arrived, by the clock of the database.
        """
        age_ms = older_than // timedelta(milliseconds=1)
        abandoned = {"$expr": {"$lte": ["$staged", {"$subtract": ["$$NOW", age_ms]}]}}
        removed = 0
        with failures_told():
            await self._staged.update_many(abandoned, {"$set": {"doomed": True}})
            async for marker in self._staged.find({"doomed": True}):
                await self._remove(marker["_id"])
                removed += 1
        return removed

    async def own(self, contents: Iterable[StagedContent], session: Session) -> None:
        """Take the markers of `contents` away, in the transaction of the commit that refers to them.

        Raises:
            FhirError: `transient` (503) when one was swept.
        """
        ids = [content.id for content in contents if content.data is None]
        if not ids:
            return
        owned = await self._staged.delete_many({"_id": {"$in": ids}, "doomed": None}, session=session)
        if owned.deleted_count < len(ids):
            raise FhirError("transient", SWEPT)

    async def doom(self, ids: Iterable[str], session: Session) -> None:
        """Give documents whose records end with the transaction of `session` to the next sweep."""
        for id in ids:  # noqa: A001
            await self._staged.update_one({"_id": id}, {"$set": {"doomed": True}}, upsert=True, session=session)

    async def _read(self, id: str, first: int, last: int) -> AsyncIterator[bytes]:  # noqa: A002
        """Yield the chunks `first` up to, not including, `last`; no cursor stays open while a slow client reads."""
        ahead = asyncio.ensure_future(self._read_some(id, first, last))
        try:
            for start in range(first, last, _READ_CHUNKS):
                records = await ahead
                ahead = asyncio.ensure_future(self._read_some(id, start + _READ_CHUNKS, last))
                for record in records:
                    yield record["data"]
        finally:
            ahead.cancel()

    async def _read_some(self, id: str, first: int, last: int) -> list[Document]:  # noqa: A002
        last = min(first + _READ_CHUNKS, last)
        if first >= last:
            return []
        with failures_told():
            found = await self._chunks.find(_numbered(id, first, last)).sort("_id").to_list(None)
        if len(found) < last - first:
            raise FhirError("exception", "A part of the document is missing in the database.")
        return found

    async def _discard(self, id: str) -> None:  # noqa: A002
        with failures_told():
            await self._staged.update_one({"_id": id}, {"$set": {"doomed": True}})
            await self._remove(id)

    async def _remove(self, id: str) -> None:  # noqa: A002
        await self._chunks.delete_many(_numbered(id, 0, 2**31))
        await self._staged.delete_one({"_id": id})


class _Upload:
    """A document on its way into the store: one chunk is written while the next one arrives."""

    def __init__(self, chunks: Any, staged: Any) -> None:
        self.id = str(ObjectId())
        self._chunks, self._staged = chunks, staged
        self._count = 0
        self._writing: asyncio.Future[Any] | None = None

    async def write(self, data: bytes) -> None:
        """Begin to write the next chunk, once the one before is kept."""
        await self.settle()
        with failures_told():
            if self._count % _TOUCH_CHUNKS == 0:
                await self._touch()
        record = {"_id": {"content": self.id, "n": self._count}, "data": data}
        self._writing = asyncio.ensure_future(self._chunks.insert_one(record))
        self._count += 1

    async def settle(self) -> None:
        """Return when the chunk that is being written is kept."""
        if self._writing:
            with failures_told():
                await self._writing

    async def give_up(self) -> None:
        """Hand what was written to the next sweep."""
        if self._writing:
            self._writing.cancel()
        if self._count:
            with failures_told():
                await self._staged.update_one({"_id": self.id}, {"$set": {"doomed": True}}, upsert=True)

    async def _touch(self) -> None:
        now = {"$currentDate": {"staged": True}}
        found = await self._staged.update_one({"_id": self.id, "doomed": None}, now, upsert=self._count == 0)
        if self._count and not found.matched_count:
            raise FhirError("transient", SWEPT)


def content_record(content: ContentInfo) -> Document:
    """Return what a record holds of its `content`."""
    held: Document = {"id": content.id, "size": content.size, "sha1": content.sha1}
    return held if content.data is None else {**held, "data": content.data}


def content_of(record: Document) -> ContentInfo | None:
    """Return the content that `record` holds or refers to."""
    held = record.get("content")
    return ContentInfo(held["id"], held["size"], held["sha1"], held.get("data")) if held else None


def _numbered(id: str, first: int, last: int) -> Document:  # noqa: A002
    """Return the filter for the chunks `first` up to, not including, `last`."""
    return {"_id": {"$gte": {"content": id, "n": first}, "$lt": {"content": id, "n": last}}}
