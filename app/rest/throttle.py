"""How much one client may ask: so many requests in a second in the long run, so many at a time.

A client is who its token says it is; without a token, its address. Whoever asks from this very machine is not limited.
Counted in each worker by itself, in memory of a fixed size: of many clients, those that were not seen for longest are
forgotten, and begin anew.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass, field
from math import ceil
from time import monotonic

from app.fhir.outcome import FhirError

MOST_CLIENTS = 10_000

# How long to wait when it is not the rate that is exceeded.
BUSY_S = 1


class ThrottledError(FhirError):
    """A client asks too much; nothing of its request was looked at."""


@dataclass(slots=True)
class Account:
    """What one client has left.

    Attributes:
        saved: requests that it may still send at once; below zero, it has sent too many.
        at: when that was true.
        open: requests that are being answered.
    """

    saved: float
    at: float
    open: int = 0


@dataclass(slots=True)
class Throttle:
    """The clients of one worker.

    Attributes:
        per_s: requests of one client in a second; 0: any number.
        burst: that it may have saved up.
        concurrent: requests of one client at a time; 0: any number.
        refused: how many requests were.
    """

    per_s: float = 0
    burst: int = 1_000
    concurrent: int = 0
    clock: Callable[[], float] = monotonic
    refused: int = 0
    _accounts: OrderedDict[str, Account] = field(default_factory=OrderedDict)

    @property
    def is_on(self) -> bool:
        """Whether anything is limited."""
        return bool(self.per_s or self.concurrent)

    def enter(self, client: str) -> None:
        """Count a request of `client` that begins.

        Raises:
            ThrottledError: `throttled` (429), with `Retry-After`; the request does not count then.
        """
        account = self._account(client)
        self._require_saved(account)
        if self.concurrent and account.open >= self.concurrent:
            raise self._refusal(f"{self.concurrent} requests of this client are being answered already", BUSY_S)
        account.saved -= 1
        account.open += 1

    def leave(self, client: str) -> None:
        """Count a request that has ended."""
        if account := self._accounts.get(client):
            account.open = max(0, account.open - 1)

    def require_saved(self, client: str) -> None:
        """Refuse a client that has sent too many requests; nothing is counted.

        Raises:
            ThrottledError: `throttled` (429).
        """
        self._require_saved(self._account(client))

    def charge(self, client: str) -> None:
        """Count a request of `client` that is over."""
        self._account(client).saved -= 1

    def _require_saved(self, account: Account) -> None:
        if self.per_s and account.saved < 1:
            wait = max(1, ceil((1 - account.saved) / self.per_s))
            raise self._refusal(f"This client has sent more than {self.per_s:g} requests in a second", wait)

    def _account(self, client: str) -> Account:
        now, found = self.clock(), self._accounts.get(client)
        if found is None:
            found = self._accounts[client] = Account(float(self.burst), now)
            if len(self._accounts) > MOST_CLIENTS:
                self._accounts.popitem(last=False)
        else:
            self._accounts.move_to_end(client)
            found.saved, found.at = min(self.burst, found.saved + (now - found.at) * self.per_s), now
        return found

    def _refusal(self, text: str, wait_s: int) -> ThrottledError:
        self.refused += 1
        error = ThrottledError("throttled", f"{text}; try again in {wait_s} s.")
        error.headers["Retry-After"] = str(wait_s)
        return error


class Turn:
    """One request, and on whose account it goes.

    With a token, that is known only when somebody has looked at it. Until then the address answers for it: whoever
    sends tokens that do not hold is limited like everybody else without one, and cannot use up another client's share.
    """

    __slots__ = ("_address", "_client", "_is_unknown", "_throttle")

    def __init__(self, throttle: Throttle, address: str, *, is_token: bool) -> None:
        """Begin the request; `address` is empty for one that is not limited.

        Raises:
            ThrottledError: `throttled` (429).
        """
        self._throttle, self._client, self._is_unknown = throttle, "", is_token
        self._address = f"address {address}" if address and throttle.is_on else ""
        if not self._address:
            return
        if is_token:
            throttle.require_saved(self._address)
        else:
            self._enter(self._address)

    def identify(self, client: str) -> None:
        """Go on as a request of `client`; empty for nobody in particular.

        Raises:
            ThrottledError: `throttled` (429).
        """
        if self._address and self._is_unknown:
            self._is_unknown = False
            self._enter(f"client {client}" if client else self._address)

    def end(self) -> None:
        """End the request: the client may send another one."""
        if self._client:
            self._throttle.leave(self._client)
        elif self._address and self._is_unknown:
            self._throttle.charge(self._address)

    def _enter(self, client: str) -> None:
        self._throttle.enter(client)
        self._client = client
