"""Get Authorization Server Metadata [ITI-103]: where tokens are given, and how.

The document of an own authorization server stands at the root of its host, a tenant's below it; below `[base]` stands
the document of the one that this server trusts, its own or another, in the words of the European guides.

Spec: IHE ITI TF-2:3.103; RFC 8414; IUA-90 to IUA-97; EHDS-10.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from functools import partial
from typing import Any

from app.fhir.outcome import FhirError
from app.iua.access_token import JWT, OPAQUE
from app.iua.authority import Authority
from app.transaction import Context, Interaction, RequestMessage, ResponseMessage, Transaction

WELL_KNOWN = "/.well-known/oauth-authorization-server"

# How the European guides name the format of IUA's tokens.
EHDS_FORMAT = "ihe-jwt"

# What everybody may read is no event.
READ_BY_ALL = "capabilities"

Metadata = dict[str, Any]

# Returns the metadata of the authorization server that is trusted here.
Find = Callable[[], Awaitable[Metadata]]


def metadata(authority: Authority, scopes: Sequence[str]) -> Metadata:
    """Return the metadata of `authority`.

    Args:
        scopes: those that this server knows.
    """
    issuer, refreshing = authority.issuer, ["refresh_token", "refresh-token"] if authority.refresh_lives else []
    return {
        "issuer": issuer,
        "authorization_endpoint": f"{issuer}/authorize",
        "token_endpoint": authority.token_endpoint,
        "jwks_uri": f"{issuer}/jwks.json",
        "scopes_supported": list(scopes),
        "response_types_supported": ["code"],
        "grant_types_supported": ["client_credentials", "authorization_code", *refreshing],
        "code_challenge_methods_supported": ["S256"],
        "token_endpoint_auth_methods_supported": ["private_key_jwt", "client_secret_basic", "none"],
        "token_endpoint_auth_signing_alg_values_supported": list(authority.algorithms),
        "introspection_endpoint": f"{issuer}/introspect",
        "introspection_endpoint_auth_methods_supported": ["Bearer", "client_secret_basic", "private_key_jwt"],
        "revocation_endpoint": f"{issuer}/revoke",
        "revocation_endpoint_auth_methods_supported": ["private_key_jwt", "client_secret_basic", "none"],
        "access_token_format": [JWT, OPAQUE],
    }


async def get_authorization_server_metadata(
    authority: Authority, scopes: Sequence[str], message: RequestMessage, context: Context
) -> ResponseMessage:
    """Answer with the metadata of an own authorization server (2:3.103.4.1.3)."""
    return ResponseMessage(200, metadata(authority, scopes))


async def get_keys(authority: Authority, message: RequestMessage, context: Context) -> ResponseMessage:
    """Answer with the keys that verify its tokens (IUA-92)."""
    return ResponseMessage(200, await authority.keys.published(context.store.authority, context.now()))


async def get_trusted_metadata(find: Find | None, message: RequestMessage, context: Context) -> ResponseMessage:
    """Answer with the metadata of the authorization server that is trusted here (EHDS-10)."""
    if find is None:
        raise not_offered()
    return ResponseMessage(200, {**await find(), "access_token_format": EHDS_FORMAT})


def not_offered() -> FhirError:
    """Return the refusal where nothing is told."""
    return FhirError("not-found", "No authorization server is described here.")


def iti103(authority: Authority, scopes: Sequence[str]) -> Transaction:
    """Return the transaction as `authority` offers it."""
    own = partial(get_authorization_server_metadata, authority, scopes)
    return _transaction(
        Interaction(READ_BY_ALL, "GET", f"{WELL_KNOWN}{authority.path}", own),
        Interaction(READ_BY_ALL, "GET", f"{authority.path}/jwks.json", partial(get_keys, authority)),
    )


def iti103_below_base(base_path: str, find: Find | None) -> Transaction:
    """Return the transaction as it is offered below `[base]`."""
    return _transaction(
        Interaction(READ_BY_ALL, "GET", f"{base_path}{WELL_KNOWN}", partial(get_trusted_metadata, find))
    )


def _transaction(*interactions: Interaction) -> Transaction:
    return Transaction(
        code="ITI-103",
        name="Get Authorization Server Metadata",
        client="Authorization Client",
        server="Authorization Server",
        interactions=interactions,
    )
