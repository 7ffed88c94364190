"""Compare two match vectors field by field, at graded levels.

Of repeating fields the best pair counts (MAT-31). Each comparison gives the same answer both ways round.

Spec: MAT-30, MAT-31; matching.md 5.1.
"""

from __future__ import annotations

from collections.abc import Sequence

from rapidfuzz.distance import OSA, JaroWinkler

from app.patient.address import Place
from app.patient.compare_names import NEARLY, SIMILAR, are_swapped, compare_family, compare_given
from app.patient.levels import (
    ADDRESS_CITY,
    ADDRESS_DIFFERENT,
    ADDRESS_HOUSE,
    ADDRESS_MISSING,
    ADDRESS_POSTCODE,
    ADDRESS_STREET,
    BIRTH_COMPATIBLE,
    BIRTH_DIFFERENT,
    BIRTH_EXACT,
    BIRTH_MISSING,
    BIRTH_ONE_DIGIT,
    BIRTH_SWAPPED,
    BIRTH_TWO_PARTS,
    CONSISTENT,
    CONTRADICTORY,
    DIFFERENT,
    EQUAL,
    FAMILY_DIFFERENT,
    FAMILY_PHONETIC,
    GIVEN_DIFFERENT,
    GIVEN_PHONETIC,
    IDENTIFIER_EQUAL,
    IDENTIFIER_MISSING,
    MAIDEN_DIFFERENT,
    MAIDEN_EXACT,
    MAIDEN_MISSING,
    MAIDEN_SIMILAR,
    MISSING,
    NUMBER_CONFLICT,
    NUMBER_DIFFERENT,
    NUMBER_EQUAL,
    NUMBER_MISSING,
    NUMBER_ONE_EDIT,
    UNSAID,
    Levels,
)
from app.patient.vector import MatchVector, Number

_similarity = JaroWinkler.normalized_similarity
_edits = OSA.distance


def compare(a: MatchVector, b: MatchVector) -> Levels:
    """Return the levels at which two match vectors agree."""
    given = compare_given(a.given, b.given)
    family = compare_family(a, b)
    if given == GIVEN_DIFFERENT and family == FAMILY_DIFFERENT and are_swapped(a, b):
        given, family = GIVEN_PHONETIC, FAMILY_PHONETIC
    return Levels(
        given,
        family,
        compare_birth(a.birth, b.birth),
        (EQUAL if a.gender == b.gender else DIFFERENT) if a.gender and b.gender else MISSING,
        compare_places(a.places, b.places) if a.places and b.places else ADDRESS_MISSING,
        compare_telecom(a.telecom, b.telecom) if a.telecom and b.telecom else MISSING,
        compare_maiden(a.maiden, b.maiden) if a.maiden and b.maiden else MAIDEN_MISSING,
        compare_numbers(a.numbers, b.numbers) if a.numbers and b.numbers else NUMBER_MISSING,
        compare_identifiers(a.identifiers, b.identifiers) if a.identifiers and b.identifiers else IDENTIFIER_MISSING,
        compare_deceased(a.deceased, b.deceased) if a.deceased and b.deceased else UNSAID,
        UNSAID if a.multiple is None or b.multiple is None else compare_multiple(a.multiple, b.multiple),
    )


def compare_birth(a: str, b: str) -> int:
    """Return the level of two birth dates of digits.

    A day and month exchanged is `swapped`; one wrong digit or two neighbours exchanged `one-digit`.
    """
    if not a or not b:
        return BIRTH_MISSING
    if len(a) < 8 or len(b) < 8:
        return BIRTH_COMPATIBLE if a.startswith(b) or b.startswith(a) else BIRTH_DIFFERENT
    if a == b:
        return BIRTH_EXACT
    year, month, day = a[:4] == b[:4], a[4:6] == b[4:6], a[6:] == b[6:]
    if year and a[4:6] == b[6:] and a[6:] == b[4:6]:
        return BIRTH_SWAPPED
    if _edits(a, b, score_cutoff=1) == 1:
        return BIRTH_ONE_DIGIT
    return BIRTH_TWO_PARTS if year + month + day == 2 else BIRTH_DIFFERENT


