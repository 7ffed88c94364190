"""The two forms in which a document leaves: its own bytes, or the FHIR Binary that holds them as base64.

Both are streams: nothing of the size of the document is ever in memory.

Spec: ITI-68, 2:3.68.4.1.2.1 and 2:3.68.4.2.2; MHD-68-02..10; FHIR R4 binary.html#rest.
"""

from __future__ import annotations

import base64
from collections.abc import AsyncIterator, Mapping, Sequence

from app.document.content import same_media_type
from app.document.elsewhere import Elsewhere
from app.fhir.media_type import FHIR_TYPES, JSON, XML, MediaRange, quality, split
from app.fhir.outcome import FhirError
from app.fhir.resource import Resource, fill_in_base, parse_json
from app.fhir.xml import to_xml
from app.store.resources import Kept
from app.transaction import Content, Context, FhirJson, RequestMessage, ResponseMessage

_CHARSET = "; charset=utf-8"


def is_wrapper_wanted(media_type: str, accept: Sequence[MediaRange], asked_format: str) -> bool:
    """Tell whether a document of `media_type` is to be sent as a Binary resource.

    A FHIR format as `_format` always asks for the resource. `Accept` does when it names one and likes it better than
    the document's own type; a document whose own type is a FHIR format is sent as it is (A-01).

    Raises:
        FhirError: `not-supported` (406) when neither form is acceptable.
    """
    own_type = split(media_type)[0]
    if asked_format in (JSON, XML):
        return True
    if asked_format:
        own, of_fhir = float(asked_format == own_type), 0.0
    else:
        own, of_fhir = quality(accept, media_type), _quality_of_fhir(accept)
    if own_type not in (JSON, XML) and of_fhir > own:
        return True
    if own > 0:
        return False
    text = f"The document is `{media_type}`; it is sent as that, or as a Binary in `{JSON}` or `{XML}`."
    raise FhirError("not-supported", text, status=406)


def _quality_of_fhir(accept: Sequence[MediaRange]) -> float:
    return max((one.q for one in accept if one.type in FHIR_TYPES), default=0.0)


def raw_document(kept: Kept, context: Context, start: int = 0, end: int | None = None) -> Content:
    """Return the document as it was published, or its bytes from `start` up to, not including, `end`.

    Raises:
        FhirError: `not-found` (404) when the Binary has none.
    """
    if kept.content is None:
        raise FhirError("not-found", f"`Binary/{kept.id}` has no content.", details="XDSDocumentUniqueIdError")
    chunks = context.store.content.open(kept.content, start, end)
    return Content("application/octet-stream", kept.content.size, chunks)


async def fetched_document(
    binary: Resource, place: str, elsewhere: Elsewhere, asked: Mapping[str, str], *, is_head: bool
) -> ResponseMessage:
    """Return what another host delivers for the document of `binary`: 200 and all of it, or 206 and the part asked for.

    Args:
        asked: headers that say which part.
        is_head: only the head is of interest.

    Raises:
        FhirError: `not-found` (404) or `transient` (502), also when the host sends something else than the document.
    """
    media_type = str(binary["contentType"])
    opened = await elsewhere.open(place, media_type, asked)
    is_other = not same_media_type(opened.media_type, media_type)
    if is_head or is_other:
        await opened.close()
    if is_other:
        text = f"The host of the document sends another media type than `{media_type}`."
        raise FhirError("transient", text, status=502, details="XDSRepositoryError")
    return ResponseMessage(opened.status, Content(media_type, opened.size, opened.chunks), opened.headers)


def reference_resource(kept: Kept, context: Context) -> FhirJson:
    """Return the Binary of a document that lies elsewhere as a resource: without `data`, its place in `meta.source`."""
    return FhirJson(fill_in_base(kept.json, context.base_url))


def binary_resource(kept: Kept, document: Content, message: RequestMessage, context: Context) -> Content:
    """Return the Binary resource in the format of the answer, its `data` encoded while it is sent."""
    head, tail = _around_data(kept, message.format, context, is_empty=document.size == 0)
    size = None if document.size is None else len(head) + (document.size + 2) // 3 * 4 + len(tail)
    return Content(message.format + _CHARSET, size, _enclosed(head, document.chunks, tail))


def _around_data(kept: Kept, media_type: str, context: Context, *, is_empty: bool) -> tuple[bytes, bytes]:
    json = fill_in_base(kept.json, context.base_url)
    if media_type == XML:
        before, _, after = to_xml(parse_json(json), context.packages.structures).rpartition(b"</Binary>")
        opening, closing, end = b'<data value="', b'"/>', b"</Binary>" + after
    else:
        before = json.rpartition(b"}")[0]
        opening, closing, end = b',"data":"', b'"', b"}"
    return (before, end) if is_empty else (before + opening, closing + end)


async def _enclosed(head: bytes, chunks: AsyncIterator[bytes], tail: bytes) -> AsyncIterator[bytes]:
    """Yield `head`, the base64 of `chunks`, and `tail`; base64 takes three bytes at a time, two may be carried."""
    yield head
    carried = b""
    async for chunk in chunks:
        block = carried + chunk
        whole = len(block) - len(block) % 3
        carried = block[whole:]
        yield base64.b64encode(memoryview(block)[:whole])
    yield base64.b64encode(carried) + tail
