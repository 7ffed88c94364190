"""Tokens that are not good any more before their time: one by one, by what they come from, or by their client.

A token's `jti` begins with the name of its family: what came from one authorization. A mark for a family, for a token
or for a client says that they are revoked; who looks finds it in the database, so no worker misses it.

Spec: IUA-58, IUA-83; RFC 7009.
"""

from __future__ import annotations

from collections.abc import Collection
from datetime import datetime, timedelta

from app.store.authority import REVOKED, AuthorityStore

# Longer than any refresh token of any setting.
MATTERS = timedelta(days=91)


async def is_revoked(store: AuthorityStore, names: Collection[str]) -> bool:
    """Whether one of `names` is marked now."""
    return bool(await store.names(REVOKED, names))


async def revoke(store: AuthorityStore, name: str, now: datetime) -> None:
    """Mark a family, or a token."""
    await store.keep(REVOKED, {"_id": name, "forget": now + MATTERS})


def family_of(token_id: str) -> str:
    """Return the family that is named in a `jti`."""
    return token_id.partition(".")[0]


def names_of(token_id: str, tenant: str, client: str) -> tuple[str, ...]:
    """Return every name under which a token may have been revoked."""
    return token_id, family_of(token_id), client_mark(tenant, client)


def client_mark(tenant: str, client: str) -> str:
    """Return the name under which all tokens of a client are revoked."""
    return f"client {tenant} {client}"
