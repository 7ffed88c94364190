"""The own authorization servers of a deployment: made of its settings, and trusted by its resource server.

Spec: IUA-07, IUA-82, IUA-85, IUA-96.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from joserfc.jwk import Key

from app.iua.access_token import claims_now
from app.iua.authority import Authority, issuer_of
from app.iua.client_keys import ClientKeys
from app.iua.revoked import is_revoked, names_of
from app.iua.signing_keys import SigningKeys
from app.security.keys import PUBLIC, select
from app.security.scope import ALLOWED
from app.security.token import Issuer
from app.store.authority import AuthorityStore
from app.transaction import Transaction

_LETTERS = "cruds"


@dataclass(frozen=True, slots=True)
class Given:
    """What the settings say of the own authorization servers."""

    issuer: str
    tenants: Sequence[str]
    base_url: str
    token_s: int
    refresh_s: int
    algorithms: Sequence[str]
    key_file: str
    key_days: int
    has_secrets: bool


def authorities(given: Given) -> tuple[Authority, ...]:
    """Return the authorization servers: the one without a name first, then those of the tenants; they share keys.

    Raises:
        KeyFileError: the file of the signing keys cannot be used.
    """
    keys, client_keys = SigningKeys(given.key_days, given.key_file), ClientKeys()
    return tuple(
        Authority(
            issuer_of(given.issuer, given.base_url, tenant),
            tenant,
            given.base_url,
            timedelta(seconds=given.token_s),
            timedelta(seconds=given.refresh_s),
            given.algorithms,
            given.has_secrets,
            keys,
            client_keys,
        )
        for tenant in ("", *given.tenants)
    )


def scopes_of(transactions: Sequence[Transaction]) -> tuple[str, ...]:
    """Return the scopes that open `transactions`: their names, and SMART's for the types of resource."""
    names = [one.code for one in transactions if one.code in ALLOWED]
    letters: dict[str, set[str]] = {}
    for scope in (one.scope for transaction in transactions for one in transaction.interactions):
        resource_type, _, letter = scope.rpartition(".")
        if resource_type.isalpha() and letter in _LETTERS:
            letters.setdefault(resource_type, set()).add(letter)
    smart = [f"system/{name}.{''.join(sorted(letters[name], key=_LETTERS.index))}" for name in sorted(letters)]
    return (*names, *smart, "system/*.rs", "user/*.rs", "patient/*.rs")


def trusted(authority: Authority, store: AuthorityStore, now: Callable[[], datetime]) -> Issuer:
    """Return `authority` as the resource server trusts it: without asking over the network."""
    bearers = _Bearers(authority, store, now)
    return Issuer(
        authority.issuer,
        frozenset({authority.base_url, f"{authority.base_url}/"}),
        frozenset(PUBLIC),
        bearers,
        bearers,
        is_revoked=bearers.is_revoked,
    )


@dataclass(frozen=True, slots=True)
class _Bearers:
    """What the resource server asks of an own authorization server."""

    authority: Authority
    store: AuthorityStore
    now: Callable[[], datetime]

    async def find(self, kid: str, algorithm: str) -> Key | None:
        """Return the key that verifies `algorithm` under the id `kid`."""
        key = await self.authority.keys.verifying(self.store, self.now(), kid)
        return select([key], kid, algorithm) if key else None

    async def claims(self, token: str) -> Mapping[str, Any] | None:
        """Return what an opaque token says; None when it is not active."""
        return await claims_now(token, self.authority, self.store, self.now())

    async def is_revoked(self, claims: Mapping[str, Any]) -> bool:
        """Tell whether a JWT was taken back; who verifies remembers the answer for a while."""
        names = names_of(str(claims.get("jti", "")), self.authority.tenant, str(claims.get("client_id", "")))
        return await is_revoked(self.store, names)
