"""Operators see what the audit does (AUD-10)."""

from __future__ import annotations

import httpx
from fastapi import FastAPI

from tests.audit.keeping import Log, event


async def test_numbers_of_the_audit(app: FastAPI, log: Log) -> None:
    """AUD-10: how many events were kept, in how many writes, who waits, who was refused."""
    await log.post(event())

    async with httpx.AsyncClient(
        transport=httpx.ASGITransport(app, client=("127.0.0.1", 1)), base_url="http://x"
    ) as one:
        text = (await one.get("/health/metrics")).text

    for name in ("events_total", "groups_total", "refused_total", "waiting"):
        assert f"mhd_audit_{name}{{" in text
