"""The scorer: how likely two records are one person, and the grade that follows. One for feed and `$match`.

    W = log2(1/N) + the bits of each field's level + the correction for rare and frequent names
    p = 2^W / (1 + 2^W)

A pure function of two match vectors and a parameter set (MAT-36). Grades need more than
a sum: a guard, and no conflict.

Source: Fellegi and Sunter, "A Theory for Record Linkage", JASA 64, 1969.
Spec: MAT-30..36, MAT-50..52, MAT-63; matching.md 5.
"""

from __future__ import annotations

from collections.abc import Mapping
from math import log2
from typing import Any, Literal, NamedTuple

from app.patient.compare import compare
from app.patient.levels import (
    ADDRESS_DIFFERENT,
    ADDRESS_STREET,
    BIRTH_EXACT,
    BIRTH_ONE_DIGIT,
    CONTRADICTORY,
    DIFFERENT,
    EQUAL,
    FAMILY_DIFFERENT,
    FAMILY_EXACT,
    FAMILY_FORMER,
    FAMILY_MISSING,
    FAMILY_PHONETIC,
    FIELDS,
    GIVEN_ALIAS,
    GIVEN_EXACT,
    GIVEN_MISSING,
    GIVEN_PHONETIC,
    LEVELS,
    MAIDEN_SIMILAR,
    NUMBER_CONFLICT,
    NUMBER_EQUAL,
    Levels,
)
from app.patient.normalise import NICKNAME_GROUPS, is_alias, masculine
from app.patient.parameters import NameFrequencies, Parameters
from app.patient.vector import MatchVector

Grade = Literal["certain", "probable", "possible", "certainly-not"]

# Best first. The span of `search.score` in each: grades and scores never contradict each other (MAT-52).
SCORE_SPAN: dict[Grade, tuple[float, float]] = {
    "certain": (0.999, 1.0),
    "probable": (0.9, 0.9989),
    "possible": (0.5, 0.899),
    "certainly-not": (0.0, 0.499),
}


GRADES = tuple(SCORE_SPAN)

_UNCORRECTED = (0.0, 0.0)


class Score(NamedTuple):
    """What the scorer says of one pair.

    `corrections`: bits for the frequency of the given name and of the surname. `twins`: the records name two children
    of one birth, by their different birth order.
    """

    weight: float
    grade: Grade
    levels: Levels
    corrections: tuple[float, float]
    twins: bool
    parameters: Parameters

    @property
    def probability(self) -> float:
        """The posterior p, 0..1."""
        return probability(self.weight)

    @property
    def score(self) -> float:
        """`search.score`: p, within the span of the grade."""
        low, high = SCORE_SPAN[self.grade]
        return min(max(self.probability, low), high)

    @property
    def conflict(self) -> bool:
        """Two different valid numbers in one trusted domain: never linked automatically (PIXM-XREF-03)."""
        return self.levels.number == NUMBER_CONFLICT

    @property
    def vetoes(self) -> bool:
        """Whether the two must not be in one cluster, whatever others say (MAT-60)."""
        too_low = self.grade == "certainly-not" and self.weight < self.parameters.limits.veto
        return self.conflict or self.twins or too_low

    def explanation(self) -> dict[str, Any]:
        """Return how W came about, as it is stored with an edge (MAT-63): `bits` of all parts sum up to `weight`."""
        parts = [
            {"field": name, "level": LEVELS[name][level], "bits": self.parameters.bits[index][level]}
            for index, (name, level) in enumerate(zip(FIELDS, self.levels, strict=True))
            if LEVELS[name][level] != "missing"
        ]
        for name, bits in zip(("given", "family"), self.corrections, strict=True):
            if bits:
                parts.append({"field": name, "level": "frequency", "bits": bits})
        if capped := _capped(self.levels, self.parameters):
            parts.append({"field": "address", "level": "capped", "bits": capped})
        return {
            "parameters": self.parameters.version,
            "population": self.parameters.population,
            "frequencies": self.parameters.frequencies.version,
            "parts": [{"field": "prior", "level": "prior", "bits": self.parameters.prior}, *parts],
            "weight": self.weight,
            "grade": self.grade,
        }


def score(query: MatchVector, record: MatchVector, parameters: Parameters) -> Score:
    """Return weight, grade and levels of a pair; the same both ways round.

    Costs about 4 µs.
    """
    levels = compare(query, record)
    weight = weigh(levels, parameters)
    corrections = _UNCORRECTED
    if levels.given == GIVEN_EXACT or levels.family == FAMILY_EXACT:
        corrections = _corrections(query, record, levels, parameters)
        weight += corrections[0] + corrections[1]
    twins = levels.multiple == CONTRADICTORY and are_told_apart(levels)
    if weight < parameters.limits.possible or twins:
        return Score(weight, "certainly-not", levels, corrections, twins, parameters)
    return Score(weight, _grade(weight, levels, query, record, parameters), levels, corrections, twins, parameters)


def weigh(levels: Levels, parameters: Parameters) -> float:
    """Return W of these levels, without the correction for the frequency of names."""
    total = parameters.prior + _capped(levels, parameters)
    # The loop costs less without a `zip` that checks lengths: both are as long as FIELDS.
    for row, level in zip(parameters.bits, levels):  # noqa: B905
        total += row[level]
    return total


def probability(weight: float) -> float:
    """Return p = 2^W / (1 + 2^W), 0..1."""
    return float(1 / (1 + 2.0 ** -max(weight, -1000.0)))


def are_told_apart(levels: Levels) -> bool:
    """Tell whether the records name two children of one birth (MAT-34).

    Birth date and surname agree, given name and birth order do not.
    """
    return (
        levels.multiple == CONTRADICTORY
        and levels.birth == BIRTH_EXACT
        and levels.family < FAMILY_DIFFERENT
        and levels.given not in (GIVEN_EXACT, GIVEN_ALIAS)
    )


