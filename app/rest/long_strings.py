"""Documents in a body: taken out of it and stored while it arrives, so that no parser ever holds one.

A FHIR body carries documents as base64 in properties called `data`. One that is longer than `LONG` bytes of base64 is
decoded as it arrives and written to the content store; in the body a short text takes its place, which nobody can
guess: the token. The parser sees a small body, and handlers find the document under its token.

Own choice: a search for the opening of `data` instead of a tokenizer. In JSON an unescaped `"data":` is always a
property, since quotes in a string are escaped; what is mistaken in XML (a comment, say) leaves a token that no
`data` carries, and such a body is refused (see `app/rest/media.py`).
"""

from __future__ import annotations

import re
from base64 import b64encode
from binascii import Error as NotBase64
from binascii import a2b_base64
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass
from secrets import token_bytes

from app.fhir.media_type import JSON, XML
from app.fhir.outcome import FhirError
from app.rest.body import Arriving, Limits, too_long
from app.store.content import ContentStore, StagedContent

LONG = 256 * 1024

_WHITESPACE = b" \t\r\n"
_INVALID = b"!"  # stands for what base64 cannot contain; the decoder then refuses


@dataclass(frozen=True, slots=True)
class Markup:
    """How a format writes the value of `data`.

    Attributes:
        opening: what stands before the value; group 1 is the quote that will end it.
        longest: bytes that `opening` looks at, at most.
        escape: an escaped character of the value.
        unescape: match of `escape` -> the character.
        half_escape: an escape, cut off by the end of what has arrived.
    """

    opening: re.Pattern[bytes]
    longest: int
    escape: re.Pattern[bytes]
    unescape: Callable[[re.Match[bytes]], bytes]
    half_escape: re.Pattern[bytes]


def _json_character(escape: re.Match[bytes]) -> bytes:
    if escape[1] is not None:
        return _character(int(escape[1], 16))
    return {b"/": b"/", b"n": b"\n", b"r": b"\r", b"t": b"\t"}.get(escape[2], _INVALID)


def _xml_character(escape: re.Match[bytes]) -> bytes:
    if escape[1] is not None:
        return _character(int(escape[1], 16))
    return _character(int(escape[2])) if escape[2] is not None else _INVALID


def _character(code: int) -> bytes:
    return bytes([code]) if code < 128 else _INVALID


MARKUP: dict[str, Markup] = {
    JSON: Markup(
        opening=re.compile(rb'(?<!\\)"data"\s{0,64}:\s{0,64}(")'),
        longest=137,
        escape=re.compile(rb"\\(?:u([0-9A-Fa-f]{4})|(.))", re.DOTALL),
        unescape=_json_character,
        half_escape=re.compile(rb"\\(?:u[0-9A-Fa-f]{0,3})?\Z"),
    ),
    XML: Markup(
        opening=re.compile(rb"""<(?:[A-Za-z_][\w.-]{0,31}:)?data\s[^<>]{0,256}?\bvalue\s{0,16}=\s{0,16}(["'])"""),
        longest=337,
        escape=re.compile(rb"&(?:#[xX]([0-9A-Fa-f]{1,6})|#([0-9]{1,7})|\w{1,16});"),
        unescape=_xml_character,
        half_escape=re.compile(rb"&[#\w]{0,16}\Z"),
    ),
}


async def read_without_documents(
    body: Arriving, media_type: str, store: ContentStore, limits: Limits, long: int = LONG
) -> tuple[bytes, dict[str, StagedContent]]:
    """Return the body with a token in place of each long base64 text, and token -> the staged document.

    Args:
        body: nothing of which was taken yet.
        media_type: JSON or XML, FHIR's own names.
        store: where the documents go.
        limits: bytes of the body, and of what is returned.
        long: bytes of base64 above which a text is taken out.

    Raises:
        FhirError: `too-long` (413); `value` (400) when a long text is not base64. What was staged is discarded.
    """
    if not await body.until(long):  # no text in it can be long
        return body.take(len(body.window)), {}
    staged: dict[str, StagedContent] = {}
    try:
        return await _taken_out(body, MARKUP[media_type], store.stage, staged, limits, long), staged
    except BaseException:
        await discard_all(store, staged)
        raise


async def discard_all(store: ContentStore, staged: dict[str, StagedContent]) -> None:
    """Remove documents that were staged and will not be committed."""
    for content in staged.values():
        await store.discard(content)


Stage = Callable[[AsyncIterator[bytes]], Awaitable[StagedContent]]


async def _taken_out(
    body: Arriving, markup: Markup, stage: Stage, staged: dict[str, StagedContent], limits: Limits, long: int
) -> bytes:
    kept = bytearray()
    more = True
    while more:
        if opening := markup.opening.search(body.window):
            quote = opening[1]
            kept += body.take(opening.end())
            if await _is_long(body, quote, long):
                token = b64encode(token_bytes(24))
                staged[token.decode()] = await stage(_decoded(body, markup, quote))
                kept += token
        else:
            cut = max(0, len(body.window) - markup.longest)
            kept += body.take(cut - body.window[:cut].endswith(b"\\"))  # a backslash stays with what it escapes
            more = await body.more()
        if len(kept) > limits.resource_bytes:
            raise too_long(limits.resource_bytes, "The request body without its documents")
    return bytes(kept + body.window)


async def _is_long(body: Arriving, quote: bytes, long: int) -> bool:
    """Tell whether more than `long` bytes stand before the next `quote`; the window reaches that far then."""
    searched = 0
    while (end := body.window.find(quote, searched)) < 0 and len(body.window) <= long:
        searched = len(body.window)
        if not await body.more():
            return False  # never closed: the parser will say so
    return end < 0 or end > long


async def _decoded(body: Arriving, markup: Markup, quote: bytes) -> AsyncIterator[bytes]:
    """Yield the bytes that the base64 text up to `quote` stands for; `quote` stays in the window."""
    text, ended, padded = b"", False, False
    half = b""
    while not ended:
        end = body.window.find(quote)
        ended = end >= 0
        raw = half + body.take(end if ended else len(body.window))
        cut = markup.half_escape.search(raw)
        raw, half = (raw[: cut.start()], cut[0]) if cut else (raw, b"")
        text += markup.escape.sub(markup.unescape, raw).translate(None, _WHITESPACE)
        if (padded and text) or (ended and (half or len(text) % 4)):
            raise _not_base64()
        whole = len(text) // 4 * 4
        yield _bytes_of(text[:whole])
        padded = padded or text[:whole].endswith(b"=")
        text = text[whole:]
        if not ended and not await body.more():
            raise FhirError("structure", "The body ends inside a base64 text in `data`.")


def _bytes_of(text: bytes) -> bytes:
    try:
        return a2b_base64(text, strict_mode=True)
    except NotBase64:
        raise _not_base64() from None


def _not_base64() -> FhirError:
    return FhirError("value", "`data`: the text is not base64.", expression="data")
