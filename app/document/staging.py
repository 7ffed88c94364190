"""The documents of a submission, taken out of their Binary entries.

Spec: MHD-65-55: bytes are kept as they are, decoded from base64 with white space allowed.
"""

from __future__ import annotations

import binascii
from collections.abc import AsyncIterator

from app.document.entry import Entry, Submission
from app.store.content import StagedContent
from app.transaction import Context, RequestMessage


async def staged_documents(
    submission: Submission, message: RequestMessage, context: Context
) -> dict[int, StagedContent]:
    """Return the document of each Binary entry, by the entry's index.

    A large one was staged while the request arrived, and a short text stands for it in `data`.
    """
    return {entry.index: await _staged(entry, message, context) for entry in submission.binaries}


async def _staged(entry: Entry, message: RequestMessage, context: Context) -> StagedContent:
    text = str(entry.resource.get("data", ""))
    arrived = message.content.get(text)
    if arrived is not None:
        return arrived
    try:
        document = binascii.a2b_base64("".join(text.split()), strict_mode=True)
    except binascii.Error as error:
        raise entry.error("value", "`data` is not base64.", "data", "", status=400) from error
    return await context.store.content.stage(_once(document))


async def _once(document: bytes) -> AsyncIterator[bytes]:
    yield document
