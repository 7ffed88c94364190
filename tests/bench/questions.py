"""What the patient index is asked: of each kind as many questions as are wanted, the same ones in each run."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import date
from random import Random
from typing import Any
from urllib.parse import quote

import orjson

from app.domains import Domains
from app.patient.synthetic.clerks import typo, wrong_date
from app.patient.synthetic.sources import BLOCK, Sources, Written


@dataclass(frozen=True, slots=True)
class Question:
    """One request; with a body it is a POST.

    Attributes:
        about: the record that it is about.
    """

    path: str
    about: Written
    body: bytes = b""


def questions(kind: str, domains: Domains, seed: int, patients: int, count: int) -> list[Question]:
    """Return questions about records drawn from all of the index."""
    draw, sources = Random(f"{kind}/{patients}"), Sources(domains, seed)
    blocks = [draw.randrange(max(patients // BLOCK, 1)) for _ in range(20)]
    known = [one for block in blocks for one in sources.block(block)]
    return [KINDS[kind](draw.choice(known), draw, known) for _ in range(count)]


def _by_identifier(one: Written, draw: Random, known: list[Written]) -> Question:
    return Question(f"/fhir/Patient?identifier={_token(one)}", one)


def _by_family(one: Written, draw: Random, known: list[Written]) -> Question:
    """Ask with the first letters of the surname."""
    family = one.patient["name"][0]["family"][:4]
    return Question(f"/fhir/Patient?family={quote(family)}&birthdate={one.patient['birthDate']}", one)


def _cross_reference(one: Written, draw: Random, known: list[Written]) -> Question:
    return Question(f"/fhir/Patient/$ihe-pix?sourceIdentifier={_token(one)}", one)


def _match(one: Written, draw: Random, known: list[Written]) -> Question:
    """Ask as a hurried clerk does: no identifier, slips of the pen, moved, much missing (matching.md 4.2)."""
    patient: dict[str, Any] = {name: value for name, value in one.patient.items() if name != "identifier"}
    name = dict(patient["name"][0])
    if draw.random() < 0.25:
        name["family"] = typo(name["family"], draw)
    if draw.random() < 0.25:
        name["given"] = [typo(name["given"][0], draw)]
    if draw.random() < 0.1:
        patient["birthDate"] = wrong_date(date.fromisoformat(patient["birthDate"]), draw)
    if draw.random() < 0.25:
        patient["address"] = draw.choice(known).patient.get("address", [])
    patient["name"] = [name]
    gone = {"telecom": 0.5, "extension": 0.8, "address": 0.15, "gender": 0.05}
    asked = {key: value for key, value in patient.items() if value and draw.random() >= gone.get(key, 0)}
    return Question("/fhir/Patient/$match", one, orjson.dumps(asked))


def _token(one: Written) -> str:
    return quote(f"{one.key.system}|{one.key.value}")


KINDS: dict[str, Callable[[Written, Random, list[Written]], Question]] = {
    "ITI-78 by identifier": _by_identifier,
    "ITI-78 by family and birth date": _by_family,
    "ITI-83": _cross_reference,
    "ITI-119": _match,
}
