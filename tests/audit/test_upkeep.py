"""Retention, and writes that were never told of (AUD-10, AUD-11; docs/decisions/0023)."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from functools import partial

from app.audit import own
from app.audit.keep import Event
from app.audit.recover import Recovery
from app.audit.retention import Retention
from app.audit.settings import AuditSettings
from app.audit.upkeep import Chore, do
from app.audit.verify import verify
from app.fhir.packages import Packages
from app.fhir.resource import Resource, parse_json
from app.store.audit import AuditStore
from app.store.change import Create, Delete, Update
from app.store.driver import Connection
from app.store.resources import Store
from app.store.writer import begin_writing, writer
from app.store.written import Written, WrittenRecords
from app.validation.validator import Validator
from tests.audit.keeping import START, event, recorder

SETTINGS = AuditSettings("https://here.example.org/fhir")
DAY = timedelta(days=1)


class Clock:
    """A clock that is set."""

    def __init__(self) -> None:
        self.now = START

    def __call__(self) -> datetime:
        return self.now


def pruned(number: int, before: datetime) -> Resource:
    """The event of a removal."""
    return own.pruned(SETTINGS, before, number, before)


async def test_retention_leaves_a_checkpoint(audit: AuditStore) -> None:
    """AUD-11: what is too old is gone, an event tells of it, and what is left is still proved."""
    clock = Clock()
    process = recorder(audit, "aaaaaa", now=clock)
    for day in range(5):
        clock.now = START + day * DAY
        await process.keep([event(1), event(2)])
    retention = Retention(audit, process, pruned, keep=2 * DAY)

    removed = await retention.run(START + 4 * DAY)

    left = await audit.walk("aaaaaa", 0, 99)
    found = await verify(audit)
    assert removed == 4
    assert [one["seq"] for one in left] == [5, 6, 7, 8, 9, 10, 11]
    assert (found.events, found.faults) == (7, [])
    assert parse_json(left[-1]["json"])["entity"][0]["detail"][0] == {"type": "removed", "valueString": "4"}
    await process.close()


async def test_retention_again_and_again(audit: AuditStore) -> None:
    """AUD-11: also when the events that told of earlier removals go themselves, and whole chains with them."""
    clock = Clock()
    first = recorder(audit, "aaaaaa", now=clock)
    await first.keep([event(1)])
    await first.close()
    process = recorder(audit, "bbbbbb", now=clock)
    retention = Retention(audit, process, pruned, keep=2 * DAY)
    for day in range(12):
        clock.now = START + day * DAY
        await process.keep([event(day)])
        await retention.run(clock.now)

        assert (await verify(audit)).faults == []

    assert [one["_id"] for one in await audit.chains()] == ["bbbbbb"]
    await process.close()


async def test_retention_waits_for_forwarding(audit: AuditStore) -> None:
    """AUD-11, AUD-15: what was not sent on yet is not removed."""
    clock = Clock()
    process = recorder(audit, "aaaaaa", now=clock)
    await process.keep([event(1), event(2), event(3)])
    await audit.note_chain("aaaaaa", {"forwarded": 2})

    removed = await Retention(audit, process, pruned, keep=DAY, is_forwarding=True).run(START + 9 * DAY)
    await process.close()

    assert removed == 2


def binary(record_id: str) -> Resource:
    """A resource that may be written."""
    return {"resourceType": "Binary", "id": record_id, "contentType": "text/plain"}


async def test_write_that_was_not_told_of_is_told(audit: AuditStore, store: Store, database: Connection) -> None:
    """AUD-10: the process died between the commit and the event; the versions, replaced ones and deletions are found."""
    written = WrittenRecords(database, ("Binary", "Patient"))
    await written.ensure()
    process = recorder(audit, "aaaaaa")
    recovery = Recovery(audit, process, written.between, partial(own.recovered, SETTINGS), timedelta(0))
    await recovery.run(START)  # from here on everything is told
    begin_writing()
    await store.commit([Create(binary("told"))], START + timedelta(seconds=1))
    await process.seal([Event(event(), writer())])
    begin_writing()
    await store.commit(
        [Create(binary("untold")), Create({"resourceType": "Patient", "id": "p1"})], START + timedelta(seconds=2)
    )
    await store.commit([Update(binary("untold"))], START + timedelta(seconds=3))
    await store.commit([Delete("Binary", "untold")], START + timedelta(seconds=4))

    assert await recovery.run(START + timedelta(seconds=9)) == 4
    assert await recovery.run(START + timedelta(seconds=99)) == 0

    events = [parse_json(one["json"]) for one in await audit.walk("aaaaaa", 1, 99)]
    await process.close()
    assert [(one["action"], one["entity"][-1]["what"]["reference"]) for one in events] == [
        ("C", "Binary/untold/_history/1"),
        ("C", "Patient/p1/_history/1"),
        ("U", "Binary/untold/_history/2"),
        ("D", "Binary/untold/_history/3"),
    ]
    assert all("outcomeDesc" in one for one in events)
    assert (await verify(audit)).faults == []


async def test_write_of_a_process_that_lives_is_not_told_early(
    audit: AuditStore, store: Store, database: Connection
) -> None:
    """AUD-10: what was written a moment ago is being told right now."""
    written = WrittenRecords(database, ("Binary",))
    process = recorder(audit, "aaaaaa")
    recovery = Recovery(audit, process, written.between, partial(own.recovered, SETTINGS), timedelta(minutes=1))
    await recovery.run(START)
    begin_writing()
    await store.commit([Create(binary("a"))], START + timedelta(seconds=30))

    assert await recovery.run(START + timedelta(seconds=60)) == 0
    assert await recovery.run(START + timedelta(seconds=91)) == 1
    await process.close()


async def test_chore_is_done_by_one_worker(audit: AuditStore) -> None:
    """docs/decisions/0023: once in its time, by whoever comes first; proves nothing for AUD-11 by itself."""
    done: list[datetime] = []

    async def run(now: datetime) -> None:
        done.append(now)

    chore = Chore("retention", DAY, run)
    for holder, hours in (("one", 0), ("two", 0), ("one", 23), ("two", 24), ("one", 25)):
        await do(chore, audit, holder, START + timedelta(hours=hours))

    assert done == [START, START + DAY]


def test_what_the_server_tells_of_itself_is_legal(packages: Packages) -> None:
    """AUD-02, AUD-82: start, stop, commands, removals and recoveries are AuditEvents of FHIR R4."""
    command = own.Command(
        "patients link", "operator", "same person", ("DocumentReference/1",), ("Patient/1", "Patient/2")
    )
    written = Written("mark", "Binary/1/_history/1", 1, START, patients=("Patient/1",))
    made: Sequence[Resource] = (
        own.started(SETTINGS, START, "host:1"),
        own.stopped(SETTINGS, START, "host:1"),
        own.pruned(SETTINGS, START, 3, START),
        own.administered(SETTINGS, START, command),
        own.recovered(SETTINGS, written),
    )

    for one in made:
        assert [each for each in Validator(packages).validate(one) if each.is_error] == []