def compare_places(ours: Sequence[Place], theirs: Sequence[Place]) -> int:
    """Return the best level of any pair of places."""
    best = ADDRESS_MISSING
    for a in ours:
        for b in theirs:
            level = _place_pair(a, b)
            # Some place known to differ says more than nothing to compare, and less than any agreement.
            if level < best:
                best = level
                if not best:
                    return best
    return best


def compare_telecom(ours: Sequence[str], theirs: Sequence[str]) -> int:
    """Return whether any telephone number or e-mail address is shared."""
    for point in ours:
        if point in theirs:
            return EQUAL
    return DIFFERENT


def compare_maiden(ours: Sequence[str], theirs: Sequence[str]) -> int:
    """Return the best level of the mothers' maiden names."""
    best = MAIDEN_DIFFERENT
    for a in ours:
        for b in theirs:
            if a == b:
                return MAIDEN_EXACT
            if _similarity(a, b, score_cutoff=SIMILAR):
                best = MAIDEN_SIMILAR
    return best


def compare_numbers(ours: Sequence[Number], theirs: Sequence[Number]) -> int:
    """Return the best level of trusted numbers of one domain (MAT-08).

    `equal` needs a number that is not known to be wrong; `one-edit` one side whose check digit fails or is not known;
    `conflict` two different valid numbers (PIXM-XREF-03). Unverified numbers are trusted when they are equal, and
    only evidence when they differ.
    Within a domain the best pair counts; a conflict in one domain outweighs an equal number in another.
    """
    best: dict[str, int] = {}
    for system, value, check in ours:
        for other_system, other, other_check in theirs:
            if system == other_system:
                level = _number_pair(value, check, other, other_check)
                best[system] = min(best.get(system, level), level)
    if NUMBER_CONFLICT in best.values():
        return NUMBER_CONFLICT
    return min(best.values(), default=NUMBER_MISSING)


def compare_identifiers(ours: Sequence[str], theirs: Sequence[str]) -> int:
    """Return whether any other identifier is shared; a different one says nothing."""
    return IDENTIFIER_EQUAL if not set(ours).isdisjoint(theirs) else IDENTIFIER_MISSING


def compare_deceased(a: str, b: str) -> int:
    """Return whether two statements about death can both be true."""
    both_dated = a.isdigit() and b.isdigit()
    agree = a.startswith(b) or b.startswith(a) if both_dated else (a == "no") == (b == "no")
    return CONSISTENT if agree else CONTRADICTORY


def compare_multiple(a: int, b: int) -> int:
    """Return whether two statements about a multiple birth can both be true; see `MatchVector.multiple`."""
    if a == b or (a and b and -1 in (a, b)):
        return CONSISTENT
    return CONTRADICTORY


def _place_pair(a: Place, b: Place) -> int:
    """Level of two places. The same door in two cities is no agreement: the place must agree or be unknown."""
    street, _, houses, postcode, city, _ = a
    other_street, _, other_houses, other_postcode, other_city, _ = b
    same_postcode = postcode == other_postcode and postcode != ""
    same_city = city != "" and (city == other_city or _similarity(city, other_city, score_cutoff=NEARLY) > 0)
    placed = same_postcode or same_city or (not (city and other_city) and _near(postcode, other_postcode))
    if placed and street and other_street:
        alike = 1.0 if street == other_street else _similarity(street, other_street, score_cutoff=NEARLY)
        if alike and any(house in other_houses for house in houses):
            return ADDRESS_HOUSE
        if alike >= SIMILAR:
            return ADDRESS_STREET
    if same_postcode:
        return ADDRESS_POSTCODE
    if same_city:
        return ADDRESS_CITY
    told = (street and other_street) or (postcode and other_postcode) or (city and other_city)
    return ADDRESS_DIFFERENT if told else ADDRESS_MISSING


def _near(a: str, b: str) -> bool:
    return bool(a and b) and _edits(a, b, score_cutoff=1) == 1


def _number_pair(value: str, check: str, other: str, other_check: str) -> int:
    if value == other:
        return NUMBER_ONE_EDIT if "invalid" in (check, other_check) else NUMBER_EQUAL
    if check == other_check == "valid":
        return NUMBER_CONFLICT
    return NUMBER_ONE_EDIT if _edits(value, other, score_cutoff=1) == 1 else NUMBER_DIFFERENT
