"""The outermost layer: who asks, may they ask so much, and what every answer says to browsers.

Own choice: one pure ASGI layer instead of a middleware for each concern. It changes no body, and looks at none.

Spec: EHDS-06, EHDS-24; MHD-SEC-01, MHD-SEC-08; IUA-29; RFC 6585.
"""

from __future__ import annotations

from functools import lru_cache
from ipaddress import ip_address

from starlette.requests import Request
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from app.fhir.outcome import FhirError
from app.rest.arrival import Arrival
from app.rest.cors import Headers
from app.rest.exchange import refuse
from app.rest.front import Front
from app.rest.proxies import address_of, is_loopback
from app.rest.throttle import Turn
from app.transaction import Context

# What an answer says when nobody further inside has said otherwise.
DEFAULTS: Headers = [
    (b"x-content-type-options", b"nosniff"),
    (b"referrer-policy", b"no-referrer"),
    (b"cache-control", b"no-store"),
]

# Ways to write a path that gateways and servers read differently: one would guard what the other is not asked for.
AMBIGUOUS = (b"//", b"%2f", b"%5c", b"\\")

# An IPv6 client has as many addresses as it likes below this.
_SUBSCRIBER_BITS = 64


class Edge:
    """The ASGI application around all others."""

    def __init__(self, app: ASGIApp, *, front: Front) -> None:
        self._app, self._front = app, front

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request that goes no further, or pass it on."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        self._front.proxies.apply(scope)
        answer = _Answering(send, self._headers(scope))
        preflight = self._front.cors.preflight(scope)
        if preflight is not None:
            answer.added = preflight
            await Response(status_code=204)(scope, receive, answer)
            return
        try:
            self._require_safe(scope)
            turn = Turn(self._front.throttle, _account(address_of(scope)), is_token=_has(scope, b"authorization"))
        except FhirError as error:
            http = Request(scope, receive)
            await refuse(http, error, scope["app"].state.context, self._front.metrics)(scope, receive, answer)
        else:
            await self._pass_on(scope, receive, answer, turn)

    async def _pass_on(self, scope: Scope, receive: Receive, send: Send, turn: Turn) -> None:
        metrics = self._front.metrics
        scope["turn"] = turn
        metrics.in_flight += 1
        try:
            await self._app(scope, Arrival(receive, self._front.pace) if _may_have_body(scope) else receive, send)
        finally:
            metrics.in_flight -= 1
            turn.end()

    def _headers(self, scope: Scope) -> Headers:
        headers = self._front.cors.headers(scope)
        if scope.get("scheme") == "https" and self._front.hsts_s:
            headers = [*headers, (b"strict-transport-security", b"max-age=%d" % self._front.hsts_s)]
        return headers

    def _require_safe(self, scope: Scope) -> None:
        """Refuse what is too large, ambiguous, or not protected on its way.

        Raises:
            FhirError: `too-long` (414, 431), `invalid` (400), `security` (403).
        """
        headers, path = scope["headers"], scope.get("raw_path", b"").partition(b"?")[0]
        limit, url_bytes = self._front.max_header_bytes, len(path) + len(scope["query_string"])
        if url_bytes > limit:
            raise FhirError("too-long", f"The URL is longer than the {limit} bytes that are taken.", status=414)
        if len(headers) > self._front.max_headers or url_bytes + _size(headers) > limit:
            text = f"At most {self._front.max_headers} header fields of {limit} bytes, URL included, are taken."
            raise FhirError("too-long", text, status=431)
        if any(one in path.lower() for one in AMBIGUOUS):
            text = "The path has an empty part (`//`) or an encoded slash; send one slash between its parts."
            raise FhirError("invalid", text)
        self._require_tls(scope)

    def _require_tls(self, scope: Scope) -> None:
        if scope.get("scheme") == "https" or not self._front.is_tls_only:
            return
        context: Context = scope["app"].state.context
        if context.guard.mode not in ("off", "external") and not is_loopback(address_of(scope)):
            raise FhirError("security", "A request with a token is taken by TLS (https) only.", status=403)


class _Answering:
    """The `send` of a request, which adds to the head of its answer."""

    __slots__ = ("_send", "added")

    def __init__(self, send: Send, added: Headers) -> None:
        self._send, self.added = send, added

    async def __call__(self, message: Message) -> None:
        """Send on."""
        if message["type"] == "http.response.start":
            headers = list(message.get("headers", ()))
            said = {name for name, _ in headers}
            headers += [(name, value) for name, value in DEFAULTS if name not in said]
            message = {**message, "headers": headers + self.added}
        await self._send(message)


@lru_cache(maxsize=1024)
def _account(address: str) -> str:
    """Return on whose account a request from `address` goes that shows no token; empty for this very machine."""
    if is_loopback(address):
        return ""
    try:
        found = ip_address(address)
    except ValueError:
        return address or "unknown"
    return str(int(found) >> _SUBSCRIBER_BITS) if found.version == 6 else address


def _may_have_body(scope: Scope) -> bool:
    return scope["method"] not in ("GET", "HEAD")


def _has(scope: Scope, name: bytes) -> bool:
    return any(found == name for found, _ in scope["headers"])


def _size(headers: Headers) -> int:
    return sum(len(name) + len(value) for name, value in headers)
