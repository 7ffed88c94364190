"""Families that never were: parents, children, twins, namesakes, moves, marriages; and what clerks write of them.

All of it follows from the seed. Names are drawn with Zipf-like shares: the most frequent surname 1.1 %, the most frequent
given name 2.6 % (matching.md 9.1). Seeds below 100 are for tuning, from 100 on for the gates (MAT-93).
"""

from __future__ import annotations

import tomllib
from bisect import bisect
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import date, timedelta
from itertools import accumulate
from pathlib import Path
from random import Random
from typing import Any

from app.patient.vector import MOTHERS_MAIDEN_NAME

TUNING_SEED, GATE_SEED = 7, 107

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
    """Families from one seed; iterate with `households()`."""

    def __init__(self, seed: int) -> None:
        self.draw = Random(seed)
        self.families = _Shares(self._surnames(8000), 0.011)
        self.names = {
            "female": _Shares(self._given(_NAMES["female"], "a"), 0.026),
            "male": _Shares(self._given(_NAMES["male"], ""), 0.026),
        }
        self.cities = [f"{head} {tail}" for head in _NAMES["city_heads"] for tail in _NAMES["city_tails"]]

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
        street = self.draw.choice(_NAMES["streets"])
        return (
            f"{street} {self.draw.randint(1, 180)}",
            self.cities[city],
            f"{80000 + city * 97 + self.draw.randrange(4):05d}",
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


class _Shares:
    """Names with Zipf-like shares, the first one `top`."""

    def __init__(self, names: Sequence[str], top: float) -> None:
        self.names = names
        low, high = 0.0, 60.0
        for _ in range(50):
            offset = (low + high) / 2
            share = (1 / (1 + offset)) / sum(1 / (rank + offset) for rank in range(1, len(names) + 1))
            low, high = (offset, high) if share > top else (low, offset)
        self.totals = list(accumulate(1 / (rank + offset) for rank in range(1, len(names) + 1)))

    def one(self, draw: Random) -> str:
        """Return one of the names by its share."""
        return self.names[bisect(self.totals, draw.random() * self.totals[-1])]


def feminine(family: str) -> str:
    """Return the surname of a wife or daughter."""
    if family.endswith(("ský", "ný", "cký")):
        return family[:-1] + "á"
    return (
        family[:-2] + "c" if family.endswith("ec") else family[:-1] if family.endswith(("a", "o")) else family
    ) + "ová"


def as_patient(person: Person, system: str = "") -> dict[str, Any]:
    """Return the Patient that a careful clerk writes; `system` gives it an identifier."""
    patient: dict[str, Any] = {
        "resourceType": "Patient",
        "name": [{"use": "official", "family": person.family, "given": [person.given]}],
        "gender": person.gender,
        "birthDate": person.birth.isoformat(),
        "address": [{"line": [person.address[0]], "city": person.address[1], "postalCode": person.address[2]}],
        "telecom": [{"system": "phone", "value": person.phone}],
        "extension": [{"url": MOTHERS_MAIDEN_NAME, "valueString": person.maiden}],
    }
    if person.email:
        patient["telecom"].append({"system": "email", "value": person.email})
    if system:
        patient["identifier"] = [{"system": system, "value": person.id}]
    return patient


def thin(patient: dict[str, Any], draw: Random) -> dict[str, Any]:
    """Return a record as an index has it: some of what a person has is not known."""
    gone = {"telecom": 0.3, "extension": 0.6, "address": 0.05, "gender": 0.02}
    return {name: value for name, value in patient.items() if draw.random() >= gone.get(name, 0)}


def as_written(person: Person, population: Population) -> dict[str, Any]:
    """Return what a hurried clerk writes of a person.

    Of each name 25 % have a typing error, 10 % of the dates are wrong, 25 % of the persons have moved, 5 % have a new
    surname, 5 % of the names are swapped, and much is missing: the hard queries of matching.md 4.2. No identifier.
    """
    draw = population.draw
    family, given, birth = person.family, person.given, person.birth.isoformat()
    if draw.random() < 0.05:
        family = population.families.one(draw)
    if draw.random() < 0.25:
        family = typo(family, draw)
    if draw.random() < 0.25:
        given = typo(given, draw)
    if draw.random() < 0.05:
        family, given = given, family
    if draw.random() < 0.10:
        birth = wrong_date(person.birth, draw)
    address = population.address() if draw.random() < 0.25 else person.address
    patient = as_patient(replace(person, family=family, given=given, address=address))
    patient["birthDate"] = birth
    return {name: value for name, value in patient.items() if draw.random() >= _OFTEN_MISSING.get(name, 0)}


_OFTEN_MISSING = {"telecom": 0.5, "extension": 0.8, "address": 0.15, "gender": 0.05, "birthDate": 0.01}


def typo(text: str, draw: Random) -> str:
    """Return `text` with one letter wrong, missing, too many, or two neighbours exchanged."""
    at, kind, letter = draw.randrange(len(text)), draw.randrange(4), draw.choice("aeioulnrstkmdv")
    if kind == 0:
        return text[:at] + letter + text[at + 1 :]
    if kind == 1 and len(text) > 3:
        return text[:at] + text[at + 1 :]
    if kind == 2 and at + 1 < len(text):
        return text[:at] + text[at + 1] + text[at] + text[at + 2 :]
    return text[:at] + letter + text[at:]


def wrong_date(birth: date, draw: Random) -> str:
    """Return a date that somebody wrote for `birth`: swapped, one digit off, or another one."""
    kind = draw.random()
    if kind < 0.4 and birth.day <= 12:
        return date(birth.year, birth.day, birth.month).isoformat()
    if kind < 0.8:
        day = birth.day + (1 if birth.day < 28 else -1)
        return birth.replace(day=day).isoformat()
    if kind < 0.9:
        return birth.replace(
            year=birth.year + 10 if birth.year < 2000 else birth.year - 10, day=min(birth.day, 28)
        ).isoformat()
    return (birth + timedelta(days=draw.randrange(-4000, 4000))).isoformat()
