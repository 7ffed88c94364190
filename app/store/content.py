"""The content of documents, which may be larger than one record of MongoDB.

Up to `INLINE_BYTES` a document's bytes lie in the record of its Binary. Above that they are chunk records of
`CHUNK_BYTES`, written before the commit that refers to them: an orphan is harmless, a dangling reference is not.
Until then a marker in `staged_content` says that nobody owns them. The commit removes the marker in its own
transaction; `sweep` first claims the marker, and only then deletes chunks. Both write the same record, so that one of
them loses, however long the commit takes: what a record refers to is never swept.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import timedelta

from app.store.driver import Connection

INLINE_BYTES = 1024 * 1024
CHUNK_BYTES = 1024 * 1024


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
        raise NotImplementedError

    async def stage(self, chunks: AsyncIterator[bytes]) -> StagedContent:
        """Write the document that `chunks` yields, in constant memory.

        Returns:
            what a `Create` or `Update` takes to own it.
        """
        raise NotImplementedError

    def open(self, content: ContentInfo, start: int = 0, end: int | None = None) -> AsyncIterator[bytes]:
        """Return the bytes of `content` from `start` up to, not including, `end`."""
        raise NotImplementedError

    async def discard(self, staged: ContentInfo) -> None:
        """Remove what was staged and will not be committed."""
        raise NotImplementedError

    async def sweep(self, older_than: timedelta) -> int:
        """Remove staged content that nobody committed within `older_than`; return how many documents that were."""
        raise NotImplementedError
