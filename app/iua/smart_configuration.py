"""`[base]/.well-known/smart-configuration`: the same facts in SMART's words.

Spec: SMART App Launch 2.2, conformance.html; EHDS-09, IUA-99.
"""

from __future__ import annotations

from functools import partial

from app.iua.iti103_get_authorization_server_metadata import READ_BY_ALL, Find, Metadata, not_offered
from app.transaction import Context, Interaction, RequestMessage, ResponseMessage, Transaction

# Members that mean the same there and here.
MEMBERS = (
    "issuer",
    "jwks_uri",
    "authorization_endpoint",
    "token_endpoint",
    "token_endpoint_auth_methods_supported",
    "token_endpoint_auth_signing_alg_values_supported",
    "grant_types_supported",
    "scopes_supported",
    "response_types_supported",
    "introspection_endpoint",
    "revocation_endpoint",
    "code_challenge_methods_supported",
    "capabilities",
)


def smart_configuration(metadata: Metadata) -> Metadata:
    """Return what SMART's clients want to know of the authorization server that `metadata` describes.

    `plain` is never told (EHDS-09), and shared secrets only of a server of which nothing else is known.
    """
    found = {name: metadata[name] for name in MEMBERS if name in metadata}
    if "authorization_endpoint" in found:
        found["code_challenge_methods_supported"] = ["S256"]
    return {"capabilities": _capabilities(metadata)} | found


def _capabilities(metadata: Metadata) -> list[str]:
    methods, scopes = metadata.get("token_endpoint_auth_methods_supported", ()), ["permission-v2", "permission-v1"]
    is_asymmetric = ["client-confidential-asymmetric"] if "private_key_jwt" in methods else []
    is_launched = ["launch-standalone", "client-public"] if "authorization_endpoint" in metadata else []
    return [*is_launched, *is_asymmetric, *scopes]


async def get_smart_configuration(find: Find | None, message: RequestMessage, context: Context) -> ResponseMessage:
    """Answer with SMART's document of the authorization server that is trusted here."""
    if find is None:
        raise not_offered()
    return ResponseMessage(200, smart_configuration(await find()))


def smart(base_path: str, find: Find | None) -> Transaction:
    """Return the transaction, which has no number of IHE's."""
    path = f"{base_path}/.well-known/smart-configuration"
    return Transaction(
        code="",
        name="SMART configuration",
        client="",
        server="",
        interactions=(Interaction(READ_BY_ALL, "GET", path, partial(get_smart_configuration, find)),),
    )
