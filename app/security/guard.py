"""Who is let in: a token becomes an access, or a refusal."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from app.security.access import UNRESTRICTED, Access


@dataclass(frozen=True, slots=True)
class Credentials:
    """What a request brings to show who asks.

    Attributes:
        authorization: the values of all `Authorization` header fields, as they came.
        certificate: the subject that a trusted proxy, or TLS itself, verified; empty when there is none.
        peer: address of the other end, or what a trusted proxy says it is.
    """

    authorization: Sequence[str] = ()
    certificate: str = ""
    peer: str = ""


class Guard(Protocol):
    """Lets requests in."""

    async def admit(self, credentials: Credentials, transaction: str, scope: str) -> Access:
        """Return what the bearer of `credentials` may see and write in `transaction`.

        Args:
            transaction: IHE's number; empty for plain FHIR interactions.
            scope: what the interaction needs, `DocumentReference.s`; empty when everybody may.

        Raises:
            FhirError: `login`, `expired`, `security` or `forbidden` (401, 403), `transient` (503).
        """
        ...


class Open:
    """Lets everybody in: for a desk, and behind somebody else's access control."""

    async def admit(self, credentials: Credentials, transaction: str, scope: str) -> Access:
        """Return access without restriction."""
        return UNRESTRICTED
