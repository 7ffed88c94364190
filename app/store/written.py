"""What was written between two moments, by which request: for those who look for writes that nobody told of."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from pymongo import ASCENDING, IndexModel

from app.store.driver import Connection, Document, failures_told

# Versions that were replaced, and deletions, of requests: all that is looked for in the history.
_HISTORY = IndexModel([("updated", ASCENDING)], name="written", partialFilterExpression={"by": {"$exists": True}})
_SHOWN = {"version": 1, "updated": 1, "by": 1, "deleted": 1, "index.patient": 1}


@dataclass(frozen=True, slots=True)
class Written:
    """One version that a request wrote.

    Attributes:
        writer: the mark of the request (`app.store.writer`).
        reference: with its version: `Patient/1/_history/2`.
        patients: `Patient/id` of those whose record it is, as far as the version that stands now says.
    """

    writer: str
    reference: str
    version: int
    updated: datetime
    is_deletion: bool = False
    patients: tuple[str, ...] = ()


class WrittenRecords:
    """Finds versions by when they were written."""

    def __init__(self, connection: Connection, resource_types: Iterable[str]) -> None:
        """Look at the records of `resource_types`."""
        self._database = connection.database
        self._types = tuple(resource_types)

    async def ensure(self) -> None:
        """Create the index that is missing."""
        with failures_told():
            await self._database["history"].create_indexes([_HISTORY])

    async def between(self, since: datetime, until: datetime) -> list[Written]:
        """Return the versions that requests wrote after `since` and up to `until`, oldest first."""
        asked = {"updated": {"$gt": since, "$lte": until}, "by": {"$exists": True}}
        found: list[Written] = []
        with failures_told():
            for name in (*self._types, "history"):
                records = await self._records(name).find(asked, _SHOWN).to_list(None)
                found += (_written(name, record) for record in records)
        return sorted(found, key=lambda one: (one.updated, one.reference))

    def _records(self, name: str) -> Any:
        return self._database[name]


def _written(collection: str, record: Document) -> Written:
    if collection == "history":
        name, _, _ = record["_id"].rpartition("/")
    else:
        name = f"{collection}/{record['_id']}"
    patients = tuple(_patients(name, record))
    reference = f"{name}/_history/{record['version']}"
    return Written(record["by"], reference, record["version"], record["updated"], bool(record.get("deleted")), patients)


def _patients(name: str, record: Document) -> Iterator[str]:
    if name.startswith("Patient/"):
        yield name
    yield from (one for one in record.get("index", {}).get("patient", ()) if one.startswith("Patient/"))
