"""How often names are borne in this index: counted now and then, and kept under a version.

A count is a fact that never changes; its version is a hash of what it says. A decision keeps the version that it was
taken with, so that it can be replayed. Names so rare that they count as the rarest anyway are left out.

Spec: MAT-32, MAT-36.
"""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from hashlib import blake2b
from typing import NamedTuple

import orjson

from app.patient.parameters import NameFrequencies, Parameters, counted_names
from app.patient.vector import NORM_VERSION, MatchVector, unpack
from app.store.facts import Facts

_COLLECTION, _CURRENT = "match_frequency", "current"
_BATCH = 200
# Of the time that counting in the background takes, the share that it works.
_DUTY = 0.1


class NameCount:
    """Counts the names of active records."""

    def __init__(self) -> None:
        self._records = 0
        self._given: Counter[str] = Counter()
        self._family: Counter[str] = Counter()

    def add(self, vector: MatchVector) -> None:
        """Count a record."""
        given, family = counted_names(vector)
        self._records += 1
        self._given.update(given)
        self._family.update(family)

    def frequencies(self, parameters: Parameters) -> NameFrequencies:
        """Return the shares that make a difference with `parameters`, and their version."""
        limits = parameters.limits
        rarest = 2.0 ** (-2 * limits.name_frequency)
        given = self._shares(self._given, min(parameters.u_given * rarest, limits.established_given))
        family = self._shares(self._family, min(parameters.u_family * rarest, limits.established_family))
        return NameFrequencies(given, family, _version(given, family))

    def _shares(self, counts: Mapping[str, int], least: float) -> dict[str, float]:
        shares = {name: count / self._records for name, count in counts.items()}
        return {name: round(share, 7) for name, share in sorted(shares.items()) if share >= least}


class Pointer(NamedTuple):
    """Which count is the current one, of how many records it was, and when it was made."""

    version: str
    records: int
    at: datetime


async def current(facts: Facts) -> Pointer | None:
    """Return where the last count is; None when there was none."""
    found = await facts.having(_COLLECTION, "_id", [_CURRENT])
    return Pointer(found[0]["version"], found[0]["records"], found[0]["at"]) if found else None


async def of_version(facts: Facts, version: str) -> NameFrequencies:
    """Return the count `version`, to replay what was decided with it.

    Raises:
        ValueError: there is no such count.
    """
    if not version:
        return NameFrequencies()
    found = await facts.having(_COLLECTION, "_id", [version])
    if not found:
        raise ValueError(f"There is no count of names {version}.")
    return NameFrequencies(**orjson.loads(found[0]["names"]), version=version)


async def keep(facts: Facts, frequencies: NameFrequencies, records: int) -> None:
    """Keep a count, and make it the current one."""
    names = orjson.dumps({"given": frequencies.given, "family": frequencies.family})
    await facts.keep(_COLLECTION, [{"_id": frequencies.version, "names": names}])
    told = {"version": frequencies.version, "records": records, "at": datetime.now(UTC)}
    await facts.keep(_COLLECTION, [{"_id": _CURRENT, **told}])


async def count(facts: Facts, parameters: Parameters, duty: float = _DUTY) -> NameFrequencies:
    """Count the names of all active records and keep the count; works for the share `duty` of the time only."""
    counted, last, records = NameCount(), "", 0
    fields = ("derived.mv", "derived.state")
    while True:
        begun = time.monotonic()
        batch = await facts.after("Patient", last, _BATCH, fields=fields)
        for vector in _vectors(one["derived"] for one in batch if "derived" in one):
            counted.add(vector)
        records += len(batch)
        if len(batch) < _BATCH:
            break
        last = batch[-1]["_id"]
        await asyncio.sleep((time.monotonic() - begun) * (1 / duty - 1))
    frequencies = counted.frequencies(parameters)
    await keep(facts, frequencies, records)
    return frequencies


def _vectors(derived: Iterable[Mapping[str, object]]) -> Iterable[MatchVector]:
    for each in derived:
        held = each.get("mv")
        if isinstance(held, dict) and each.get("state") == "active" and held["norm_version"] == NORM_VERSION:
            yield unpack(held["vector"])


def _version(given: Mapping[str, float], family: Mapping[str, float]) -> str:
    told = orjson.dumps([given, family], option=orjson.OPT_SORT_KEYS)
    return blake2b(told, digest_size=8).hexdigest()
