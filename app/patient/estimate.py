"""Learn the weights of a parameter set from data: how often fields agree within one person, and between strangers.

Nothing here activates a set: an administrator does, after a look at what would change (MAT-43).

Source: Fellegi and Sunter 1969 for log2(m/u); Dempster, Laird and Rubin 1977, Winkler 1988 for EM without labels.
Spec: MAT-40..43; matching.md 5.3.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import combinations
from math import log2
from random import Random

from app.patient.compare import compare, compare_numbers
from app.patient.levels import FIELDS, LEVELS, NUMBER_EQUAL, Levels
from app.patient.matching import score
from app.patient.parameters import Parameters
from app.patient.vector import MatchVector

RANDOM_PAIRS = 300_000
LABELLED_PAIRS = 5_000

# An estimate is held within these bits, so that a level nobody showed does not decide alone. Own choice.
LOWEST, HIGHEST = -12.0, 20.0
# Counted for each level before any pair is seen.
_PSEUDO = 0.5
# What EM may conclude (MAT-42): share of matches among the pairs of its block, and m of the best level.
_SHARE = (0.0005, 0.995)
_LEAST_AGREEMENT = 0.3

Shares = tuple[tuple[float, ...], ...]
VectorPair = tuple[MatchVector, MatchVector]


class ImplausibleError(ValueError):
    """EM learned something that cannot be the difference between one person and two, "household" for example."""


@dataclass(frozen=True, slots=True)
class Observed:
    """How often each level of each field was seen, among `pairs` pairs."""

    counts: tuple[tuple[float, ...], ...]
    pairs: int

    def shares(self) -> Shares:
        """Return the share of each level among the pairs where the field was not missing; the last level's is 0."""
        return tuple(_shares(row) for row in self.counts)


def observe(pairs: Iterable[VectorPair]) -> Observed:
    """Count the levels of pairs."""
    return tally((compare(a, b), 1.0) for a, b in pairs)


def tally(weighted: Iterable[tuple[Levels, float]]) -> Observed:
    """Count levels, each pair as much as its weight."""
    counts = [[0.0] * len(LEVELS[name]) for name in FIELDS]
    total = 0
    for levels, weight in weighted:
        total += 1
        for row, level in zip(counts, levels, strict=True):
            row[level] += weight
    return Observed(tuple(tuple(row) for row in counts), total)


def random_pairs(vectors: Sequence[MatchVector], count: int = RANDOM_PAIRS, seed: int = 1) -> Iterator[VectorPair]:
    """Yield pairs drawn at random: in any index of size nearly all are strangers (MAT-40).

    Pairs that share a trusted number are known to be none and are left out.
    """
    draw = Random(seed)  # noqa: S311
    for _ in range(count):
        a, b = (vectors[index] for index in draw.sample(range(len(vectors)), 2))
        if compare_numbers(a.numbers, b.numbers) != NUMBER_EQUAL:
            yield a, b


def labelled_pairs(vectors: Sequence[MatchVector], sources: Sequence[str]) -> list[VectorPair]:
    """Return the pairs that share a valid trusted number and come from different sources, without that number (MAT-41).

    Args:
        sources: who fed each of `vectors`.
    """
    holders: dict[tuple[str, str], list[int]] = defaultdict(list)
    for index, vector in enumerate(vectors):
        for system, value, check in vector.numbers:
            if check != "invalid":
                holders[system, value].append(index)
    pairs = {
        pair for group in holders.values() for pair in combinations(group, 2) if sources[pair[0]] != sources[pair[1]]
    }
    return [(vectors[a]._replace(numbers=()), vectors[b]._replace(numbers=())) for a, b in sorted(pairs)]


def parameters_from(m: Observed, u: Observed, base: Parameters, version: str, origin: str) -> Parameters:
    """Return `base` with the weights log2(m/u) where both were observed.

    Levels of a field weigh no more than better ones; levels that break that are pooled. A field that
    too few pairs have keeps the weights of `base`, and so does a conflict of trusted numbers.
    """
    bits = tuple(_row(index, m.counts[index], u.counts[index], base.bits[index]) for index in range(len(FIELDS)))
    shares = u.shares()
    seen = [sum(row[:-1]) > _ENOUGH for row in u.counts]
    return replace(
        base,
        version=version,
        origin=origin,
        bits=bits,
        u_given=shares[0][0] if seen[0] else base.u_given,
        u_family=shares[1][0] if seen[1] else base.u_family,
    )


def learn_unlabelled(vectors: Sequence[MatchVector], u: Observed) -> Observed:
    """Return m learned without labels, by one run of EM per blocking key (MAT-42).

    The block of equal birth dates tells about names and all else, the block of equal names about the birth date.

    Raises:
        ImplausibleError: a run is out of bounds.
    """
    by_date = block(vectors, lambda vector: vector.birth if len(vector.birth) == 8 else "")
    by_name = block(vectors, _whole_name)
    shares = u.shares()
    others = expectation_maximisation(patterns_of(by_date), shares, frozenset({"birthDate"}))
    birth = expectation_maximisation(patterns_of(by_name), shares, frozenset({"given", "family"}))
    counts = list(others.counts)
    counts[_BIRTH] = birth.counts[_BIRTH]
    return Observed(tuple(counts), others.pairs)


