"""The metadata of the authorization server that is trusted here: its own, or another's, fetched and kept for an hour.

Spec: IUA-98, IUA-99; EHDS-09, EHDS-10; RFC 8414 3.
"""

from __future__ import annotations

from typing import Any

from app.iua.authority import Authority
from app.iua.iti103_get_authorization_server_metadata import Find, Metadata, metadata
from app.security.fetch import Fetch, Kept, not_reached
from app.security.keys import MAX_AGE_S, metadata_urls
from app.security.refusal import RefusedError


def of_own(authority: Authority, scopes: tuple[str, ...]) -> Find:
    """Return what finds the metadata of an own authorization server."""

    async def find() -> Metadata:
        return metadata(authority, scopes)

    return find


class TrustedMetadata:
    """The metadata of another authorization server; asked for without redirects."""

    def __init__(self, issuer: str) -> None:
        self._issuer = issuer
        self._fetch = Fetch()
        self._kept: Kept[Metadata] = Kept(self._fetched, MAX_AGE_S)

    async def find(self) -> Metadata:
        """Return the metadata.

        Raises:
            RefusedError: `transient` (503) when it cannot be had.
        """
        return await self._kept.value()

    async def close(self) -> None:
        """Let go of connections."""
        await self._fetch.close()

    async def _fetched(self) -> tuple[Metadata, float]:
        smart = f"{self._issuer.rstrip('/')}/.well-known/smart-configuration"
        found: Metadata = {}
        for url in (smart, *metadata_urls(self._issuer)):
            content = await self._content(url)
            if content.get("issuer", self._issuer) == self._issuer and "token_endpoint" in content:
                found = content | found
        if not found:
            raise not_reached()
        return {**found, "issuer": self._issuer}, MAX_AGE_S

    async def _content(self, url: str) -> dict[str, Any]:
        try:
            content, _ = await self._fetch.get(url)
        except RefusedError:
            return {}
        return content if isinstance(content, dict) else {}
