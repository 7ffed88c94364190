"""Puts the parts together that keep, forward and look after audit events.

Spec: AUD-10, AUD-11, AUD-15; docs/decisions/0023.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator, Callable, Iterable, Sequence
from contextlib import asynccontextmanager, nullcontext, suppress
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import partial
from pathlib import Path
from secrets import token_hex
from socket import gethostname
from typing import Literal

from app.audit import own
from app.audit.event import events_of
from app.audit.forward import Forwarder, Pace, Repository
from app.audit.keep import Keeper, PatientsWith
from app.audit.recorder import Gauges, Recorder, Unrecorded
from app.audit.recover import SETTLE, Recovery, WrittenBetween
from app.audit.retention import Retention
from app.audit.settings import AuditSettings
from app.audit.shelf import Database, Spooling
from app.audit.upkeep import EVERY_S, Chore, keep_up
from app.fhir.outcome import FhirError
from app.fhir.resource import Resource
from app.store.audit import AuditStore, PatientIdentifiers
from app.store.driver import Connection
from app.store.written import WrittenRecords

LEARN_EVERY_S = 1.0

Unavailable = Literal["refuse", "spool"]


@dataclass(frozen=True, slots=True)
class Connections:
    """Where events go, and where what they tell of is.

    Attributes:
        types: resource types that requests write.
    """

    events: Connection
    resources: Connection
    types: Sequence[str]


@dataclass(frozen=True, slots=True)
class Keeping:
    """How a deployment keeps its events.

    Attributes:
        unavailable: what becomes of requests while events cannot be kept: they are refused, or their events spooled.
        spool: folder of the spools.
        retention: events are kept so long; None: for ever.
        forward: makes the repository that events are sent on to; None: they are not.
        pace: of forwarding.
        settle: so long a process that lives may take to tell of a write.
        every_s: pause between two rounds of upkeep.
    """

    events: AuditSettings
    unavailable: Unavailable = "refuse"
    spool: Path = Path("data/audit-spool")
    retention: timedelta | None = None
    forward: Callable[[], Repository] | None = None
    pace: Pace = field(default_factory=Pace)
    settle: timedelta = SETTLE
    every_s: float = EVERY_S


@asynccontextmanager
async def recording(
    keeping: Keeping | None,
    connections: Connections,
    now: Callable[[], datetime],
    *,
    serves: bool,
) -> AsyncIterator[Recorder | Unrecorded]:
    """Keep events as `keeping` says as long as the block runs; None: keep none.

    Args:
        serves: this is the server, which looks after what is kept; not a command.
    """
    if keeping is None:
        yield Unrecorded()
        return
    store, written = AuditStore(connections.events), WrittenRecords(connections.resources, connections.types)
    found = Recording(keeping, store, PatientIdentifiers(connections.resources).having, now)
    try:
        await _ensured(keeping, store, written)
        async with found.serving(written.between) if serves else nullcontext():
            yield found.recorder
    finally:
        await found.recorder.close()
        await store.close()


async def _ensured(keeping: Keeping, store: AuditStore, written: WrittenRecords) -> None:
    """Create the indexes that are missing; a deployment that spools starts without its audit store as well."""
    await written.ensure()
    try:
        await store.ensure()
    except FhirError:
        if keeping.unavailable != "spool":
            raise


class Recording:
    """The recorder of a process, and what belongs to it.

    Attributes:
        recorder: keeps events.
        worker: what operators know this process by.
    """

    def __init__(
        self, keeping: Keeping, store: AuditStore, patients_with: PatientsWith, now: Callable[[], datetime]
    ) -> None:
        """Keep as `keeping` says, in `store`."""
        self._keeping, self._store, self._now = keeping, store, now
        self._chain = token_hex(6)
        self.worker = f"{gethostname()}:{os.getpid()}"
        database = Database(store, now, self.worker)
        self._spooling = Spooling(database, store, keeping.spool) if keeping.unavailable == "spool" else None
        telling = partial(events_of, settings=keeping.events)
        self._keeper = Keeper(self._chain, patients_with)
        self.recorder = Recorder(self._keeper, self._spooling or database, telling, now)
        self._forwarder = self._forwarding(keeping) if keeping.forward else None
        self.recorder.gauges = self._gauges()

    @asynccontextmanager
    async def serving(self, written_between: WrittenBetween) -> AsyncIterator[None]:
        """Tell of the start and the end, and do all that goes on meanwhile.

        Args:
            written_between: what requests wrote, for recovery.
        """
        await self.recorder.keep([own.started(self._keeping.events, self._now(), self.worker)])
        tasks = [asyncio.create_task(self._keep_up(written_between)), asyncio.create_task(self._learn())]
        if self._forwarder:
            tasks.append(asyncio.create_task(self._forwarder.run()))
        try:
            yield
        finally:
            await ended(tasks)
            with suppress(Exception):
                await self.recorder.keep([own.stopped(self._keeping.events, self._now(), self.worker)])

    def _gauges(self) -> Gauges:
        """The numbers that operators watch."""
        counted, found = self.recorder.counted, dict[str, tuple[str, Callable[[], float]]]()
        found["mhd_audit_events_total"] = ("audit events that were kept", lambda: counted.events)
        found["mhd_audit_groups_total"] = ("writes that kept them", lambda: counted.groups)
        found["mhd_audit_refused_total"] = ("requests whose events could not be kept", lambda: counted.refused)
        found["mhd_audit_waiting"] = ("requests that wait for their events", lambda: self.recorder.waiting)
        if spooling := self._spooling:
            found["mhd_audit_spooled_bytes"] = ("audit events in the spool", lambda: spooling.waiting_bytes)
        if self._forwarder:
            progress = self._forwarder.progress
            found["mhd_audit_forward_lag_seconds"] = ("age of the oldest event not sent yet", lambda: progress.lag_s)
            found["mhd_audit_forwarded_total"] = ("audit events that were sent on", lambda: progress.sent)
            found["mhd_audit_forward_failures_total"] = ("attempts that failed", lambda: progress.failures)
            found["mhd_audit_forward_refused_total"] = ("events refused for good", lambda: progress.refused)
        return found

    def _forwarding(self, keeping: Keeping) -> Forwarder:
        assert keeping.forward is not None  # noqa: S101 - for the type checker
        base_url = keeping.events.base_url
        return Forwarder(
            self._store, keeping.forward(), self._now, holder=self._chain, base_url=base_url, pace=keeping.pace
        )

    async def _keep_up(self, written_between: WrittenBetween) -> None:
        every_s = self._keeping.every_s
        await keep_up(list(self._chores(written_between)), self._store, self._chain, self._now, every_s)

    def _chores(self, written_between: WrittenBetween) -> list[Chore]:
        keeping, events = self._keeping, self._keeping.events
        recovery = Recovery(self._store, self.recorder, written_between, partial(own.recovered, events), keeping.settle)
        found = [
            Chore("alive", timedelta(0), self._live, alone=False),
            Chore("recover", min(keeping.settle, SETTLE), recovery.run),
        ]
        if self._spooling:
            found.insert(1, Chore("adopt", timedelta(0), self._adopt, alone=False))
        if keeping.retention:
            retention = Retention(
                self._store, self.recorder, self._pruned, keep=keeping.retention, is_forwarding=bool(keeping.forward)
            )
            found.append(Chore("retention", timedelta(days=1), retention.run))
        return found

    async def _learn(self) -> None:
        """Let events be found by the identifiers of their patients, a moment after they were kept (AUD-94)."""
        while True:
            await asyncio.sleep(LEARN_EVERY_S)
            with suppress(Exception):  # the next round has them, or the events are found by their references alone
                if self._keeper.later:
                    await self._store.add_terms(await self._keeper.learn())

    async def _live(self, now: datetime) -> None:
        await self._store.note_chain(self._chain, {"alive": now})

    async def _adopt(self, now: datetime) -> None:
        if self._spooling:
            await self._spooling.adopt()

    def _pruned(self, number: int, before: datetime) -> Resource:
        return own.pruned(self._keeping.events, self._now(), number, before)


async def ended(tasks: Iterable[asyncio.Task[None]], every_s: float = 0.2) -> None:
    """Return when `tasks` have ended, which are cancelled as often as it takes.

    A task that is cancelled in the middle of a question to the database may see a failure of the driver instead, take
    it for one that passes, and go on.
    """
    for task in tasks:
        while not task.done():
            task.cancel()
            await asyncio.wait([task], timeout=every_s)
