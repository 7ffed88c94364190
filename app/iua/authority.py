"""What an authorization server is: its name, where it answers, and what it grants for how long."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from urllib.parse import urlsplit

from app.iua.client_keys import ClientKeys
from app.iua.signing_keys import SigningKeys
from app.store.turns import Turns

CODE_LIVES = timedelta(minutes=5)

# How far the clocks of others may be off (IUA-03).
SKEW = timedelta(seconds=30)


@dataclass(frozen=True, slots=True)
class Authority:
    """An authorization server; each tenant has one of its own.

    Attributes:
        issuer: the URL that is its name.
        tenant: empty for the one without a name.
        base_url: `[base]`: the audience of its tokens when a request names none.
        lives: of an access token.
        refresh_lives: of a refresh token; nothing when none are given.
        algorithms: which signatures of clients are taken.
        has_secrets: shared secrets are taken from every client that has one: for trials.
        keys: what signs.
        client_keys: what clients sign with.
        turns: in which secrets of one owner are compared.
    """

    issuer: str
    tenant: str
    base_url: str
    lives: timedelta = timedelta(seconds=300)
    refresh_lives: timedelta = timedelta(0)
    algorithms: Sequence[str] = ("RS384", "ES384")
    has_secrets: bool = False
    keys: SigningKeys = field(default_factory=lambda: SigningKeys(90))
    client_keys: ClientKeys = field(default_factory=ClientKeys)
    turns: Turns = field(default_factory=Turns)

    @property
    def token_endpoint(self) -> str:
        """Where tokens are given, and the audience of clients' assertions."""
        return f"{self.issuer}/token"

    @property
    def path(self) -> str:
        """The path of the issuer, below which its endpoints are; empty for a host alone."""
        return urlsplit(self.issuer).path


def issuer_of(issuer: str, base_url: str, tenant: str) -> str:
    """Return the issuer of a tenant: `issuer`, or the host of `[base]`, and the tenant's name as the last segment."""
    parts = urlsplit(base_url)
    root = issuer.rstrip("/") or f"{parts.scheme}://{parts.netloc}"
    return f"{root}/{tenant}" if tenant else root
