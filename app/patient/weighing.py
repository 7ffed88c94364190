"""With what pairs are weighed now: the active parameter set, the size of the index, how often names are borne.

Read anew every few seconds, for all requests together. Who finds that the names were counted long ago, or in a much
smaller index, has them counted again beside the requests.

Spec: MAT-32, MAT-35, MAT-36, MAT-43.
"""

from __future__ import annotations

import asyncio
import logging
import time
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from weakref import WeakKeyDictionary

from app.fhir.outcome import FhirError
from app.patient.frequencies import Pointer, count, current, of_version
from app.patient.parameter_sets import active
from app.patient.parameters import NameFrequencies, Parameters
from app.store.facts import Facts

# For so long the weights that were read count as those of now.
_FRESH_S = 5.0
# Names are counted anew after a day, or when the index is so much larger; in an index of few people they tell nothing.
_COUNTED_FOR, _GROWN, _COUNTED_AGAIN_AFTER = timedelta(days=1), 1.25, timedelta(minutes=10)

_log = logging.getLogger("app")


@dataclass(frozen=True, slots=True)
class _Known:
    parameters: Parameters
    until: float


_known: WeakKeyDictionary[Facts, _Known] = WeakKeyDictionary()
_counting: WeakKeyDictionary[Facts, asyncio.Task[None]] = WeakKeyDictionary()


async def parameters_now(facts: Facts) -> Parameters:
    """Return the weights for a population of the present size, rounded up to a power of two.

    Rounded, so that one more record does not change every score; a pair weighs the same until the population doubled.
    """
    found = _known.get(facts)
    if found is None or found.until < time.monotonic():
        parameters = await _read(facts, found.parameters if found else None)
        found = _known[facts] = _Known(parameters, time.monotonic() + _FRESH_S)
    return found.parameters


def forget(facts: Facts) -> None:
    """Let the next request read the weights anew."""
    _known.pop(facts, None)


async def _read(facts: Facts, known: Parameters | None) -> Parameters:
    records, base = await facts.estimate("Patient"), await active(facts)
    frequencies = NameFrequencies()
    if records >= base.limits.smallest_population:
        pointer = await current(facts)
        if _is_outdated(pointer, records):
            _count_beside(facts, base)
        frequencies = await _frequencies(facts, pointer.version if pointer else "", known)
    return sized(base, records, frequencies)


async def _frequencies(facts: Facts, version: str, known: Parameters | None) -> NameFrequencies:
    """Return the count `version`; the one that is known is not read again."""
    if known and known.frequencies.version == version:
        return known.frequencies
    return await of_version(facts, version)


def _is_outdated(pointer: Pointer | None, records: int) -> bool:
    if pointer is None:
        return True
    age = datetime.now(UTC) - pointer.at
    is_apart = not pointer.records / _GROWN <= records <= pointer.records * _GROWN
    return age > _COUNTED_FOR or (is_apart and age > _COUNTED_AGAIN_AFTER)


def sized(base: Parameters, records: int, frequencies: NameFrequencies) -> Parameters:
    """Return the set `base` for an index of `records`."""
    return base.for_population(1 << max(records - 1, 1).bit_length(), frequencies)


def _count_beside(facts: Facts, base: Parameters) -> None:
    """Count the names in a task of its own, unless it is running."""
    running = _counting.get(facts)
    if running is None or running.done():
        _counting[facts] = asyncio.create_task(_count(facts, base))


async def _count(facts: Facts, base: Parameters) -> None:
    try:
        await count(facts, base)
    except FhirError as error:
        _log.warning("names were not counted: %s", error)
