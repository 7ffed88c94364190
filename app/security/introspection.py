"""Asking the authorization server what a token is worth.

Spec: RFC 7662; ITI-102 (IUA-81 to IUA-88); EHDS-19.
"""

from __future__ import annotations

import asyncio
from base64 import b64encode
from collections.abc import Awaitable, Callable, Mapping
from typing import Any, Protocol
from urllib.parse import quote_plus

from app.security.fetch import Fetch, Kept, not_reached

Locate = Callable[[], Awaitable[str]]


class Introspecting(Protocol):
    """Whoever says what a token is worth."""

    async def claims(self, token: str) -> Mapping[str, Any] | None:
        """Return what the token says; None when it is not active.

        Raises:
            RefusedError: `transient` (503) when there is no answer.
        """
        ...


class Authenticate(Protocol):
    """How this server shows an introspection endpoint who it is."""

    async def authorization(self) -> str:
        """Return the value of `Authorization`.

        Raises:
            RefusedError: `transient` (503) when it cannot be had.
        """
        ...


class ByPassword:
    """HTTP Basic with the client's id and secret (RFC 6749 section 2.3.1)."""

    def __init__(self, client: str, secret: str) -> None:
        """Take the credentials of this server at the authorization server."""
        pair = f"{quote_plus(client)}:{quote_plus(secret)}"
        self._value = f"Basic {b64encode(pair.encode()).decode()}"

    async def authorization(self) -> str:
        """Return the value of `Authorization`."""
        return self._value


class ByToken:
    """A bearer token of this server's own, obtained by client credentials (IUA-81)."""

    def __init__(self, token_endpoint: Locate, password: ByPassword, fetch: Fetch) -> None:
        """Get tokens where `token_endpoint` tells."""
        self._token_endpoint = token_endpoint
        self._password = password
        self._fetch = fetch
        self._kept: Kept[str] = Kept(self._fetched)

    async def authorization(self) -> str:
        """Return the value of `Authorization`."""
        return f"Bearer {await self._kept.value()}"

    async def _fetched(self) -> tuple[str, float]:
        form = {"grant_type": "client_credentials"}
        authorization = await self._password.authorization()
        answer, _ = await self._fetch.post(await self._token_endpoint(), form, authorization)
        token = answer.get("access_token") if isinstance(answer, dict) else None
        if not isinstance(token, str) or not token:
            raise not_reached()
        lives = answer.get("expires_in", 60)
        return token, max(0.0, float(lives) - 10) if isinstance(lives, int | float) else 50.0


class Introspection:
    """The introspection endpoint of one authorization server."""

    def __init__(self, locate: Locate, authenticate: Authenticate, fetch: Fetch) -> None:
        """Ask where `locate` tells."""
        self._locate = locate
        self._authenticate = authenticate
        self._fetch = fetch
        self._asking: dict[str, asyncio.Task[Mapping[str, Any] | None]] = {}

    async def claims(self, token: str) -> Mapping[str, Any] | None:
        """Return what the authorization server says of `token`; None when it is not active.

        Requests that come with the same token at the same time share one question.

        Raises:
            RefusedError: `transient` (503) when there is no answer (IUA-88).
        """
        asking = self._asking.get(token)
        if asking is None:
            asking = self._asking[token] = asyncio.create_task(self._asked(token))
            asking.add_done_callback(lambda _: self._asking.pop(token, None))
        return await asyncio.shield(asking)

    async def _asked(self, token: str) -> Mapping[str, Any] | None:
        form = {"token": token, "token_type_hint": "access_token"}
        answer, _ = await self._fetch.post(await self._locate(), form, await self._authenticate.authorization())
        if not isinstance(answer, dict) or not isinstance(answer.get("active"), bool):
            raise not_reached()
        return answer if answer["active"] else None