def expectation_maximisation(patterns: Counter[Levels], u: Shares, fixed: frozenset[str], rounds: int = 50) -> Observed:
    """Return how often matches show each level, learned without labels from the pairs of ONE block (MAT-42).

    Args:
        patterns: how many pairs of the block have these levels. The block must be made of one key: the birth date for
            names and address, exact names for the birth date. Never of addresses: that learns "household".
        fixed: the fields that the block's key is made of; they say nothing inside it.

    Raises:
        ImplausibleError: the share of matches or the agreement within a person is out of bounds.
    """
    used = [index for index, name in enumerate(FIELDS) if name not in fixed]
    m: Shares = tuple(_first_guess(len(LEVELS[name])) for name in FIELDS)
    share, matches = 0.1, tally(())
    total = sum(patterns.values())
    if not total:
        raise ImplausibleError("No pair of records has the same key: there is nothing to learn from.")
    for _ in range(rounds):
        expected = {levels: count * _posterior(levels, m, u, share, used) for levels, count in patterns.items()}
        matches = tally(expected.items())
        m = matches.shares()
        share = min(max(sum(expected.values()) / total, 1e-9), 1 - 1e-9)
    _require_plausible(share, m, [index for index in used if index in _TELLING])
    return matches


def patterns_of(pairs: Iterable[VectorPair]) -> Counter[Levels]:
    """Count pairs by their levels."""
    return Counter(compare(a, b) for a, b in pairs)


def block(vectors: Iterable[MatchVector], key: Callable[[MatchVector], str]) -> Iterator[VectorPair]:
    """Yield the pairs of vectors with the same `key`, none for an empty key or one of more than 200 vectors."""
    groups: dict[str, list[MatchVector]] = defaultdict(list)
    for vector in vectors:
        if found := key(vector):
            groups[found].append(vector)
    for group in groups.values():
        if len(group) <= _LARGEST_BLOCK:
            yield from combinations(group, 2)


def grade_changes(pairs: Iterable[VectorPair], now: Parameters, then: Parameters) -> Counter[tuple[str, str]]:
    """Return how many pairs would go from which grade to which, for an administrator to see (MAT-43)."""
    return Counter((score(a, b, now).grade, score(a, b, then).grade) for a, b in pairs)


def _whole_name(vector: MatchVector) -> str:
    return f"{vector.given[0][0]}|{vector.family[0][0]}" if vector.given and vector.family else ""


_ENOUGH = 30
_LARGEST_BLOCK = 200
_BIRTH = FIELDS.index("birthDate")
_TELLING = (FIELDS.index("given"), FIELDS.index("family"), _BIRTH)
# Levels whose weight is a rule rather than an observation.
_KEPT = frozenset({"conflict"})


def _shares(row: Sequence[float]) -> tuple[float, ...]:
    total = sum(row[:-1]) + _PSEUDO * (len(row) - 1)
    return (*((count + _PSEUDO) / total for count in row[:-1]), 0.0)


def _row(index: int, m: Sequence[float], u: Sequence[float], base: Sequence[float]) -> tuple[float, ...]:
    """Return the weights of one field, never rising from level to level."""
    if sum(m[:-1]) < _ENOUGH or sum(u[:-1]) < _ENOUGH or not any(base):
        return tuple(base)
    total_m, total_u = sum(m[:-1]) + _PSEUDO * (len(m) - 1), sum(u[:-1]) + _PSEUDO * (len(u) - 1)
    names = LEVELS[FIELDS[index]]
    row = list(base)
    pools = _pooled([level for level in range(len(m) - 1) if names[level] not in _KEPT], m, u)
    for pool, mine, theirs in pools:
        bits = log2((mine / total_m) / (theirs / total_u))
        for level in pool:
            row[level] = round(min(max(bits, LOWEST), HIGHEST), 2)
    return tuple(row)


def _pooled(
    levels: Sequence[int], m: Sequence[float], u: Sequence[float]
) -> list[tuple[tuple[int, ...], float, float]]:
    """Put neighbouring levels together until m/u falls from pool to pool (isotonic regression by pooling violators)."""
    pools: list[tuple[tuple[int, ...], float, float]] = []
    for level in levels:
        pool: tuple[int, ...] = (level,)
        mine, theirs = m[level] + _PSEUDO, u[level] + _PSEUDO
        while pools and pools[-1][1] * theirs <= mine * pools[-1][2]:
            before, before_m, before_u = pools.pop()
            pool, mine, theirs = before + pool, before_m + mine, before_u + theirs
        pools.append((pool, mine, theirs))
    return pools


def _first_guess(levels: int) -> tuple[float, ...]:
    """Return shares that halve from level to level: the best is the likeliest within one person."""
    raw = [0.5**index for index in range(1, levels)]
    return (*(share / sum(raw) for share in raw), 0.0)


def _posterior(levels: Levels, m: Shares, u: Shares, share: float, used: Sequence[int]) -> float:
    """Return how likely a pair with these levels is one person."""
    odds = share / (1 - share)
    for index in used:
        level = levels[index]
        if level < len(m[index]) - 1:
            odds *= m[index][level] / u[index][level]
    return odds / (1 + odds)


def _require_plausible(share: float, m: Shares, telling: Sequence[int]) -> None:
    if not _SHARE[0] <= share <= _SHARE[1]:
        raise ImplausibleError(
            f"EM found {share:.2%} of the pairs to match; plausible are {_SHARE[0]:.2%} to {_SHARE[1]:.1%}."
        )
    for index in telling:
        if m[index][0] < _LEAST_AGREEMENT:
            raise ImplausibleError(
                f"EM found `{FIELDS[index]}` to agree exactly in {m[index][0]:.1%} of one person's pairs only; "
                f"at least {_LEAST_AGREEMENT:.0%} is plausible. It learned something else, a household perhaps."
            )
