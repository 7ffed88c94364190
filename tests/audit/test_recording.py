"""What goes on beside the requests ends with the server."""

from __future__ import annotations

import asyncio

from app.audit.recording import ended


async def test_task_that_overhears_a_cancellation_ends() -> None:
    """AUD-10: the driver may turn a cancellation into a failure, which a task takes for one that passes: it ends anyhow."""
    overheard = 0

    async def deaf() -> None:
        nonlocal overheard
        while True:
            try:
                await asyncio.sleep(60)
            except asyncio.CancelledError:
                overheard += 1
                if overheard > 2:
                    raise

    task = asyncio.create_task(deaf())
    await asyncio.sleep(0)

    await ended([task], every_s=0.01)

    assert task.cancelled()
    assert overheard == 3
