"""`private_key_jwt`: a client shows who it is by an assertion that it signed, which is good for one use.

Spec: RFC 7523 3; SMART App Launch 2.2, "Authenticating to the token endpoint"; EHDS-13, EHDS-15, IUA-48.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import orjson
from joserfc import jws
from joserfc.errors import JoseError
from joserfc.jwk import Key
from joserfc.jws import CompactSignature, JWSRegistry

from app.iua.authority import SKEW, Authority
from app.iua.client_keys import UnreachableKeysError
from app.iua.oauth_error import OAuthError
from app.iua.registration import Client, client_of
from app.iua.secret import digest
from app.security.keys import PUBLIC
from app.store.authority import ASSERTIONS, AuthorityStore

TYPE = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"
FARTHEST = timedelta(minutes=5)

# Members of the header that would bring a key along, or change what is signed.
REFUSED_HEADERS = ("jwk", "x5u", "x5c", "crit", "b64")


class _Registry(JWSRegistry):
    """Headers may be longer than joserfc expects: they may hold a URL."""

    max_header_length = 4096


_REGISTRY = _Registry(None, PUBLIC, False)  # which members are taken, and which algorithms, is checked here


@dataclass(frozen=True, slots=True)
class Assertion:
    """An assertion as it came; nothing in it is believed yet."""

    header: Mapping[str, Any]
    claims: Mapping[str, Any]
    signed: CompactSignature


def read_assertion(text: str) -> Assertion:
    """Return what an assertion says.

    Raises:
        OAuthError: `invalid_client` when it is no signed JWT.
    """
    try:
        found = jws.extract_compact(text.encode(), registry=_REGISTRY)
        header, claims = found.headers(), orjson.loads(found.payload)
    except (JoseError, ValueError, TypeError):
        raise refused("`client_assertion` is no signed JWT") from None
    if not isinstance(claims, dict) or not isinstance(header, dict):
        raise refused("`client_assertion` is no signed JWT")
    return Assertion(header, claims, found)


async def authenticated_by(assertion: Assertion, authority: Authority, store: AuthorityStore, now: datetime) -> Client:
    """Return the client that signed `assertion`, which is used up with that.

    Raises:
        OAuthError: `invalid_client` (400).
    """
    name = assertion.claims.get("iss")
    client = await client_of(store, authority.tenant, name) if isinstance(name, str) else None
    if client is None or not client.has_keys:
        raise refused("the client is not known, or has no key here")
    _check_header(assertion.header, client, authority)
    key = await _key(assertion, client, authority, now)
    _check_signature(assertion, key)
    await _use_up(assertion, authority, client, _checked_end(assertion.claims, authority, now), store)
    return client


def refused(reason: str) -> OAuthError:
    """Return the refusal of an assertion."""
    return OAuthError("invalid_client", reason)


def _check_header(header: Mapping[str, Any], client: Client, authority: Authority) -> None:
    if header.get("alg") not in authority.algorithms:
        raise refused(f"`alg` of the assertion must be one of {', '.join(authority.algorithms)}")
    if str(header.get("typ", "")).upper() != "JWT":
        raise refused("`typ` of the assertion must be JWT")
    if "jku" in header and header["jku"] != client.jwks_url:
        raise refused("`jku` of the assertion is not the URL that is registered")
    if named := [name for name in REFUSED_HEADERS if name in header]:
        raise refused(f"`{named[0]}` is not taken in the header of an assertion")


async def _key(assertion: Assertion, client: Client, authority: Authority, now: datetime) -> Key:
    kid = assertion.header.get("kid")
    if not isinstance(kid, str) or not kid:
        raise refused("`kid` of the assertion is missing")
    try:
        key = await authority.client_keys.find(client, kid, str(assertion.header["alg"]), now)
    except UnreachableKeysError:
        raise refused("the keys of the client cannot be fetched from the URL that is registered") from None
    if key is None:
        raise refused("`kid` of the assertion names no key of the client for its `alg`")
    return key


def _check_signature(assertion: Assertion, key: Key) -> None:
    try:
        is_genuine = jws.validate_compact(assertion.signed, key, [str(assertion.header["alg"])], _REGISTRY)
    except (JoseError, ValueError, TypeError):
        is_genuine = False
    if not is_genuine:
        raise refused("the signature of the assertion is wrong")


def _checked_end(claims: Mapping[str, Any], authority: Authority, now: datetime) -> datetime:
    """Return when an assertion ends whose claims are as they must be."""
    if claims.get("sub") != claims.get("iss"):
        raise refused("`iss` and `sub` of the assertion must both be the client_id")
    if claims.get("aud") not in (authority.token_endpoint, [authority.token_endpoint]):
        raise refused(f"`aud` of the assertion must be {authority.token_endpoint}")
    end = _time(claims, "exp")
    if end is None or end <= now - SKEW:
        raise refused("`exp` of the assertion is missing, or past")
    if end > now + FARTHEST + SKEW:
        raise refused("`exp` of the assertion is more than 5 minutes ahead")
    if any((begin := _time(claims, name)) and begin > now + SKEW for name in ("nbf", "iat")):
        raise refused("the assertion is not valid yet")
    return end


def _time(claims: Mapping[str, Any], name: str) -> datetime | None:
    """Return a time; None when it is missing.

    Raises:
        OAuthError: it is no number, or one that no clock shows.
    """
    value = claims.get(name)
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value < 2**40:
        raise refused(f"`{name}` of the assertion is no time in seconds")
    return datetime.fromtimestamp(value, UTC)


async def _use_up(
    assertion: Assertion, authority: Authority, client: Client, end: datetime, store: AuthorityStore
) -> None:
    """Let no other request have the same `jti` before `end`, whichever worker it asks."""
    token_id = assertion.claims.get("jti")
    if not isinstance(token_id, str) or not token_id:
        raise refused("`jti` of the assertion is missing")
    name = digest(f"{authority.tenant}\0{client.name}\0{token_id}")
    if not await store.add(ASSERTIONS, {"_id": name, "forget": end + SKEW}):
        raise refused("the assertion was used before")
