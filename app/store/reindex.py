"""Finds the terms of existing records anew: for search parameters that came after them.

Record by record and only where something differs, so that it may run beside a server and be repeated: a record that
changes meanwhile has its terms from whoever changed it.

Spec: national.md NAT-02; FHIR R4 searchparameter.html.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Any

from pymongo import UpdateOne

from app.fhir.resource import parse_json
from app.store.driver import Document
from app.store.record import Recording, found_by

# Records that are read and written at once.
BATCH = 500

_READ = {"version": 1, "json": 1, "index": 1, "derived": 1, "beside": 1}


@dataclass(frozen=True, slots=True)
class Progress:
    """How far it is: records of `resource_type` that were read, and those that have other terms now."""

    resource_type: str
    read: int
    changed: int


async def reindex(records: Any, resource_type: str, recording: Recording, size: int = BATCH) -> AsyncIterator[Progress]:
    """Find the terms of all `records`, the collection of `resource_type`, anew, in order of id; yields by batch."""
    last, read, changed = "", 0, 0
    while True:
        cursor = records.find({"_id": {"$gt": last}}, _READ, sort=[("_id", 1)], limit=size)
        batch: list[Document] = await cursor.to_list(None)
        if not batch:
            return
        updates = [update for each in batch if (update := _update(each, recording))]
        if updates:
            changed += (await records.bulk_write(updates, ordered=False)).matched_count
        last, read = batch[-1]["_id"], read + len(batch)
        yield Progress(resource_type, read, changed)


def _update(record: Document, recording: Recording) -> UpdateOne | None:
    """Return what to write: nothing when the terms are as they should be, or by now those of another version."""
    terms = found_by(recording, parse_json(record["json"]), record.get("beside") or {})
    if all(record.get(name) == each for name, each in terms.items()):
        return None
    return UpdateOne({"_id": record["_id"], "version": record["version"]}, {"$set": terms})
