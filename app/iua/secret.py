"""Secrets: made, kept as hashes, compared in constant time; digests of codes and tokens.

Spec: IUA-70. Own choice: scrypt with RFC 7914's parameters for interactive use, 30 ms of CPU a comparison, so that a
password chosen by a person is safe as well; it runs beside the event loop.
"""

from __future__ import annotations

import asyncio
from hashlib import scrypt, sha256
from hmac import compare_digest
from secrets import token_bytes, token_urlsafe

_COST = {"n": 2**14, "r": 8, "p": 1}
_NOBODY = "00" * 16 + "$" + "00" * 64


def new_secret() -> str:
    """Return 256 random bits as text."""
    return token_urlsafe(32)


def digest(text: str) -> str:
    """Return under what name a code or a token of ours is kept: it has bits enough to need no salt."""
    return sha256(text.encode()).hexdigest()


def hashed(secret: str) -> str:
    """Return salt and hash of `secret`."""
    salt = token_bytes(16)
    return f"{salt.hex()}${_hash(secret, salt).hex()}"


async def is_secret(secret: str, kept: str) -> bool:
    """Whether `kept` is a hash of `secret`; takes as long when there is none (`kept` empty)."""
    salt, _, value = (kept or _NOBODY).partition("$")
    computed = await asyncio.to_thread(_hash, secret, bytes.fromhex(salt))
    return compare_digest(computed, bytes.fromhex(value)) and bool(kept)


def _hash(secret: str, salt: bytes) -> bytes:
    return scrypt(secret.encode(), salt=salt, **_COST)
