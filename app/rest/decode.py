"""A request from HTTP to its message: parameters, variables of the path, header fields, body.

Spec: FHIR R4 http.html#general, search.html (`_search`); MHD-GEN-03 to MHD-GEN-06, MHD-GEN-14.
"""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Iterator, Mapping
from typing import Any

from starlette.requests import Request

from app.fhir.media_type import JSON, split
from app.fhir.outcome import FhirError
from app.fhir.parser import parse_resource
from app.fhir.resource import Resource
from app.rest.body import Limits, arriving, read_all
from app.rest.long_strings import discard_all, read_without_documents
from app.rest.media import FORM, Wanted, body_format, not_acceptable, with_parameters
from app.rest.query_string import decode_pairs
from app.security.access import Access
from app.store.content import StagedContent
from app.transaction import Context, Interaction, RequestMessage

SEARCH = "_search"

# A read may answer with a document, so that only its handler knows what is acceptable.
READS = frozenset({"read", "vread"})

# Where a handler looks for a document that was taken out of the body: in a Binary, or an attachment of these.
HOLDERS = frozenset({"Binary", "DocumentReference"})

# The operation that looks at documents, and keeps none.
VALIDATE = "$validate"

# A body may hold no more parameters than fit in this: as much as URLs commonly do, several times.
MAX_FORM_BYTES = 65_536


async def decode(
    http: Request, interaction: Interaction, form: Wanted, access: Access, context: Context, limits: Limits
) -> tuple[RequestMessage, Wanted]:
    """Return the message that `http` carries for `interaction`, and the form in which the answer is wanted.

    Raises:
        FhirError: `invalid`, `structure` or `value` (400), `not-supported` (406, 415), `too-long` (413).
    """
    pairs = decode_pairs(http.scope["query_string"])
    body, resource, content = b"", None, dict[str, StagedContent]()
    if interaction.path.endswith(SEARCH) and http.method == "POST":
        body = await _form(http, limits)
        pairs += decode_pairs(body)
        form = with_parameters(form, pairs)
    elif http.method in ("POST", "PUT", "PATCH"):
        keeps = not interaction.path.endswith(VALIDATE)
        body, resource, content = await _resource(http, context, limits, keeps_documents=keeps)
    if form.format is None and interaction.code not in READS:
        await discard_all(context.store.content, content)
        raise not_acceptable(form)
    message = RequestMessage(
        method=http.method,
        url=_url(http),
        query=pairs,
        variables=http.path_params,
        headers=http.headers,
        accept=form.accept,
        format=form.format or JSON,
        asked_format=form.asked_format,
        resource=resource,
        content=content,
        request_id=form.request_id,
        body=body if not resource or interaction.code == "operation" else b"",
        access=access,
    )
    return message, form


def path_below_base(http: Request) -> str:
    """Return the path below `[base]`, without slashes around it."""
    return str(http.scope["path"])[len(http.scope["root_path"]) :].strip("/")


def _url(http: Request) -> str:
    path, query = path_below_base(http), http.scope["query_string"].decode("latin-1")
    return f"{path}?{query}" if query else path


async def _form(http: Request, limits: Limits) -> bytes:
    """Return a form body.

    Raises:
        FhirError: `not-supported` (415) for a body of another type.
    """
    body = await read_all(arriving(http, limits), MAX_FORM_BYTES)
    name = split(http.headers.get("content-type", ""))[0]
    if body and name != FORM:
        raise FhirError("not-supported", f"`Content-Type`: `{FORM}` was expected for `{SEARCH}`.", status=415)
    return body


async def _resource(
    http: Request, context: Context, limits: Limits, *, keeps_documents: bool
) -> tuple[bytes, Resource | None, dict[str, StagedContent]]:
    """Return the body, the resource in it, None when there is no body, and the documents that were taken out of it.

    Where nothing is kept they stay where they are, and their handler says what is wrong with them.
    """
    body = arriving(http, limits)
    if not await body.more():
        return b"", None, {}
    media_type = body_format(http.headers.get("content-type", ""), http.headers.get("content-encoding", ""))
    store = context.store.content
    if not keeps_documents:
        text = await read_all(body, limits.resource_bytes)
        return text, parse_resource(text, media_type, context.packages.structures), {}
    text, content = await read_without_documents(body, media_type, store, limits)
    try:
        resource = parse_resource(text, media_type, context.packages.structures)
        return text, resource, await _placed(resource, content, context) if content else content
    except BaseException:
        await discard_all(store, content)
        raise


async def _placed(resource: Resource, content: dict[str, StagedContent], context: Context) -> dict[str, StagedContent]:
    """Return the documents that stand where handlers look for them; put smaller ones back where they do not.

    Raises:
        FhirError: `structure` (400) for a text that no `data` has, `too-long` (413) for one that is too long for
            its place.
    """
    left = dict(content)
    placed = {}
    for holder, owner in _holders(resource, "", left):
        token = holder["data"]
        staged = left.pop(token)
        if owner in HOLDERS:
            placed[token] = staged
        elif staged.data is not None:
            holder["data"] = b64encode(staged.data).decode()
            await context.store.content.discard(staged)
        else:
            raise FhirError("too-long", f"`data` in a `{owner}` is too long: documents belong in a `Binary`.")
    if left:
        raise FhirError(
            "structure", "A long base64 text stands where no `data` is, or in a `data` that is there twice."
        )
    return placed


def _holders(value: Any, owner: str, tokens: Mapping[str, object]) -> Iterator[tuple[Resource, str]]:
    """Yield each object whose `data` is one of `tokens`, and the type of the resource that it is in."""
    if isinstance(value, dict):
        owner = str(value.get("resourceType", owner))
        data = value.get("data")
        if isinstance(data, str) and data in tokens:
            yield value, owner
        for one in value.values():
            yield from _holders(one, owner, tokens)
    elif isinstance(value, list):
        for one in value:
            yield from _holders(one, owner, tokens)
