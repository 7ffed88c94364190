"""Where events go: kept before the answer is sent, by group commit.

While one group is on its way into the database, the events of all requests that end meanwhile wait, and are the next
one; each request is answered when its own group is kept. So a server with much to do writes seldom, and one with little
to do at once.

Spec: AUD-10, AUD-11; architecture, decision 19; docs/decisions/0023.
"""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from types import MappingProxyType
from typing import Any, Protocol

from app.audit.chain import Seals
from app.audit.keep import Event, Keeper, fitting
from app.fhir.outcome import FhirError
from app.fhir.resource import Resource
from app.store.writer import writer
from app.transaction import Occurrence

log = logging.getLogger("app")

# In a group, and waiting for one. Events are small; the database takes 48 MB at a time.
MAX_GROUP = 500
MAX_WAITING = 10_000
TRY_AGAIN_S = 1.0

NOT_KEPT = "What was asked cannot be written down now, and nothing is answered that is not. Try again in a moment."
TOO_MANY = "More requests end than can be written down. Try again in a moment."

# What only reads: nothing is left behind when its answer is withheld.
_READS = frozenset({"GET", "HEAD"})


# Name of a number -> what it means, and where it comes from.
Gauges = Mapping[str, tuple[str, Callable[[], float]]]


class Unrecorded:
    """Keeps nothing."""

    gauges: Gauges = MappingProxyType({})

    async def record(self, occurrence: Occurrence) -> None:
        """Return at once."""

    async def keep(self, events: Sequence[Resource]) -> tuple[str, ...]:
        """Refuse: there is no place for events.

        Raises:
            FhirError: `not-supported` (400).
        """
        raise FhirError("not-supported", "This server keeps no audit events.")


class Shelf(Protocol):
    """Where records are put: the database, or a file as long as that is away."""

    async def begin(self, chain: str) -> Seals | None:
        """Open `chain`; return what its first event vouches for."""
        ...

    async def put(self, records: Sequence[dict[str, Any]]) -> None:
        """Return when `records` are kept.

        Raises:
            FhirError: they are not, or nobody knows.
        """
        ...

    async def end(self, chain: str, seq: int) -> None:
        """Close `chain` behind its last event, number `seq`."""
        ...


@dataclass(slots=True)
class _Waiting:
    """The events of one request, and the promise that they are kept."""

    events: Sequence[Event]
    kept: asyncio.Future[tuple[str, ...]]


@dataclass(slots=True)
class Counted:
    """What the recorder did, for the metrics."""

    events: int = 0
    groups: int = 0
    refused: int = 0


class Recorder:
    """Keeps the events of this process, one group after the other.

    Attributes:
        counted: what happened so far.
        gauges: for the metrics.
    """

    def __init__(
        self,
        keeper: Keeper,
        shelf: Shelf,
        events_of: Callable[[Occurrence], Sequence[Resource]],
        now: Callable[[], datetime],
    ) -> None:
        """Keep in `keeper`'s chain on `shelf` what `events_of` tells of an occurrence."""
        self.counted = Counted()
        self.gauges: Gauges = {}
        self._keeper, self._shelf = keeper, shelf
        self._events_of, self._now = events_of, now
        self._waiting: deque[_Waiting] = deque()
        self._unkept: list[dict[str, Any]] = []  # placed in the chain, so that they have to be kept before others
        self._has_begun = self._is_closing = False
        self._wake = asyncio.Event()
        self._writer = asyncio.create_task(self._write())

    @property
    def waiting(self) -> int:
        """How many requests wait for their events to be kept."""
        return len(self._waiting)

    async def record(self, occurrence: Occurrence) -> None:
        """Return when the events of `occurrence` are kept.

        Raises:
            FhirError: `transient` (503) when they cannot be; `throttled` (503) when too many wait.
        """
        is_read = occurrence.request.method in _READS or occurrence.interaction.code == "search-type"
        wrote = "" if is_read else writer()
        if events := self._events_of(occurrence):
            await self.seal([Event(fitting(each), wrote) for each in events])

    async def keep(self, events: Sequence[Resource]) -> tuple[str, ...]:
        """Return the ids under which `events` are kept: what others tell, and what this server tells of itself."""
        return await self.seal([Event(fitting(each), is_patient=True) for each in events])

    async def seal(self, events: Sequence[Event]) -> tuple[str, ...]:
        """Return the ids under which `events` are kept, with what they vouch for.

        Raises:
            FhirError: as `record`.
        """
        if len(self._waiting) >= MAX_WAITING:
            self.counted.refused += 1
            raise FhirError("throttled", TOO_MANY, status=503)
        waiting = _Waiting(events, asyncio.get_running_loop().create_future())
        self._waiting.append(waiting)
        self._wake.set()
        return await waiting.kept

    async def close(self) -> None:
        """Keep what waits, as far as that can be done now, and stop."""
        self._is_closing = True
        self._wake.set()
        await self._writer
        try:
            await self._put_unkept()
            if self._has_begun:
                await self._shelf.end(self._keeper.chain.name, self._keeper.chain.seq)
        except Exception as error:  # noqa: BLE001 - recovery tells of what was written, and the chain stays open
            log.error("audit events cannot be kept: %s", type(error).__name__)

    async def _write(self) -> None:
        while True:
            await self._wake.wait()
            group = [self._waiting.popleft() for _ in range(min(MAX_GROUP, len(self._waiting)))]
            if not self._waiting:
                self._wake.clear()
            if group:
                await self._write_group(group)
            elif self._unkept:
                await self._try_again()
            if self._is_closing and not self._waiting:
                return

    async def _write_group(self, group: list[_Waiting]) -> None:
        try:
            ids = await self._put([event for each in group for event in each.events])
        except Exception as error:  # noqa: BLE001 - whatever the reason, nobody is answered
            self._refuse(group, error)
            return
        self.counted.groups += 1
        start = 0
        for each in group:
            end = start + len(each.events)
            if not each.kept.done():
                each.kept.set_result(ids[start:end])
            start = end

    async def _put(self, events: Sequence[Event]) -> tuple[str, ...]:
        """Place `events` in the chain and keep them, behind those of an attempt that failed."""
        if not self._has_begun:
            seals = await self._shelf.begin(self._keeper.chain.name)
            events, self._has_begun = [replace(events[0], seals=seals), *events[1:]], True
        await self._put_unkept()
        records = await self._keeper.records(events, self._now())
        self._unkept = records
        await self._put_unkept()
        self.counted.events += len(records)
        return tuple([each["_id"] for each in records])

    async def _put_unkept(self) -> None:
        """Keep what has its place already: whether an attempt that failed kept it nobody knows, so it is made again."""
        if self._unkept:
            await self._shelf.put(self._unkept)
            self._unkept = []

    async def _try_again(self) -> None:
        try:
            await self._put_unkept()
        except Exception as error:  # noqa: BLE001 - as long as it takes
            self._refuse([], error)

    def _refuse(self, group: list[_Waiting], error: Exception) -> None:
        """Tell the requests of `group` that they cannot be answered.

        What has its place in the chain is kept as soon as that can be done, and what others wrote is recovered.
        """
        if not self._is_closing:
            asyncio.get_running_loop().call_later(TRY_AGAIN_S, self._wake.set)
        log.error("audit events cannot be kept: %s", type(error).__name__)
        self.counted.refused += len(group)
        for each in group:
            if not each.kept.done():
                each.kept.set_exception(FhirError("transient", NOT_KEPT))
