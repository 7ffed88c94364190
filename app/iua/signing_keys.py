"""The keys that sign tokens: made at the first start, kept in the database or given as a file, changed in time.

A new key signs at once; the one before stays published until all that it signed has expired, and is then forgotten.
Own choice: RS256, which every resource server of IUA must understand (IUA-41), and whose verification is cheap.

Spec: IUA-92; RFC 7517.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import orjson
from joserfc.errors import JoseError
from joserfc.jwk import ECKey, RSAKey

from app.store.authority import KEYS, AuthorityStore
from app.store.driver import Document

ALGORITHM = "RS256"
READ_EVERY = timedelta(seconds=30)
AGAIN_AFTER = timedelta(seconds=1)

# A retired key is published for as long as a token may live, and a day.
RETIRED_FOR = timedelta(hours=25)

SigningKey = RSAKey | ECKey


class KeyFileError(Exception):
    """The file of the signing keys cannot be used: one sentence for the operator."""


@dataclass(frozen=True, slots=True)
class _Read:
    keys: tuple[SigningKey, ...]
    made: datetime
    at: datetime


class SigningKeys:
    """The keys of one authorization server; what was read of the database is known for half a minute."""

    def __init__(self, days: int, file: str = "") -> None:
        """Use the keys of `file`, else those of the database, of which each signs for `days`.

        Raises:
            KeyFileError: the file is not there, or holds no private key.
        """
        self._days = timedelta(days=days)
        self._given = read_key_file(Path(file)) if file else ()
        self._read: _Read | None = None

    async def all(self, store: AuthorityStore, now: datetime) -> Sequence[SigningKey]:
        """Return all keys that may have signed a token which is still good; the first one signs."""
        if self._given:
            return self._given
        known = self._read
        if known is None or not known.at <= now < known.at + READ_EVERY or now >= known.made + self._days:
            known = self._read = await self._current(store, now)
        return known.keys

    async def published(self, store: AuthorityStore, now: datetime) -> dict[str, Any]:
        """Return the JWKS: public keys, each with `kid`, `use` and `alg`."""
        return {"keys": [dict(key.as_dict(private=False)) for key in await self.all(store, now)]}

    async def verifying(self, store: AuthorityStore, now: datetime, kid: str) -> SigningKey | None:
        """Return the key `kid`, None when there is none; a key that another worker made just now is found as well."""
        found = _named(await self.all(store, now), kid)
        if found is None and self._read and now >= self._read.at + AGAIN_AFTER:
            self._read = None
            found = _named(await self.all(store, now), kid)
        return found

    async def rotate(self, store: AuthorityStore, now: datetime) -> str:
        """Let a new key sign from now on; return its `kid`."""
        found = await _kept(store)
        await _add(store, found, now)
        self._read = None
        return str((await self.all(store, now))[0].kid)

    async def _current(self, store: AuthorityStore, now: datetime) -> _Read:
        found = await _kept(store)
        if not found or now >= found[0]["made"] + self._days:
            await _add(store, found, now)
            found = await _kept(store)
        return _Read(tuple(_key(one["jwk"]) for one in found), found[0]["made"], now)


def _named(keys: Sequence[SigningKey], kid: str) -> SigningKey | None:
    return next((key for key in keys if key.kid == kid), None)


async def _kept(store: AuthorityStore) -> list[Document]:
    return sorted(await store.all(KEYS), key=lambda one: -int(one["_id"]))


async def _add(store: AuthorityStore, found: Sequence[Document], now: datetime) -> None:
    """Add the key after those of `found`; of workers that do so at once, one succeeds, and the others read its key."""
    number = int(found[0]["_id"]) + 1 if found else 1
    if not await store.add(KEYS, {"_id": str(number), "made": now, "jwk": new_key().as_dict(private=True)}):
        return
    for one in found:
        if "forget" not in one:
            await store.keep(KEYS, {**one, "forget": now + RETIRED_FOR})


def new_key() -> RSAKey:
    """Return a new pair of keys for `ALGORITHM`."""
    return RSAKey.generate_key(2048, {"use": "sig", "alg": ALGORITHM}, auto_kid=True)


def read_key_file(path: Path) -> tuple[SigningKey, ...]:
    """Return the private keys of a JWK, a JWKS or a PEM file; the first one signs.

    Raises:
        KeyFileError: it is not there, or holds something else.
    """
    try:
        text = path.read_bytes()
        if text.lstrip().startswith(b"-----"):
            keys: tuple[SigningKey, ...] = (_pem(text),)
        else:
            read = orjson.loads(text)
            keys = tuple(_key(one) for one in read.get("keys", [read]))
    except (OSError, ValueError, AttributeError, TypeError, JoseError) as error:
        raise KeyFileError(f"The file of the signing keys, `{path}`, cannot be read: {type(error).__name__}.") from None
    if not keys or not all(key.is_private for key in keys):
        raise KeyFileError(f"The file of the signing keys, `{path}`, holds no private key.")
    return keys


def algorithm(key: SigningKey) -> str:
    """Return with which algorithm `key` signs."""
    return str(key.get("alg") or ALGORITHM)


def _pem(text: bytes) -> SigningKey:
    for kind, alg in ((RSAKey, ALGORITHM), (ECKey, "ES256")):
        try:
            key: SigningKey = kind.import_key(text, {"use": "sig", "alg": alg})
        except (JoseError, ValueError, TypeError):
            continue
        key.ensure_kid()
        return key
    raise ValueError


def _key(jwk: dict[str, Any]) -> SigningKey:
    alg = (
        ALGORITHM if jwk.get("kty") == "RSA" else {"P-384": "ES384", "P-521": "ES512"}.get(jwk.get("crv", ""), "ES256")
    )
    kind = RSAKey if jwk.get("kty") == "RSA" else ECKey
    key: SigningKey = kind.import_key(jwk, {"use": "sig", "alg": jwk.get("alg", alg)})
    key.ensure_kid()
    return key
