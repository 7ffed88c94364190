"""Making records in a process of its own: generated, validated, with their index terms, vectors and keys; packed.

What a record is made of is what a feed makes it of: the same preparation, the same profile, the same derivation.

Spec: PIXM-104-19, PIXM-104-23; MAT-10, MAT-20, MAT-66.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path

from app.domains import Domains
from app.fhir.outcome import FhirError
from app.fhir.packages import Packages, load
from app.patient.derived import deriving
from app.patient.fed_patient import prepared
from app.patient.feed import fed_under
from app.patient.synthetic.sources import Sources, Written
from app.search.definitions import Definitions
from app.store.bulk import packed
from app.store.change import Create
from app.store.record import Recording, recorded
from app.switches import Switches
from app.validation.validator import Validator


@dataclass(frozen=True, slots=True)
class Plan:
    """What a process must know to make records; it can be sent to one.

    Attributes:
        now: when all of them are written, UTC.
    """

    profiles: Path
    domains: Domains
    switches: Switches
    base_url: str
    seed: int
    now: datetime


@dataclass(frozen=True, slots=True)
class Made:
    """A block of records: packed, and the unique keys of all of them -> who holds it."""

    records: list[bytes]
    keys: dict[str, str]


@dataclass(frozen=True, slots=True)
class Rules:
    """What a fed Patient is checked with; see `fed_patient.Rules`."""

    validator: Validator
    packages: Packages
    base_url: str
    switches: Switches
    domains: Domains


class Maker:
    """Makes blocks of records."""

    def __init__(self, plan: Plan) -> None:
        packages = load(plan.profiles)
        self._rules = Rules(Validator(packages), packages, plan.base_url, plan.switches, plan.domains)
        derive = {"Patient": deriving(plan.domains, plan.switches.home_country)}
        self._recording = Recording(Definitions(packages), derive)
        self._sources = Sources(plan.domains, plan.seed)
        self._now = plan.now

    def make(self, block: int, count: int) -> Made:
        """Return the first `count` records of a block.

        Raises:
            FhirError: a record breaks a rule that a fed one must obey; it says which.
        """
        written = self._sources.block(block)[:count]
        return Made([self._record(one) for one in written], {one.key.unique: f"Patient/{one.id}" for one in written})

    def _record(self, one: Written) -> bytes:
        try:
            patient = prepared(one.patient, one.key, self._rules)
        except FhirError as error:
            issues = [replace(issue, diagnostics=f"{one.key.value}: {issue.diagnostics}") for issue in error.issues]
            raise ValueError("; ".join(issue.diagnostics for issue in issues)) from None
        change = Create({**patient, "id": one.id}, unique=(one.key.unique,), beside=fed_under(one.key))
        return packed(recorded(self._recording, change, self._now))


_makers: list[Maker] = []


def begin(plan: Plan) -> None:
    """Prepare this process to make records."""
    _makers[:] = [Maker(plan)]


def make(block: int, count: int) -> Made:
    """Return records of a block, made in this process."""
    return _makers[0].make(block, count)