def is_established(name: str, frequencies: NameFrequencies, share: float) -> bool:
    """Tell whether this is a given name that people bear, rather than somebody's typing error."""
    return name in NICKNAME_GROUPS or frequencies.given.get(name, 0.0) >= share


def _grade(weight: float, levels: Levels, a: MatchVector, b: MatchVector, parameters: Parameters) -> Grade:
    """Return the grade by the table of matching.md 5.4, of a pair that is possible."""
    limits = parameters.limits
    if levels.number == NUMBER_CONFLICT:
        return "possible" if weight >= limits.conflict else "certainly-not"
    if _is_certain(weight, levels, a, b, parameters):
        return "certain"
    return "probable" if weight >= limits.probable else "possible"


def _is_certain(weight: float, levels: Levels, a: MatchVector, b: MatchVector, parameters: Parameters) -> bool:
    guarded = (
        weight >= parameters.limits.certain
        and levels.given <= GIVEN_PHONETIC
        and levels.family != FAMILY_MISSING
        and levels.birth <= BIRTH_ONE_DIGIT
    )
    if guarded and not _are_two_names(levels, a, b, parameters):
        return _has_contact(levels) or not _are_two_families(levels, a, b, parameters)
    return _has_strong_number(levels) and not _may_be_siblings(levels, a, b, parameters)


def _has_contact(levels: Levels) -> bool:
    """Tell whether the street, a telephone number or the mother's name agrees."""
    return levels.address <= ADDRESS_STREET or levels.telecom == EQUAL or levels.maiden <= MAIDEN_SIMILAR


def _has_strong_number(levels: Levels) -> bool:
    """Strong-id: an equal trusted number and two of given name, surname and birth date."""
    if levels.number != NUMBER_EQUAL:
        return False
    demographics = (
        levels.given <= GIVEN_PHONETIC,
        levels.family <= FAMILY_PHONETIC,
        levels.birth <= BIRTH_ONE_DIGIT,
    )
    return sum(demographics) >= 2


def _may_be_siblings(levels: Levels, a: MatchVector, b: MatchVector, parameters: Parameters) -> bool:
    """Equal birth date, family and address, but another given name: at most `probable` (MAT-34)."""
    if levels.given == GIVEN_MISSING or levels.birth != BIRTH_EXACT or levels.family >= FAMILY_DIFFERENT:
        return False
    differ = levels.given > GIVEN_PHONETIC or _are_two_names(levels, a, b, parameters)
    return differ and levels.address != ADDRESS_DIFFERENT


def _are_two_names(levels: Levels, a: MatchVector, b: MatchVector, parameters: Parameters) -> bool:
    """Tell whether given names that look or sound alike are two names, rather than one and a typing error.

    They are when people bear both (Marek and Marian), or when the gender differs too (Jan and Jana). Stricter than
    the guard of matching.md 5.4, which twins with such names pass.
    """
    if levels.given in (GIVEN_EXACT, GIVEN_ALIAS) or levels.given > GIVEN_PHONETIC:
        return False
    if levels.gender == DIFFERENT:
        return True
    frequencies, share = parameters.frequencies, parameters.established_given
    ours, theirs = a.given[0][1], b.given[0][1]
    if ours == theirs or is_alias(ours, theirs):
        return False
    return is_established(ours, frequencies, share) and is_established(theirs, frequencies, share)


def _are_two_families(levels: Levels, a: MatchVector, b: MatchVector, parameters: Parameters) -> bool:
    """Tell whether surnames that look or sound alike are two surnames that people bear (Horváth and Horvát).

    Namesakes born on one day are then more likely than a typing error. Stricter than matching.md 5.4.
    """
    if levels.family in (FAMILY_EXACT, FAMILY_FORMER) or not a.family or not b.family:
        return False
    known, share = parameters.frequencies.family, parameters.established_family
    ours, theirs = masculine(a.family[0][0]), masculine(b.family[0][0])
    return ours != theirs and known.get(ours, 0.0) >= share and known.get(theirs, 0.0) >= share


def _capped(levels: Levels, parameters: Parameters) -> float:
    """Return how many bits address and telecom together are too much, 0 or negative (MAT-33)."""
    together = parameters.bits[_ADDRESS][levels.address] + parameters.bits[_TELECOM][levels.telecom]
    return min(0.0, parameters.limits.address_and_telecom - together)


_ADDRESS, _TELECOM = FIELDS.index("address"), FIELDS.index("telecom")


def _corrections(a: MatchVector, b: MatchVector, levels: Levels, parameters: Parameters) -> tuple[float, float]:
    """Return the bits by which equal names count for more when rare, for less when frequent (MAT-32)."""
    frequencies, limit = parameters.frequencies, parameters.limits.name_frequency
    given = family = 0.0
    if levels.given == GIVEN_EXACT and frequencies.given:
        shared = {name[1] for name in a.given}.intersection(name[1] for name in b.given)
        given = _correction(shared, frequencies.given, parameters.u_given, limit)
    if levels.family == FAMILY_EXACT and frequencies.family:
        shared = {masculine(name[0]) for name in a.family if any(name[0] == other[0] for other in b.family)}
        family = _correction(shared, frequencies.family, parameters.u_family, limit)
    return given, family


def _correction(shared: set[str], frequencies: Mapping[str, float], u: float, limit: float) -> float:
    """Return 0.5 · log2(u / f) of the rarest shared name, within the limit either way."""
    f = min((frequencies.get(name, 0.0) for name in shared), default=u)
    return max(-limit, min(limit, 0.5 * log2(u / f))) if f else limit
