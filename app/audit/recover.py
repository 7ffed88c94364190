"""What was written, and then the process died before it could tell: found by its mark, and told after all.

Spec: AUD-10; docs/decisions/0023.
"""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable, Sequence
from datetime import datetime, timedelta

from app.audit.keep import Event
from app.audit.recorder import Recorder
from app.fhir.resource import Resource
from app.store.audit import AuditStore
from app.store.written import Written

log = logging.getLogger("app")

# So long a process that lives may take to tell of a write; and so much earlier than it appeared may a write be dated.
SETTLE = timedelta(minutes=1)
OVERLAP = timedelta(minutes=5)

_STATE = "recovery"

# (since, until) -> what was written between, a list for each request.
WrittenBetween = Callable[[datetime, datetime], Awaitable[Sequence[Written]]]


class Recovery:
    """Looks for writes of which no event tells; one worker at a time."""

    def __init__(
        self,
        store: AuditStore,
        recorder: Recorder,
        written_between: WrittenBetween,
        recovered: Callable[[Written], Resource],
        settle: timedelta = SETTLE,
    ) -> None:
        """Look in `store` for events of what `written_between` finds; `recovered` makes those that are missing."""
        self._store, self._recorder = store, recorder
        self._written_between, self._recovered = written_between, recovered
        self._settle = settle

    async def run(self, now: datetime) -> int:
        """Tell of what was written since the last time and settled by now; return how much that was."""
        until = now - self._settle
        since = (await self._store.state(_STATE)).get("until")
        if since is None:  # nothing was kept before: what was written until now was written without an audit
            await self._store.remember(_STATE, {"until": until})
            return 0
        written = await self._written_between(since - OVERLAP, until)
        missing = await self._store.unaudited({one.writer for one in written})
        events = [Event(self._recovered(one), one.writer) for one in written if one.writer in missing]
        if events:
            log.warning("%s writes had no audit event; they have one now", len(events))
            await self._recorder.seal(events)
        await self._store.remember(_STATE, {"until": until})
        return len(events)
