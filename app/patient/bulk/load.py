"""Loading people who never were: records of a seed, as many as are wanted, that are not there yet.

Processes make blocks, this one writes them; a load that was interrupted goes on where it was.

Spec: MAT-66, MAT-80.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass

from app.patient.bulk.making import Plan, begin, make
from app.patient.bulk.pool import processes
from app.patient.bulk.progress import Progress
from app.patient.synthetic.sources import BLOCK, record_id
from app.store.record import to_milliseconds
from app.transaction import Context


@dataclass(frozen=True, slots=True)
class Loaded:
    """How many records there are to be, how many were written, and how many a second."""

    count: int
    written: int
    rate: float


async def load(count: int, seed: int, workers: int, context: Context) -> Loaded:
    """Write the first `count` records of `seed` that are not there yet.

    Raises:
        ValueError: a record breaks a rule; no identifier domain is configured.
        KeyTaken: a record of another origin holds an identifier.
        FhirError: `transient` (503) when the database does not answer.
    """
    progress, written = Progress("records", count), 0
    missing = [one async for one in _missing(count, seed, progress, context)]
    bulk = context.store.bulk
    async with bulk.indexed_afterwards("Patient"):
        with processes(workers, begin, plan_of(context, seed)) as pool:
            async for (_, size), made in pool.each(make, missing):
                new = await bulk.create("Patient", made.records, made.keys)
                progress.add(size, skipped=size - new)
                written += new
    return Loaded(count, written, progress.rate)


def plan_of(context: Context, seed: int) -> Plan:
    """Return what processes must know to make records as this server would."""
    profiles = context.packages.listed()[0].path.parent
    now = to_milliseconds(context.now())
    return Plan(profiles, context.domains, context.switches, context.base_url, seed, now)


async def _missing(count: int, seed: int, progress: Progress, context: Context) -> AsyncIterator[tuple[int, int]]:
    """Yield number and size of each block of which a record is missing."""
    for block in range((count + BLOCK - 1) // BLOCK):
        size = min(BLOCK, count - block * BLOCK)
        ids = [record_id(seed, block * BLOCK + number) for number in range(size)]
        there = await context.store.facts.having("Patient", "_id", ids, fields=("version",))
        if len(there) == size:
            progress.add(size, skipped=size)
        else:
            yield block, size
