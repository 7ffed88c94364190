"""Refresh tokens: each is good for one use, and brings the next; whoever uses one twice ends all of its family.

Spec: RFC 6749 6, OAuth 2.1 draft 09 4.3; IUA-67.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime

from app.iua.access_token import Authorization
from app.iua.authority import Authority
from app.iua.granted_scope import granted
from app.iua.oauth_error import OAuthError
from app.iua.registration import Client, user_of
from app.iua.revoked import is_revoked, names_of, revoke
from app.iua.secret import digest
from app.store.authority import REFRESH, AuthorityStore


async def refresh(
    parameters: dict[str, str], client: Client, authority: Authority, store: AuthorityStore, now: datetime
) -> Authorization:
    """Return what a refresh token stands for, which is used up; of many who ask at once, one gets it.

    Raises:
        OAuthError: `invalid_grant`; `invalid_scope` when nothing of the scope asked for was granted before.
    """
    name = digest(parameters["refresh_token"])
    kept = await store.one(REFRESH, name)
    if kept is None or kept["tenant"] != authority.tenant or kept["given"]["client"] != client.name:
        raise OAuthError("invalid_grant", "the refresh token is not known")
    given = Authorization(**kept["given"])
    whole = granted(given.scope, client.scopes)  # what the client may have now
    scope = granted(parameters["scope"], whole.split()) if "scope" in parameters else whole
    user = await user_of(store, authority.tenant, given.subject)
    if (
        user is None
        or now >= kept["until"]
        or await is_revoked(store, names_of(given.family, authority.tenant, client.name))
    ):
        raise OAuthError("invalid_grant", "the refresh token has expired, or is revoked")
    _, is_first = await store.use(REFRESH, name, now)
    if not is_first:
        await revoke(store, given.family, now)
        raise OAuthError("invalid_grant", "the refresh token was used before")
    return replace(given, scope=scope, whole=whole, claims=user.claims, patient=user.patient)
