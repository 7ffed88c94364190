"""Posting lists of a whole index in arrays: which records share a key with a record, without asking the database.

Keys that one record alone has are left out. Everything lies in files that several processes map into their memory.

Spec: MAT-20, MAT-22, MAT-66.
"""

from __future__ import annotations

import mmap
from array import array
from collections.abc import Iterator, Sequence
from pathlib import Path

import orjson

from app.patient.candidates import Compared
from app.patient.keys import POSTING_CAP, select
from app.patient.vector import MatchVector

# Keys are numbered in so many parts, one after the other, so that few of them are in memory at once.
_PARTS = 64
_FILES = ("starts", "members", "offsets", "lists", "places", "wide")


class Gathering:
    """Takes in records one by one, then writes the files that `Postings` reads."""

    def __init__(self, folder: Path) -> None:
        self.records = 0
        self._folder = folder
        self._keys = [array("q") for _ in range(_PARTS)]
        self._slots = [array("Q") for _ in range(_PARTS)]
        self._offsets = array("Q", [0])
        self._places = array("Q", [0])
        self._blobs = (folder / "records").open("wb")

    def add(self, record: Compared, keys: Sequence[int]) -> None:
        """Take in the next record; its number is how many there were before."""
        told = (record.id, tuple(record.vector), record.state, record.system, record.replaced_by)
        blob = orjson.dumps(told, default=tuple)
        self._blobs.write(blob)
        self._places.append(self._places[-1] + len(blob))
        slot = self._offsets[-1]
        for at, key in enumerate(keys, slot):
            self._keys[key % _PARTS].append(key)
            self._slots[key % _PARTS].append(at)
        self._offsets.append(slot + len(keys))
        self.records += 1

    def finish(self) -> None:
        """Number the keys that several records have, and write who has them."""
        self._blobs.close()
        lists, sizes = self._numbered()
        starts = array("Q", [0])
        for size in sizes:
            starts.append(starts[-1] + size)
        filled, members = array("Q", starts), array("I", bytes(4 * starts[-1]))
        wide = array("B", bytes(self.records))
        for record in range(self.records):
            total = 0
            for slot in range(self._offsets[record], self._offsets[record + 1]):
                if (number := lists[slot]) >= 0:
                    members[filled[number]] = record
                    filled[number] += 1
                    total += sizes[number]
            wide[record] = total > POSTING_CAP
        for name, values in zip(_FILES, (starts, members, self._offsets, lists, self._places, wide), strict=True):
            (self._folder / name).write_bytes(values.tobytes() or bytes(8))

    def _numbered(self) -> tuple[array[int], array[int]]:
        """Return the number of the key in each slot, -1 for one that nobody shares, and how many records each has."""
        lists, sizes = array("q", bytes(8 * self._offsets[-1])), array("Q")
        for keys, slots in zip(self._keys, self._slots, strict=True):
            counts: dict[int, int] = {}
            for key in keys:
                counts[key] = counts.get(key, 0) + 1
            shared = [key for key, count in counts.items() if count > 1]
            numbers = {key: number for number, key in enumerate(shared, len(sizes))}
            sizes.extend(counts[key] for key in shared)
            for key, slot in zip(keys, slots, strict=True):
                lists[slot] = numbers.get(key, -1)
        return lists, sizes


class Postings:
    """Reads what `Gathering` wrote; in as many processes as like to."""

    def __init__(self, folder: Path) -> None:
        starts, members, offsets, lists, places, self._wide = (_mapped(folder / name) for name in _FILES)
        self._starts, self._offsets, self._places = starts.cast("Q"), offsets.cast("Q"), places.cast("Q")
        self._lists, self._members = lists.cast("q"), members.cast("I")
        self._blobs = _mapped(folder / "records")

    def record(self, number: int) -> Compared:
        """Return a record."""
        name, vector, *others = orjson.loads(self._blobs[self._places[number] : self._places[number + 1]])
        return Compared(name, MatchVector._make(vector), *others)

    def is_wide(self, number: int) -> bool:
        """Tell whether a record may have so many candidates that some are left out: then not every pair is mutual."""
        return bool(self._wide[number])

    def candidates(self, number: int) -> set[int]:
        """Return the records that are compared with a record, as a feed would choose them (MAT-22)."""
        lists = list(self._lists_of(number))
        found = self._union(lists)
        if len(found) > POSTING_CAP:
            chosen = select(lists, {one: self._size(one) for one in lists})
            found = set(sorted(self._union(chosen.keys))[: chosen.limit])
        found.discard(number)
        return found

    def _lists_of(self, number: int) -> Iterator[int]:
        return (one for one in self._lists[self._offsets[number] : self._offsets[number + 1]] if one >= 0)

    def _size(self, one: int) -> int:
        return self._starts[one + 1] - self._starts[one]

    def _union(self, lists: Sequence[int]) -> set[int]:
        return set().union(*(self._members[self._starts[one] : self._starts[one + 1]] for one in lists))


def _mapped(file: Path) -> memoryview:
    with file.open("rb") as opened:
        return memoryview(mmap.mmap(opened.fileno(), 0, access=mmap.ACCESS_READ))
