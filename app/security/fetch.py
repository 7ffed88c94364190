"""Asking an authorization server: bounded in size and time, without redirects, and never more often than needed.

Own choice of bounds: five seconds for an answer, 256 KB of it; a key set of a hundred keys has 50 KB.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Generic, TypeVar
from urllib.parse import urlsplit

import httpx
import orjson

from app.security.refusal import RefusedError, unavailable

TIMEOUT_S = 5.0
MAX_BYTES = 256 * 1024
RETRY_S = 10.0
LOOPBACK = frozenset({"127.0.0.1", "::1", "localhost"})

T = TypeVar("T")
Answer = tuple[Any, Mapping[str, str]]


def is_safe_url(url: str) -> bool:
    """Tell whether a key or a token may travel to `url`: https, or this very machine."""
    parts = urlsplit(url)
    return bool(parts.hostname) and (parts.scheme == "https" or (parts.scheme == "http" and parts.hostname in LOOPBACK))


class Fetch:
    """Asks authorization servers over connections that are kept."""

    def __init__(self) -> None:
        """Make the client; it connects when it is first used."""
        limits = httpx.Limits(max_connections=20, max_keepalive_connections=5)
        self._client = httpx.AsyncClient(timeout=TIMEOUT_S, limits=limits, follow_redirects=False)

    async def get(self, url: str) -> Answer:
        """Return the JSON at `url` and the header fields of the answer.

        Raises:
            RefusedError: `transient` (503) when it cannot be had.
        """
        return await self._ask(httpx.Request("GET", url, headers={"Accept": "application/json"}))

    async def post(self, url: str, form: Mapping[str, str], authorization: str = "") -> Answer:
        """Post `form` to `url`; return the JSON of the answer and its header fields.

        Raises:
            RefusedError: `transient` (503) when there is no answer, or it is not 200.
        """
        headers = {"Accept": "application/json"} | ({"Authorization": authorization} if authorization else {})
        content = str(httpx.QueryParams(form)).encode()
        headers["Content-Type"] = "application/x-www-form-urlencoded"
        return await self._ask(httpx.Request("POST", url, headers=headers, content=content))

    async def close(self) -> None:
        """Close the connections."""
        await self._client.aclose()

    async def _ask(self, request: httpx.Request) -> Answer:
        if not is_safe_url(str(request.url)):
            raise not_reached()
        try:
            async with asyncio.timeout(TIMEOUT_S):
                return await self._read(request)
        except (httpx.HTTPError, httpx.InvalidURL, TimeoutError, ValueError):
            raise not_reached() from None

    async def _read(self, request: httpx.Request) -> Answer:
        answer = await self._client.send(request, stream=True)
        try:
            body = bytearray()
            async for part in answer.aiter_bytes():
                body += part
                if len(body) > MAX_BYTES:
                    raise ValueError
        finally:
            await answer.aclose()
        if answer.status_code != 200:
            raise ValueError
        return orjson.loads(bytes(body)), answer.headers


def not_reached() -> RefusedError:
    """Return the refusal of everybody while an authorization server does not answer as it should."""
    return unavailable("The authorization server cannot be reached at the moment.")


@dataclass(slots=True)
class Kept(Generic[T]):
    """Something that is fetched, kept for a while, and shared by all who wait for it.

    Attributes:
        fetch: returns it, and for how many seconds it is good.
        grace_s: how long the old one serves on while a new one cannot be fetched.
        clock: seconds, of whatever origin.
    """

    fetch: Callable[[], Awaitable[tuple[T, float]]]
    grace_s: float = 0.0
    clock: Callable[[], float] = time.monotonic
    _value: T | None = None
    _until: float = 0.0
    _asked: float = field(default=float("-inf"))
    _has_failed: bool = False
    _fetching: asyncio.Task[None] | None = None

    async def value(self) -> T:
        """Return it, fetched when what is kept is not good any more.

        Raises:
            RefusedError: `transient` (503) when there is none.
        """
        if self._value is None or self.clock() >= self._until:
            await self._renew_or_keep()
        if self._value is None:
            raise not_reached()
        return self._value

    async def renewed(self, not_within_s: float) -> T:
        """Return it, fetched anew unless that was tried within the last `not_within_s` seconds.

        Raises:
            RefusedError: `transient` (503) when there is none.
        """
        if self.clock() - self._asked >= not_within_s:
            await self._renew_or_keep()
        return await self.value()

    async def _renew_or_keep(self) -> None:
        """Fetch; while that fails, the old one is good for `grace_s` more, and nobody asks again for some seconds."""
        if self._fetching is None:
            if self._has_failed and self.clock() - self._asked < RETRY_S:
                self._drop_when_stale()
                return
            self._fetching = asyncio.create_task(self._fetched())
        await asyncio.shield(self._fetching)  # a caller who goes away takes the answer from nobody else

    async def _fetched(self) -> None:
        self._asked = self.clock()
        try:
            self._value, good_for = await self.fetch()
            self._until = self.clock() + good_for
            self._has_failed = False
        except RefusedError:
            self._has_failed = True
            self._drop_when_stale()
        finally:
            self._fetching = None

    def _drop_when_stale(self) -> None:
        if self.clock() >= self._until + self.grace_s:
            self._value = None
