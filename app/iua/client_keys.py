"""The public keys of clients: registered with them, or fetched from the URL that they registered.

What a URL gave is used for as long as its `Cache-Control` says, at most an hour; a key that is not among them makes it
be asked once more, so that a client may change its keys at any time. A URL is asked for that reason once in ten
seconds at most: own choice, so that forged assertions make this server no burden to others.

Spec: EHDS-13, EHDS-15; SMART App Launch 2.2, "Registering a client"; RFC 7517.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from joserfc.jwk import Key

from app.iua.registration import Client
from app.security.fetch import Fetch
from app.security.keys import public_keys, select
from app.security.refusal import RefusedError

DEFAULT_AGE, LONGEST_AGE, AGAIN_AFTER = timedelta(minutes=5), timedelta(hours=1), timedelta(seconds=10)
MAX_CLIENTS = 10_000

_MAX_AGE = re.compile(r"(?:^|[\s,])max-age=(\d{1,9})")


class UnreachableKeysError(Exception):
    """The URL of a client's keys does not answer, or not with keys."""


@dataclass(slots=True)
class _Fetched:
    keys: Sequence[Key]
    until: datetime
    again_from: datetime


class ClientKeys:
    """Finds the keys of clients, and remembers what URLs gave."""

    def __init__(self) -> None:
        self._fetch = Fetch()
        self._fetched: dict[str, _Fetched] = {}

    async def find(self, client: Client, kid: str, algorithm: str, now: datetime) -> Key | None:
        """Return the key of `client` that is called `kid` and verifies `algorithm`; None when it has no such key.

        Raises:
            UnreachableKeysError: they cannot be fetched.
        """
        if not client.jwks_url:
            return _named(public_keys(client.jwks), kid, algorithm)
        known = self._fetched.get(client.jwks_url)
        if known is None or now >= known.until:
            known = await self._ask(client.jwks_url, now, again_from=now)
        elif _named(known.keys, kid, algorithm) is None and now >= known.again_from:
            known = await self._ask(client.jwks_url, now, again_from=now + AGAIN_AFTER)
        return _named(known.keys, kid, algorithm)

    async def close(self) -> None:
        """Let go of connections."""
        await self._fetch.close()

    async def _ask(self, url: str, now: datetime, again_from: datetime) -> _Fetched:
        try:
            content, headers = await self._fetch.get(url)
        except RefusedError:
            raise UnreachableKeysError from None
        if len(self._fetched) >= MAX_CLIENTS:
            self._fetched.clear()
        until = now + _age(headers.get("cache-control", "").lower())
        fetched = self._fetched[url] = _Fetched(public_keys(content), until, again_from)
        return fetched


def _named(keys: Sequence[Key], kid: str, algorithm: str) -> Key | None:
    return select([key for key in keys if key.get("kid") == kid], kid, algorithm)


def _age(cache_control: str) -> timedelta:
    if "no-store" in cache_control or "no-cache" in cache_control:
        return timedelta(0)
    found = _MAX_AGE.search(cache_control)
    return min(timedelta(seconds=int(found[1])), LONGEST_AGE) if found else DEFAULT_AGE
