"""Codes: what a user's consent becomes until the client fetches its tokens; good for one use and five minutes.

Spec: RFC 6749 4.1.2 and 4.1.3, RFC 7636 4.6; IUA-57, IUA-58.
"""

from __future__ import annotations

from base64 import urlsafe_b64encode
from dataclasses import asdict
from datetime import datetime, timedelta
from hashlib import sha256
from hmac import compare_digest

from app.iua.access_token import Authorization
from app.iua.authority import CODE_LIVES, Authority
from app.iua.authorization_request import AuthorizationRequest
from app.iua.oauth_error import OAuthError
from app.iua.registration import Client
from app.iua.revoked import revoke
from app.iua.secret import digest, new_secret
from app.store.authority import CODES, AuthorityStore
from app.store.driver import Document

# A used code is known for so long, so that its second use is noticed.
KNOWN = timedelta(days=1)


async def issue_code(
    request: AuthorizationRequest, given: Authorization, authority: Authority, store: AuthorityStore, now: datetime
) -> str:
    """Return a code for what was granted."""
    code = new_secret()
    kept = {
        "tenant": authority.tenant,
        "given": asdict(given),
        "redirect_uri": request.redirect_uri,
        "challenge": request.challenge,
        "used": None,
        "until": now + CODE_LIVES,
        "forget": now + KNOWN,
    }
    await store.add(CODES, {"_id": digest(code), **kept})
    return code


async def redeem(
    parameters: dict[str, str], client: Client, authority: Authority, store: AuthorityStore, now: datetime
) -> Authorization:
    """Return what the code among `parameters` stands for, which is used up; of many who ask at once, one gets it.

    Raises:
        OAuthError: `invalid_grant`; after a second use, everything that came from the first one is revoked.
    """
    name = digest(parameters.get("code", ""))
    kept = await store.one(CODES, name)
    if kept is None or kept["tenant"] != authority.tenant or kept["given"]["client"] != client.name:
        raise OAuthError("invalid_grant", "the code is not known")
    if kept["used"] is None:
        _check(kept, parameters, now)
    kept, is_first = await store.use(CODES, name, now)
    if kept is None or not is_first:
        await revoke(store, kept["given"]["family"] if kept else name, now)
        raise OAuthError("invalid_grant", "the code was used before")
    return Authorization(**kept["given"])


def _check(kept: Document, parameters: dict[str, str], now: datetime) -> None:
    if now >= kept["until"]:
        raise OAuthError("invalid_grant", "the code has expired")
    if parameters.get("redirect_uri", kept["redirect_uri"]) != kept["redirect_uri"]:
        raise OAuthError("invalid_grant", "`redirect_uri` is not that of the authorization request")
    if not compare_digest(challenge_of(parameters.get("code_verifier", "")), kept["challenge"]):
        raise OAuthError("invalid_grant", "`code_verifier` does not fit the `code_challenge`")


def challenge_of(verifier: str) -> str:
    """Return the S256 challenge of a verifier (RFC 7636 4.2)."""
    return urlsafe_b64encode(sha256(verifier.encode()).digest()).rstrip(b"=").decode()
