"""Parameter sets that an administrator learned: kept, tried on the traffic of a day, and only then used.

A set that nobody tried cannot be activated. What was decided with another set stays as it was decided, and says with
which one.

Spec: MAT-36, MAT-43.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from app.fhir.outcome import FhirError
from app.patient.candidates import COMPARED, candidates, readable
from app.patient.matching import score
from app.patient.parameters import Parameters, from_document, load
from app.store.facts import Facts
from app.transaction import Context

_COLLECTION, _ACTIVE = "match_parameters", "active"
_BATCH = 500


@dataclass(frozen=True, slots=True)
class Tried:
    """What a set would change: how many pairs go from which grade to which; `records` were fed in the time."""

    version: str
    records: int
    pairs: int
    changes: tuple[tuple[str, str, int], ...]


async def active(facts: Facts) -> Parameters:
    """Return the set that an administrator activated last, else the shipped one; for the smallest population."""
    pointer = await facts.having(_COLLECTION, "_id", [_ACTIVE])
    return await _kept(facts, pointer[0]["version"]) if pointer else load()


async def try_out(document: dict[str, Any], since: datetime, now: Parameters, author: str, context: Context) -> Tried:
    """Keep the set that `document` describes, and score with it what was fed since: nothing else changes.

    Args:
        now: the weights in use, which its grades are compared with.

    Raises:
        ValueError: it is not a parameter set; `FhirError`: another set has its version.
    """
    proposed = from_document(document)
    await _require_new(context.store.facts, proposed)
    then = proposed.for_population(now.population, now.frequencies)
    changes: Counter[tuple[str, str]] = Counter()
    records = 0
    async for pairs in _traffic(since, now, then, context.store.facts):
        records += 1
        changes.update(pairs)
    told = tuple(sorted((a, b, count) for (a, b), count in changes.items() if a != b))
    tried = Tried(proposed.version, records, changes.total(), told)
    report = {"since": since, "at": context.now(), "by": author, "records": records, "pairs": tried.pairs}
    kept = {"_id": proposed.version, "set": proposed.as_document(), "report": {**report, "changes": told}}
    await context.store.facts.keep(_COLLECTION, [kept])
    return tried


async def activate(version: str, author: str, reason: str, context: Context) -> None:
    """Use a set from now on; the version of the shipped one goes back to that.

    Raises:
        FhirError: `not-found` (404) for a set that nobody tried out; `required` (400).
    """
    if not author.strip() or not reason.strip():
        raise FhirError("required", "An activation needs an author and a reason.")
    facts = context.store.facts
    told = {"version": version, "by": author, "reason": reason, "at": context.now()}
    if version == load().version:
        await facts.keep(_COLLECTION, [{"_id": version, "set": load().as_document()}])
    elif not await facts.having(_COLLECTION, "_id", [version]) or version == _ACTIVE:
        raise FhirError("not-found", f"Nobody tried out a parameter set {version[:64]}.")
    pointer = await facts.having(_COLLECTION, "_id", [_ACTIVE])
    before = pointer[0]["history"] if pointer else []
    await facts.keep(_COLLECTION, [{"_id": _ACTIVE, "version": version, "history": [*before, told]}])


async def _kept(facts: Facts, version: str) -> Parameters:
    found = await facts.having(_COLLECTION, "_id", [version])
    if not found:
        raise FhirError("exception", f"The parameter set {version} is active and not in the store.")
    return from_document(found[0]["set"])


async def _require_new(facts: Facts, proposed: Parameters) -> None:
    """Refuse a set whose version means another one: decisions name sets by it."""
    held = await facts.having(_COLLECTION, "_id", [proposed.version])
    known = held[0].get("set") if held else None
    if proposed.version in (_ACTIVE, load().version) or (known and from_document(known) != proposed):
        raise FhirError("duplicate", f"The version {proposed.version[:64]} is that of another parameter set.")


async def _traffic(
    since: datetime, now: Parameters, then: Parameters, facts: Facts
) -> AsyncIterator[list[tuple[str, str]]]:
    """Yield for each record that was fed since then its grades with each candidate: by the one set and by the other."""
    last, fields = "", (*COMPARED, "derived.keys", "updated")
    while batch := await facts.after("Patient", last, _BATCH, fields=("updated",)):
        last = batch[-1]["_id"]
        fed = [one["_id"] for one in batch if one["updated"] >= since]
        for document in await facts.having("Patient", "_id", fed, fields=fields):
            for own in readable([document]):
                near = await candidates(facts, document["derived"].get("keys", ()))
                vectors = [one.vector for one in near.records if one.id != own.id]
                yield [(score(own.vector, each, now).grade, score(own.vector, each, then).grade) for each in vectors]
