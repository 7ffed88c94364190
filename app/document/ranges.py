"""Parts of a document: what `Range` asks for, and how one part or several are sent.

Only the chunks that hold the parts are read. Documents never change, so that a part always fits those fetched before.

Spec: RFC 9110, 13.1.5 (If-Range), 14 (Range), 15.3.7 (206), 15.5.17 (416); MHD-68-16.
"""

from __future__ import annotations

import re
from collections.abc import AsyncIterator, Callable, Mapping
from dataclasses import dataclass

from app.fhir.outcome import FhirError
from app.transaction import Content

# Who asks for more parts gets the document as a whole. Own choice, as RFC 9110, 14.2 advises.
MOST_PARTS = 32

_SPEC = re.compile(r"(?P<first>[0-9]{0,18})-(?P<last>[0-9]{0,18})")

# (start, end) -> the bytes of the document from `start` up to, not including, `end`.
Open = Callable[[int, int], AsyncIterator[bytes]]


@dataclass(frozen=True, slots=True)
class Part:
    """The bytes of a document from `start` up to, not including, `end`."""

    start: int
    end: int

    def content_range(self, size: int) -> str:
        """Return the value of `Content-Range` in a document of `size` bytes."""
        return f"bytes {self.start}-{self.end - 1}/{size}"


def asked_parts(method: str, headers: Mapping[str, str], validators: Mapping[str, str], size: int) -> tuple[Part, ...]:
    """Return the parts that a request asks for; none when the whole document is to be sent.

    Args:
        headers: of the request, names in lower case.
        validators: `ETag` and `Last-Modified` of the document.

    Raises:
        FhirError: `invalid` (416) when the document has none of the parts.
    """
    text = headers.get("range", "")
    if method != "GET" or not text or not _holds(headers.get("if-range"), validators):
        return ()
    return parts_of(text, size)


def _holds(condition: str | None, validators: Mapping[str, str]) -> bool:
    """Tell whether the document is still the one that the client has a part of; a weak ETag does not say so."""
    return condition is None or condition.strip() in (validators["ETag"], validators["Last-Modified"])


def one_range(headers: Mapping[str, str]) -> dict[str, str]:
    """Return `Range` and `If-Range` of a request as another server is asked; none when several parts are asked for.

    Own choice: the media type of several parts is not the document's, so that it could not be told whether it is right.
    """
    text = headers.get("range", "")
    unit, _, spec = text.partition("=")
    if unit.strip().lower() != "bytes" or not _SPEC.fullmatch(spec.strip()):
        return {}
    condition = headers.get("if-range")
    return {"Range": text} | ({"If-Range": condition} if condition else {})


def is_named(tag: str, headers: Mapping[str, str]) -> bool:
    """Tell whether `If-None-Match` among the `headers` of a request names `tag`, or any (RFC 9110, 13.1.2)."""
    named = headers.get("if-none-match", "")
    return named.strip() == "*" or tag in (one.strip().removeprefix("W/") for one in named.split(","))


def parts_of(text: str, size: int) -> tuple[Part, ...]:
    """Return the parts that the value `text` of `Range` means; none when it is not one, and is to be ignored.

    Examples:
        "bytes=0-99"       -> [0, 100)
        "bytes=-100"       -> the last 100 bytes
        "bytes=5-,0-9,2-3" -> [0, size): parts that overlap are sent once

    Raises:
        FhirError: `invalid` (416).
    """
    unit, _, listed = text.partition("=")
    specs = [_SPEC.fullmatch(one.strip()) for one in listed.split(",") if one.strip()]
    if unit.strip().lower() != "bytes" or not specs or len(specs) > MOST_PARTS:
        return ()
    parts: list[Part] = []
    for spec in specs:
        if spec is None or not _is_range(spec["first"], spec["last"]):
            return ()
        parts.append(_part(spec["first"], spec["last"], size))
    there = [part for part in parts if part.start < part.end]
    if not there:
        error = FhirError(
            "invalid", f"`Range`: the document has {size} bytes, and none of those asked for.", status=416
        )
        error.headers["Content-Range"] = f"bytes */{size}"
        raise error
    return _without_overlap(there)


def _is_range(first: str, last: str) -> bool:
    return bool(first or last) and not (first and last and int(last) < int(first))


def _part(first: str, last: str, size: int) -> Part:
    if not first:
        return Part(max(0, size - int(last)), size)
    return Part(int(first), min(size, int(last) + 1) if last else size)


def _without_overlap(parts: list[Part]) -> tuple[Part, ...]:
    """Return `parts` as they were asked for, or in order and joined when some of them overlap."""
    joined: list[Part] = []
    for part in sorted(parts, key=lambda each: each.start):
        if joined and part.start < joined[-1].end:
            joined[-1] = Part(joined[-1].start, max(part.end, joined[-1].end))
        else:
            joined.append(part)
    return tuple(parts) if len(joined) == len(parts) else tuple(joined)


def multipart(parts: tuple[Part, ...], media_type: str, size: int, boundary: str, read: Open) -> Content:
    """Return several parts of a document of `size` bytes as one body of type `multipart/byteranges`."""
    heads = [
        f"\r\n--{boundary}\r\nContent-Type: {media_type}\r\nContent-Range: {part.content_range(size)}\r\n\r\n".encode()
        for part in parts
    ]
    tail = f"\r\n--{boundary}--\r\n".encode()

    async def chunks() -> AsyncIterator[bytes]:
        for head, part in zip(heads, parts, strict=True):
            yield head
            async for chunk in read(part.start, part.end):
                yield chunk
        yield tail

    length = sum(map(len, heads)) + sum(part.end - part.start for part in parts) + len(tail)
    return Content(f"multipart/byteranges; boundary={boundary}", length, chunks())
