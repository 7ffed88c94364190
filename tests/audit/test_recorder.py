"""Events are kept before anybody is answered: in groups, in order, or not at all (AUD-10; docs/decisions/0023)."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any

import pytest

from app.audit.chain import Seals
from app.audit.keep import Keeper
from app.audit.recorder import MAX_WAITING, Recorder
from app.fhir.outcome import FhirError
from tests.audit.keeping import START, event, nobody


class Shelf:
    """Keeps groups in memory, when it is let; fails when it is told to."""

    def __init__(self) -> None:
        self.groups: list[list[dict[str, Any]]] = []
        self.open = asyncio.Event()
        self.open.set()
        self.fails = 0

    async def begin(self, chain: str) -> Seals | None:
        """Open a chain."""
        return None

    async def put(self, records: Sequence[dict[str, Any]]) -> None:
        """Keep a group."""
        await self.open.wait()
        if self.fails:
            self.fails -= 1
            raise FhirError("transient", "away")
        self.groups.append(list(records))

    async def end(self, chain: str, seq: int) -> None:
        """Close a chain."""


def keeping(shelf: Shelf) -> Recorder:
    """A recorder over `shelf`."""
    return Recorder(Keeper("aaaaaa", nobody), shelf, lambda occurrence: (), lambda: START)


async def test_those_who_wait_are_one_group() -> None:
    """AUD-10: while one group is written the next one gathers, and is one write."""
    shelf = Shelf()
    shelf.open.clear()
    process = keeping(shelf)
    first = asyncio.create_task(process.keep([event(1)]))
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    others = [asyncio.create_task(process.keep([event(number)])) for number in range(2, 12)]
    await asyncio.sleep(0)
    shelf.open.set()

    await asyncio.gather(first, *others)
    await process.close()

    assert [len(group) for group in shelf.groups] == [1, 10]
    assert [one["seq"] for group in shelf.groups for one in group] == list(range(1, 12))


async def test_nobody_is_answered_before_the_group_is_kept() -> None:
    """AUD-10: an answer waits for its events."""
    shelf = Shelf()
    shelf.open.clear()
    process = keeping(shelf)
    waiting = asyncio.create_task(process.keep([event()]))
    for _ in range(20):
        await asyncio.sleep(0)

    assert not waiting.done()
    assert not shelf.groups

    shelf.open.set()
    assert await waiting == (shelf.groups[0][0]["_id"],)
    await process.close()


async def test_failure_refuses_the_group_and_keeps_its_place() -> None:
    """AUD-10, MHD-AU-61: refused with 503; what has its place in the chain is kept before anything else."""
    shelf = Shelf()
    shelf.fails = 1
    process = keeping(shelf)

    with pytest.raises(FhirError) as refused:
        await process.keep([event(1)])
    await process.keep([event(2)])
    await process.close()

    assert (refused.value.status, refused.value.issues[0].code) == (503, "transient")
    assert [one["seq"] for group in shelf.groups for one in group] == [1, 2]


async def test_what_was_refused_is_kept_without_another_request() -> None:
    """MHD-AU-61: queued and tried again, also when nobody asks for anything any more."""
    shelf = Shelf()
    shelf.fails = 1
    process = keeping(shelf)
    with pytest.raises(FhirError):
        await process.keep([event(1)])

    await process.close()

    assert [one["seq"] for group in shelf.groups for one in group] == [1]


async def test_too_many_who_wait_are_refused() -> None:
    """AUD-10: the queue is bounded."""
    shelf = Shelf()
    shelf.open.clear()
    process = keeping(shelf)
    tasks = [asyncio.create_task(process.keep([event()])) for _ in range(MAX_WAITING + 1)]
    await asyncio.sleep(0)

    with pytest.raises(FhirError) as refused:
        await process.keep([event()])
    assert refused.value.status == 503
    assert process.counted.refused >= 1

    shelf.open.set()
    await asyncio.gather(*tasks, return_exceptions=True)
    await process.close()


async def test_ids_follow_the_order_also_when_the_clock_goes_back() -> None:
    """AUD-95: the order of ids is that of the chain."""
    shelf = Shelf()
    process = keeping(shelf)

    ids = [one for number in range(20) for one in await process.keep([event(number)])]
    await process.close()

    assert ids == sorted(ids)
    assert len(set(ids)) == 20
