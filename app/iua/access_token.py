"""Access tokens and refresh tokens: what they say, how they are made, and what is still known of them.

An access token is a signed JWT, or opaque: then what it says is kept here. Its `jti` begins with the name of its
family, all that came from one authorization, which is revoked together.

Spec: IUA-40 to IUA-44, IUA-52, IUA-61 to IUA-67, IUA-82 to IUA-84; RFC 7519, RFC 9068.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from datetime import datetime
from typing import Any

import orjson
from joserfc import jws, jwt
from joserfc.errors import JoseError
from joserfc.jws import JWSRegistry

from app.iua.authority import Authority
from app.iua.registration import Client, User
from app.iua.revoked import family_of, is_revoked, names_of
from app.iua.secret import digest, new_secret
from app.iua.signing_keys import algorithm
from app.store.authority import REFRESH, TOKENS, AuthorityStore

JWT, OPAQUE = "urn:ietf:params:oauth:token-type:jwt", "urn:ietf:params:oauth:token-type:access-token"
SAML = ("urn:ietf:params:oauth:token-type:saml2", "urn:ietf:params:oauth:token-type:saml1")

# `requested_token_type` -> format; the last is RFC 8693's spelling (IUA-52).
FORMATS: Mapping[str, str] = {"": JWT, JWT: JWT, OPAQUE: OPAQUE, OPAQUE.replace("access-", "access_"): OPAQUE}

_OPAQUE_PREFIX, _REFRESH_PREFIX = "op.", "r1."


@dataclass(frozen=True, slots=True)
class Authorization:
    """What one authorization is for: it stays the same in all tokens that come from it, but for a smaller scope.

    Attributes:
        family: name of all that comes from it.
        client: `client_id`.
        subject: the user, or the client once more.
        audience: the resource server.
        scope: granted, blank-separated.
        format: of the access tokens.
        claims: of `ihe_iua`.
        patient: the one patient it is bound to; empty for none.
        whole: the scope of the refresh token, where that of the access token was asked to be smaller.
    """

    family: str
    client: str
    subject: str
    audience: str
    scope: str
    format: str = JWT
    claims: Mapping[str, Any] | None = None
    patient: str = ""
    whole: str = ""


def authorization_of(
    family: str, client: Client, user: User | None, audience: str, scope: str, format_: str
) -> Authorization:
    """Return the authorization of `user`, or of the client itself."""
    who, claims = (user.name, user.claims) if user else (client.name, client.claims)
    return Authorization(family, client.name, who, audience, scope, format_, claims, user.patient if user else "")


async def issue(given: Authorization, authority: Authority, store: AuthorityStore, token_id: str, now: datetime) -> str:
    """Return an access token.

    Args:
        token_id: distinguishes it in its family.
    """
    claims = claims_of(given, authority, f"{given.family}.{token_id}", now)
    if given.format == JWT:
        key = (await authority.keys.all(store, now))[0]
        alg = algorithm(key)
        return jwt.encode({"typ": "JWT", "alg": alg, "kid": key.kid}, claims, key, algorithms=[alg])
    token = _OPAQUE_PREFIX + new_secret()
    await store.add(TOKENS, {"_id": digest(token), "claims": claims, "forget": now + authority.lives})
    return token


def claims_of(given: Authorization, authority: Authority, token_id: str, now: datetime) -> dict[str, Any]:
    """Return the claims of an access token (IUA-42, IUA-43)."""
    seconds = int(now.timestamp())
    claims: dict[str, Any] = {
        "iss": authority.issuer,
        "sub": given.subject,
        "client_id": given.client,
        "aud": given.audience,
        "jti": token_id,
        "iat": seconds,
        "exp": seconds + int(authority.lives.total_seconds()),
        "scope": given.scope,
    }
    if given.patient:
        claims["patient"] = given.patient
    return claims | ({"extensions": {"ihe_iua": dict(given.claims)}} if given.claims else {})


async def issue_refresh(given: Authorization, authority: Authority, store: AuthorityStore, now: datetime) -> str:
    """Return a refresh token, whose scope does not become smaller (RFC 6749 6)."""
    given = replace(given, scope=given.whole or given.scope, whole="")
    token = _REFRESH_PREFIX + new_secret()
    until = now + authority.refresh_lives
    kept = {"tenant": authority.tenant, "given": asdict(given), "used": None, "until": until, "forget": until}
    await store.add(REFRESH, {"_id": digest(token), **kept})
    return token


async def claims_now(token: str, authority: Authority, store: AuthorityStore, now: datetime) -> dict[str, Any] | None:
    """Return what a token says that `authority` gave and that is good now; None for any other."""
    claims = await (_opaque_claims if token.startswith(_OPAQUE_PREFIX) else _signed_claims)(
        token, authority, store, now
    )
    if claims is None or claims["iss"] != authority.issuer or claims["exp"] <= now.timestamp():
        return None
    names = names_of(claims["jti"], authority.tenant, claims["client_id"])
    return None if await is_revoked(store, names) else claims


async def family_of_token(token: str, authority: Authority, store: AuthorityStore, now: datetime) -> tuple[str, str]:
    """Return client and mark under which a token of either kind is revoked; both empty for none of ours."""
    if found := await store.one(REFRESH, digest(token)):
        return found["given"]["client"], found["given"]["family"]
    claims = await claims_now(token, authority, store, now)
    return (claims["client_id"], claims["jti"]) if claims else ("", "")


async def _opaque_claims(
    token: str, authority: Authority, store: AuthorityStore, now: datetime
) -> dict[str, Any] | None:
    found = await store.one(TOKENS, digest(token))
    return found["claims"] if found else None


async def _signed_claims(
    token: str, authority: Authority, store: AuthorityStore, now: datetime
) -> dict[str, Any] | None:
    try:
        read = jws.extract_compact(token.encode())
        kid = read.headers().get("kid")
        key = await authority.keys.verifying(store, now, kid) if isinstance(kid, str) else None
        if key is None:
            return None
        found = jws.deserialize_compact(token.encode(), key, registry=JWSRegistry(algorithms=[algorithm(key)]))
        claims: dict[str, Any] = orjson.loads(found.payload)
    except (JoseError, ValueError, TypeError):
        return None
    return claims if family_of(claims.get("jti", "")) else None
