"""Record Audit Event [ITI-20], the FHIR feed: the side of the Audit Creator, which forwards.

Spec: IHE ITI Add RESTful ATNA, ITI-20; AUD-15, AUD-81; MHD-AU-60. Client credentials: RFC 6749 section 4.4.
"""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Sequence
from dataclasses import dataclass
from time import monotonic
from typing import Protocol

import httpx

from app.audit.forward import Outgoing
from app.fhir.media_type import JSON

# Statuses after which another try may do; every other 4xx is the event's fault, and would be so for ever.
AGAIN = frozenset({401, 403, 404, 408, 425, 429})
# It is there already: a duplicate, by its id.
THERE = frozenset({409, 412})
# A token is fetched anew so long before it ends, in seconds; what is told of none lives so long.
EARLY_S, UNTOLD_S = 30.0, 300.0


class NotTakenError(Exception):
    """The repository did not take the events this time."""


class Bearer(Protocol):
    """Where tokens come from."""

    async def token(self, client: httpx.AsyncClient) -> str:
        """Return the token to send; empty for none."""
        ...

    def forget(self) -> None:
        """Fetch another one the next time: this one was refused."""
        ...


@dataclass(slots=True)
class Given:
    """A token that the operator gave, or none."""

    value: str = ""

    async def token(self, client: httpx.AsyncClient) -> str:
        """Return it."""
        return self.value

    def forget(self) -> None:
        """Keep it: there is no other."""


@dataclass(slots=True)
class ClientCredentials:
    """Tokens of an authorization server, fetched when one ends."""

    url: str
    client_id: str
    secret: str
    scope: str = "ITI-20"
    _token: str = ""
    _until: float = 0.0

    async def token(self, client: httpx.AsyncClient) -> str:
        """Return a token that holds for a while.

        Raises:
            NotTakenError: the authorization server gave none.
        """
        if not self._token or monotonic() > self._until:
            form = {"grant_type": "client_credentials", "scope": self.scope}
            answer = await client.post(self.url, data=form, auth=(self.client_id, self.secret))
            if answer.status_code != 200:
                raise NotTakenError(f"the authorization server answered {answer.status_code}")
            given = answer.json()
            self._token = str(given["access_token"])
            self._until = monotonic() + float(given.get("expires_in", UNTOLD_S)) - EARLY_S
        return self._token

    def forget(self) -> None:
        """Fetch another one the next time."""
        self._token = ""


class FhirFeed:
    """Sends events as batches to a FHIR base."""

    def __init__(self, url: str, bearer: Bearer, *, timeout_s: float = 30.0, verify: str | bool = True) -> None:
        """Send to the base `url`.

        Args:
            verify: file of the certificates that are trusted; True for those of the system.
        """
        self._url, self._bearer, self._timeout_s = url.rstrip("/"), bearer, timeout_s
        self._client = httpx.AsyncClient(timeout=timeout_s, verify=_trusted(verify), follow_redirects=False)

    async def send(self, events: Sequence[Outgoing]) -> Sequence[str]:
        """Return the ids of the events that are refused for good, when all others were taken.

        Raises:
            NotTakenError: they were not, or the answer does not say so.
            httpx.HTTPError, TimeoutError: the repository could not be reached.
        """
        headers = {"Content-Type": JSON, "Accept": JSON, "Prefer": "return=minimal"}
        if token := await self._bearer.token(self._client):
            headers["Authorization"] = f"Bearer {token}"
        async with asyncio.timeout(self._timeout_s):  # httpx limits each step, and the lease is for all of them
            answer = await self._client.post(self._url, content=batch(events), headers=headers)
        if answer.status_code == 401:
            self._bearer.forget()
        if answer.status_code != 200:
            raise NotTakenError(f"the repository answered {answer.status_code}")
        return _refused(events, answer)

    async def close(self) -> None:
        """Let go of connections."""
        await self._client.aclose()


def batch(events: Sequence[Outgoing]) -> bytes:
    """Return the Bundle that brings `events`."""
    tail = b',"request":{"method":"POST","url":"AuditEvent"}}'
    entries = b",".join(b'{"resource":%b%b' % (each.json, tail) for each in events)
    return b'{"resourceType":"Bundle","type":"batch","entry":[%b]}' % entries


def _refused(events: Sequence[Outgoing], answer: httpx.Response) -> Sequence[str]:
    try:
        statuses = [int(str(entry["response"]["status"])[:3]) for entry in answer.json()["entry"]]
    except (ValueError, KeyError, TypeError):
        raise NotTakenError("the answer is no batch-response") from None
    if len(statuses) != len(events):
        raise NotTakenError("the answer does not tell of every entry")
    if any(status >= 500 or status in AGAIN for status in statuses):
        raise NotTakenError("the repository did not take an entry")
    return [each.id for each, status in zip(events, statuses, strict=True) if status >= 300 and status not in THERE]


def _trusted(verify: str | bool) -> ssl.SSLContext | bool:
    return ssl.create_default_context(cafile=verify) if isinstance(verify, str) else verify
