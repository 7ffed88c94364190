"""Postal addresses, made comparable: street, house numbers, postcode, city.

Spec: MAT-01, the address rows of matching.md 4.1 and 5.1. How lines are read is our own choice.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import lru_cache
from typing import Any, NamedTuple

from doublemetaphone import doublemetaphone

from app.patient.normalise import fold, unify
from app.patient.words import STREET_WORDS

# Of the code of a whole name; towns are called by several words, of which the last ones tell them apart.
STREET_CODE_LENGTH, CITY_CODE_LENGTH = 6, 12
_HOUSE_NUMBERS = 2
_KINDS = frozenset(unify(word) for word in STREET_WORDS)
_LINES = 3
_ADXP = "http://hl7.org/fhir/StructureDefinition/iso21090-ADXP-"


class Street(NamedTuple):
    """One address line that names a street: its name without the kind of street, and its house numbers."""

    name: str
    houses: list[str]


class Place(NamedTuple):
    """One street of one Address. Any member may be empty; codes are Double Metaphone's."""

    street: str
    street_code: str
    houses: list[str]
    postcode: str
    city: str
    city_code: str


def places(address: Any) -> Iterator[Place]:
    """Yield one `Place` for each line of a FHIR Address that names a street, at least one when there is a place.

    A village without streets numbers its houses: then the city is the street.
    """
    if not isinstance(address, dict):
        return
    postcode = fold(_text(address.get("postalCode"))).replace(" ", "")
    city = unify(fold(_text(address.get("city"))))
    streets = list(_streets(address))[:_LINES] or [Street("", [])]
    for name, houses in streets:
        street = name or (city if houses else "")
        if street or postcode or city:
            street_code, city_code = code(street)[:STREET_CODE_LENGTH], code(city)[:CITY_CODE_LENGTH]
            yield Place(street, street_code, houses, postcode, city, city_code)


@lru_cache(maxsize=65536)
def code(name: str) -> str:
    """Return the phonetic code of the whole name of a street or city."""
    joined = name.replace(" ", "")
    return str(doublemetaphone(joined)[0] or joined) if joined else ""


def read_line(line: str) -> Street:
    """Return the street in one address line: house numbers stand at its end, or at its beginning.

    Examples:
        "Hlavná ulica 12/5"   -> Street("hlavna", ["12", "5"])
        "17 Stanley Street"   -> Street("stanley", ["17"])
        "1. mája 15"          -> Street("1 maja", ["15"])
    """
    words = unify(fold(line)).split()
    houses: list[str] = []
    if len(words) > 2 and words[-1].isalpha() and len(words[-1]) == 1 and words[-2].isdigit():
        words.pop()
    while words and words[-1][0].isdigit() and len(houses) < _HOUSE_NUMBERS:
        houses.insert(0, words.pop())
    while not houses and words and words[0][0].isdigit():
        houses.append(words.pop(0))
        if words and words[0][0].isdigit():
            houses.append(words.pop(0))
    kept = [word for word in words if word not in _KINDS] or words
    return Street(" ".join(kept), [_number(house) for house in houses])


def _streets(address: dict[str, Any]) -> Iterator[Street]:
    lines = address.get("line")
    primitives = address.get("_line")
    for index, line in enumerate(lines if isinstance(lines, list) else ()):
        told = _told_apart(primitives[index]) if isinstance(primitives, list) and index < len(primitives) else None
        street = told or read_line(_text(line))
        if street.name or street.houses:
            yield street


def _told_apart(primitive: Any) -> Street | None:
    """Return the street that ISO 21090's extensions name, None when they do not."""
    parts = {"streetName": "", "houseNumber": ""}
    for extension in (primitive or {}).get("extension") or ():
        kind = str(extension.get("url")).removeprefix(_ADXP)
        if kind in parts:
            parts[kind] = _text(extension.get("valueString"))
    name = read_line(parts["streetName"])
    houses = [_number(word) for word in fold(parts["houseNumber"]).split()][:_HOUSE_NUMBERS]
    return Street(name.name, houses or name.houses) if parts["streetName"] else None


def _number(house: str) -> str:
    """Return a house number without its letter: `12a` and `12 A` are one door to many clerks."""
    return house.rstrip("abcdefghijklmnopqrstuvwxyz").lstrip("0") or house


def _text(value: Any) -> str:
    return value if isinstance(value, str) else ""
