"""ITI-68 Retrieve Document in parts, 2:3.68: Range, If-Range, Accept-Ranges, as RFC 9110 says."""

from __future__ import annotations

import email
import random
from email.message import Message

import httpx
import pytest

from app.store.content import CHUNK_BYTES
from app.store.driver import Connection
from tests.mhd.conftest import Publish, issue, locations
from tests.submissions import submission

PDF = "application/pdf"
LETTERS = bytes(range(65, 91))  # A to Z
LARGE = random.Random(68).randbytes(3 * CHUNK_BYTES + 77)


@pytest.fixture
async def url(publish: Publish) -> str:
    """Where a document of 26 bytes lies."""
    return locations(await publish(submission(LETTERS, content_type=PDF)))[2]


@pytest.fixture
async def large(publish: Publish) -> str:
    """Where a document of four chunks lies."""
    return locations(await publish(submission(LARGE, content_type=PDF)))[2]


def bodies(response: httpx.Response) -> list[tuple[str, str, bytes]]:
    """Return the parts of a multipart answer: Content-Type, Content-Range, bytes."""
    head = f"Content-Type: {response.headers['content-type']}\r\n\r\n".encode()
    message: Message = email.message_from_bytes(head + response.content)
    assert message.is_multipart()
    found = []
    for part in message.walk():
        if part is not message:
            content = part.get_payload(decode=True)
            assert isinstance(content, bytes)
            found.append((part["content-type"], part["content-range"], content))
    return found


ONE_PART = [
    ("bytes=0-4", b"ABCDE", "bytes 0-4/26"),
    ("bytes=20-", b"UVWXYZ", "bytes 20-25/26"),
    ("bytes=-3", b"XYZ", "bytes 23-25/26"),
    ("bytes=-99", LETTERS, "bytes 0-25/26"),
    ("bytes=24-99", b"YZ", "bytes 24-25/26"),
    ("bytes=25-25", b"Z", "bytes 25-25/26"),
    ("BYTES = 1-2", b"BC", "bytes 1-2/26"),
    ("bytes=0-3,2-5", b"ABCDEF", "bytes 0-5/26"),
    ("bytes=30-40, 0-0", b"A", "bytes 0-0/26"),
]


@pytest.mark.parametrize(("asked", "content", "content_range"), ONE_PART)
async def test_one_part(client: httpx.AsyncClient, url: str, asked: str, content: bytes, content_range: str) -> None:
    """MHD-68-16: 206 with the part, where it lies, and the headers of the whole document."""
    response = await client.get(url, headers={"range": asked})

    assert (response.status_code, response.content) == (206, content)
    assert response.headers["content-range"] == content_range
    assert response.headers["content-length"] == str(len(content))
    assert response.headers["content-type"] == PDF
    assert response.headers["etag"] == '"1.document"'
    assert response.headers["x-content-type-options"] == "nosniff"


async def test_several_parts(client: httpx.AsyncClient, url: str) -> None:
    """MHD-68-16: several parts come as multipart/byteranges, in the order asked for, with a true length."""
    response = await client.get(url, headers={"range": "bytes=20-21,0-2,-1"})

    assert response.status_code == 206
    assert response.headers["content-type"].startswith("multipart/byteranges; boundary=")
    assert "content-range" not in response.headers
    assert int(response.headers["content-length"]) == len(response.content)
    assert bodies(response) == [
        (PDF, "bytes 20-21/26", b"UV"),
        (PDF, "bytes 0-2/26", b"ABC"),
        (PDF, "bytes 25-25/26", b"Z"),
    ]


@pytest.mark.parametrize("asked", ["bytes=26-", "bytes=99-100,50-", "bytes=-0"])
async def test_no_such_part(client: httpx.AsyncClient, url: str, asked: str) -> None:
    """MHD-68-16, MHD-68-14: 416, the size, and an explanation."""
    response = await client.get(url, headers={"range": asked})

    assert (response.status_code, response.headers["content-range"]) == (416, "bytes */26")
    assert "26 bytes" in issue(response)["diagnostics"]


