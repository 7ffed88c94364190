"""Compare names: given names, surnames, former ones, and the two exchanged.

Spec: MAT-31; matching.md 5.1.
"""

from __future__ import annotations

from collections.abc import Sequence

from rapidfuzz.distance import JaroWinkler

from app.patient.levels import (
    FAMILY_DIFFERENT,
    FAMILY_EXACT,
    FAMILY_FORMER,
    FAMILY_MISSING,
    FAMILY_PART,
    FAMILY_PHONETIC,
    FAMILY_SIMILAR,
    GIVEN_ALIAS,
    GIVEN_DIFFERENT,
    GIVEN_EXACT,
    GIVEN_INITIAL,
    GIVEN_MISSING,
    GIVEN_PHONETIC,
    GIVEN_SIMILAR,
)
from app.patient.normalise import is_alias
from app.patient.vector import Family, Given, MatchVector

SIMILAR = 0.92
NEARLY = 0.85
CROSSWISE = 0.90

_similarity = JaroWinkler.normalized_similarity


def compare_given(ours: Sequence[Given], theirs: Sequence[Given]) -> int:
    """Return the best level of any pair of given names."""
    best = GIVEN_MISSING if not ours or not theirs else GIVEN_DIFFERENT
    for a in ours:
        for b in theirs:
            if a[0] == b[0] and len(a[0]) > 1:
                return GIVEN_EXACT
            best = min(best, _given_pair(a, b))
    return best


def compare_family(a: MatchVector, b: MatchVector) -> int:
    """Return the best level of any pair of surnames; a former name that agrees is a level of its own."""
    best = _families(a.family, b.family)
    if best and (a.former or b.former):
        best = min(best, _former(a, b))
    return best


def are_swapped(a: MatchVector, b: MatchVector) -> bool:
    """Tell whether the surname of one is the given name of the other, and the other way round."""
    for mine in a.given:
        for surname in b.family:
            if _similarity(mine[0], surname[0], score_cutoff=CROSSWISE) and _are_alike(b.given, a.family):
                return True
    return False


def _given_pair(a: Given, b: Given) -> int:
    """Level of two given names that are not spelled alike."""
    text, first, primary, secondary = a
    other_text, other, other_primary, other_secondary = b
    if first == other and len(first) > 1:
        return _second_given(text, other_text)
    if len(first) == 1 or len(other) == 1:
        return GIVEN_INITIAL if first[0] == other[0] else GIVEN_DIFFERENT
    similarity = _similarity(first, other, score_cutoff=NEARLY)
    if similarity >= SIMILAR:
        return GIVEN_SIMILAR
    if is_alias(first, other):
        return GIVEN_ALIAS
    if similarity or primary in (other_primary, other_secondary) or secondary in (other_primary, other_secondary):
        return GIVEN_PHONETIC
    return GIVEN_PHONETIC if _has_part(text, other) or _has_part(other_text, first) else GIVEN_DIFFERENT


def _has_part(text: str, part: str) -> bool:
    """Tell whether a given name after the first is `part`."""
    return " " in text and part in text.split()[1:]


def _second_given(a: str, b: str) -> int:
    """Level of given names with the same first part: a second one may be missing or an initial, not contradict."""
    seconds = zip(a.split()[1:], b.split()[1:], strict=False)
    for mine, theirs in seconds:
        shorter, longer = sorted((mine, theirs), key=len)
        if not longer.startswith(shorter) and not _similarity(mine, theirs, score_cutoff=NEARLY):
            return GIVEN_PHONETIC
    return GIVEN_EXACT


def _families(ours: Sequence[Family], theirs: Sequence[Family]) -> int:
    best = FAMILY_DIFFERENT if ours and theirs else FAMILY_MISSING
    for a in ours:
        for b in theirs:
            if a[0] == b[0]:
                return FAMILY_EXACT
            best = min(best, _family_pair(a, b))
    return best


def _family_pair(a: Family, b: Family) -> int:
    text, parts, codes = a
    other_text, other_parts, other_codes = b
    similarity = _similarity(text, other_text, score_cutoff=NEARLY)
    if similarity >= SIMILAR:
        return FAMILY_SIMILAR
    if similarity:
        return FAMILY_PHONETIC
    for code in codes:
        if code in other_codes:
            return FAMILY_PHONETIC if len(parts) == len(other_parts) == 1 else FAMILY_PART
    return FAMILY_DIFFERENT


def _former(a: MatchVector, b: MatchVector) -> int:
    """Level of pairs with a former name on at least one side, `exact` among them being `former`."""
    levels = (_families(a.former, b.family), _families(a.family, b.former), _families(a.former, b.former))
    best = min(levels)
    if best == FAMILY_EXACT:
        return FAMILY_FORMER
    return FAMILY_PHONETIC if best == FAMILY_SIMILAR else best


def _are_alike(ours: Sequence[Given], theirs: Sequence[Family]) -> bool:
    return any(_similarity(a[0], b[0], score_cutoff=CROSSWISE) for a in ours for b in theirs)
