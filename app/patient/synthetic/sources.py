"""Records of people who never were, as the sources of a deployment would feed them.

People come in blocks of so many records, each from its own chance: so any process can make any block, and record number
n is the same whoever makes it, in whatever order. Somebody whom two hospitals know has two records, the second one
written by another clerk. Some records also mention the person's number in a domain that vouches for persons.

Spec: PIXM-DOM-01, PIXM-DOM-06 (who asserts what); matching.md 9.1. Own choice: how often what happens.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from hashlib import blake2b
from itertools import islice
from random import Random
from typing import Any

from app.domains import Domain, Domains
from app.patient.record_key import RecordKey
from app.patient.synthetic.clerks import as_patient, typo, wrong_date
from app.patient.synthetic.households import Person, Population, family_names

BLOCK = 1000

# Where identifiers of people who never were belong, and how many hospitals there are at most.
_SOURCES = 3
# How many records of a hundred the first, second and third hospital has.
_SHARES = (60, 25, 15)
_SECOND_RECORD, _THIRD_RECORD, _MENTIONED = 0.20, 0.03, 0.6
# What a second clerk does not know of a person, writes wrong, or knows from before the person moved.
_UNKNOWN = {"telecom": 0.35, "extension": 0.6, "address": 0.05, "gender": 0.02}
_SLIP, _WRONG_DATE, _MOVED = 0.05, 0.03, 0.12
# Ids begin with a time, as all do; that of record n is so many milliseconds after this one (2020-01-01).
_BEGINNING_MS = 1_577_836_800_000
# Some 600 towns with four postcodes each, and 151 names of streets: one million people live like that.
_MORE_STREETS = 120
_DISTRICTS = ("", "nad Váhom", "pri Dunaji", "pod Tatrami")


@dataclass(frozen=True, slots=True)
class Written:
    """One record: its id, the identifier under which it is fed, and the Patient."""

    id: str
    key: RecordKey
    patient: dict[str, Any]


class Sources:
    """The sources of a deployment with what they know of the people of one seed."""

    def __init__(self, domains: Domains, seed: int) -> None:
        """Use the first business domains of `domains` as hospitals, and the first trusted one without check digit.

        Raises:
            ValueError: there is no domain that anybody feeds.
        """
        others = [one for one in domains.all() if one is not domains.own and one.kind == "business"]
        hospitals = {one.source: one for one in reversed(others) if not one.trusted}
        self._hospitals = [one for one in others if hospitals.get(one.source) is one][:_SOURCES]
        self._register = next((one for one in others if one.trusted and not one.check and one.assertion == "any"), None)
        if not self._hospitals:
            raise ValueError("No identifier domain is configured that records could be fed in; see MHD_DOMAINS.")
        self._seed = seed
        self._people = Population(seed, [f"{name}ova" for name in family_names()[:_MORE_STREETS]], _DISTRICTS)

    def block(self, number: int) -> list[Written]:
        """Return the records of block `number`, `BLOCK` of them."""
        self._people.draw = Random(f"{self._seed}/{number}")  # noqa: S311
        numbered = enumerate(self._records(number), number * BLOCK)
        return [self._written(*one) for one in islice(numbered, BLOCK)]

    def _records(self, block: int) -> Iterator[tuple[Person, Domain, dict[str, Any]]]:
        """Yield who it is, which hospital writes, and what; without end."""
        draw = self._people.draw
        everybody = (person for household in self._people.households() for person in household)
        for number, person in enumerate(everybody):
            told = replace(person, id=f"{block:06d}{number:04d}")
            for at, hospital in enumerate(self._hospitals_of(draw)):
                yield told, hospital, as_patient(told) if not at else self._written_again(told)

    def _hospitals_of(self, draw: Random) -> Sequence[Domain]:
        first = draw.choices(self._hospitals, _SHARES[: len(self._hospitals)])[0]
        others = draw.sample([one for one in self._hospitals if one is not first], len(self._hospitals) - 1)
        known = draw.random()
        return [first, *others[: (known < _SECOND_RECORD) + (known < _THIRD_RECORD)]]

    def _written_again(self, person: Person) -> dict[str, Any]:
        """Return what another clerk writes of a person."""
        draw = self._people.draw
        family = typo(person.family, draw) if draw.random() < _SLIP else person.family
        given = typo(person.given, draw) if draw.random() < _SLIP else person.given
        address = self._people.address() if draw.random() < _MOVED else person.address
        patient = as_patient(replace(person, family=family, given=given, address=address))
        if draw.random() < _WRONG_DATE:
            patient["birthDate"] = wrong_date(person.birth, draw)
        return {name: value for name, value in patient.items() if draw.random() >= _UNKNOWN.get(name, 0)}

    def _written(self, number: int, told: tuple[Person, Domain, dict[str, Any]]) -> Written:
        person, hospital, patient = told
        key = RecordKey(hospital, f"T{self._seed}-{number:07d}")
        identifiers = [{"system": key.system, "value": key.value}]
        if self._register and self._people.draw.random() < _MENTIONED:
            register = f"{person.birth:%y%m%d}{self._seed}{person.id}"
            identifiers.append({"system": self._register.system, "value": register})
        return Written(record_id(self._seed, number), key, {**patient, "identifier": identifiers})


def record_id(seed: int, number: int) -> str:
    """Return the id of record `number`: always the same, so that an interrupted load knows what is there."""
    end = blake2b(f"{seed}/{number}".encode(), digest_size=10).hexdigest()
    return f"{_BEGINNING_MS + number:012x}{end}"
