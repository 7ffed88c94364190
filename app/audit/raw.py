"""The raw request, as an event repeats it: what was asked, without what lets somebody in.

Spec: AUD-13, AUD-23 to AUD-25; RFC 6749, 6750, 7521, 7636, 8693 for the parameters that are secrets.
"""

from __future__ import annotations

import re
from base64 import b64encode
from collections.abc import Mapping
from typing import Literal
from urllib.parse import unquote, unquote_plus

from app.transaction import RawRequest

# Header fields that are repeated, in this order (AUD-24); in any request also these two are looked at.
_SHOWN = {
    "host": "Host",
    "accept": "Accept",
    "content-type": "Content-Type",
    "prefer": "Prefer",
    "x-request-id": "X-Request-Id",
}
Body = Literal["any", "form", "none"]

_LOOKED_AT = frozenset({*_SHOWN, "traceparent"})

# Parameters of query strings and forms that never appear in an event.
SECRETS = frozenset(
    {
        "access_token",
        "assertion",
        "client_assertion",
        "client_secret",
        "csrf",
        "code",
        "code_verifier",
        "id_token",
        "id_token_hint",
        "password",
        "refresh_token",
        "requested_token",
        "subject_token",
        "actor_token",
        "token",
    }
)
# `code` is a search parameter of Lists too, and a secret only where it is exchanged for a token.
_SECRETS_OF_URLS = SECRETS - {"code"}

_SUSPICIOUS = re.compile(r"token|secret|password|assertion|verifier|%", re.IGNORECASE)
_FORM = "application/x-www-form-urlencoded"
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f]+")


def headers_of(request: RawRequest) -> dict[str, str]:
    """Return the header fields that events are made of; the whole header is read once, because that is slow."""
    return {name: value for name, value in request.headers.items() if name in _LOOKED_AT}


def query_of(request: RawRequest, headers: Mapping[str, str], body: Body) -> str:
    """Return the request in base64: request line, header fields, an empty line and the body if there is one."""
    lines = [f"{request.method} {_without_secrets(request.url)} HTTP/1.1"]
    lines += [f"{_SHOWN[name]}: {headers[name]}" for name in _SHOWN if name in headers]
    text = "\n".join(lines)
    told = _body(request, headers, body) if request.body else b""
    return b64encode(_bytes(text) + b"\n\n" + told if told else _bytes(text)).decode()


def clear_query_of(request: RawRequest, headers: Mapping[str, str], base_url: str) -> str:
    """Return a search for people to read, decoded, with the parameters of a form behind those of the URL (AUD-25)."""
    url = _without_secrets(request.url).removeprefix(f"{base_url}/")
    form = _body(request, headers, "form").decode("latin-1") if request.body else ""
    text = f"{url}{'&' if '?' in url else '?'}{form}" if form else url
    return _CONTROL.sub(" ", f"{request.method} {unquote_plus(text)}").strip()


def _body(request: RawRequest, headers: Mapping[str, str], body: Body) -> bytes:
    """Return the body as far as it is repeated; a form without its secrets."""
    if body == "none":
        return b""
    if not headers.get("content-type", "").lower().startswith(_FORM):
        return request.body if body == "any" else b""
    pairs = request.body.decode("latin-1").split("&")
    return "&".join(pair for pair in pairs if _name(pair) not in _secrets_of(request)).encode("latin-1")


def _secrets_of(request: RawRequest) -> frozenset[str]:
    return _SECRETS_OF_URLS if request.url.partition("?")[0].endswith("/_search") else SECRETS


def _without_secrets(url: str) -> str:
    if not _SUSPICIOUS.search(url):
        return url
    path, mark, query = url.partition("?")
    kept = [pair for pair in query.split("&") if _name(pair) not in _SECRETS_OF_URLS]
    return f"{path}{mark}{'&'.join(kept)}"


def _name(pair: str) -> str:
    return unquote(pair.partition("=")[0]).strip().lower()


def _bytes(text: str) -> bytes:
    """Return the bytes that came: what arrived is decoded as Latin-1, our own base may be in any script."""
    try:
        return text.encode("latin-1")
    except UnicodeEncodeError:
        return text.encode()
