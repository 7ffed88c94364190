"""Blocking keys: under which 64-bit numbers a record is found, and which of them a query reads.

Spec: MAT-20..24; the table of matching.md 4.1, two keys of which are narrower here: by themselves they grow with the
whole index. Every key needs the record's own data alone.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from hashlib import blake2b
from itertools import accumulate

from app.patient.address import Place
from app.patient.contact import telecom_key
from app.patient.normalise import family_codes
from app.patient.vector import MatchVector

POSTING_CAP = 2000
PAIR_LIMIT = 5000

# From this many records on, the key of the birth date alone takes in the gender (matching.md 4.1).
LARGE_POPULATION = 10_000_000

_CODES = 4
_BEGINNING = 2


@dataclass(frozen=True, slots=True)
class Selection:
    """The keys that a query reads, most selective first.

    `cut`: what it reads may lack records that it should have seen: the answer carries a warning (PDQM-119-16).
    `limit`: pairs to score at most.
    """

    keys: tuple[int, ...]
    cut: bool
    limit: int = PAIR_LIMIT


def match_keys(vector: MatchVector, *, large: bool = False) -> list[int]:
    """Return the record's keys as signed 64-bit numbers, sorted: the array `mk`.

    Args:
        large: for populations from `LARGE_POPULATION` on; all records must agree on it.
    """
    return sorted({hashed(key) for _, key in named_keys(vector, large=large)})


def hashed(key: str) -> int:
    """Return BLAKE2b-8 of a key's text as a signed 64-bit number; the same after each restart (MAT-20)."""
    return int.from_bytes(blake2b(key.encode(), digest_size=8).digest(), "big", signed=True)


def select(keys: Sequence[int], sizes: Mapping[int, int], cap: int = POSTING_CAP, limit: int = PAIR_LIMIT) -> Selection:
    """Return which keys to read, given how many records each has (MAT-22, MAT-81).

    A list longer than `cap` is left out as long as another key remains; the shortest is read in any case. A key whose
    size is not known counts as short.
    """
    ordered = sorted(keys, key=lambda key: (sizes.get(key, 0), key))
    short = [key for key in ordered if sizes.get(key, 0) <= cap]
    # Keys of nobody but the asker are free, but find nothing: they do not make a long list needless.
    if not any(sizes.get(key, 1) for key in short):
        short = ordered[: len(short) + 1]
    over = any(sizes.get(key, 0) > cap for key in short)
    within = _within(short, sizes, limit)
    return Selection(tuple(within), over or len(within) < len(short), min(limit, cap) if over else limit)


def named_keys(vector: MatchVector, *, large: bool = False) -> Iterator[tuple[str, str]]:
    """Yield each key as its kind and its text; kinds are the rows of the table, for monitoring (MAT-23)."""
    given = _unique(code for name in vector.given for code in (name[2], name[3]))
    family = _unique(code for name in (*vector.family, *vector.former) for code in name[2])
    yield from _identifier_keys(vector)
    yield from _date_keys(vector, given + family, large=large)
    yield from _name_keys(vector, given, family)
    for place in vector.places:
        yield from _place_keys(vector.birth, Place._make(place), given, family)
    for maiden in vector.maiden:
        yield from _maiden_keys(vector, maiden, given)


def meeting_kinds(a: MatchVector, b: MatchVector) -> set[str]:
    """Return the kinds of keys in which two records meet; one alone is a single point of failure (MAT-23)."""
    theirs = {key for _, key in named_keys(b)}
    return {kind for kind, key in named_keys(a) if key in theirs}


def day_key(birth: str) -> str:
    """Return a full birth date with day and month sorted, "" for a partial one."""
    return birth[:4] + "".join(sorted((birth[4:6], birth[6:8]))) if len(birth) == 8 else ""


def _within(keys: Sequence[int], sizes: Mapping[int, int], limit: int) -> list[int]:
    """Return the first keys that name up to `limit` records, at least one."""
    totals = accumulate(sizes.get(key, 0) for key in keys)
    return [key for index, (key, total) in enumerate(zip(keys, totals, strict=True)) if total <= limit or not index]


def _identifier_keys(vector: MatchVector) -> Iterator[tuple[str, str]]:
    for system, value, _ in vector.numbers:
        yield "identifier", f"i|{system}|{value}"
    for identifier in vector.identifiers:
        yield "identifier", f"i|{identifier}"
    for telecom in vector.telecom:
        yield "telecom", f"t|{telecom_key(telecom)}"


def _date_keys(vector: MatchVector, names: Sequence[str], *, large: bool) -> Iterator[tuple[str, str]]:
    if not (day := day_key(vector.birth)):
        return
    yield "date", f"d|{day}|{vector.gender}" if large else f"d|{day}"
    for code in dict.fromkeys(names):
        yield "date-name", f"dn|{day}|{code}"


def _name_keys(vector: MatchVector, given: Sequence[str], family: Sequence[str]) -> Iterator[tuple[str, str]]:
    year, monthday = vector.birth[:4], day_key(vector.birth)[4:]
    postcodes = _unique(place[3] for place in vector.places)
    for name in _name_pairs(given, family):
        yield "names", f"n|{name}"
        if year:
            yield "names-year", f"ny|{name}|{year}"
        if monthday:
            yield "names-day", f"nd|{name}|{monthday}"
        for postcode in postcodes:
            yield "names-postcode", f"np|{name}|{postcode}"


def _name_pairs(given: Sequence[str], family: Sequence[str]) -> list[str]:
    """Return G and F in alphabetical order, so that swapped names meet."""
    return _unique("|".join(sorted((g, f))) for g in given[:_CODES] for f in family[:_CODES])


def _place_keys(birth: str, place: Place, given: Sequence[str], family: Sequence[str]) -> Iterator[tuple[str, str]]:
    if place.postcode:
        yield from _postcode_keys(birth, place, given, family)
    # With a name: there is a `Hlavná 12` in every town.
    for house in place.houses if place.street_code else ():
        for code in dict.fromkeys((*given, *family)):
            yield "street-house", f"sh|{place.street_code}|{house}|{code}"
    if place.street_code and place.postcode:
        yield "street-postcode", f"sp|{place.street_code}|{place.postcode}"
    if place.street_code and place.city_code:
        yield "street-city", f"sc|{place.street_code}|{place.city_code}"


def _postcode_keys(birth: str, place: Place, given: Sequence[str], family: Sequence[str]) -> Iterator[tuple[str, str]]:
    for code in dict.fromkeys((*given, *family)):
        yield "postcode-name", f"pn|{place.postcode}|{code}"
    for code in family if birth else ():
        yield "postcode-name-year", f"py|{place.postcode}|{code}|{birth[:4]}"
    if day := day_key(birth):
        yield "postcode-date", f"pd|{place.postcode}|{day}"
    # With the beginning of the street: a postcode has as many houses 12 as streets.
    for house in place.houses:
        yield "postcode-house", f"ph|{place.postcode}|{house}|{place.street_code[:_BEGINNING]}"


def _maiden_keys(vector: MatchVector, maiden: str, given: Sequence[str]) -> Iterator[tuple[str, str]]:
    code = family_codes(maiden.rpartition(" ")[2])[0]
    if day := day_key(vector.birth):
        yield "maiden-date", f"md|{code}|{day}"
    for name in given:
        yield "maiden-given", f"mg|{code}|{name}"


def _unique(values: Iterator[str]) -> list[str]:
    return list(dict.fromkeys(value for value in values if value))
