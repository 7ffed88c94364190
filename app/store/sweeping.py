"""Removes, while the server runs, documents that arrived for a submission which never came about."""

from __future__ import annotations

import asyncio
import logging
from datetime import timedelta

from app.store.resources import Store

SWEEP_EVERY_S = 3600.0
ABANDONED_AFTER = timedelta(hours=6)  # longer than any upload takes

log = logging.getLogger("app")


async def sweep_forever(store: Store) -> None:
    """Remove, once an hour, documents that arrived for a submission which never came about."""
    while True:
        await asyncio.sleep(SWEEP_EVERY_S)
        try:
            swept = await store.content.sweep(ABANDONED_AFTER)
        except Exception:
            log.exception("sweeping failed; it is tried again")
        else:
            log.info("swept %s abandoned documents", swept)
