"""The levels at which fields of two records agree: what `compare` tells, and weights are given for.

A level is its place in the field's row of `LEVELS`, best first; the last one, `missing`, always weighs nothing.

Spec: MAT-30; matching.md 5.1. Levels stand in the order of their weights, which differs from 5.1 in two places (alias
after similar, former after similar), so that one more equal value never lowers the sum (MAT-95).
"""

from __future__ import annotations

from typing import NamedTuple

LEVELS: dict[str, tuple[str, ...]] = {
    "given": ("exact", "similar", "alias", "phonetic", "initial", "different", "missing"),
    "family": ("exact", "similar", "former", "phonetic", "part", "different", "missing"),
    "birthDate": ("exact", "swapped", "one-digit", "compatible", "two-parts", "different", "missing"),
    "gender": ("equal", "different", "missing"),
    "address": ("house", "street", "postcode", "city", "different", "missing"),
    "telecom": ("equal", "different", "missing"),
    "mothersMaidenName": ("exact", "similar", "different", "missing"),
    "trustedNumber": ("equal", "one-edit", "different", "conflict", "missing"),
    "otherIdentifier": ("equal", "missing"),
    "deceased": ("consistent", "contradictory", "missing"),
    "multipleBirth": ("consistent", "contradictory", "missing"),
}
FIELDS = tuple(LEVELS)

GIVEN_EXACT, GIVEN_SIMILAR, GIVEN_ALIAS, GIVEN_PHONETIC, GIVEN_INITIAL, GIVEN_DIFFERENT, GIVEN_MISSING = range(7)
FAMILY_EXACT, FAMILY_SIMILAR, FAMILY_FORMER, FAMILY_PHONETIC, FAMILY_PART, FAMILY_DIFFERENT, FAMILY_MISSING = range(7)
BIRTH_EXACT, BIRTH_SWAPPED, BIRTH_ONE_DIGIT, BIRTH_COMPATIBLE, BIRTH_TWO_PARTS, BIRTH_DIFFERENT, BIRTH_MISSING = range(
    7
)
EQUAL, DIFFERENT, MISSING = range(3)
ADDRESS_HOUSE, ADDRESS_STREET, ADDRESS_POSTCODE, ADDRESS_CITY, ADDRESS_DIFFERENT, ADDRESS_MISSING = range(6)
MAIDEN_EXACT, MAIDEN_SIMILAR, MAIDEN_DIFFERENT, MAIDEN_MISSING = range(4)
NUMBER_EQUAL, NUMBER_ONE_EDIT, NUMBER_DIFFERENT, NUMBER_CONFLICT, NUMBER_MISSING = range(5)
IDENTIFIER_EQUAL, IDENTIFIER_MISSING = range(2)
CONSISTENT, CONTRADICTORY, UNSAID = range(3)


class Levels(NamedTuple):
    """The level of each field, in the order of `FIELDS`."""

    given: int
    family: int
    birth: int
    gender: int
    address: int
    telecom: int
    maiden: int
    number: int
    identifier: int
    deceased: int
    multiple: int
