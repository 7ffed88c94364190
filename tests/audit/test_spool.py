"""While the audit store is away its events wait on the disk, and come home in order (AUD-10; docs/decisions/0023)."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from app.audit.verify import verify
from app.store.audit import AuditStore
from app.store.driver import connect
from app.store.spool import SUFFIX, Spool, left_behind
from tests.audit.keeping import event, recorder


@pytest.fixture
async def away() -> AsyncIterator[AuditStore]:
    """An audit store that does not answer."""
    connection = connect("mongodb://127.0.0.1:1/?serverSelectionTimeoutMS=50&directConnection=true")
    yield AuditStore(connection)
    await connection.close()


def records(first: int, number: int) -> list[dict[str, object]]:
    """Records as the spool sees them."""
    return [{"_id": f"{one:04}", "seq": one, "json": b"{}"} for one in range(first, first + number)]


def opened(path: Path) -> Spool:
    """The spool at `path`, which nobody else has."""
    spool = Spool.open(path)
    assert spool
    return spool


def test_what_was_appended_is_there_after_the_process_is_gone(tmp_path: Path) -> None:
    """AUD-10: on the disk, in order."""
    spool = opened(tmp_path / f"a{SUFFIX}")
    spool.append(records(1, 3))
    spool.append(records(4, 2))
    spool.close()  # not drained: the file stays

    found, _ = opened(tmp_path / f"a{SUFFIX}").next(10)

    assert [one["seq"] for one in found] == [1, 2, 3, 4, 5]


@pytest.mark.parametrize("cut", [1, 5, 9, 30])
def test_frame_that_is_cut_off_ends_the_file(tmp_path: Path, cut: int) -> None:
    """AUD-10: a crash in the midst of a write costs what nobody was promised, and nothing else."""
    path = tmp_path / f"a{SUFFIX}"
    spool = opened(path)
    spool.append(records(1, 3))
    spool.close()
    path.write_bytes(path.read_bytes()[:-cut])

    spool = opened(path)
    spool.append(records(7, 1))
    found, _ = spool.next(10)

    assert [one["seq"] for one in found] == [1, 2, 7]


def test_spool_of_a_process_that_lives_is_left_alone(tmp_path: Path) -> None:
    """AUD-10: its owner brings it home."""
    mine = opened(tmp_path / f"a{SUFFIX}")
    mine.append(records(1, 1))

    assert list(left_behind(tmp_path)) == []

    mine.close()
    assert [one.path.name for one in left_behind(tmp_path)] == [f"a{SUFFIX}"]


def test_spool_is_for_its_owner_only(tmp_path: Path) -> None:
    """AUD-10: health data lie on the disk as they do in the database."""
    spool = opened(tmp_path / f"a{SUFFIX}")

    assert spool.path.stat().st_mode & 0o077 == 0
    spool.close()


async def test_events_are_spooled_and_adopted(audit: AuditStore, away: AuditStore, tmp_path: Path) -> None:
    """AUD-10: a process that ends while the store is away leaves its events to the next one."""
    process = recorder(away, "aaaaaa", spool=tmp_path)
    for number in range(1, 6):
        await process.keep([event(number)])
    await process.close()
    assert len(list(tmp_path.glob(f"*{SUFFIX}"))) == 1

    successor = recorder(audit, "bbbbbb", spool=tmp_path)
    await successor._shelf.adopt()  # type: ignore[attr-defined]
    await successor.keep([event(9)])
    await successor.close()

    found = await verify(audit)
    assert (found.events, found.faults) == (6, [])
    assert list(tmp_path.iterdir()) == []
