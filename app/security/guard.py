"""Who is let in: a token becomes an access, or a refusal.

Spec: RFC 6750; ITI-72 (IUA-20 to IUA-31); EHDS-11, EHDS-23.
"""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from ipaddress import IPv4Network, IPv6Network, ip_address
from typing import Literal, Protocol

from app.security.access import UNRESTRICTED, Access
from app.security.principal import Principal
from app.security.refusal import denied, insufficient, login_required, unusable
from app.security.rules import Rule, permits
from app.security.scope import Grant, admitting, needs_grant

Mode = Literal["off", "static", "smart", "iua", "external"]
Network = IPv4Network | IPv6Network


# What may stand behind `Bearer`, generously: RFC 6750 section 2.1 has fewer characters.
_TOKEN = re.compile(r"[!-~]+")


@dataclass(frozen=True, slots=True)
class Credentials:
    """What a request brings to show who asks.

    Attributes:
        authorization: the values of all `Authorization` header fields, as they came.
        certificate: the subject that a trusted proxy, or TLS itself, verified; empty when there is none.
        peer: address of the other end, or what a trusted proxy says it is.
        proxy: address of the machine that the connection comes from.
    """

    authorization: Sequence[str] = ()
    certificate: str = ""
    peer: str = ""
    proxy: str = ""


class Guard(Protocol):
    """Lets requests in."""

    @property
    def mode(self) -> Mode:
        """How it is found out who asks; `off` and `external`: not by this server."""
        ...

    async def admit(self, credentials: Credentials, transaction: str, scope: str) -> Access:
        """Return what the bearer of `credentials` may see and write in `transaction`.

        Args:
            transaction: IHE's number; empty for plain FHIR interactions.
            scope: what the interaction needs, `DocumentReference.s`; empty when everybody may.

        Raises:
            FhirError: `login`, `expired`, `security` or `forbidden` (401, 403), `not-found` (404) where denials are
                concealed, `transient` (503).
        """
        ...

    async def close(self) -> None:
        """Let go of connections to authorization servers."""
        ...


class Open:
    """Lets everybody in: for a desk, and behind somebody else's access control."""

    mode: Mode = "off"

    async def admit(self, credentials: Credentials, transaction: str, scope: str) -> Access:
        """Return access without restriction."""
        return UNRESTRICTED

    async def close(self) -> None:
        """Do nothing."""


class Identify(Protocol):
    """Finds out whose token it is."""

    async def principal(self, token: str) -> Principal:
        """Return who bears `token`.

        Raises:
            RefusedError: `expired`, `security` (401) or `transient` (503).
        """
        ...

    async def close(self) -> None:
        """Let go of connections."""
        ...


# What a principal may see with the grants that cover a transaction (its number, or empty).
Decide = Callable[[Principal, tuple[Grant, ...], str], Awaitable[Access]]


async def without_restriction(principal: Principal, granted: tuple[Grant, ...], transaction: str) -> Access:
    """Return access to everything."""
    return Access(principal)


@dataclass(frozen=True, slots=True)
class Gate:
    """Lets in who shows a token, or a certificate, that covers what is asked.

    Attributes:
        tokens: finds out whose token it is.
        decide: what part of the records exists for whom was let in.
        certificates: subject -> who it is.
        rules: purposes of use and roles without which a scope does not count.
    """

    mode: Mode
    tokens: Identify
    decide: Decide = without_restriction
    certificates: Mapping[str, Principal] = field(default_factory=dict)
    rules: Sequence[Rule] = ()

    async def admit(self, credentials: Credentials, transaction: str, scope: str) -> Access:
        """Return what the bearer of `credentials` may see; nothing that is stored has been looked at by then (IUA-30).

        Raises:
            RefusedError: `login`, `expired`, `security`, `forbidden` (401, 403), `not-found` (404), `transient` (503).
        """
        if not scope:
            return UNRESTRICTED
        principal = await self._principal(credentials)
        granted = admitting(principal.grants, transaction, scope)
        if not needs_grant(scope):
            return await self.decide(principal, granted, transaction)
        if not granted:
            raise insufficient(principal, transaction, scope)
        permitted = permits(self.rules, principal, granted, transaction, scope)
        if not permitted:
            raise denied(principal, "The purpose of use, or the role, is none for which this is allowed.")
        return await self.decide(principal, permitted, transaction)

    async def close(self) -> None:
        """Let go of connections to authorization servers."""
        await self.tokens.close()

    async def _principal(self, credentials: Credentials) -> Principal:
        if credentials.authorization:
            return await self.tokens.principal(bearer_token(credentials.authorization))
        known = self.certificates.get(subject_key(credentials.certificate)) if credentials.certificate else None
        if known is None:
            raise login_required()
        return known


def bearer_token(values: Sequence[str]) -> str:
    """Return the token of the one `Authorization` header field (IUA-20, IUA-28).

    Raises:
        RefusedError: `security` (401) for several fields, another scheme, or no token.
    """
    if len(values) > 1:
        raise unusable("more than one Authorization header field came")
    scheme, _, token = values[0].strip(" ").partition(" ")
    if scheme.lower() != "bearer":
        raise login_required("`Authorization` was expected as `Bearer <token>`; other schemes are not understood.")
    token = token.strip(" ")
    if not _TOKEN.fullmatch(token):
        raise unusable("the Authorization header field holds no token")
    return token


def subject_key(subject: str) -> str:
    """Return a certificate's subject as it is compared: some proxies write a blank behind the comma (RFC 4514)."""
    return re.sub(r"(?<!\\),\s+", ",", subject.strip())


@dataclass(frozen=True, slots=True)
class Gateway:
    """Lets in whatever a gateway of the deployment has let in: mode `external`.

    Attributes:
        networks: where the gateway is; whoever comes from elsewhere is refused.
    """

    networks: Sequence[Network]
    mode: Mode = "external"

    async def admit(self, credentials: Credentials, transaction: str, scope: str) -> Access:
        """Return access without restriction to the gateway.

        Raises:
            RefusedError: `login` (401) for whoever comes from elsewhere.
        """
        if scope and not comes_from(self.networks, credentials.proxy or credentials.peer):
            raise login_required("This server answers its gateway only.")
        return UNRESTRICTED

    async def close(self) -> None:
        """Do nothing."""


def comes_from(networks: Sequence[Network], address: str) -> bool:
    """Tell whether `address` lies in one of `networks`; what is no address does not."""
    try:
        found = ip_address(address)
    except ValueError:
        return False
    return any(found in network for network in networks)
