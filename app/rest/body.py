"""The body of a request: read as it arrives, counted, refused when it is larger than this server takes."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass

from starlette.requests import ClientDisconnect, Request

from app.fhir.outcome import FhirError

# The Document Sharing code for "no room for this submission": MHD error table, ITI TF-2:3.65.4.1.3.
OUT_OF_RESOURCES = "XDSRepositoryOutOfResources"


@dataclass(frozen=True, slots=True)
class Limits:
    """How much this server takes, in bytes.

    Attributes:
        body_bytes: of a whole body.
        resource_bytes: of what is parsed: a body without the documents that were taken out of it.
    """

    body_bytes: int
    resource_bytes: int


class Arriving:
    """A body that is arriving, and the window of its bytes about which nothing is decided yet."""

    def __init__(self, chunks: AsyncIterator[bytes], limits: Limits) -> None:
        self.window = bytearray()
        self._chunks = chunks
        self._limit = limits.body_bytes
        self._size = 0

    async def more(self) -> bool:
        """Lengthen the window by what arrived next; return False at the end of the body.

        Raises:
            FhirError: `too-long` (413); `structure` (400) when the client went away before the end.
        """
        try:
            chunk = await anext(self._chunks, b"")
        except ClientDisconnect:
            raise FhirError("structure", "The request ended before its body was complete.") from None
        self._size += len(chunk)
        if self._size > self._limit:
            raise too_long(self._limit)
        self.window += chunk
        return bool(chunk)

    async def until(self, size: int) -> bool:
        """Lengthen the window to more than `size` bytes; return False when the body ends before that."""
        while len(self.window) <= size:
            if not await self.more():
                return False
        return True

    def take(self, size: int) -> bytes:
        """Return the first `size` bytes of the window, which begins after them now."""
        taken = bytes(self.window[:size])
        del self.window[:size]
        return taken


def arriving(http: Request, limits: Limits) -> Arriving:
    """Return the body of `http`, of which nothing has been read yet.

    Raises:
        FhirError: `too-long` (413) when its `Content-Length` says so.
    """
    declared = http.headers.get("content-length", "")
    if declared.isdecimal() and int(declared) > limits.body_bytes:
        raise too_long(limits.body_bytes)
    return Arriving(_filled(http.stream()), limits)


async def read_all(body: Arriving, limit: int) -> bytes:
    """Return the rest of a body of at most `limit` bytes.

    Raises:
        FhirError: `too-long` (413).
    """
    if await body.until(limit):
        raise too_long(limit)
    return body.take(len(body.window))


def too_long(limit: int, measured: str = "The request body") -> FhirError:
    """Return the refusal of a body that is larger than `limit` bytes."""
    text = f"{measured} is larger than the {limit} bytes that this server takes."
    return FhirError("too-long", text, details=OUT_OF_RESOURCES)


async def _filled(chunks: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
    """Return `chunks` without the empty ones, since an empty one stands for the end."""
    async for chunk in chunks:
        if chunk:
            yield chunk
