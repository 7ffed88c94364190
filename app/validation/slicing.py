"""Slices: which repetition is which, how many there may be, and what each must satisfy.

An item that fits no slice of a closed slicing is reported by what keeps it out of the nearest one, since that is
what its sender has to mend.

Spec: FHIR R4 profiling.html#slicing, #reslicing, #discriminator.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from app.validation.discriminator import Test
from app.validation.finding import MOST_FINDINGS, Finding, Findings, by, has_errors
from app.validation.place import Place
from app.validation.structure import Check, Member, check_count, has_partner, no_array

Item = tuple[int, Any]

_MOST_NAMED = 10


@dataclass(slots=True)
class Slice:
    """One slice.

    Attributes:
        check: of an item, all that the unsliced element demands included.
        tests: one for each discriminator; the item is in the slice when all are true.
        is_alike: a quick look whether the item could be meant for this slice: the type of a resource.
        distance: how much in the item speaks against this slice, for the choice of the nearest.
        is_by_profile: membership is conformance to a profile, so `check` decides most of it at once.
        inner: the slicing of the slice itself.
    """

    name: str
    low: int
    high: int | None
    source: str
    check: Check
    tests: tuple[Test, ...]
    is_alike: Callable[[Any], bool]
    distance: Callable[[Any], int]
    is_by_profile: bool
    inner: Slicer | None = None

    def has(self, item: Any, place: Place) -> bool:
        """Whether every discriminator says that the item is in this slice."""
        return bool(self.tests) and all(test.run(item, place) for test in self.tests)


@dataclass(slots=True)
class Slicer:
    """A slicing; `rules` is open, closed or openAtEnd, `generic` the check of an item that is in no slice."""

    name: str
    slices: tuple[Slice, ...]
    rules: str
    is_ordered: bool
    source: str
    generic: Check

    def check(self, items: list[Item], place: Place) -> list[Finding]:
        """Return what is wrong with the items and with their number in each slice."""
        found: list[Finding] = []
        members: dict[str, list[Item]] = {}
        order = _Order(self)
        for index, item in items:
            chosen, more = self._sort(item, place)
            if chosen:
                members.setdefault(chosen.name, []).append((index, item))
            more = [*(more or ()), *order.next(chosen)]
            for each in more:
                each.steps.append((self.name, index))
            found += more
            if len(found) >= MOST_FINDINGS:
                return found
        for each_slice in self.slices:
            found += self.count(each_slice, members.get(each_slice.name, []), place)
        return found

    def _sort(self, item: Any, place: Place) -> tuple[Slice | None, Findings]:
        """Return the slice of an item, and what is wrong with it there."""
        tried: list[tuple[Slice, Findings]] = []
        for each in sorted((s for s in self.slices if s.is_by_profile and s.is_alike(item)), key=_by_distance(item)):
            found = each.check(item, place)
            if not has_errors(found):
                return each, found
            tried.append((each, found))
        for each, found in tried:
            if each.has(item, place):
                return each, found
        for each in self.slices:
            if not each.is_by_profile and each.has(item, place):
                return each, each.check(item, place)
        return self._outside(item, tried, place)

    def _outside(self, item: Any, tried: list[tuple[Slice, Findings]], place: Place) -> tuple[Slice | None, Findings]:
        found = self.generic(item, place)
        if self.rules != "closed":
            return None, found
        if tried:
            return min(tried, key=lambda pair: (pair[0].distance(item), len(pair[1] or ())))
        hints = [test.nearest(item, place) for each in self.slices for test in each.tests]
        allowed = "; ".join(map(_described, self.slices[:_MOST_NAMED]))
        words = f"This `{self.name}` is none of those that {by(self.source)} allows: {allowed}."
        hint = next((each for each in hints if each), "")
        return None, [Finding("structure", words + hint), *(found or ())]

    def count(self, each: Slice, members: list[Item], place: Place | None) -> list[Finding]:
        """Return what is wrong with the number of items in a slice, and with their own slices."""
        who = by(each.source)
        if len(members) < each.low:
            words = f"`{self.name}` has {len(members)} of at least {each.low} items for {_described(each)}"
            return [Finding("required", f"{words}, which {who} demands.")]
        if each.high is not None and len(members) > each.high:
            words = f"`{self.name}` has {len(members)} items for {_described(each)}; {who} allows {each.high}."
            return [Finding("structure", words, "error", (self.name, members[each.high][0]))]
        if each.inner and place:
            return each.inner.check(members, place)
        return []


class _Order:
    """The order in which an ordered slicing, or one that is open at its end, wants its slices."""

    def __init__(self, slicer: Slicer) -> None:
        self.slicer = slicer
        self.names = [each.name for each in slicer.slices]
        self.at = 0
        self.is_over = False

    def next(self, chosen: Slice | None) -> list[Finding]:
        if chosen is None:
            self.is_over = self.slicer.rules == "openAtEnd"
            return []
        position = self.names.index(chosen.name)
        wrong = self.is_over or (self.slicer.is_ordered and position < self.at)
        self.at = max(self.at, position)
        if not wrong:
            return []
        return [Finding("structure", f"Slice `{chosen.name}` comes too late: {by(self.slicer.source)} orders them.")]


def sliced(name: str, slicer: Slicer, *, low: int, high: int | None, who: str) -> Member:
    """Return the member for an array with slices."""

    def member(items: Any, owner: dict[str, Any], place: Place) -> Findings:
        if type(items) is not list or not items:
            return no_array(name, items)
        partner = owner.get("_" + name)
        pairs = [(i, item) for i, item in enumerate(items) if item is not None or not has_partner(partner, i)]
        return [*check_count(name, len(items), low, high, who), *slicer.check(pairs, place)] or None

    return member


def sliced_one(name: str, slicer: Slicer) -> Member:
    """Return the member for a single value with slices."""

    def member(item: Any, owner: dict[str, Any], place: Place) -> Findings:
        found = slicer.check([(0, item)], place)
        for each in found:
            each.steps = [name if step == (name, 0) else step for step in each.steps]
        return found or None

    return member


def check_missing(slicer: Slicer) -> Findings:
    """Return the slices that must be there, for an element that is not there at all."""
    return [finding for each in slicer.slices for finding in slicer.count(each, [], None)] or None


def _described(each: Slice) -> str:
    """Return a slice and what its items have: "slice `Documents` (`Binary`)"."""
    words = ", ".join(test.words for test in each.tests)
    return f"slice `{each.name}` ({words})" if words else f"slice `{each.name}`"


def _by_distance(item: Any) -> Callable[[Slice], int]:
    return lambda each: each.distance(item)
