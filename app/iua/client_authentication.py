"""Which client asks: by a signed assertion, by HTTP Basic where that is allowed, or by its name alone if it is public.

Spec: RFC 6749 2.3; IUA-51, IUA-59, IUA-63, IUA-70; EHDS-13, EHDS-14.
"""

from __future__ import annotations

from base64 import b64decode
from collections.abc import Mapping
from datetime import datetime, timedelta
from urllib.parse import unquote_plus

from app.iua.authority import Authority
from app.iua.client_assertion import TYPE, authenticated_by, read_assertion
from app.iua.oauth_error import OAuthError
from app.iua.registration import Client, client_of, key_of
from app.iua.secret import is_secret
from app.store.authority import AuthorityStore

BASIC = 'Basic realm="token"'
MAX_FAILURES, WINDOW = 5, timedelta(minutes=1)


async def authenticate(
    form: Mapping[str, str], authorization: str, authority: Authority, store: AuthorityStore, now: datetime
) -> Client:
    """Return the client that sent `form`.

    Args:
        authorization: the header; empty when there is none.

    Raises:
        OAuthError: `invalid_client` (401 for Basic and for no authentication at all, 400 for an assertion),
            `invalid_request` (400) for two kinds at once, `slow_down` (429).
    """
    if "client_assertion" in form or "client_assertion_type" in form:
        if authorization:
            raise OAuthError("invalid_request", "a client shows in one way who it is")
        return await _by_assertion(form, authority, store, now)
    if "client_secret" in form:
        raise _unknown("shared secrets are not taken in the body")
    if authorization:
        return _as_named(await _by_basic(authorization, authority, store, now), form)
    client = await client_of(store, authority.tenant, form.get("client_id", ""))
    if client is None or not client.is_public:
        raise _unknown("the client did not show who it is")
    return client


async def check_secret(
    name: str, secret: str, kept: str, authority: Authority, store: AuthorityStore, now: datetime
) -> bool:
    """Whether `secret` is that of `name`; a failure is remembered. Who tries often at once waits in turn.

    Args:
        name: `client …` or `user …`.
        kept: the hash; empty when there is none.

    Raises:
        OAuthError: `slow_down` (429) after too many failures, also with the right secret.
    """
    async with authority.turns.taken([hash(name)]):
        if await store.failures(name, now - WINDOW) >= MAX_FAILURES:
            headers = {"Retry-After": str(int(WINDOW.total_seconds()))}
            raise OAuthError("slow_down", "too many failures; try again in a minute", headers=headers)
        if await is_secret(secret, kept):
            return True
        await store.failed(name, now, WINDOW)
        return False


async def _by_assertion(form: Mapping[str, str], authority: Authority, store: AuthorityStore, now: datetime) -> Client:
    if form.get("client_assertion_type") != TYPE:
        raise OAuthError("invalid_client", f"`client_assertion_type` must be {TYPE}")
    assertion = read_assertion(form.get("client_assertion", ""))
    return _as_named(await authenticated_by(assertion, authority, store, now), form, status=400)


async def _by_basic(authorization: str, authority: Authority, store: AuthorityStore, now: datetime) -> Client:
    name, secret = _pair(authorization)
    client = await client_of(store, authority.tenant, name)
    who, kept = f"client {key_of(authority.tenant, name)}", client.secret if client else ""
    if not await check_secret(who, secret, kept, authority, store, now):
        raise _unknown("", name)
    if client is None or not (client.takes_basic or authority.has_secrets):
        raise _unknown("shared secrets are not taken from this client; register a key", name)
    return client


def _pair(authorization: str) -> tuple[str, str]:
    """Return name and secret, which are form-encoded within Basic (RFC 6749 2.3.1)."""
    scheme, _, value = authorization.partition(" ")
    try:
        text = b64decode(value.strip(), validate=True).decode()
    except ValueError:
        text = ""
    name, colon, secret = text.partition(":")
    if scheme.lower() != "basic" or not colon:
        raise _unknown("HTTP Basic with client_id and secret was expected")
    return unquote_plus(name)[:64], unquote_plus(secret)


def _as_named(client: Client, form: Mapping[str, str], status: int = 401) -> Client:
    if form.get("client_id", client.name) != client.name:
        raise OAuthError("invalid_client", "`client_id` names another client", status=status)
    return client


def _unknown(description: str, client: str = "") -> OAuthError:
    error = OAuthError("invalid_client", description, status=401, headers={"WWW-Authenticate": BASIC})
    error.client = client
    return error
