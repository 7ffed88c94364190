"""What clerks write of a person: carefully, or with a slip of the pen."""

from __future__ import annotations

from datetime import date, timedelta
from random import Random
from typing import Any

from app.patient.synthetic.households import Person
from app.patient.vector import MOTHERS_MAIDEN_NAME


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
