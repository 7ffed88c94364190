"""Families that never were, as an index has them and as hurried clerks write of them.

Seeds below 100 are for tuning, from 100 on for the gates (MAT-93).
"""

from __future__ import annotations

from dataclasses import replace
from random import Random
from typing import Any

from app.patient.synthetic.clerks import as_patient, typo, wrong_date
from app.patient.synthetic.households import Person, Population

__all__ = ["GATE_SEED", "TUNING_SEED", "Person", "Population", "as_patient", "as_written", "thin"]

TUNING_SEED, GATE_SEED = 7, 107


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
