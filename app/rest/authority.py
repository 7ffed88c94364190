"""The endpoints of authorization, which are not FHIR's: a form in, plain JSON or a page out, beside `[base]`.

Each request goes the way of `exchange`, step by step, but for the guard: who asks here has no token yet. What is
answered well is an event only where a token was given; what is refused always is.

Spec: RFC 6749 3.2 and 5; IUA-62, IUA-63, IUA-80, IUA-90; AUD-70, AUD-71.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from time import perf_counter
from urllib.parse import urlsplit

import orjson
from fastapi import FastAPI
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from app.fhir.media_type import split
from app.fhir.outcome import FhirError
from app.iua.form import NO_STORE
from app.iua.oauth_error import OAuthError
from app.rest.body import arriving, read_all
from app.rest.front import Front
from app.rest.log import log_failure, log_request
from app.rest.media import FORM, wanted
from app.rest.proxies import address_of
from app.rest.query_string import decode_pairs
from app.security.access import Access
from app.security.principal import ANONYMOUS, Principal
from app.transaction import (
    About,
    Content,
    Context,
    Interaction,
    Occurrence,
    RawRequest,
    RequestMessage,
    ResponseMessage,
    Transaction,
)

MAX_FORM_BYTES = 65_536

# All are answered here, those that are not offered by 405.
METHODS = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS")

# Status of what is refused below -> what OAuth calls it.
CODES = {429: "slow_down", 503: "temporarily_unavailable"}

# Refusals that turn somebody away, and are security alerts (AUD-71).
ALERTS = frozenset({"invalid_client", "invalid_grant", "unauthorized_client", "access_denied", "slow_down"})


def add_authority(app: FastAPI, transactions: Iterable[Transaction]) -> None:
    """Serve `transactions`, whose paths begin at the root of the host; before `add_fhir`."""
    methods: dict[str, dict[str, _Served]] = {}
    for transaction in transactions:
        for interaction in transaction.interactions:
            methods.setdefault(interaction.path, {})[interaction.method] = _Served(transaction, interaction)
    for path, served in methods.items():
        app.router.routes.append(Route(path, _Endpoint(served).answer, methods=METHODS, name=path))


@dataclass(frozen=True, slots=True)
class _Served:
    transaction: Transaction
    interaction: Interaction


@dataclass(frozen=True, slots=True)
class _Endpoint:
    """One path, and what answers each method."""

    served: dict[str, _Served]

    async def answer(self, http: Request) -> Response:
        """Answer a request, and record it."""
        started, form = perf_counter(), wanted(http)
        served = self.served.get("GET" if http.method == "HEAD" else http.method)
        if served is None:
            return self._not_offered()
        context: Context = http.app.state.context
        front: Front = http.app.state.front
        message = RequestMessage(http.method, http.scope["path"], headers=http.headers, request_id=form.request_id)
        try:
            http.scope["turn"].identify("")
            message = await _decoded(message, http, front)
            response = await served.interaction.handle(message, context)
        except Exception as error:  # noqa: BLE001 - whatever happens is told in OAuth's words
            if not isinstance(error, OAuthError | FhirError):
                log_failure(served.transaction, form.request_id)
            response = _refusal(error)
        response = await _recorded(http, served, message, response, context)
        named = served.transaction, served.interaction
        front.metrics.count(named, response.status, perf_counter() - started)
        log_request(named, response.status, started, form.request_id)
        return await _encoded(response, form.request_id)

    def _not_offered(self) -> Response:
        allowed = sorted({*self.served, *(["HEAD"] if "GET" in self.served else [])})
        error = OAuthError("invalid_request", "this method is not offered here")
        return Response(orjson.dumps(error.body()), 405, {"Allow": ", ".join(allowed)}, media_type="application/json")


async def _decoded(message: RequestMessage, http: Request, front: Front) -> RequestMessage:
    """Return the message with its parameters: of the form, else of the query string."""
    if http.method != "POST":
        return replace(message, query=decode_pairs(http.scope["query_string"]))
    body = await read_all(arriving(http, front.limits), MAX_FORM_BYTES)
    if split(http.headers.get("content-type", ""))[0] != FORM:
        raise OAuthError("invalid_request", f"`Content-Type` must be {FORM}")
    if len(http.headers.getlist("authorization")) > 1:
        raise OAuthError("invalid_request", "more than one Authorization header field came")
    return replace(message, query=decode_pairs(body), body=body)


def _refusal(error: Exception) -> ResponseMessage:
    """Return what is said of `error`: in the form of RFC 6749 5.2, for all endpoints alike."""
    if isinstance(error, FhirError):
        code = CODES.get(error.status, "invalid_request" if error.status < 500 else "server_error")
        error = OAuthError(code, str(error) if error.status < 500 else "", status=error.status, headers=error.headers)
    elif not isinstance(error, OAuthError):
        error = OAuthError("server_error")
    about = About(principal=Principal(client=error.client), is_refusal=error.error in ALERTS)
    return ResponseMessage(error.status, error.body(), NO_STORE | error.headers, about)


async def _recorded(
    http: Request, served: _Served, message: RequestMessage, response: ResponseMessage, context: Context
) -> ResponseMessage:
    """Return the answer once its event is kept; the event sees neither a token nor a password."""
    principal = response.about.principal
    if response.status < 400 and principal == ANONYMOUS:
        return response
    told = replace(response, body=response.body if response.status >= 400 else None)
    access = Access(principal)
    request = _raw(http, message, context)
    happened = Occurrence(served.transaction, served.interaction, access, request, None, told, context.now())
    try:
        await context.recorder.record(happened)
    except FhirError as error:
        return _refusal(error)
    return response


def _raw(http: Request, message: RequestMessage, context: Context) -> RawRequest:
    """Return the request as it came; of a form with a password nothing is repeated, not even who typed it."""
    parts = urlsplit(context.base_url)
    body = b"" if any(name == "password" for name, _ in message.query) else message.body
    url = f"{parts.scheme}://{parts.netloc}{http.scope['path']}"
    return RawRequest(http.method, url, http.headers, body, address_of(http.scope), message.request_id)


async def _encoded(response: ResponseMessage, request_id: str) -> Response:
    headers = {"X-Content-Type-Options": "nosniff", "X-Request-Id": request_id, **response.headers}
    match response.body:
        case None:
            return Response(status_code=response.status, headers=headers)
        case Content(media_type, _, chunks):
            body = b"".join([chunk async for chunk in chunks])
            return Response(body, response.status, headers, media_type=media_type)
        case dict() as told:
            return Response(orjson.dumps(told), response.status, headers, media_type="application/json")
        case _:
            raise TypeError("an endpoint of authorization answers with JSON or a page")
