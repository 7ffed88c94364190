"""Every event is sent on to an audit record repository: in order, at least once, and after every outage.

One worker at a time does it, under a lease. How far it came stands in the line of each chain in the database, behind
what the repository acknowledged; so whoever goes on sends an event again rather than leave one out. An event keeps its
id, by which the repository knows a duplicate.

Spec: AUD-15; MHD-AU-60, MHD-AU-61; docs/decisions/0023.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import takewhile
from typing import Any, Protocol

from app.fhir.resource import fill_in_base
from app.store.audit import AuditStore

log = logging.getLogger("app")

_NAME = "forward"

# After so long without an event a chain whose process is gone is not looked at any more.
QUIET = timedelta(hours=1)


@dataclass(frozen=True, slots=True)
class Outgoing:
    """An event on its way.

    Attributes:
        json: as ITI-81 serves it.
        recorded: when it happened, UTC.
    """

    id: str
    json: bytes
    recorded: datetime


class Repository(Protocol):
    """Where events are sent to."""

    async def send(self, events: Sequence[Outgoing]) -> Sequence[str]:
        """Return, when `events` arrived, the ids of those that were refused for good.

        Raises:
            Exception: they did not all arrive, or nobody knows.
        """
        ...

    async def close(self) -> None:
        """Let go of connections."""
        ...


@dataclass(frozen=True, slots=True)
class Pace:
    """How forwarding goes on.

    Attributes:
        batch: events in one message.
        idle_s: pause when everything was sent.
        first_s, longest_s: pause after a failure, which doubles with each.
        lease_s: longer than a message may take; after so long another worker goes on in place of one that is gone.
    """

    batch: int = 100
    idle_s: float = 0.5
    first_s: float = 1.0
    longest_s: float = 60.0
    lease_s: float = 45.0


@dataclass(slots=True)
class Progress:
    """What the forwarder did, for the metrics: the lag is the age of the oldest event that was not sent yet."""

    sent: int = 0
    refused: int = 0
    failures: int = 0
    lag_s: float = 0.0


class Forwarder:
    """Sends the events of all chains on.

    Attributes:
        progress: what happened so far.
    """

    def __init__(
        self,
        store: AuditStore,
        repository: Repository,
        now: Callable[[], datetime],
        *,
        holder: str,
        base_url: str,
        pace: Pace = Pace(),
    ) -> None:
        """Send from `store` to `repository`, in the name of the worker `holder`."""
        self.progress = Progress()
        self._store, self._repository, self._now = store, repository, now
        self._holder, self._base_url, self._pace = holder, base_url, pace

    async def run(self) -> None:
        """Send until cancelled."""
        pause_s, failed_s = 0.0, self._pace.first_s
        try:
            while True:
                await asyncio.sleep(pause_s)
                try:
                    pause_s = 0.0 if await self.step() else self._pace.idle_s
                    failed_s = self._pace.first_s
                except Exception as error:  # noqa: BLE001 - as long as it takes
                    self.progress.failures += 1
                    pause_s, failed_s = failed_s, min(2 * failed_s, self._pace.longest_s)
                    log.warning("forwarding audit events failed: %s; again in %.1f s", type(error).__name__, pause_s)
        finally:
            await self._repository.close()
            await self._store.release(_NAME, self._holder)

    async def step(self) -> int:
        """Send the next events, when it is this worker's turn; return how many that were."""
        now = self._now()
        if not await self._store.lease(_NAME, self._holder, now, now + timedelta(seconds=self._pace.lease_s)):
            self._note_lag(await self._next(1), now)
            return 0
        records = await self._next(self._pace.batch)
        self._note_lag(records, now)
        if not records:
            return 0
        refused = await self._repository.send([self._outgoing(each) for each in records])
        for each in refused:
            log.error("the audit record repository refuses event %s; it stays here", each)
        self.progress.sent += len(records)
        self.progress.refused += len(refused)
        for chain, seq in {each["chain"]: each["seq"] for each in records}.items():
            await self._store.note_chain(chain, {"forwarded": seq})
        return len(records)

    async def _next(self, limit: int) -> list[dict[str, Any]]:
        """Return the oldest events that were not sent, of each chain in order and without a gap."""
        found: list[dict[str, Any]] = []
        for line in await self._store.chains({"drained": {"$ne": True}}):
            sent = max(line.get("forwarded", 0), line.get("checkpoint", {"seq": 0})["seq"])
            records = await self._store.walk(line["_id"], sent, limit)
            found += (one for _, one in takewhile(lambda pair: pair[1]["seq"] == pair[0], enumerate(records, sent + 1)))
            if not records and self._is_over(line):
                await self._store.note_chain(line["_id"], {"drained": True})
        return sorted(found, key=lambda one: str(one["_id"]))[:limit]

    def _is_over(self, line: dict[str, Any]) -> bool:
        last_seen = line.get("ended") or line.get("alive")
        return last_seen is None or last_seen < self._now() - QUIET

    def _note_lag(self, records: Sequence[dict[str, Any]], now: datetime) -> None:
        self.progress.lag_s = max(0.0, (now - records[0]["updated"]).total_seconds()) if records else 0.0

    def _outgoing(self, record: dict[str, Any]) -> Outgoing:
        return Outgoing(record["_id"], fill_in_base(bytes(record["json"]), self._base_url), record["recorded"])
