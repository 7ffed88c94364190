"""Where the keys of an issuer come from."""

from __future__ import annotations

from typing import Protocol

from joserfc.jwk import Key


class Keys(Protocol):
    """The keys of one issuer."""

    async def find(self, kid: str, algorithm: str) -> Key | None:
        """Return the key that verifies `algorithm` under the id `kid` (empty: the token names none); None: no such key.

        Raises:
            RefusedError: `transient` (503) when the keys cannot be had.
        """
        ...

    async def close(self) -> None:
        """Let go of connections."""
        ...
