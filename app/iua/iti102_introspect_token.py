"""Introspect Token [ITI-102]: the Authorization Server's side; and revocation.

A Resource Server asks whether a token is good, and what it says. It learns nothing of tokens that are not for it.

Spec: IHE ITI TF-2:3.102; RFC 7662, RFC 7009; IUA-80 to IUA-84.
"""

from __future__ import annotations

from functools import partial
from typing import Any

from app.iua.access_token import claims_now, family_of_token
from app.iua.authority import Authority
from app.iua.client_authentication import authenticate
from app.iua.form import NO_STORE, authorization_header, parameters_of, required
from app.iua.oauth_error import OAuthError
from app.iua.registration import Client, client_of
from app.iua.revoked import revoke
from app.transaction import Context, Interaction, RequestMessage, ResponseMessage, Transaction

INACTIVE = {"active": False}


async def introspect_token(authority: Authority, message: RequestMessage, context: Context) -> ResponseMessage:
    """Answer a question about a token (2:3.102.4.1.3).

    Returns:
        200 and what the token says, or exactly that it is not active (IUA-83).

    Raises:
        OAuthError: `invalid_client` (401), `invalid_request` (400), `slow_down` (429).
    """
    parameters = parameters_of(message.query)
    asking = await _resource_server(parameters, authorization_header(message), authority, context)
    token = required(parameters, "token")
    claims = await claims_now(token, authority, context.store.authority, context.now())
    is_theirs = claims is not None and claims["aud"] == (asking.resource or None)
    answer: dict[str, Any] = {"active": True, **claims, "token_type": "Bearer"} if claims and is_theirs else INACTIVE
    return ResponseMessage(200, answer, NO_STORE)


async def revoke_token(authority: Authority, message: RequestMessage, context: Context) -> ResponseMessage:
    """Revoke an access token, or a refresh token with all that came from it (RFC 7009 2.1).

    Returns:
        200, also for a token that is not known; somebody else's stays as it is.

    Raises:
        OAuthError: as `introspect_token`.
    """
    parameters, store, now = parameters_of(message.query), context.store.authority, context.now()
    client = await authenticate(parameters, authorization_header(message), authority, store, now)
    owner, mark = await family_of_token(required(parameters, "token"), authority, store, now)
    if owner == client.name:
        await revoke(store, mark, now)
    return ResponseMessage(200, {}, NO_STORE)


async def _resource_server(
    parameters: dict[str, str], authorization: str, authority: Authority, context: Context
) -> Client:
    """Return who asks: by a token of its own (IUA-81), or as at the token endpoint."""
    store, now = context.store.authority, context.now()
    scheme, _, token = authorization.partition(" ")
    if scheme.lower() != "bearer":
        client = await authenticate(parameters, authorization, authority, store, now)
        if client.is_public:
            raise _unknown()
        return client
    claims = await claims_now(token.strip(), authority, store, now)
    is_own = claims is not None and claims["sub"] == claims["client_id"]
    asking = await client_of(store, authority.tenant, claims["client_id"]) if claims and is_own else None
    if asking is None:
        raise _unknown()
    return asking


def _unknown() -> OAuthError:
    headers = {"WWW-Authenticate": 'Bearer realm="introspect", error="invalid_token"'}
    return OAuthError("invalid_client", "the resource server did not show who it is", status=401, headers=headers)


def iti102(authority: Authority) -> Transaction:
    """Return the transaction as `authority` offers it."""
    return Transaction(
        code="ITI-102",
        name="Introspect Token",
        client="Resource Server",
        server="Authorization Server",
        interactions=(
            Interaction("operation", "POST", f"{authority.path}/introspect", partial(introspect_token, authority)),
            Interaction("operation", "POST", f"{authority.path}/revoke", partial(revoke_token, authority)),
        ),
    )
