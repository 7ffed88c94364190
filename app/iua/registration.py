"""Who is registered at the authorization server: clients and users, as values and as they are kept."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

from app.store.authority import CLIENTS, USERS, AuthorityStore

NAME = re.compile(r"[A-Za-z0-9._~-]{1,64}")


@dataclass(frozen=True, slots=True)
class Client:
    """A registered client.

    Attributes:
        name: `client_id`.
        tenant: of the authorization server; empty for the one without a name.
        scopes: what it may have.
        secret: hash of its shared secret; empty when it has none.
        takes_basic: the secret is taken although shared secrets are not, in general (EHDS-14).
        jwks_url: where its public keys are.
        jwks: its public keys, when they are kept here.
        redirect_uris: where a code may be sent; a client that has some may ask for codes.
        resource: audience of the resource server that this client is; empty for others. It may introspect.
        claims: `ihe_iua` claims of its tokens where no user stands behind it.
        is_revoked: it gets nothing any more, and its tokens are not active.
    """

    name: str
    tenant: str = ""
    scopes: tuple[str, ...] = ()
    secret: str = ""
    takes_basic: bool = False
    jwks_url: str = ""
    jwks: Mapping[str, Any] = field(default_factory=dict)
    redirect_uris: tuple[str, ...] = ()
    resource: str = ""
    claims: Mapping[str, Any] = field(default_factory=dict)
    is_revoked: bool = False

    @property
    def has_keys(self) -> bool:
        """Whether it shows who it is by a signature."""
        return bool(self.jwks_url or self.jwks)

    @property
    def is_public(self) -> bool:
        """Whether it has nothing to show who it is (IUA-59)."""
        return not (self.has_keys or self.secret)


@dataclass(frozen=True, slots=True)
class User:
    """A registered user.

    Attributes:
        name: `sub`, and what is typed into the form.
        password: its hash.
        claims: `ihe_iua` claims.
        patient: the one patient whose data the user's tokens reach; empty for all.
    """

    name: str
    tenant: str = ""
    password: str = ""
    claims: Mapping[str, Any] = field(default_factory=dict)
    patient: str = ""


def key_of(tenant: str, name: str) -> str:
    """Return the name under which something of a tenant is kept."""
    return f"{tenant} {name}"


async def client_of(store: AuthorityStore, tenant: str, name: str) -> Client | None:
    """Return a client that may ask; None when it is not known, or revoked."""
    found = await store.one(CLIENTS, key_of(tenant, name)) if NAME.fullmatch(name) else None
    client = read_client(found) if found else None
    return client if client and not client.is_revoked else None


async def user_of(store: AuthorityStore, tenant: str, name: str) -> User | None:
    """Return a user; None when it is not known."""
    found = await store.one(USERS, key_of(tenant, name)) if NAME.fullmatch(name) else None
    return User(**{key: value for key, value in found.items() if key != "_id"}) if found else None


async def keep_client(store: AuthorityStore, client: Client) -> None:
    """Keep `client` in the place of the one with its name."""
    await store.keep(CLIENTS, {"_id": key_of(client.tenant, client.name), **asdict(client)})


async def keep_user(store: AuthorityStore, user: User) -> None:
    """Keep `user` in the place of the one with its name."""
    await store.keep(USERS, {"_id": key_of(user.tenant, user.name), **asdict(user)})


def read_client(document: Mapping[str, Any]) -> Client:
    """Return a client as it is kept."""
    values: dict[str, Any] = {key: value for key, value in document.items() if key != "_id"}
    lists = {key: tuple(value) for key, value in values.items() if isinstance(value, list)}
    return Client(**(values | lists))
