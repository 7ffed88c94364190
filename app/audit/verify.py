"""Whether the kept events are those that were kept, and all of them: `python -m app audit verify`.

Spec: own choice, docs/decisions/0023; AUD-11.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from app.audit.chain import ANCHORS, CHECKPOINTS, Place, beginning, fault, places_of
from app.store.audit import AuditStore

BATCH = 500


@dataclass(slots=True)
class Verified:
    """What was found.

    Attributes:
        faults: one sentence each, the chain first, in the order of the chains; empty when all is well.
    """

    chains: int = 0
    events: int = 0
    faults: list[str] = field(default_factory=list)


async def verify(store: AuditStore) -> Verified:
    """Return what is wrong with the chains in `store`; of each chain the first broken place."""
    lines = {one["_id"]: one for one in await store.chains()}
    found, seals = Verified(), list[tuple[str, Place]]()
    for name in (*lines, *sorted(await store.chain_names() - lines.keys())):
        found.chains += 1
        seals += await _walk(store, name, lines.get(name, {}), found)
    broken = {one.split()[1].rstrip(":") for one in found.faults}
    await _check_anchors(store, [place for kind, place in seals if kind == ANCHORS], lines, found, broken)
    attested = {(one["chain"], one["seq"], one["hash"]) for kind, one in seals if kind == CHECKPOINTS}
    for name, line in lines.items():
        _check_checkpoint(name, line.get("checkpoint"), attested, found)
    return found


async def _walk(store: AuditStore, name: str, line: dict[str, Any], found: Verified) -> list[tuple[str, Place]]:
    """Check a chain from its checkpoint to its end or its first fault; return what its events vouch for."""
    checkpoint = line.get("checkpoint") or {"seq": 0, "hash": beginning(name)}
    seq, head, seals = checkpoint["seq"], bytes(checkpoint["hash"]), list[tuple[str, Place]]()
    while records := await store.walk(name, seq, BATCH):
        for record in records:
            if wrong := fault(record, seq + 1, head):
                found.faults.append(f"chain {name}: {wrong}")
                return seals
            seq, head = record["seq"], bytes(record["hash"])
            found.events += 1
        seals += places_of(records)
    return seals


async def _check_anchors(
    store: AuditStore, anchors: list[Place], lines: dict[str, Any], found: Verified, broken: set[str]
) -> None:
    """Look for the events that later chains saw at the end of earlier ones."""
    for anchor in anchors:
        name, seq = anchor["chain"], anchor["seq"]
        if name in broken or seq <= ((lines.get(name) or {}).get("checkpoint") or {"seq": 0})["seq"]:
            continue
        there = await store.walk(name, seq - 1, 1, ("hash",))
        if not there or there[0]["seq"] != seq:
            found.faults.append(f"chain {name}: its end is missing: event {seq} was there")
        elif bytes(there[0]["hash"]).hex() != anchor["hash"]:
            found.faults.append(f"chain {name}: event {seq} is another one than that which was there")
        else:
            continue
        broken.add(name)


def _check_checkpoint(
    name: str, checkpoint: dict[str, Any] | None, attested: set[tuple[str, int, str]], found: Verified
) -> None:
    """Believe what a chain's line says of removed events only when an event says so too."""
    if checkpoint and (name, checkpoint["seq"], bytes(checkpoint["hash"]).hex()) not in attested:
        found.faults.append(f"chain {name}: no event tells of the removal of its events up to {checkpoint['seq']}")
