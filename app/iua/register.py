"""Registering: a client, whose way to a token is told, or a user of the login form.

Spec: IUA-51, IUA-59, IUA-60, IUA-70; EHDS-14, EHDS-15.
"""

from __future__ import annotations

import sys
from argparse import Namespace
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from app.fhir.outcome import FhirError
from app.iua.authority import Authority
from app.iua.client_assertion import TYPE
from app.iua.described_client import described, organization
from app.iua.private_file import new_pair, write_private
from app.iua.registration import NAME, Client, User, keep_client, keep_user, key_of
from app.iua.revoked import client_mark
from app.iua.secret import hashed, new_secret
from app.store.authority import CLIENTS, REVOKED, USERS
from app.transaction import Context

ROLES = "http://terminology.hl7.org/CodeSystem/practitioner-role"
PURPOSES = "http://terminology.hl7.org/CodeSystem/v3-ActReason"

SHORTEST_PASSWORD = 8


@dataclass(frozen=True, slots=True)
class Administration:
    """What the commands work on: a store, and the authorization servers by tenant."""

    context: Context
    authorities: Sequence[Authority]

    def authority(self, tenant: str) -> Authority:
        """Return the authorization server of a tenant.

        Raises:
            FhirError: `not-found`.
        """
        for one in self.authorities:
            if one.tenant == tenant:
                return one
        raise FhirError("not-found", f"There is no tenant `{tenant}`: see MHD_AUTHORITY_TENANTS.")


async def register(options: Namespace, administration: Administration) -> list[str]:
    """Register a client; return what the administrator is told: how it gets a token."""
    authority, store = administration.authority(options.tenant), administration.context.store.authority
    client = described(options)
    if await store.one(USERS, key_of(client.tenant, client.name)):
        raise FhirError("duplicate", f"`{client.name}` is the name of a user already.")
    secret = new_secret() if options.secret else ""
    made = new_pair(authority) if not (options.jwks or options.secret or options.public) else None
    jwks = {"keys": [dict(made.as_dict(private=False))]} if made else client.jwks
    client = replace(client, secret=hashed(secret) if secret else "", jwks=jwks)
    path = write_private(made, client.name, authority) if made else None
    await keep_client(store, client)
    await store.remove(REVOKED, client_mark(client.tenant, client.name))
    return [f"Registered `{client.name}` for: {' '.join(client.scopes)}", *_how(client, secret, path, authority)]


async def add_user(options: Namespace, administration: Administration) -> list[str]:
    """Register a user; return what the administrator is told."""
    administration.authority(options.tenant)
    store = administration.context.store.authority
    if not NAME.fullmatch(options.name) or await store.one(CLIENTS, key_of(options.tenant, options.name)):
        raise FhirError("value", f"`{options.name}` is no name, or that of a client.")
    password = sys.stdin.readline().rstrip("\n") if options.password_stdin else new_secret()
    if len(password) < SHORTEST_PASSWORD:
        raise FhirError("value", f"The password is shorter than {SHORTEST_PASSWORD} characters.")
    claims = {
        "subject_name": options.full_name,
        **organization(options),
        "subject_role": [_coding(one, ROLES) for one in options.role],
        "purpose_of_use": [_coding(one, PURPOSES) for one in options.purpose],
        "person_id": options.person_id,
    }
    told = {name: value for name, value in claims.items() if value}
    await keep_user(store, User(options.name, options.tenant, hashed(password), told, options.patient))
    shown = [] if options.password_stdin else [f"The password, shown only now: {password}"]
    return [f"Registered the user `{options.name}`.", *shown]


def _how(client: Client, secret: str, path: Path | None, authority: Authority) -> list[str]:
    """Return how the client gets a token."""
    post, scope = f"curl -s {authority.token_endpoint}", " ".join(client.scopes)
    asked = f"  -d grant_type=client_credentials --data-urlencode 'scope={scope}'"
    if secret:
        note = [] if client.takes_basic else ["The secret is taken while the server runs with MHD_DEV_MODE=true only."]
        return [
            f"Its secret, shown only now: {secret}",
            *note,
            "A token:",
            f"{post} -u '{client.name}:{secret}' \\",
            asked,
        ]
    if client.is_public:
        return [f"Its users begin at {authority.issuer}/authorize, with PKCE (S256) and `state`."]
    if path is None:
        return [f"It posts to {authority.token_endpoint} what it signed (private_key_jwt)."]
    sign = f"{Path(sys.executable)} -m app clients sign {path}"
    return [
        f"Its private key is in {path}; nobody else has it.",
        "A token:",
        f"{post} \\",
        f"{asked} \\",
        f"  -d client_assertion_type={TYPE} \\",
        f"  -d client_assertion=$({sign})",
    ]


def _coding(text: str, system: str) -> dict[str, str]:
    named, _, code = text.rpartition("|")
    return {"system": named or system, "code": code}
