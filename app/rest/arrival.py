"""How slowly a body may arrive: slowly but steadily is fine, a trickle that keeps a worker busy is not.

Only the time counts in which this server waits for the client. A client may lose `lost_s` seconds, and has one second
more for every `rate` bytes that it sends: a document of any size passes on a slow line, a byte now and then does not.

Spec: RFC 9110 section 15.5.9 (408); MHD-SEC-08.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from time import monotonic

from starlette.types import Message, Receive

from app.fhir.outcome import FhirError


@dataclass(frozen=True, slots=True)
class Pace:
    """The slowest that a body may be.

    Attributes:
        lost_s: seconds that may be lost.
        rate: bytes that earn a second more.
    """

    lost_s: float = 30
    rate: int = 1_024


class Arrival:
    """The `receive` of a request whose body is waited for only so long; after the body it waits as long as it takes."""

    __slots__ = ("_is_over", "_left_s", "_pace", "_receive")

    def __init__(self, receive: Receive, pace: Pace) -> None:
        self._receive, self._pace, self._left_s, self._is_over = receive, pace, pace.lost_s, False

    async def __call__(self) -> Message:
        """Return the next part of the body.

        Raises:
            FhirError: `timeout` (408) when it does not come in time.
        """
        if self._is_over:
            return await self._receive()
        began = monotonic()
        try:
            async with asyncio.timeout(self._left_s):
                message = await self._receive()
        except TimeoutError:
            self._is_over = True
            raise self._too_slow() from None
        self._left_s += len(message.get("body", b"")) / self._pace.rate - (monotonic() - began)
        self._is_over = not message.get("more_body", False)
        return message

    def _too_slow(self) -> FhirError:
        text = (
            f"The body arrives too slowly: at least {self._pace.rate} bytes in a second were expected in the long run."
        )
        error = FhirError("timeout", text, status=408)
        error.headers["Connection"] = "close"
        return error
