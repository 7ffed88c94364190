"""Which resource servers a token may be for: this server's `[base]`, and those that are registered as clients.

Spec: IUA-65; RFC 8707.
"""

from __future__ import annotations

from app.iua.authority import Authority
from app.iua.oauth_error import OAuthError
from app.store.authority import CLIENTS, AuthorityStore


async def audience(asked: str, authority: Authority, store: AuthorityStore) -> str:
    """Return the audience of a token for the resource `asked`; empty is the default, a slash at the end is tolerated.

    Raises:
        OAuthError: `invalid_target`.
    """
    wanted = asked.rstrip("/")
    if wanted in ("", authority.base_url):
        return authority.base_url
    if await store.all(CLIENTS, {"tenant": authority.tenant, "resource": wanted, "is_revoked": False}):
        return wanted
    raise OAuthError("invalid_target", "`resource` names no resource server that is known here")
