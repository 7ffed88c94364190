"""What a request tells of its caller: for the guard who lets it in, and for the audit."""

from __future__ import annotations

from starlette.requests import Request

from app.rest.media import Wanted
from app.rest.proxies import address_of
from app.security.guard import Credentials
from app.transaction import Context, RawRequest, RequestMessage


def credentials(http: Request) -> Credentials:
    """Return what `http` brings to show who asks."""
    address = address_of(http.scope)
    subject = http.scope.get("extensions", {}).get("tls", {}).get("client_cert_name") or ""
    return Credentials(http.headers.getlist("authorization"), subject, address, http.scope.get("proxy", address))


def raw_request(http: Request, form: Wanted, message: RequestMessage | None, context: Context) -> RawRequest:
    """Return `http` as it came, its URL below the public `[base]`."""
    path = http.scope.get("raw_path", b"").decode("latin-1").partition("?")[0][len(http.scope["root_path"]) :]
    query = http.scope["query_string"].decode("latin-1")
    url = f"{context.base_url}{path}?{query}" if query else f"{context.base_url}{path}"
    body = message.body if message else b""
    return RawRequest(http.method, url, http.headers, body, address_of(http.scope), form.request_id)
