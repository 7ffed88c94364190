"""An event as the store keeps it: its bytes, the terms by which it is found, and what it is asked for beside them."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from time import monotonic
from typing import Any

from app.audit.chain import Chain, Seals
from app.audit.terms import patients_of, terms_of
from app.fhir.dates import interval
from app.fhir.outcome import FhirError
from app.fhir.resource import Resource, instant, to_json

# (ids of Patients, terms of identifiers) -> the Patients that are here: id -> the terms of all their identifiers.
PatientsWith = Callable[[Sequence[str], Sequence[str]], Awaitable[Mapping[str, Sequence[str]]]]

# A record of the database ends at 16 MB, and an event that large tells nothing more.
MAX_BYTES = 4 * 1024 * 1024
MAX_KNOWN, KNOWN_S = 20_000, 60.0
_PATIENT = "Patient/"


@dataclass(frozen=True, slots=True)
class Event:
    """An event that is to be kept.

    Attributes:
        resource: without `id` and `meta.lastUpdated`.
        wrote: id of the request that wrote what the event tells of; empty when nothing was written.
        seals: what the event vouches for in other chains.
    """

    resource: Resource
    wrote: str = ""
    seals: Seals | None = None


class Keeper:
    """Makes records of the events of one chain."""

    def __init__(self, name: str, patients_with: PatientsWith) -> None:
        self.chain = Chain(name)
        self._known = Known(patients_with)
        self._latest = 0

    async def records(self, events: Sequence[Event], now: datetime) -> list[dict[str, Any]]:
        """Return the records of `events`, in order, with their places in the chain."""
        known = await self._known.of(name for each in events for name in patients_of(each.resource))
        return [self._record(each, now, known) for each in events]

    def _record(self, event: Event, now: datetime, known: Mapping[str, Sequence[str]]) -> dict[str, Any]:
        resource, terms = event.resource, terms_of(event.resource, known)
        record_id = self._next_id(now)
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

    async def of(self, names: Iterable[str]) -> Mapping[str, Sequence[str]]:
        """Return what is known of `names` (`app.audit.terms`), as far as it can be told now (AUD-06)."""
        if (time := monotonic()) > self._until or len(self._found) > MAX_KNOWN:
            self._found, self._until = {}, time + KNOWN_S
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


def require_size(event: Resource) -> None:
    """Refuse an event that no record can hold.

    Raises:
        FhirError: `too-long` (413).
    """
    if len(to_json(event)) > MAX_BYTES:
        raise FhirError("too-long", f"An AuditEvent is larger than the {MAX_BYTES} bytes that are kept of one.")


def moment(recorded: str) -> datetime:
    """Return the instant `recorded` in UTC, at the millisecond that the database keeps."""
    try:
        found = datetime.fromisoformat(recorded)
    except ValueError:  # a leap second, or more digits than six
        found = interval(recorded)[0]
    return found.astimezone(UTC)
