"""Families that never were: parents, children, twins, namesakes, moves, marriages.

All of it follows from the seed. Names are drawn with Zipf-like shares: the most frequent surname 1.1 %, the most
frequent given name 2.6 %.

Spec: matching.md 9.1.
"""

from __future__ import annotations

import tomllib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import date, timedelta
from pathlib import Path
from random import Random

from app.patient.synthetic.shares import Shares

_NAMES: dict[str, list[str]] = tomllib.loads(Path(__file__).with_name("names.toml").read_text(encoding="utf-8"))


@dataclass(frozen=True, slots=True)
class Home:
    """What those who live together share; `phone` is empty when each has a telephone of their own."""

    number: int
    family: str
    address: tuple[str, str, str]
    phone: str = ""


@dataclass(frozen=True, slots=True)
class Person:
    """Who somebody is; `household` numbers are the same for those who live together."""

    id: str
    family: str
    given: str
    birth: date
    gender: str
    household: int
    address: tuple[str, str, str]
    phone: str
    email: str
    maiden: str
    twin_of: str = ""


class Population:
    """Families from one seed; iterate with `households()`.

    Attributes:
        draw: what chance decides with; another one may take its place between households.
    """

    def __init__(self, seed: int, streets: Sequence[str] = (), districts: Sequence[str] = ("",)) -> None:
        """Draw from `seed`; large populations have more `streets`, and their towns in several `districts`."""
        self.draw = Random(seed)  # noqa: S311
        self.streets = [*_NAMES["streets"], *streets]
        self.families = Shares(self._surnames(8000), 0.011)
        self.names = {
            "female": Shares(self._given(_NAMES["female"], "a"), 0.026),
            "male": Shares(self._given(_NAMES["male"], ""), 0.026),
        }
        towns = [f"{head} {tail}" for head in _NAMES["city_heads"] for tail in _NAMES["city_tails"]]
        self.cities = [f"{town} {district}".strip() for district in districts for town in towns]

    def persons(self, count: int) -> list[Person]:
        """Return about `count` persons, whole households."""
        people: list[Person] = []
        for household in self.households():
            people.extend(household)
            if len(people) >= count:
                return people
        return people

    def households(self) -> Iterator[list[Person]]:
        """Yield households without end."""
        number = 0
        while True:
            number += 1
            yield self._household(number)

    def address(self) -> tuple[str, str, str]:
        """Return street with house number, city, postcode."""
        city = self.draw.randrange(len(self.cities))
        street = self.draw.choice(self.streets)
        return (
            f"{street} {self.draw.randint(1, 180)}",
            self.cities[city],
            f"{(80000 + city * 97 + self.draw.randrange(4)) % 100000:05d}",
        )

    def phone(self) -> str:
        """Return a mobile number."""
        return f"+4219{self.draw.randrange(100_000_000):08d}"

    def _household(self, number: int) -> list[Person]:
        draw = self.draw
        landline = f"+4212{draw.randrange(10_000_000, 69_999_999)}"
        home = Home(number, self.families.one(draw), self.address(), landline if draw.random() < 0.3 else "")
        born = date(1935, 1, 1) + timedelta(days=draw.randrange(24_000))
        people = [self._person(home, "female", born + timedelta(days=draw.randrange(-1500, 1500)))]
        if draw.random() < 0.62:
            people.append(self._person(home, "male", born))
            people += self._children(replace(home, phone=""), people)
        return [replace(person, id=f"h{number}-{index}") for index, person in enumerate(people)]

    def _children(self, home: Home, parents: Sequence[Person]) -> list[Person]:
        draw, maiden = self.draw, feminine(self.families.one(self.draw))
        children: list[Person] = []
        birth = parents[0].birth + timedelta(days=draw.randrange(7500, 12000))
        for _ in range(draw.choice((0, 1, 1, 2, 2, 3, 4))):
            child = self._person(home, draw.choice(("male", "female")), birth, maiden)
            same = next(parent for parent in parents if parent.gender == child.gender)
            if draw.random() < 0.05:
                child = replace(child, given=same.given)
            children.append(child)
            if draw.random() < 0.017:
                children.append(self._twin(home, child))
            birth += timedelta(days=draw.randrange(400, 2200))
        return children

    def _twin(self, home: Home, child: Person) -> Person:
        gender = child.gender if self.draw.random() < 0.65 else {"male": "female", "female": "male"}[child.gender]
        twin = self._person(home, gender, child.birth, child.maiden)
        while twin.given == child.given:
            twin = replace(twin, given=self.names[gender].one(self.draw))
        return replace(twin, twin_of=child.given)

    def _person(self, home: Home, gender: str, birth: date, maiden: str = "") -> Person:
        given = self.names[gender].one(self.draw)
        surname = feminine(home.family) if gender == "female" else home.family
        email = f"{self.draw.getrandbits(40):x}@example.org" if self.draw.random() < 0.5 else ""
        maiden = maiden or feminine(self.families.one(self.draw))
        return Person(
            "", surname, given, birth, gender, home.number, home.address, home.phone or self.phone(), email, maiden
        )

    def _surnames(self, count: int) -> list[str]:
        heads = [*_NAMES["heads"], *(c + v + e for c in _NAMES["onsets"] for v in "aeiou" for e in "nrlkšdbt")]
        names = {h + m + t for h in heads for m in ("", *_NAMES["middles"]) for t in _NAMES["tails"]}
        return self.draw.sample(sorted(names), count)

    def _given(self, real: Sequence[str], ending: str) -> list[str]:
        made = {h + m.lower() + ending for h in _NAMES["heads"] for m in _NAMES["middles"]}
        rare = self.draw.sample(sorted(made), 300)
        return [*dict.fromkeys(real), *rare]


def feminine(family: str) -> str:
    """Return the surname of a wife or daughter."""
    if family.endswith(("ský", "ný", "cký")):
        return family[:-1] + "á"
    return (
        family[:-2] + "c" if family.endswith("ec") else family[:-1] if family.endswith(("a", "o")) else family
    ) + "ová"


def family_names() -> list[str]:
    """Return surnames that streets might be named after."""
    return [head + tail for tail in _NAMES["tails"] for head in _NAMES["heads"]]
