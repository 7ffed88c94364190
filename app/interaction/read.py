"""read and vread, with their conditional forms.

Spec: FHIR R4 http.html#read, #vread, #cread.
"""

from __future__ import annotations

from datetime import UTC
from email.utils import format_datetime, parsedate_to_datetime

from app.fhir.outcome import FhirError
from app.fhir.resource import etag, fill_in_base
from app.interaction.concerned import about_record
from app.store.resources import Kept
from app.transaction import Context, FhirJson, RequestMessage, ResponseMessage

# Of a version; the numbers of the database have 64 bits.
_MOST_DIGITS = 18


async def read_resource(message: RequestMessage, context: Context) -> ResponseMessage:
    """Answer read and vread of the type that the path names.

    Returns:
        200 and the stored bytes, or 304 when the client has this version already.

    Raises:
        FhirError: `not-found` (404), `deleted` (410).
    """
    kept = await find(message, context)
    headers, about = version_headers(kept), about_record(kept)
    if is_known(message, kept):
        return ResponseMessage(304, headers=headers, about=about)
    return ResponseMessage(200, FhirJson(fill_in_base(kept.json, context.base_url)), headers, about)


async def find(message: RequestMessage, context: Context) -> Kept:
    """Return the record that a read or vread names."""
    resource_type, record_id = message.url.partition("?")[0].split("/")[0], message.variables["id"]
    version = message.variables.get("vid")
    if version is None:
        return await context.store.read(resource_type, record_id)
    if not version.isdecimal() or len(version) > _MOST_DIGITS:
        raise FhirError("not-found", f"Version `{version[:64]}` of `{resource_type}/{record_id}` was not found.")
    return await context.store.vread(resource_type, record_id, int(version))


def version_headers(kept: Kept) -> dict[str, str]:
    """Return `ETag` and `Last-Modified` of a version."""
    return {"ETag": etag(kept.version), "Last-Modified": format_datetime(kept.updated.astimezone(UTC), usegmt=True)}


def is_known(message: RequestMessage, kept: Kept) -> bool:
    """Tell whether the client named this version as the one it has; the ETag outweighs the date (RFC 9110 13.1.3)."""
    if (tags := message.headers.get("if-none-match")) is not None:
        return tags.strip() == "*" or etag(kept.version)[2:] in [
            tag.strip().removeprefix("W/") for tag in tags.split(",")
        ]
    if (since := message.headers.get("if-modified-since")) is not None:
        try:
            return kept.updated.replace(microsecond=0) <= parsedate_to_datetime(since)
        except (ValueError, TypeError):
            return False
    return False
