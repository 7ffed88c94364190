"""What was acknowledged survives a crash of the database, whole: architecture 13 and 14."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import AsyncIterator, Iterator
from datetime import UTC, datetime
from pathlib import Path

import psutil  # type: ignore[import-untyped]

from app.fhir.outcome import FhirError
from app.search.definitions import Definitions
from app.store.change import Create
from app.store.driver import Driver, connect
from app.store.managed import private_mongodb
from app.store.resources import Store
from tests.builders import binary, document_reference, patient

NOW = datetime(2025, 3, 4, 10, 0, tzinfo=UTC)

# Every third document is large enough for chunks of its own.
SIZES = (1_000, 20_000, 1_500_000)


async def pieces(size: int) -> AsyncIterator[bytes]:
    yield b"x" * size


async def submit(store: Store, number: int) -> None:
    content = await store.content.stage(pieces(SIZES[number % 3]))
    changes = (
        Create(binary(f"{number}"), content),
        Create(document_reference(f"{number}"), unique=(f"urn:oid:1.{number}",)),
        Create(patient(f"{number}")),
    )
    await store.commit(changes, NOW)


async def submit_until_it_fails(
    store: Store, numbers: Iterator[int], acknowledged: list[int], enough: asyncio.Event
) -> int:
    while True:
        number = next(numbers)
        try:
            await submit(store, number)
        except FhirError as error:
            enough.set()
            return error.status
        acknowledged.append(number)
        if len(acknowledged) == 60:
            enough.set()


async def found(store: Store, number: int) -> list[bool]:
    """Return for each part of a submission whether it is there."""
    parts = [bool(await store.holders([f"urn:oid:1.{number}"]))]
    for resource_type in ("Binary", "DocumentReference", "Patient"):
        try:
            kept = await store.read(resource_type, f"{number}")
        except FhirError:
            parts.append(False)
            continue
        parts.append(True)
        if kept.content:
            chunks = [chunk async for chunk in store.content.open(kept.content)]
            assert sum(map(len, chunks)) == SIZES[number % 3]
    return parts


async def test_kill_in_the_middle_of_commits(tmp_path: Path, driver: Driver, definitions: Definitions) -> None:
    """After kill -9 every acknowledged submission is whole, no other is visible in part."""
    acknowledged: list[int] = []
    numbers, enough = itertools.count(), asyncio.Event()
    with private_mongodb(tmp_path) as url:
        store = Store(connect(f"{url}&serverSelectionTimeoutMS=500", driver), definitions)
        await store.ensure(["Binary", "DocumentReference", "Patient"])
        writers = [submit_until_it_fails(store, numbers, acknowledged, enough) for _ in range(6)]
        running = asyncio.gather(*writers)
        await enough.wait()
        psutil.Process(int((tmp_path / "mongodb" / "mongod.lock").read_text())).kill()
        assert await running == [503] * 6
        await store.close()
    with private_mongodb(tmp_path) as url:
        store = Store(connect(url, driver), definitions)
        after = {number: await found(store, number) for number in range(next(numbers))}
        await store.close()
    assert len(acknowledged) >= 60
    assert [number for number in acknowledged if not all(after[number])] == []
    assert [number for number, parts in after.items() if any(parts) and not all(parts)] == []
