"""The documents of a submission, taken out of its entries.

Spec: MHD-65-55: bytes are kept as they are, decoded from base64 with white space allowed; MHD-65-27.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import AsyncIterator
from dataclasses import replace
from typing import Any

from app.document.entry import Entry, Submission
from app.document.fhir_document import media_type_of, serialised
from app.document.submission import owner_of
from app.fhir.bundle import Links
from app.fhir.outcome import FhirError
from app.fhir.resource import Resource
from app.store.content import StagedContent
from app.transaction import Context, RequestMessage


async def with_whole_resources(submission: Submission, message: RequestMessage, context: Context) -> Submission:
    """Return `submission` with every document put back that arrived long before and is no document of its own.

    A Binary inside a FHIR document, say, is a part of it.
    """
    if not message.content:
        return submission
    whole = {
        entry.index: replace(entry, resource=await whole_resource(entry.resource, message, context))
        for entry in submission.entries
        if entry.resource["resourceType"] != "Binary"
    }
    return submission.replaced(whole)


async def whole_resource(resource: Resource, message: RequestMessage, context: Context) -> Resource:
    """Return `resource` with the base64 text in every `data` that was taken out of it while it arrived.

    Raises:
        FhirError: `too-long` (413) when it is longer than a resource may be.
    """
    staged = list(_taken_out(resource, message))
    if not staged:
        return resource
    limit = context.switches.max_resource_bytes
    if sum(message.content[token].size for token in staged) * 4 // 3 > limit:
        text = f"The documents inside a resource are larger than the {limit} bytes that this server takes there."
        raise FhirError("too-long", text, details="XDSRepositoryOutOfResources")
    texts = {token: await _text(message.content[token], context) for token in staged}
    for token in staged:
        await context.store.content.discard(message.content[token])
    return dict(_put_back(resource, texts))


def _taken_out(value: Any, message: RequestMessage) -> list[str]:
    if isinstance(value, dict):
        data = value.get("data")
        own = [data] if isinstance(data, str) and data in message.content else []
        return own + [token for item in value.values() for token in _taken_out(item, message)]
    return [token for item in value for token in _taken_out(item, message)] if isinstance(value, list) else []


def _put_back(value: Any, texts: dict[str, str]) -> Any:
    if isinstance(value, dict):
        return {
            name: texts[item] if name == "data" and isinstance(item, str) and item in texts else _put_back(item, texts)
            for name, item in value.items()
        }
    return [_put_back(item, texts) for item in value] if isinstance(value, list) else value


async def _text(content: StagedContent, context: Context) -> str:
    return base64.b64encode(b"".join([piece async for piece in context.store.content.open(content)])).decode()


async def staged_documents(
    submission: Submission, links: Links, message: RequestMessage, context: Context
) -> dict[int, StagedContent]:
    """Return the document of each Binary entry and FHIR document, by the entry's index.

    A large one was staged while the request arrived, and a short text stands for it in `data`.
    """
    contents = {entry.index: await staged_binary(entry, message, context) for entry in submission.binaries}
    for entry in submission.fhir_documents:
        owner = owner_of(entry, submission, links)
        record_id = (links.new_name(entry.full_url, "") or "").partition("/")[2]
        document = serialised(entry.resource, record_id, media_type_of(owner), context.packages.structures)
        contents[entry.index] = await staged(document, context)
    return contents


async def staged_binary(entry: Entry, message: RequestMessage, context: Context) -> StagedContent:
    """Return the document in the Binary `entry`.

    Raises:
        FhirError: `value` (400) when it is not base64.
    """
    text = str(entry.resource.get("data", ""))
    arrived = message.content.get(text)
    if arrived is not None:
        return arrived
    try:
        document = binascii.a2b_base64("".join(text.split()), strict_mode=True)
    except binascii.Error as error:
        raise entry.error("value", "`data` is not base64.", "data", "", status=400) from error
    return await staged(document, context)


async def staged(document: bytes, context: Context) -> StagedContent:
    """Return `document`, staged."""
    return await context.store.content.stage(_once(document))


async def _once(document: bytes) -> AsyncIterator[bytes]:
    yield document
