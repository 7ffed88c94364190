"""Audit events as MongoDB keeps them: appended in groups, found by ITI-81, never changed.

A record is that of any resource, `{_id, version, updated, json, index}`, and beside it its place in the chain of the
process that kept it, `{chain, seq, previous, hash, seals}`, when the event says it happened (`recorded`), and the id of
the request that wrote something (`wrote`). `audit_chain` has a line for each chain, `audit_state` what forwarding and
recovery remember.

Spec: own choice, docs/decisions/0023; AUD-11, AUD-94. Sharded, `_id` hashed is the key.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from contextlib import suppress
from datetime import datetime
from typing import Any

from pymongo import ASCENDING, DESCENDING, IndexModel
from pymongo.errors import BulkWriteError, DuplicateKeyError

from app.store.driver import Connection, Document, failures_told
from app.store.held import HeldConnection

EVENTS, CHAINS, STATE = "AuditEvent", "audit_chain", "audit_state"

_DUPLICATE_KEY = 11000
_NEWEST = [("recorded", DESCENDING), ("_id", DESCENDING)]
_PLACE = {"chain": 1, "seq": 1, "hash": 1}


def _having(name: str, field: str, *more: tuple[str, int]) -> IndexModel:
    return IndexModel([(field, ASCENDING), *more], name=name, partialFilterExpression={field: {"$exists": True}})


# ITI-81 always bounds the time, so that is an index; whose log it is narrows further. What else may be asked for is
# checked on the records found.
INDEXES = (
    IndexModel([("chain", ASCENDING), ("seq", ASCENDING)], name="place", unique=True),
    IndexModel(_NEWEST, name="recorded"),
    _having("patient", "index.patient", *_NEWEST),
    _having("patient.identifier", "index.patient:target.identifier", *_NEWEST),
    _having("wrote", "wrote"),
)


# More patients of one number than these are nobody in particular.
_MOST_PATIENTS = 1_000
_MOST_UPDATES = 1_000


class PatientIdentifiers:
    """Tells which Patients of the resources have which identifiers."""

    def __init__(self, connection: Connection) -> None:
        """Look at the Patients of `connection`, which need not be where events are."""
        self._patients = connection.database["Patient"]

    async def having(self, ids: Sequence[str], identifiers: Sequence[str]) -> dict[str, list[str]]:
        """Return the Patients with `ids`, or one of `identifiers` (terms): id -> the terms of all their identifiers."""
        asked: list[Document] = []
        if ids:
            asked.append({"_id": {"$in": list(ids)}})
        if identifiers:
            asked.append({"index.identifier": {"$in": list(identifiers)}})
        with failures_told():
            limit = len(ids) + _MOST_PATIENTS
            found = self._patients.find({"$or": asked}, {"index.identifier": 1}, limit=limit)
            return {one["_id"]: one.get("index", {}).get("identifier", []) for one in await found.to_list(None)}


class AuditStore:
    """Keeps events and chains over a connection of its own, or that of the resources."""

    def __init__(self, connection: Connection) -> None:
        self._database = connection.database
        self._events, self._chains = self._database[EVENTS], self._database[CHAINS]
        self._state = self._database[STATE]
        self._held = HeldConnection(self._database)
        self._concern = {"w": "majority", "j": True, "wtimeout": 20_000}

    async def close(self) -> None:
        """Let go of the connection that events are written through."""
        await self._held.release()

    async def ensure(self) -> None:
        """Create the indexes that are missing."""
        with failures_told():
            await self._events.create_indexes(list(INDEXES))

    async def append(self, records: Sequence[Document]) -> None:
        """Return when `records` are in the journals of a majority; those that are there already stay.

        Raises:
            FhirError: `transient` or `timeout` (503); some may be kept then, the first ones of them.
        """
        command = {"insert": EVENTS, "documents": list(records), "writeConcern": self._concern}
        with failures_told():
            done = await self._held.command(command)
            if done is None or done.get("n") != len(records) or "writeConcernError" in done:
                await self._append_missing(records)

    async def _append_missing(self, records: Sequence[Document]) -> None:
        """Insert `records` again, one by one as it were: an attempt before may have kept some of them."""
        try:
            await self._events.insert_many(records, ordered=False)
        except BulkWriteError as error:
            errors = (error.details or {}).get("writeErrors", [])
            if any(each.get("code") != _DUPLICATE_KEY for each in errors):
                raise

    async def add_terms(self, found: Sequence[tuple[str, Mapping[str, Any]]]) -> None:
        """Write terms beside those that records have: pairs of an id, and parameter -> all its terms."""
        updates = [
            {"q": {"_id": each}, "u": {"$set": {f"index.{name}": value for name, value in terms.items()}}}
            for each, terms in found
            if terms
        ]
        with failures_told():
            for start in range(0, len(updates), _MOST_UPDATES):
                await self._database.command({"update": EVENTS, "updates": updates[start : start + _MOST_UPDATES]})

    async def open_chain(self, chain: str, now: datetime, worker: str) -> None:
        """Note that `chain` begins."""
        line = {"_id": chain, "started": now, "alive": now, "worker": worker, "anchored": 0, "forwarded": 0}
        with failures_told(), suppress(DuplicateKeyError):  # a first attempt may have got through after all
            await self._chains.insert_one(line)

    async def note_chain(self, chain: str, facts: Mapping[str, Any]) -> None:
        """Write `facts` into the line of a chain."""
        with failures_told():
            await self._chains.update_one({"_id": chain}, {"$set": dict(facts)}, upsert=True)

    async def chains(self, asked: Document | None = None) -> list[Document]:
        """Return the lines of the chains that `asked` finds, oldest first."""
        with failures_told():
            return await self._chains.find(asked or {}).sort([("started", 1), ("_id", 1)]).to_list(None)

    async def drop_chain(self, chain: str) -> None:
        """Forget a chain of which nothing is left."""
        with failures_told():
            await self._chains.delete_one({"_id": chain})

    async def chain_names(self) -> set[str]:
        """Return the names of all chains that have events, whether they have a line or not."""
        found: set[str] = set()
        with failures_told():
            last: Document | None = {}
            while last is not None:
                after = {"chain": {"$gt": last["chain"]}} if last else {}
                last = await self._events.find_one(after, {"chain": 1}, sort=[("chain", 1), ("seq", 1)])
                found |= {last["chain"]} if last else set()
        return found

    async def heads(self, chains: Collection[str]) -> dict[str, Document]:
        """Return the last record of each of `chains` that has one: its `seq` and `hash`."""
        found = {}
        with failures_told():
            for chain in chains:
                if last := await self._events.find_one({"chain": chain}, _PLACE, sort=[("chain", -1), ("seq", -1)]):
                    found[chain] = last
        return found

    async def walk(self, chain: str, after: int, limit: int, fields: Sequence[str] = ()) -> list[Document]:
        """Return the `limit` records of `chain` behind the number `after`, in order."""
        shown = dict.fromkeys((*fields, "chain", "seq"), 1) if fields else {"index": 0}
        with failures_told():
            found = self._events.find({"chain": chain, "seq": {"$gt": after}}, shown, sort=[("chain", 1), ("seq", 1)])
            return await found.limit(limit).to_list(None)

    async def prune(self, chain: str, upto: int) -> int:
        """Remove the records of `chain` up to the number `upto`; return how many there were."""
        with failures_told():
            done = await self._events.delete_many({"chain": chain, "seq": {"$lte": upto}})
        return int(done.deleted_count)

    async def unaudited(self, requests: Collection[str]) -> set[str]:
        """Return those of `requests`, ids of requests that wrote, of which no event tells."""
        with failures_told():
            found = await self._events.find({"wrote": {"$in": list(requests)}}, {"wrote": 1}).to_list(None)
        return set(requests) - {one["wrote"] for one in found}

    async def count_after(self, chain: str, seq: int, limit: int) -> int:
        """Return how many records `chain` has behind `seq`, counted up to `limit`."""
        with failures_told():
            return await self._events.count_documents({"chain": chain, "seq": {"$gt": seq}}, limit=limit)

    async def state(self, name: str) -> Document:
        """Return what is remembered under `name`."""
        with failures_told():
            return await self._state.find_one({"_id": name}) or {}

    async def remember(self, name: str, facts: Mapping[str, Any]) -> None:
        """Remember `facts` under `name`."""
        with failures_told():
            await self._state.update_one({"_id": name}, {"$set": dict(facts)}, upsert=True)

    async def lease(self, name: str, holder: str, now: datetime, until: datetime) -> bool:
        """Tell whether `holder` has, up to `until`, what only one worker may do at a time."""
        free = {"_id": name, "$or": [{"holder": holder}, {"until": {"$lte": now}}, {"until": {"$exists": False}}]}
        with failures_told():
            try:
                await self._state.update_one(free, {"$set": {"holder": holder, "until": until}}, upsert=True)
            except DuplicateKeyError:
                return False
        return True

    async def release(self, name: str, holder: str) -> None:
        """Let others have what `holder` leased."""
        with failures_told():
            await self._state.update_one({"_id": name, "holder": holder}, {"$unset": {"until": ""}})
