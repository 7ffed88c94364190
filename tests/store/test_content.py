"""Document content: architecture 11, mhd.md section 21 item 1."""

from __future__ import annotations

import hashlib
import random
from collections.abc import AsyncIterator
from datetime import timedelta

import pytest

from app.fhir.outcome import FhirError
from app.store.content import CHUNK_BYTES, ContentInfo, ContentStore
from app.store.driver import Connection

MB = 1024 * 1024
SIZES = (0, 1, MB - 1, MB, MB + 1, 3 * MB, 20 * MB)

LONG_AGO = timedelta(hours=1)
NOW = timedelta(0)


def document(size: int) -> bytes:
    return random.Random(size).randbytes(size)


async def pieces(data: bytes, size: int = 65_536) -> AsyncIterator[bytes]:
    for start in range(0, len(data), size):
        yield data[start : start + size]


async def torn(data: bytes) -> AsyncIterator[bytes]:
    async for piece in pieces(data):
        yield piece
    raise ConnectionError("the client is gone")


async def whole(chunks: AsyncIterator[bytes]) -> bytes:
    return b"".join([chunk async for chunk in chunks])


async def records(database: Connection) -> dict[str, int]:
    names = ("content_chunk", "staged_content")
    return {name: await database.database[name].count_documents({}) for name in names}


@pytest.fixture
def content(database: Connection) -> ContentStore:
    return ContentStore(database)


@pytest.mark.parametrize("size", SIZES)
async def test_what_was_staged_comes_back(content: ContentStore, size: int) -> None:
    """A document comes back byte for byte, with its size and SHA-1."""
    data = document(size)
    staged = await content.stage(pieces(data))
    assert (staged.size, staged.sha1) == (size, hashlib.sha1(data).digest())
    assert await whole(content.open(staged)) == data


@pytest.mark.parametrize(("size", "chunks"), [(0, 0), (MB, 0), (MB + 1, 2), (3 * MB, 3)])
async def test_up_to_one_megabyte_lies_in_the_record(
    content: ContentStore, database: Connection, size: int, chunks: int
) -> None:
    """Architecture 11: inline up to 1 MB, chunk records of 1 MB above."""
    staged = await content.stage(pieces(document(size)))
    assert (staged.data is None) == (size > CHUNK_BYTES)
    assert (await records(database))["content_chunk"] == chunks


@pytest.mark.parametrize("size", [700, 5 * MB + 17])
@pytest.mark.parametrize(
    "span", [(0, 1), (1, 1), (0, None), (650, None), (MB - 1, MB + 1), (MB, 2 * MB), (4 * MB, 10**9)]
)
async def test_range(content: ContentStore, size: int, span: tuple[int, int | None]) -> None:
    """HTTP Range on documents of any size."""
    data = document(size)
    staged = await content.stage(pieces(data))
    assert await whole(content.open(staged, *span)) == data[span[0] : span[1]]


async def test_one_piece_of_any_size(content: ContentStore) -> None:
    """Architecture 11: the sender's pieces need not be the store's chunks."""
    data = document(5 * MB + 3)
    staged = await content.stage(pieces(data, size=len(data)))
    assert await whole(content.open(staged)) == data


async def test_reader_that_leaves_early(content: ContentStore) -> None:
    """Architecture 11: a client that closes the connection leaves nothing behind that fails."""
    staged = await content.stage(pieces(document(5 * MB)))
    chunks = content.open(staged)
    async for chunk in chunks:
        assert chunk
        break
    await chunks.aclose()  # type: ignore[attr-defined]
    assert len(await whole(content.open(staged))) == 5 * MB


async def test_missing_chunk_is_never_silent(content: ContentStore, database: Connection) -> None:
    """MHD-68: a document is whole or an error, never shorter."""
    staged = await content.stage(pieces(document(4 * MB)))
    await database.database["content_chunk"].delete_one({"_id": {"content": staged.id, "n": 2}})
    with pytest.raises(FhirError, match="missing"):
        await whole(content.open(staged))


async def test_sweep_removes_what_nobody_committed(content: ContentStore, database: Connection) -> None:
    """Section 21 item 1: staged documents that no record refers to are swept."""
    await content.stage(pieces(document(2 * MB + 1)))
    await content.stage(pieces(document(5)))
    assert await content.sweep(LONG_AGO) == 0
    assert await records(database) == {"content_chunk": 3, "staged_content": 1}
    assert await content.sweep(NOW) == 1
    assert await records(database) == {"content_chunk": 0, "staged_content": 0}


async def test_discard(content: ContentStore, database: Connection) -> None:
    """Section 21 item 1: staged documents are removed when the submission fails; others stay."""
    refused = await content.stage(pieces(document(2 * MB)))
    other = await content.stage(pieces(document(3 * MB)))
    await content.discard(refused)
    assert await records(database) == {"content_chunk": 3, "staged_content": 1}
    assert len(await whole(content.open(other))) == 3 * MB


async def test_upload_that_breaks_off_is_swept_at_once(content: ContentStore, database: Connection) -> None:
    """Section 21 item 1: what a broken connection left behind is removed by the next sweep, however young it is."""
    with pytest.raises(ConnectionError):
        await content.stage(torn(document(3 * MB)))
    await content.sweep(LONG_AGO)
    assert await records(database) == {"content_chunk": 0, "staged_content": 0}


@pytest.mark.parametrize("size", [5, 3 * MB + 1])
async def test_upload_that_is_refused_leaves_nothing(content: ContentStore, database: Connection, size: int) -> None:
    """MHD-65-20: a body that is too large or not base64 leaves every collection as it was, at once."""

    async def refused() -> AsyncIterator[bytes]:
        async for piece in pieces(document(size)):
            yield piece
        raise FhirError("too-long", "The body is too large.")

    with pytest.raises(FhirError, match="too large"):
        await content.stage(refused())
    assert await records(database) == {"content_chunk": 0, "staged_content": 0}


async def test_upload_that_was_swept_while_it_arrived_fails(content: ContentStore, database: Connection) -> None:
    """Section 21 item 1: a document that was given up is refused, not stored with a hole."""

    async def slow() -> AsyncIterator[bytes]:
        for _ in range(40):
            yield b"x" * MB
            await content.sweep(NOW)

    with pytest.raises(FhirError, match="given up"):
        await content.stage(slow())
    await content.sweep(LONG_AGO)
    assert await records(database) == {"content_chunk": 0, "staged_content": 0}


async def test_two_documents_do_not_mix(content: ContentStore) -> None:
    """Architecture 11: chunks belong to one document."""
    first, second = document(2 * MB), document(3 * MB)
    staged: list[ContentInfo] = [await content.stage(pieces(data)) for data in (first, second)]
    assert [await whole(content.open(each)) for each in staged] == [first, second]
