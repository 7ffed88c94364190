"""What is done now and then for the kept events, beside whatever else goes on.

A sign of life for this process's chain; spools of processes that are gone; writes that nobody told of; retention.
Spec: docs/decisions/0023.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from app.store.audit import AuditStore

log = logging.getLogger("app")

EVERY_S = 20.0


@dataclass(frozen=True, slots=True)
class Chore:
    """Something to do every so often; one worker at a time does what is `alone`."""

    name: str
    every: timedelta
    run: Callable[[datetime], Awaitable[object]]
    alone: bool = True


async def keep_up(
    chores: Sequence[Chore], store: AuditStore, holder: str, now: Callable[[], datetime], every_s: float = EVERY_S
) -> None:
    """Do `chores` when they are due, until cancelled; what fails is tried again the next time."""
    while True:
        for chore in chores:
            try:
                await do(chore, store, holder, now())
            except Exception as error:  # noqa: BLE001 - it is tried again
                log.warning("audit: %s failed: %s", chore.name, type(error).__name__)
        await asyncio.sleep(every_s)


async def do(chore: Chore, store: AuditStore, holder: str, now: datetime) -> None:
    """Do `chore` when it is due, and nobody else does it."""
    if not chore.alone:
        await chore.run(now)
        return
    last = (await store.state(chore.name)).get("done")
    if last is not None and last + chore.every > now:
        return
    if await store.lease(chore.name, holder, now, now + timedelta(minutes=10)):
        await chore.run(now)
        await store.remember(chore.name, {"done": now})
        await store.release(chore.name, holder)
