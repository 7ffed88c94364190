"""Who changes, removes or adds an event is found out (docs/decisions/0023, AUD-11)."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from app.audit.verify import verify
from app.store.audit import AuditStore
from app.store.driver import Connection
from tests.audit.keeping import event, kept, recorder

Edit = Callable[[Any], Awaitable[object]]


async def test_what_was_kept_is_as_it_was_kept(audit: AuditStore) -> None:
    """AUD-11: three processes, one after the other, and nothing is wrong."""
    for name in ("aaaaaa", "bbbbbb", "cccccc"):
        await kept(audit, name, 4)

    found = await verify(audit)

    assert (found.chains, found.events, found.faults) == (3, 12, [])


@pytest.mark.parametrize(
    ("edit", "expected"),
    [
        (lambda events: events.update_one({"seq": 2}, {"$set": {"json": b"{}"}}), "event 2"),
        (lambda events: events.delete_one({"seq": 2}), "event 2 is missing"),
        (lambda events: events.delete_one({"seq": 1}), "event 1 is missing"),
        (lambda events: events.update_one({"seq": 3}, {"$set": {"hash": b"0" * 32}}), "event 3"),
        (lambda events: events.update_one({"seq": 3}, {"$set": {"seq": 9}}), "event 3 is missing"),
        (
            lambda events: events.update_one({"seq": 1}, {"$set": {"seals": {"kind": "anchors", "places": []}}}),
            "event 1",
        ),
    ],
)
async def test_broken_place_is_named(audit: AuditStore, database: Connection, edit: Edit, expected: str) -> None:
    """AUD-11: the first place of a chain that is not as it was."""
    await kept(audit, "aaaaaa", 4)

    await edit(database.database["AuditEvent"])

    faults = (await verify(audit)).faults
    assert len(faults) == 1
    assert faults[0].startswith(f"chain aaaaaa: {expected}")


async def test_later_process_vouches_for_the_end_of_the_one_before(audit: AuditStore, database: Connection) -> None:
    """AUD-11: a chain that was cut off at its end is whole by itself; the next one knows better."""
    await kept(audit, "aaaaaa", 4)
    await kept(audit, "bbbbbb", 2)

    await database.database["AuditEvent"].delete_many({"chain": "aaaaaa", "seq": {"$gte": 3}})

    assert (await verify(audit)).faults == ["chain aaaaaa: its end is missing: event 4 was there"]


async def test_chain_that_was_removed_as_a_whole_is_missed(audit: AuditStore, database: Connection) -> None:
    """AUD-11: with its line, so that nothing but the next chain tells of it."""
    await kept(audit, "aaaaaa", 4)
    await kept(audit, "bbbbbb", 2)

    await database.database["AuditEvent"].delete_many({"chain": "aaaaaa"})
    await database.database["audit_chain"].delete_one({"_id": "aaaaaa"})

    assert (await verify(audit)).faults == ["chain aaaaaa: its end is missing: event 4 was there"]


async def test_checkpoint_that_no_event_tells_of_is_not_believed(audit: AuditStore, database: Connection) -> None:
    """AUD-11: whoever cuts the front off cannot hide it in the line of the chain."""
    await kept(audit, "aaaaaa", 4)
    third = await database.database["AuditEvent"].find_one({"seq": 3})
    assert third
    await database.database["AuditEvent"].delete_many({"seq": {"$lte": 3}})
    await audit.note_chain("aaaaaa", {"checkpoint": {"seq": 3, "hash": third["hash"]}})

    assert (await verify(audit)).faults == ["chain aaaaaa: no event tells of the removal of its events up to 3"]


async def test_chains_of_workers_side_by_side_are_whole(audit: AuditStore) -> None:
    """AUD-11: processes that keep events at the same time do not meet."""
    processes = [recorder(audit, f"worker{number}") for number in range(3)]

    await asyncio.gather(*(process.keep([event(number)]) for number in range(40) for process in processes))
    for process in processes:
        await process.close()

    found = await verify(audit)
    assert (found.events, found.faults) == (120, [])
