"""FHIR's formats at the edge: which one an answer takes, what a request's `Content-Type` says, and writing the answer.

Spec: FHIR R4 http.html#mime-type, http.html#parameters (`_format`, `_pretty`); MHD-GEN-02 to MHD-GEN-08.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from secrets import token_hex

import orjson
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse
from starlette.types import Receive, Scope, Send

from app.fhir.media_type import (
    FHIR_TYPES,
    JSON,
    R4_VERSIONS,
    XML,
    MediaRange,
    fhir_format,
    is_of_other_versions,
    normalise_format,
    parse_accept,
    split,
    wants_html,
)
from app.fhir.outcome import FhirError, outcome_of
from app.fhir.resource import BASE, fill_in_base, parse_json, to_json
from app.fhir.xml import to_xml
from app.rest.query_string import Pairs, decode_pairs
from app.transaction import Content, Context, FhirJson, ResponseMessage

FORM = "application/x-www-form-urlencoded"
WAY_OUT = "`application/fhir+json` and `application/fhir+xml` are offered."

# An answer holds health data, and depends on what was asked for.
FHIR_HEADERS = {"Cache-Control": "private, no-cache", "Vary": "Accept", "X-Content-Type-Options": "nosniff"}

# Up to here a document comes from the store in one piece.
SHORT_BYTES = 1024 * 1024

_REQUEST_ID = re.compile(r"[A-Za-z0-9._~:+/=-]{1,128}")


@dataclass(frozen=True, slots=True)
class Wanted:
    """The form in which the caller wants an answer.

    Attributes:
        accept: best first.
        asked_format: `_format` as a media type; empty when it was not sent.
        format: JSON or XML; None when neither is acceptable.
        pretty: indented, for people.
        request_id: what the answer's `X-Request-Id` will be.
    """

    accept: tuple[MediaRange, ...] = ()
    asked_format: str = ""
    format: str | None = JSON
    pretty: bool = False
    request_id: str = ""


def wanted(http: Request) -> Wanted:
    """Return the form that `http` asks for: `_format`, else `Accept`, else the format of its own body; never fails."""
    accept = parse_accept(http.headers.get("accept", ""))
    plain = Wanted(accept, "", fhir_format(accept, "", _own_format(http)), wants_html(accept), _request_id(http))
    query: bytes = http.scope["query_string"]
    if b"_format" not in query and b"_pretty" not in query:
        return plain
    try:
        return with_parameters(plain, decode_pairs(query))
    except FhirError:
        return plain


def with_parameters(form: Wanted, pairs: Pairs) -> Wanted:
    """Return `form` as `_format` and `_pretty` among `pairs` change it: those of a query string or of a form body."""
    parameters = dict(pairs)
    if asked := normalise_format(parameters.get("_format", "")):
        form = replace(form, asked_format=asked, format=fhir_format(form.accept, asked), pretty=False)
    return replace(form, pretty=True) if parameters.get("_pretty") == "true" else form


def not_acceptable(form: Wanted) -> FhirError:
    """Return the refusal of a caller who takes neither JSON nor XML."""
    if not form.asked_format and is_of_other_versions(form.accept):
        text = f"`Accept` asks for another `fhirVersion` than that of this server, `4.0`: {WAY_OUT}"
        return FhirError("not-supported", text, status=406)
    came = "`_format`" if form.asked_format else "`Accept`"
    return FhirError("not-supported", f"{came} names no format of this server: {WAY_OUT}", status=406)


def body_format(content_type: str, encoding: str = "") -> str:
    """Return the FHIR media type of a body.

    Args:
        content_type: the header; generic types, `charset=utf-8` and `fhirVersion=4.0` are taken.
        encoding: the header `Content-Encoding`.

    Raises:
        FhirError: `not-supported` (415) for any other type, character set, version or encoding.
    """
    name, parameters = split(content_type)
    if name not in FHIR_TYPES:
        came = f"`Content-Type` `{name[:64]}` is not supported" if name else "The body has no `Content-Type`"
        raise _unsupported(f"{came}: `application/fhir+json` or `application/fhir+xml` was expected.")
    if parameters.get("charset", "utf-8").lower() not in ("utf-8", "utf8", "us-ascii"):
        raise _unsupported("`Content-Type`: the `charset` of FHIR is `utf-8`.")
    if parameters.get("fhirversion", "4.0") not in R4_VERSIONS:
        raise _unsupported("`Content-Type`: the `fhirVersion` of this server is `4.0`.")
    if encoding.lower() not in ("", "identity"):
        raise _unsupported("`Content-Encoding` is not supported; send the body as it is.")
    return FHIR_TYPES[name]


def encode(message: ResponseMessage, http: Request, form: Wanted, context: Context) -> Response:
    """Return the HTTP response for `message`: a resource in the format of `form`, content as it is."""
    headers = {"X-Request-Id": form.request_id, **message.headers}
    if "Location" in headers:
        headers["Location"] = _absolute(headers["Location"], context.base_url)
    if isinstance(message.body, Content):
        return _content(message.body, message.status, headers, is_head=http.method == "HEAD")
    if message.body is None:
        return Response(status_code=message.status, headers=headers)
    if form.format is None and message.status < 300:
        message = ResponseMessage(*outcome_of(not_acceptable(form)))
    body = _written(message.body, form, context)
    headers = {**FHIR_HEADERS, **headers, "Content-Type": f"{form.format or JSON}; charset=utf-8"}
    if http.method == "HEAD":
        headers["Content-Length"], body = str(len(body)), b""
    return Response(body, message.status, headers)


def _content(content: Content, status: int, headers: dict[str, str], *, is_head: bool) -> Response:
    headers = {"X-Content-Type-Options": "nosniff", **headers, "Content-Type": content.media_type}
    if content.size is not None:
        headers["Content-Length"] = str(content.size)
    if is_head:
        return Response(status_code=status, headers=headers)
    streamed = _Short if content.size is not None and content.size <= SHORT_BYTES else StreamingResponse
    return streamed(content.chunks, status, headers)


class _Short(StreamingResponse):
    """A document that is sent before anybody could notice that its reader went away; nobody listens for that."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        await self.stream_response(send)


def _written(body: object, form: Wanted, context: Context) -> bytes:
    """Return `body` in the format of `form`, every URL of our own absolute."""
    json = body.json if isinstance(body, FhirJson) else fill_in_base(to_json(body), context.base_url)
    if form.format == XML:
        return to_xml(parse_json(json), context.packages.structures)
    return to_json_for_people(json) if form.pretty else json


def to_json_for_people(json: bytes) -> bytes:
    """Return `json` indented by two spaces."""
    return orjson.dumps(parse_json(json), option=orjson.OPT_INDENT_2, default=_as_written)


def _own_format(http: Request) -> str:
    sent = http.headers.get("content-type")
    return FHIR_TYPES.get(split(sent)[0], JSON) if sent else JSON


def _request_id(http: Request) -> str:
    """Return the caller's `X-Request-Id` when it is harmless in a log and a header field, else a new one."""
    sent = http.headers.get("x-request-id", "")
    return sent if sent and _REQUEST_ID.fullmatch(sent) else token_hex(16)


def _absolute(location: str, base_url: str) -> str:
    return location if "://" in location else f"{base_url}/{location.removeprefix(BASE).lstrip('/')}"


def _unsupported(text: str) -> FhirError:
    return FhirError("not-supported", text, status=415)


def _as_written(value: object) -> orjson.Fragment:
    return orjson.Fragment(str(getattr(value, "text", value)))
