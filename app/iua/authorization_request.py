"""The authorization request, first leg of the grant by code: what it must bring, and where its refusals go.

Who is not known, or where the answer shall go, is never answered by a redirect; everything else is.

Spec: RFC 6749 4.1.1 and 4.1.2.1, RFC 7636, OAuth 2.1 draft 09; IUA-53 to IUA-56.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from urllib.parse import parse_qsl, urlencode, urlsplit, urlunsplit

from app.iua.access_token import FORMATS
from app.iua.authority import Authority
from app.iua.form import parameters_of, required
from app.iua.granted_scope import granted
from app.iua.oauth_error import OAuthError
from app.iua.registration import Client, client_of
from app.iua.resource_servers import audience
from app.store.authority import AuthorityStore

# What the page sends back as it came; everything else of a request is forgotten.
PARAMETERS = (
    "response_type",
    "client_id",
    "state",
    "redirect_uri",
    "code_challenge",
    "code_challenge_method",
    "resource",
    "aud",
    "scope",
    "requested_token_type",
)

_CHALLENGE = re.compile(r"[A-Za-z0-9_-]{43}")


class PageError(Exception):
    """A refusal that is told to the user on a page, and to nobody else."""


class RedirectError(Exception):
    """A refusal that is told to the client, by a redirect to `url`."""

    def __init__(self, url: str, client: str) -> None:
        super().__init__(client)
        self.url = url
        self.client = client


@dataclass(frozen=True, slots=True)
class AuthorizationRequest:
    """A request that may be shown to the user.

    Attributes:
        parameters: those of `PARAMETERS` that came, as they came.
        redirect_uri: where the answer goes.
        scope: what would be granted.
    """

    client: Client
    parameters: dict[str, str]
    redirect_uri: str
    state: str
    challenge: str
    scope: str
    audience: str

    def answer(self, **parameters: str) -> str:
        """Return the URL that takes `parameters` and the state to the client."""
        return with_query(self.redirect_uri, {**parameters, "state": self.state})


async def read_request(
    pairs: Sequence[tuple[str, str]], authority: Authority, store: AuthorityStore
) -> AuthorizationRequest:
    """Return the authorization request that `pairs` are.

    Raises:
        PageError: the client or the redirect URI is not known.
        RedirectError: anything else is wrong.
    """
    client, redirect_uri = await _destination(pairs, authority, store)
    state = next((value for name, value in pairs if name == "state"), "")
    try:
        parameters = parameters_of([pair for pair in pairs if pair[0] in PARAMETERS])
        return await _checked(client, redirect_uri, parameters, authority, store)
    except OAuthError as error:
        told = error.body() | ({"state": state} if state else {})
        raise RedirectError(with_query(redirect_uri, told), client.name) from None


def with_query(url: str, added: dict[str, str]) -> str:
    """Return `url` with more parameters in its query."""
    parts = urlsplit(url)
    query = urlencode([*parse_qsl(parts.query, keep_blank_values=True), *added.items()])
    return urlunsplit(parts._replace(query=query))


async def _destination(
    pairs: Sequence[tuple[str, str]], authority: Authority, store: AuthorityStore
) -> tuple[Client, str]:
    names = [value for name, value in pairs if name == "client_id"]
    client = await client_of(store, authority.tenant, names[0]) if len(names) == 1 else None
    if client is None:
        raise PageError("The application that sent you here is not known.")
    asked = [value for name, value in pairs if name == "redirect_uri"]
    if not asked and len(client.redirect_uris) == 1:
        return client, client.redirect_uris[0]
    if len(asked) != 1 or asked[0] not in client.redirect_uris:
        raise PageError("The application that sent you here did not say where to go on, or named a place not known.")
    return client, asked[0]


async def _checked(
    client: Client, redirect_uri: str, parameters: dict[str, str], authority: Authority, store: AuthorityStore
) -> AuthorizationRequest:
    if required(parameters, "response_type") != "code":
        raise OAuthError("unsupported_response_type", "`response_type` must be code")
    state, challenge = required(parameters, "state"), required(parameters, "code_challenge")
    if parameters.get("code_challenge_method") != "S256" or not _CHALLENGE.fullmatch(challenge):
        raise OAuthError("invalid_request", "`code_challenge_method` must be S256, with such a `code_challenge`")
    if parameters.get("requested_token_type", "") not in FORMATS:
        raise OAuthError("invalid_request", "this `requested_token_type` is not offered")
    resource = parameters.get("resource") or parameters.get("aud", "")
    return AuthorizationRequest(
        client,
        parameters,
        redirect_uri,
        state,
        challenge,
        granted(parameters.get("scope", ""), client.scopes),
        await audience(resource, authority, store),
    )
