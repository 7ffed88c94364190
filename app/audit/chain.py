"""The chain of the events that one process kept: each holds the hash of the one before it.

Who changes, removes or inserts an event breaks the chain of its process. Who cuts its end off is found out by the next
chain: its first event seals the heads of those that were there. What retention removes from the front is sealed too, by
the event that tells of it; the checkpoint in the chain's line is believed only as far as such an event says the same.

Spec: own choice, docs/decisions/0023; AUD-11.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from hashlib import sha256
from typing import Any

from app.fhir.resource import to_json

Place = Mapping[str, Any]  # `chain`, `seq`, `hash`

ANCHORS, CHECKPOINTS = "anchors", "checkpoints"


@dataclass(frozen=True, slots=True)
class Seals:
    """What an event vouches for in other chains.

    Attributes:
        kind: `ANCHORS`: there was such an event, and it was the last one. `CHECKPOINTS`: all up to there were removed.
    """

    kind: str
    places: tuple[Place, ...]

    @property
    def document(self) -> dict[str, Any]:
        """The seals as they are stored, and hashed."""
        places = sorted(self.places, key=lambda one: str(one["chain"]))
        named = [{"chain": one["chain"], "seq": one["seq"], "hash": bytes(one["hash"]).hex()} for one in places]
        return {"kind": self.kind, "places": named}


class Chain:
    """Puts events in their places."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.seq = 0
        self._head = beginning(name)

    def place(self, json: bytes, seals: Seals | None = None) -> dict[str, Any]:
        """Return the place of the next event, whose stored bytes are `json`: the fields of its record."""
        stored = seals.document if seals else None
        previous, self._head = self._head, digest(self._head, json, stored)
        self.seq += 1
        place = {"chain": self.name, "seq": self.seq, "previous": previous, "hash": self._head}
        return place | ({"seals": stored} if stored else {})


def beginning(name: str) -> bytes:
    """Return what stands for the hash of the event before the first one."""
    return sha256(f"chain {name}".encode()).digest()


def digest(previous: bytes, json: bytes, seals: Mapping[str, Any] | None) -> bytes:
    """Return the hash of an event: over that of the one before, its stored bytes, and what it vouches for."""
    return sha256(b"%b%b%b" % (previous, json, to_json(seals) if seals else b"")).digest()


def fault(record: Mapping[str, Any], seq: int, previous: bytes) -> str:
    """Return what is wrong with the `record` that should be number `seq` behind the hash `previous`; "" if nothing."""
    if record["seq"] != seq:
        return f"event {seq} is missing"
    if bytes(record["previous"]) != previous:
        return f"event {seq} does not follow the one before it"
    if digest(previous, bytes(record["json"]), record.get("seals")) != bytes(record["hash"]):
        return f"event {seq} ({record['_id']}) was changed"
    if f'"id":"{record["_id"]}"'.encode() not in bytes(record["json"][:256]):
        return f"event {seq} is not the one that its id {record['_id']} names"
    return ""


def places_of(records: Iterable[Mapping[str, Any]]) -> list[tuple[str, Place]]:
    """Return what `records` vouch for: pairs of the kind of seal and a place, its hash in hexadecimal digits."""
    return [(one["seals"]["kind"], place) for one in records if "seals" in one for place in one["seals"]["places"]]
