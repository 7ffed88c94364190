"""Precision, recall, completeness and B-cubed of matching, the same for every data set.

Spec: MAT-92; matching.md 9.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from random import Random

from app.patient.estimate import HIGHEST, observe, parameters_from
from app.patient.keys import match_keys
from app.patient.matching import Score, score
from app.patient.parameters import Parameters, frequencies_of, load
from app.patient.vector import Conventions, MatchVector, match_vector
from tests.patient import febrl
from tests.patient.febrl import TRUSTED, DataSet, person_of

Pair = tuple[str, str]


@dataclass(frozen=True, slots=True)
class Evaluation:
    """What came out: `candidates` are the pairs that met in a key, `grades` counts them by truth and grade."""

    name: str
    links: int
    possible_pairs: int
    scores: Mapping[Pair, Score]
    true: set[Pair]
    grades: Mapping[bool, Counter[str]] = field(default_factory=dict)

    @property
    def completeness(self) -> float:
        """Share of the true pairs that met in a key."""
        return len(self.true & self.scores.keys()) / self.links

    @property
    def reduction(self) -> float:
        """Share of all pairs that never had to be compared."""
        return 1 - len(self.scores) / self.possible_pairs

    def at(self, *grades: str) -> tuple[float, float, float]:
        """Return precision, recall and F1 of the pairs that have one of these grades."""
        found = {pair for pair, scored in self.scores.items() if scored.grade in grades}
        right = len(found & self.true)
        precision, recall = right / max(len(found), 1), right / self.links
        return precision, recall, 2 * precision * recall / max(precision + recall, 1e-9)

    def worst(self, count: int) -> list[tuple[Pair, bool, Score]]:
        """Return the pairs furthest on the wrong side: strangers by highest W, one person's by lowest."""
        wrong = [
            (pair, pair in self.true, scored)
            for pair, scored in self.scores.items()
            if (pair in self.true) != (scored.grade in ("certain", "probable"))
        ]
        return sorted(wrong, key=lambda each: -abs(each[2].weight - each[2].parameters.limits.probable))[:count]


def evaluate(data: DataSet, parameters: Parameters) -> Evaluation:
    """Return the evaluation of a data set: all pairs that meet in a key are scored."""
    vectors = vectors_of(data.patients)
    sized = parameters.for_population(len(vectors), frequencies_of(vectors.values()))
    pairs = candidate_pairs(vectors, data.may_pair)
    scores = {(a, b): score(vectors[a], vectors[b], sized) for a, b in pairs}
    true = {pair for pair in data.links if data.may_pair(*pair)}
    possible = len(data.sides[0]) * len(data.sides[1]) if data.sides else len(vectors) * (len(vectors) - 1) // 2
    grades: dict[bool, Counter[str]] = {True: Counter(), False: Counter()}
    for pair, scored in scores.items():
        grades[pair in true][scored.grade] += 1
    return Evaluation(data.name, len(true), possible, scores, true, grades)


def vectors_of(patients: Mapping[str, dict[str, object]]) -> dict[str, MatchVector]:
    """Return each patient's match vector, social-security numbers being trusted."""
    conventions = Conventions(home_country="AU", trusted=TRUSTED)
    return {key: match_vector(each, conventions) for key, each in patients.items()}


def candidate_pairs(
    vectors: Mapping[str, MatchVector], may_pair: Callable[[str, str], bool], cap: int = 2000
) -> set[Pair]:
    """Return the pairs that share a key that no more than `cap` records have."""
    blocks: dict[int, list[str]] = defaultdict(list)
    for record, vector in vectors.items():
        for key in match_keys(vector):
            blocks[key].append(record)
    pairs: set[Pair] = set()
    for records in blocks.values():
        if len(records) <= cap:
            records.sort()
            pairs.update((a, b) for i, a in enumerate(records) for b in records[i + 1 :] if may_pair(a, b))
    return pairs


def b_cubed(clusters: Iterable[Iterable[str]], truth: Callable[[str], str] = person_of) -> tuple[float, float]:
    """Return B-cubed precision and recall: for each record the share of its cluster, and of its person, that is right."""
    groups = [list(cluster) for cluster in clusters]
    sizes = Counter(truth(record) for group in groups for record in group)
    precision = recall = total = 0.0
    for group in groups:
        persons = Counter(truth(record) for record in group)
        total += len(group)
        precision += sum(count * count for count in persons.values()) / len(group)
        recall += sum(count * count / sizes[person] for person, count in persons.items())
    return precision / total, recall / total


def learned_from(numbers: Iterable[int], *, soc_sec: bool) -> Parameters:
    """Return weights learned from the links of some FEBRL sets, to be used on another one (MAT-93).

    FEBRL has no households: who lives at one door is one person there. So the bound of MAT-33 on what an address may
    weigh, which keeps flatmates apart, is what the data say and not 12 bits. The household gate never uses these sets.
    """
    base = load()
    same: list[tuple[MatchVector, MatchVector]] = []
    strangers: list[tuple[MatchVector, MatchVector]] = []
    for number in numbers:
        data = febrl.load(number, soc_sec=soc_sec)
        vectors = vectors_of(data.patients)
        same += [(vectors[a], vectors[b]) for a, b in sorted(data.links)]
        pairs = random_pairs(sorted(vectors), number)
        strangers += [(vectors[a], vectors[b]) for a, b in pairs if person_of(a) != person_of(b)]
    found = parameters_from(observe(same), observe(strangers), base, "febrl", "links of other FEBRL sets")
    return replace(found, limits=replace(found.limits, address_and_telecom=HIGHEST))


def random_pairs(keys: list[str], seed: int, count: int = 100_000) -> Iterable[Pair]:
    """Yield pairs of record ids drawn at random."""
    draw = Random(seed)
    for _ in range(count):
        a, b = draw.sample(keys, 2)
        yield a, b