@pytest.mark.parametrize(
    "asked",
    [
        "lines=1-2",
        "bytes=5-2",
        "bytes=a-b",
        "bytes=-",
        "bytes=",
        "0-3",
        "bytes=" + ",".join(["0-0"] * 33),
        "bytes=1-2;3",
    ],
)
async def test_what_is_no_range_is_ignored(client: httpx.AsyncClient, url: str, asked: str) -> None:
    """RFC 9110, 14.2: another unit, a malformed value and too many parts get the whole document."""
    response = await client.get(url, headers={"range": asked})

    assert (response.status_code, response.content) == (200, LETTERS)


async def test_parts_are_advertised(client: httpx.AsyncClient, url: str) -> None:
    """MHD-68-16, MHD-68-17: GET and HEAD say that parts may be asked for; HEAD itself is about the whole."""
    for response in (await client.get(url), await client.head(url, headers={"range": "bytes=0-3"})):
        assert response.status_code == 200
        assert response.headers["accept-ranges"] == "bytes"
        assert response.headers["content-length"] == "26"


@pytest.mark.parametrize(
    ("condition", "status"),
    [
        ('"1.document"', 206),
        ('"2.document"', 200),
        ('"1"', 200),
        ('W/"1.document"', 200),  # a weak ETag does not say that the bytes are the same
        ("Mon, 01 Jan 2001 00:00:00 GMT", 200),
        ("last-modified", 206),
    ],
)
async def test_if_range(client: httpx.AsyncClient, url: str, condition: str, status: int) -> None:
    """MHD-68-16, RFC 9110, 13.1.5: a part when the document is still the one; else all of it."""
    if condition == "last-modified":
        condition = (await client.get(url)).headers["last-modified"]

    response = await client.get(url, headers={"range": "bytes=0-1", "if-range": condition})

    assert response.status_code == status
    assert response.content == (b"AB" if status == 206 else LETTERS)


async def test_a_known_document_is_not_sent_in_parts(client: httpx.AsyncClient, url: str) -> None:
    """RFC 9110, 13.2.2: If-None-Match comes before Range; compared weakly."""
    for tag in ('"1.document"', 'W/"1.document"', '"9", "1.document"', "*"):
        response = await client.get(url, headers={"range": "bytes=0-1", "if-none-match": tag})
        assert (response.status_code, response.content) == (304, b"")


async def test_the_binary_resource_comes_whole(client: httpx.AsyncClient, url: str) -> None:
    """MHD-68-04: parts are those of the document, not of the resource that wraps it."""
    response = await client.get(f"{url}?_format=json", headers={"range": "bytes=0-1"})

    assert response.status_code == 200
    assert response.json()["resourceType"] == "Binary"
    assert "accept-ranges" not in response.headers


@pytest.mark.parametrize(
    ("start", "end"),
    [
        (0, 10),
        (CHUNK_BYTES - 1, CHUNK_BYTES + 1),
        (CHUNK_BYTES, 2 * CHUNK_BYTES),
        (CHUNK_BYTES + 5, 3 * CHUNK_BYTES + 5),
        (3 * CHUNK_BYTES, len(LARGE)),
    ],
)
async def test_parts_across_chunks(client: httpx.AsyncClient, large: str, start: int, end: int) -> None:
    """MHD-68-16: parts begin and end anywhere in a document that lies in several records."""
    response = await client.get(large, headers={"range": f"bytes={start}-{end - 1}"})

    assert response.status_code == 206
    assert response.content == LARGE[start:end]


async def test_only_the_chunks_of_a_part_are_read(client: httpx.AsyncClient, large: str, database: Connection) -> None:
    """MHD-68-16: a part is served although another chunk of the document is not to be had."""
    await database.database["content_chunk"].delete_many({"_id.n": {"$in": [0, 1]}})

    response = await client.get(large, headers={"range": f"bytes={2 * CHUNK_BYTES}-"})

    assert response.content == LARGE[2 * CHUNK_BYTES :]


async def test_a_download_in_pieces(client: httpx.AsyncClient, large: str) -> None:
    """MHD-68-01, MHD-68-16: what is fetched piece by piece, each on the condition of the first, is the document."""
    first = await client.get(large, headers={"range": "bytes=0-99999"})
    received = first.content
    while len(received) < len(LARGE):
        condition = {"range": f"bytes={len(received)}-{len(received) + 999_999}", "if-range": first.headers["etag"]}
        piece = await client.get(large, headers=condition)
        assert piece.status_code == 206
        received += piece.content

    assert received == LARGE
