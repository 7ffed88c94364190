"""Get Access Token [ITI-71]: the Authorization Server's side, for applications and for trials.

An Authorization Client asks with its own credentials, or with a code that a user's consent brought it; the answer is
an access token, and with a code a refresh token.

Spec: IHE ITI TF-2:3.71; RFC 6749, RFC 7523, RFC 8707; IUA-50 to IUA-70; EHDS-12 to EHDS-14.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from functools import partial

from app.iua.access_token import (
    FORMATS,
    JWT,
    OPAQUE,
    Authorization,
    authorization_of,
    issue,
    issue_refresh,
)
from app.iua.authority import Authority
from app.iua.authorization_code import redeem
from app.iua.authorize import authorize
from app.iua.client_authentication import authenticate
from app.iua.form import NO_STORE, authorization_header, parameters_of, required
from app.iua.granted_scope import granted
from app.iua.oauth_error import OAuthError
from app.iua.refresh import refresh
from app.iua.registration import Client
from app.iua.resource_servers import audience
from app.security.principal import Principal
from app.store.authority import AuthorityStore
from app.transaction import About, Context, Interaction, RequestMessage, ResponseMessage, Transaction

WARNING = '299 - "shared secrets are taken for trials only: register a key"'


@dataclass(frozen=True, slots=True)
class Asked:
    """A request for a token, by a client that showed who it is."""

    parameters: dict[str, str]
    client: Client
    authority: Authority
    store: AuthorityStore
    now: datetime
    new_id: Callable[[], str]


async def get_access_token(authority: Authority, message: RequestMessage, context: Context) -> ResponseMessage:
    """Answer a token request (2:3.71.4.1.3).

    Returns:
        200 and the token answer, with the scope that was granted (IUA-61, IUA-62).

    Raises:
        OAuthError: each code of RFC 6749 5.2, `invalid_target`, `slow_down` (429).
    """
    parameters, store, now = parameters_of(message.query), context.store.authority, context.now()
    authorization = authorization_header(message)
    client = await authenticate(parameters, authorization, authority, store, now)
    asked = Asked(parameters, client, authority, store, now, context.new_id)
    try:
        given = await _granting(asked)(asked)
        answer, token_id = await _answer(given, asked)
    except OAuthError as error:
        error.client = client.name
        raise
    headers = {"Warning": WARNING} if authorization and not client.takes_basic else {}
    return ResponseMessage(200, answer, NO_STORE | headers, About(principal=_principal(given, token_id, authority)))


def _granting(asked: Asked) -> Callable[[Asked], Awaitable[Authorization]]:
    granting = GRANTS.get(required(asked.parameters, "grant_type"))
    if granting is None:
        raise OAuthError("unsupported_grant_type", f"offered: {', '.join(GRANTS)}")
    if asked.parameters.get("requested_token_type", "") not in FORMATS:
        raise OAuthError("invalid_request", f"`requested_token_type` may be {JWT} or {OPAQUE}")
    return granting


async def _by_client(asked: Asked) -> Authorization:
    """Grant by the client's own credentials: for applications without a user."""
    if asked.client.is_public:
        raise OAuthError("unauthorized_client", "a client without a key or a secret has no credentials")
    scope = granted(asked.parameters.get("scope", ""), asked.client.scopes)
    resource = await audience(asked.parameters.get("resource", ""), asked.authority, asked.store)
    return authorization_of(asked.new_id(), asked.client, None, resource, scope, _format(asked))


async def _by_code(asked: Asked) -> Authorization:
    required(asked.parameters, "code")
    required(asked.parameters, "code_verifier")
    given = await redeem(asked.parameters, asked.client, asked.authority, asked.store, asked.now)
    if await audience(asked.parameters.get("resource", given.audience), asked.authority, asked.store) != given.audience:
        raise OAuthError("invalid_target", "`resource` is not that of the authorization request")
    return replace(given, format=_format(asked)) if "requested_token_type" in asked.parameters else given


async def _by_refresh(asked: Asked) -> Authorization:
    required(asked.parameters, "refresh_token")
    return await refresh(asked.parameters, asked.client, asked.authority, asked.store, asked.now)


GRANTS: Mapping[str, Callable[[Asked], Awaitable[Authorization]]] = {
    "client_credentials": _by_client,
    "authorization_code": _by_code,
    "refresh_token": _by_refresh,
    "refresh-token": _by_refresh,  # the guide's spelling (IUA register, I3)
}


def _format(asked: Asked) -> str:
    return FORMATS[asked.parameters.get("requested_token_type", "")]


async def _answer(given: Authorization, asked: Asked) -> tuple[dict[str, object], str]:
    """Return the answer, and the `jti` of its token."""
    authority, store, now, token_id = asked.authority, asked.store, asked.now, asked.new_id()
    answer: dict[str, object] = {
        "token_type": "Bearer",
        "access_token": await issue(given, authority, store, token_id, now),
        "scope": given.scope,
        "expires_in": int(authority.lives.total_seconds()),
    }
    if given.patient.startswith("Patient/"):
        answer["patient"] = given.patient.removeprefix("Patient/")
    if given.subject != given.client and authority.refresh_lives:
        answer["refresh_token"] = await issue_refresh(given, authority, store, now)
    return answer, f"{given.family}.{token_id}"


def _principal(given: Authorization, token_id: str, authority: Authority) -> Principal:
    claims = {"ihe_iua": given.claims} if given.claims else {}
    return Principal(given.client, authority.issuer, given.subject, token_id, claims=claims)


def iti71(authority: Authority) -> Transaction:
    """Return the transaction as `authority` offers it."""
    return Transaction(
        code="ITI-71",
        name="Get Access Token",
        client="Authorization Client",
        server="Authorization Server",
        interactions=(
            Interaction("operation", "POST", f"{authority.path}/token", partial(get_access_token, authority)),
            Interaction("operation", "GET", f"{authority.path}/authorize", partial(authorize, authority)),
            Interaction("operation", "POST", f"{authority.path}/authorize", partial(authorize, authority)),
        ),
        audit_profile="https://profiles.ihe.net/ITI/BALP/StructureDefinition/IHE.IUA.71",
    )
