"""FHIR's plain interactions, as transactions use them: read, vread, search-type.

Spec: FHIR R4 http.html#read, #vread, #search; conditional reads: http.html#cread.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC
from email.utils import format_datetime, parsedate_to_datetime
from urllib.parse import urlencode

from app.fhir.bundle import searchset
from app.fhir.outcome import FhirError, Issue
from app.fhir.resource import etag, fill_in_base
from app.search.page import PARAMETER, token
from app.search.query import Query, parse
from app.store.resources import Found, Kept
from app.transaction import Context, FhirJson, RequestMessage, ResponseMessage


async def read_resource(message: RequestMessage, context: Context) -> ResponseMessage:
    """Answer read and vread of the type that the path names.

    Returns:
        200 and the stored bytes, or 304 when the client has this version already.

    Raises:
        FhirError: `not-found` (404), `deleted` (410).
    """
    kept = await find(message, context)
    headers = version_headers(kept)
    if is_known(message, kept):
        return ResponseMessage(304, headers=headers)
    return ResponseMessage(200, FhirJson(fill_in_base(kept.json, context.base_url)), headers)


async def find(message: RequestMessage, context: Context) -> Kept:
    """Return the record that a read or vread names."""
    resource_type, record_id = message.url.partition("?")[0].split("/")[0], message.variables["id"]
    version = message.variables.get("vid")
    if version is None:
        return await context.store.read(resource_type, record_id)
    if not version.isdecimal():
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


async def search_resources(message: RequestMessage, context: Context, query: Query) -> ResponseMessage:
    """Answer a search with the page that `query` asks for.

    Returns:
        200 and a Bundle of type searchset, joined from stored bytes.
    """
    found = await context.store.search(query)
    base_url = context.base_url
    entries = [(f"{kept.resource_type}/{kept.id}", fill_in_base(kept.json, base_url)) for kept in found.entries]
    return ResponseMessage(200, FhirJson(searchset(base_url, _links(query, found, context), found.total, entries)))


def query_of(message: RequestMessage, context: Context, resource_type: str) -> Query:
    """Return what `message` asks of `resource_type`; with `Prefer: handling=strict` nothing is ignored."""
    strict = "handling=strict" in message.headers.get("prefer", "")
    return parse(
        context.definitions,
        resource_type,
        message.query,
        base_url=context.base_url,
        strict=strict,
        paging=context.paging,
    )


def require_parameters(query: Query, groups: Sequence[Sequence[str]]) -> None:
    """Refuse a search that names no parameter of one of `groups` (MHD-66-04, MHD-67-02, A-07).

    Raises:
        FhirError: `required` (400), `XDSStoredQueryMissingParam`, one issue for each group.
    """
    sent = {name.partition(":")[0] for name, _ in query.applied}
    missing = [group for group in groups if not sent.intersection(group)]
    if missing:
        raise FhirError.of(
            Issue(
                "required",
                "A search needs one of the parameters " + ", ".join(f"`{name}`" for name in group) + "; none came.",
                details="XDSStoredQueryMissingParam",
            )
            for group in missing
        )


def _links(query: Query, found: Found, context: Context) -> dict[str, str]:
    """Return `self`, which says what was understood, and `next` when there is more."""
    links = {"self": search_url(context, query.resource_type, query.applied)}
    if found.next:
        after = token(found.next, query.fingerprint, context.paging.key)
        links["next"] = search_url(context, query.resource_type, (*query.applied, (PARAMETER, after)))
    return links


def search_url(context: Context, resource_type: str, pairs: Sequence[tuple[str, str]]) -> str:
    """Return the absolute URL of a search for `resource_type` with `pairs`."""
    url = f"{context.base_url}/{resource_type}"
    return f"{url}?{urlencode(pairs, safe=':/,')}" if pairs else url
