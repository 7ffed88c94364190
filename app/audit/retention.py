"""How long events are kept: what is older is removed from the front of each chain, and an event tells of it.

Spec: AUD-11 (retention by configuration, not by API); docs/decisions/0023.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any

from app.audit.chain import CHECKPOINTS, Seals
from app.audit.keep import Event
from app.audit.recorder import Recorder
from app.fhir.resource import Resource
from app.store.audit import AuditStore

BATCH = 500


class Retention:
    """Removes events that are older than a deployment keeps them."""

    def __init__(
        self,
        store: AuditStore,
        recorder: Recorder,
        pruned: Callable[[int, datetime], Resource],
        *,
        keep: timedelta,
        is_forwarding: bool = False,
    ) -> None:
        """Remove from `store` what is older than `keep`; of what is to be forwarded only what was.

        Args:
            pruned: the event that tells of the removal of so many, all older than a moment.
        """
        self._store, self._recorder, self._pruned = store, recorder, pruned
        self._keep, self._is_forwarding = keep, is_forwarding

    async def run(self, now: datetime) -> int:
        """Remove what is too old now; return how many events that were.

        What is removed is told of before it is gone: who verifies believes a checkpoint only with such an event.
        """
        before = now - self._keep
        lines = await self._store.chains()
        ends = {one["_id"]: place for one in lines if (place := await self._last_before(one, before))}
        if ends:
            await self._tell(lines, ends, before)
        removed = 0
        for name, place in ends.items():
            await self._store.note_chain(name, {"checkpoint": {"seq": place["seq"], "hash": place["hash"]}})
            removed += await self._store.prune(name, place["seq"])
        await self._forget(lines, before)
        return removed

    async def _tell(self, lines: list[dict[str, Any]], ends: dict[str, dict[str, Any]], before: datetime) -> None:
        """Keep the event that tells what is removed, and what was removed before, since its own event may go now."""
        checkpoints = {one["_id"]: {"chain": one["_id"], **one["checkpoint"]} for one in lines if "checkpoint" in one}
        places = checkpoints | ends
        number = sum(end["seq"] - checkpoints.get(name, {"seq": 0})["seq"] for name, end in ends.items())
        event = Event(self._pruned(number, before), seals=Seals(CHECKPOINTS, tuple(places.values())))
        await self._recorder.seal([event])

    async def _last_before(self, line: dict[str, Any], before: datetime) -> dict[str, Any] | None:
        """Return the place of the last event of a chain that is too old, None when there is none."""
        seq, found = line.get("checkpoint", {"seq": 0})["seq"], None
        while records := await self._store.walk(line["_id"], seq, BATCH, ("hash", "updated")):
            for record in records:
                is_held_back = self._is_forwarding and record["seq"] > line.get("forwarded", 0)
                if record["updated"] >= before or is_held_back:
                    return found
                found = {"chain": line["_id"], "seq": record["seq"], "hash": bytes(record["hash"])}
            seq = records[-1]["seq"]
        return found

    async def _forget(self, lines: list[dict[str, Any]], before: datetime) -> None:
        """Forget chains that ended, and are empty, for so long that nothing that vouches for them is left either."""
        for line in lines:
            ended = line.get("ended")
            is_over = ended and ended < before - self._keep and "checkpoint" in line
            if is_over and not await self._store.walk(line["_id"], 0, 1, ("hash",)):
                await self._store.drop_chain(line["_id"])
