"""An event as the store keeps it: its bytes, the terms by which it is found, and what it is asked for beside them."""

from __future__ import annotations

from collections import deque
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from time import monotonic
from typing import Any

from app.audit.chain import Chain, Seals
from app.audit.terms import patient_terms, patients_of, terms_of
from app.fhir.dates import interval
from app.fhir.outcome import FhirError
from app.fhir.resource import Resource, instant, to_json

# (ids of Patients, terms of identifiers) -> the Patients that are here: id -> the terms of all their identifiers.
PatientsWith = Callable[[Sequence[str], Sequence[str]], Awaitable[Mapping[str, Sequence[str]]]]

# A record of the database ends at 16 MB, and an event that large tells nothing more.
MAX_BYTES = 4 * 1024 * 1024
MAX_KNOWN, KNOWN_S = 20_000, 60.0
_PATIENT = "Patient/"
MAX_LATER = 50_000


@dataclass(frozen=True, slots=True)
class Event:
    """An event that is to be kept.

    Attributes:
        resource: without `id` and `meta.lastUpdated`.
        wrote: id of the request that wrote what the event tells of; empty when nothing was written.
        seals: what the event vouches for in other chains.
        is_patient: who keeps it can wait until its patients are looked for; else that is done soon after.
    """

    resource: Resource
    wrote: str = ""
    seals: Seals | None = None
    is_patient: bool = False


class Keeper:
    """Makes records of the events of one chain.

    Attributes:
        later: pairs of the id of a record and its event, whose patients were not known yet: see `learn`.
    """

    def __init__(self, name: str, patients_with: PatientsWith) -> None:
        self.chain = Chain(name)
        self.later: deque[tuple[str, Resource]] = deque(maxlen=MAX_LATER)
        self._known = Known(patients_with)
        self._latest = 0

    async def records(self, events: Sequence[Event], now: datetime) -> list[dict[str, Any]]:
        """Return the records of `events`, in order, with their places in the chain."""
        names = {name for each in events if each.is_patient for name in patients_of(each.resource)}
        known = await self._known.of(names) if names else self._known.now()
        return [self._record(each, now, known) for each in events]

    async def learn(self) -> list[tuple[str, dict[str, Any]]]:
        """Return what is to be added to the terms of records, now that their patients are looked for, all at once.

        Own choice: one question for the patients of a second's events costs a tenth of one for each group of them.
        """
        events = list(self.later)
        known = await self._known.of(name for _, event in events for name in patients_of(event))
        for _ in events:
            self.later.popleft()
        return [(record_id, patient_terms(event, known)) for record_id, event in events]

    def _record(self, event: Event, now: datetime, known: Mapping[str, Sequence[str]]) -> dict[str, Any]:
        resource, terms = event.resource, terms_of(event.resource, known)
        record_id = self._next_id(now)
        if not event.is_patient and any(name not in known for name in patients_of(resource)):
            self.later.append((record_id, resource))
        meta = {**resource.get("meta", {}), "versionId": "1", "lastUpdated": instant(now)}
        json = to_json({"resourceType": "AuditEvent", "id": record_id, **resource, "meta": meta})
        record = {
            "_id": record_id,
            "version": 1,
            "updated": now,
            "recorded": moment(resource["recorded"]),
            "json": json,
            "index": terms,
            **self.chain.place(json, event.seals),
        }
        return record | {"wrote": event.wrote} if event.wrote else record

    def _next_id(self, now: datetime) -> str:
        """Return an id that sorts behind the one before: the time in milliseconds, the number, the chain."""
        self._latest = max(self._latest, int(now.timestamp() * 1000))
        return f"{self._latest:012x}{self.chain.seq + 1:08x}{self.chain.name[:12]}"


class Known:
    """Remembers for a minute or so what is known of the patients whom events name."""

    def __init__(self, patients_with: PatientsWith) -> None:
        self._patients_with = patients_with
        self._found: dict[str, Sequence[str]] = {}
        self._until = 0.0

    def now(self) -> Mapping[str, Sequence[str]]:
        """Return what is known without a look."""
        if (time := monotonic()) > self._until or len(self._found) > MAX_KNOWN:
            self._found, self._until = {}, time + KNOWN_S
        return self._found

    async def of(self, names: Iterable[str]) -> Mapping[str, Sequence[str]]:
        """Return what is known of `names` (`app.audit.terms`), as far as it can be told now (AUD-06)."""
        self.now()
        if missing := {name for name in names if name not in self._found}:
            with suppress(FhirError):
                await self._learn(missing)
        return self._found

    async def _learn(self, names: set[str]) -> None:
        ids = [name.removeprefix(_PATIENT) for name in names if name.startswith(_PATIENT)]
        keys = names - {f"{_PATIENT}{each}" for each in ids}
        patients = await self._patients_with(ids, sorted(keys))
        found: dict[str, list[str]] = {name: [] for name in names}
        for record_id, terms in patients.items():
            name = f"{_PATIENT}{record_id}"
            if name in found:
                found[name] += terms
            for key in keys.intersection(terms):
                found[key].append(name)
        self._found.update(found)


def fitting(event: Resource) -> Resource:
    """Return `event` as a record can hold it: without requests that are too long for one.

    Raises:
        TypeError: it is no JSON.
    """
    if len(to_json(event)) <= MAX_BYTES:
        return event
    entities = [{name: value for name, value in each.items() if name != "query"} for each in event.get("entity", ())]
    told = [
        each | ({"description": "The request was too long to be kept."} if "role" in each else {}) for each in entities
    ]
    return {**{name: value for name, value in event.items() if name != "contained"}, "entity": told}


def moment(recorded: str) -> datetime:
    """Return the instant `recorded` in UTC, at the millisecond that the database keeps."""
    try:
        found = datetime.fromisoformat(recorded)
    except ValueError:  # a leap second, or more digits than six
        found = interval(recorded)[0]
    return found.astimezone(UTC)
