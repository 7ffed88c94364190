"""Parameter sets: what each level weighs, and from which sum on a match has which grade. Versioned data.

Spec: MAT-32..36, MAT-50; matching.md 5.2, 5.4.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field, replace
from functools import lru_cache
from math import log2
from typing import Any

from app.patient import words
from app.patient.levels import FIELDS, LEVELS
from app.patient.normalise import masculine
from app.patient.vector import MatchVector

CURRENT = "2026-2"


@dataclass(frozen=True, slots=True)
class Limits:
    """The bounds of a parameter set, in bits of W unless said otherwise; the data file says what each is for."""

    certain: float
    probable: float
    possible: float
    conflict: float
    veto: float
    address_and_telecom: float
    name_frequency: float
    smallest_population: int
    # Share of records, 0..1.
    established_given: float
    established_family: float
    # Records.
    established_records: int


@dataclass(frozen=True, slots=True)
class NameFrequencies:
    """Share of active records, 0..1, that bear a name.

    Keys are the first given name and the whole surname of the match vector, the surname in its masculine form.
    Empty: no correction. A name that is not in it counts as the rarest.

    Attributes:
        version: of the count that they come from, to be kept with the decisions that it had a part in; else empty.
    """

    given: Mapping[str, float] = field(default_factory=dict)
    family: Mapping[str, float] = field(default_factory=dict)
    version: str = ""


def counted_names(vector: MatchVector) -> tuple[set[str], set[str]]:
    """Return the given names and the surnames for which a record counts in `NameFrequencies`."""
    return {name[1] for name in vector.given}, {masculine(name[0]) for name in vector.family}


def frequencies_of(vectors: Iterable[MatchVector]) -> NameFrequencies:
    """Return the shares of names among records."""
    given: Counter[str] = Counter()
    family: Counter[str] = Counter()
    total = 0
    for vector in vectors:
        total += 1
        for counter, names in zip((given, family), counted_names(vector), strict=True):
            counter.update(names)
    shares = [{name: count / total for name, count in each.items()} for each in (given, family)]
    return NameFrequencies(shares[0], shares[1])


@dataclass(frozen=True, slots=True)
class Parameters:
    """A parameter set for a population: all that the scorer needs besides the two match vectors.

    `bits[i][level]` is the weight of that level of `FIELDS[i]`; `missing` weighs nothing.
    """

    version: str
    origin: str
    bits: tuple[tuple[float, ...], ...]
    limits: Limits
    # Share of random pairs whose name agrees exactly.
    u_given: float
    u_family: float
    population: int
    prior: float
    frequencies: NameFrequencies = NameFrequencies()

    def for_population(self, records: int, frequencies: NameFrequencies | None = None) -> Parameters:
        """Return the same set for that many active records; the prior is log2(1/N) (MAT-35)."""
        population = max(records, self.limits.smallest_population)
        return replace(
            self, population=population, prior=-log2(population), frequencies=frequencies or self.frequencies
        )

    @property
    def established_given(self) -> float:
        """The share from which a given name is one that people bear."""
        return max(self.limits.established_given, self.limits.established_records / self.population)

    @property
    def established_family(self) -> float:
        """The share from which a surname is one that people bear."""
        return max(self.limits.established_family, self.limits.established_records / self.population)

    def as_document(self) -> dict[str, Any]:
        """Return the set as the data file has it, to be kept with the decisions that it made (MAT-36)."""
        rows = {name: dict(zip(LEVELS[name], self.bits[index], strict=True)) for index, name in enumerate(FIELDS)}
        return {
            "version": self.version,
            "origin": self.origin,
            **rows,
            "limits": asdict(self.limits),
            "u_exact": {"given": self.u_given, "family": self.u_family},
        }


@lru_cache(maxsize=8)
def load(version: str = CURRENT) -> Parameters:
    """Return the parameter set `version` for the smallest population.

    Raises:
        FileNotFoundError: there is no such version.
        ValueError: the file names a field, level or limit that does not exist.
    """
    return from_document(words.weights(version))


def from_document(document: Mapping[str, Any]) -> Parameters:
    """Return the parameter set that a file or a stored document describes.

    Raises:
        ValueError: it names a field, level or limit that does not exist, or lacks one.
    """
    try:
        limits = Limits(**document["limits"])
        u_given, u_family = document["u_exact"]["given"], document["u_exact"]["family"]
        version, origin = str(document["version"]), str(document.get("origin", ""))
    except (KeyError, TypeError) as error:
        raise ValueError(f"The parameter set is not complete: {error}.") from error
    if unknown := document.keys() - {*FIELDS, "version", "origin", "limits", "u_exact"}:
        raise ValueError(f"The parameter set names what is not compared: `{min(unknown)}`.")
    bits = tuple(_row(name, document.get(name, {})) for name in FIELDS)
    smallest = limits.smallest_population
    return Parameters(version, origin, bits, limits, u_given, u_family, smallest, -log2(smallest))


def _row(name: str, weights: Mapping[str, float]) -> tuple[float, ...]:
    if unknown := weights.keys() - set(LEVELS[name]):
        raise ValueError(f"`{name}` has no level `{min(unknown)}`; it has {', '.join(LEVELS[name])}.")
    if weights.get("missing"):
        raise ValueError(f"`{name}`: what is missing weighs nothing (MAT-30).")
    return tuple(float(weights.get(level, 0)) for level in LEVELS[name])
