"""The household gate: does the index find members, and leave strangers alone whose family it knows?

Spec: MAT-91; matching.md 5.4, 9.3.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field
from random import Random

from app.patient.keys import match_keys, select
from app.patient.matching import Score, score
from app.patient.parameters import Parameters, frequencies_of
from app.patient.vector import Conventions, MatchVector, match_vector
from tests.patient.households import Person, Population, as_patient, as_written, thin

CONVENTIONS = Conventions(home_country="SK")


@dataclass(slots=True)
class Gate:
    """What came out, per kind of query: the grade of the true record, and false hits by grade."""

    records: int = 0
    members: int = 0
    strangers: int = 0
    found: Counter[str] = field(default_factory=Counter)
    false_of_members: Counter[str] = field(default_factory=Counter)
    false_of_strangers: Counter[str] = field(default_factory=Counter)
    twins_certain: int = 0
    candidates: list[int] = field(default_factory=list)
    among_candidates: int = 0
    worst: list[tuple[float, str, str, Score]] = field(default_factory=list)

    def recall(self, *grades: str) -> float:
        """Return the share of member queries whose record has one of these grades."""
        return sum(self.found[grade] for grade in grades) / self.members

    def false_per_thousand(self, grade: str) -> tuple[float, float]:
        """Return false hits of a grade per 1,000 queries of members and of strangers."""
        return 1000 * self.false_of_members[grade] / self.members, 1000 * self.false_of_strangers[
            grade
        ] / self.strangers


class Index:
    """Records by blocking key, with the same selection of keys as the server's."""

    def __init__(self, persons: Sequence[Person], parameters: Parameters, seed: int) -> None:
        draw = Random(seed + 1)
        self.persons = persons
        self.vectors = [match_vector(thin(as_patient(person), draw), CONVENTIONS) for person in persons]
        self.blocks: dict[int, list[int]] = defaultdict(list)
        for number, vector in enumerate(self.vectors):
            for key in match_keys(vector):
                self.blocks[key].append(number)
        self.parameters = parameters.for_population(len(persons), frequencies_of(self.vectors))

    def ask(self, query: MatchVector) -> list[tuple[int, Score]]:
        """Return the candidates of a query with their scores."""
        keys = match_keys(query)
        chosen = select(keys, {key: len(self.blocks.get(key, ())) for key in keys})
        numbers = {number for key in chosen.keys for number in self.blocks.get(key, ())}
        return [(number, score(query, self.vectors[number], self.parameters)) for number in numbers]


def run(parameters: Parameters, *, seed: int, persons: int, queries: int) -> Gate:
    """Return the gate of a population with 5 % strangers, for so many queries of each kind."""
    population = Population(seed)
    everybody = population.persons(persons)
    draw = Random(seed + 2)
    strangers = set(draw.sample(range(len(everybody)), len(everybody) // 20))
    inside = [person for number, person in enumerate(everybody) if number not in strangers]
    index = Index(inside, parameters, seed)
    gate = Gate(records=len(inside))
    for person in _some(inside, queries, draw):
        _ask(gate, index, person, population, member=True)
    outside = [everybody[number] for number in sorted(strangers)]
    for person in _some(outside, queries, draw):
        _ask(gate, index, person, population, member=False)
    gate.worst.sort(key=lambda each: -each[0])
    return gate


def _some(persons: Sequence[Person], count: int, draw: Random) -> list[Person]:
    return [draw.choice(persons) for _ in range(count)]


def _ask(gate: Gate, index: Index, person: Person, population: Population, *, member: bool) -> None:
    query = match_vector(as_written(person, population), CONVENTIONS)
    answers = index.ask(query)
    false = gate.false_of_members if member else gate.false_of_strangers
    if member:
        gate.members += 1
        gate.candidates.append(len(answers))
    else:
        gate.strangers += 1
    grade = "no candidate"
    for number, scored in answers:
        other = index.persons[number]
        if other.id == person.id:
            grade = scored.grade
        elif scored.grade != "certainly-not":
            false[scored.grade] += 1
            if scored.grade == "certain":
                gate.worst.append((scored.weight, person.id, other.id, scored))
                gate.twins_certain += other.household == person.household and other.birth == person.birth
    if member:
        gate.found[grade] += 1
        gate.among_candidates += grade != "no candidate"
