"""Review: pairs that somebody should look at, and what was decided of them.

A decision names two records, says whether they are the same person, who said so, when and why. It outweighs all
evidence until it is undone, and is never removed: undoing is told beside it. Persons are rebuilt from what holds, so
that undoing gives back what was there before, whatever was fed meanwhile.

Spec: PIXM-XREF-01, PIXM-XREF-02, PIXM-XREF-06; MAT-51, MAT-63, MAT-64.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal

from app.fhir.outcome import FhirError
from app.patient.candidates import Compared, compared
from app.patient.cross_reference import locks_of_records, rebuild_around
from app.patient.edges import edge_document
from app.patient.matching import score
from app.patient.parameters import Parameters
from app.patient.persons import persons_of
from app.patient.weighing import parameters_now
from app.store.atomic import Atomic
from app.store.facts import Facts
from app.transaction import Context

Verdict = Literal["same", "different", "later"]

KINDS = ("duplicate", "cross-domain", "conflict")

_FIELDS = ("derived.mv", "derived.state", "derived.replacedBy", "beside.feed")


@dataclass(frozen=True, slots=True)
class Case:
    """A pair that waits for a decision.

    Attributes:
        kind: `duplicate` in one domain, `cross-domain`, or `conflict` of two trusted numbers.
        explanation: how the weight came about.
    """

    a: str
    b: str
    kind: str
    weight: float
    grade: str
    explanation: dict[str, Any]


@dataclass(frozen=True, slots=True)
class Decided:
    """A decision as it is kept; `undone` tells by whom, when and why it was undone."""

    id: str
    ends: tuple[str, str]
    verdict: Verdict
    author: str
    reason: str
    at: datetime
    undone: dict[str, Any] | None = None


async def cases(facts: Facts, limit: int = 100) -> list[Case]:
    """Return the pairs that wait for a decision, the weightiest first."""
    found = await facts.having("match_edge", "review", KINDS, limit=10 * limit)
    found.sort(key=lambda edge: (-edge["weight"], edge["_id"]))
    return [
        Case(edge["ends"][0], edge["ends"][1], edge["review"], edge["weight"], edge["grade"], edge["explanation"])
        for edge in found[:limit]
    ]


async def decide(pair: Sequence[str], verdict: Verdict, author: str, reason: str, context: Context) -> Decided:
    """Keep what `author` says of two records, and rebuild the persons around them.

    Raises:
        FhirError: `required` (400) without author and reason; `invalid` (400) for one record twice; `not-found` (404).
    """
    ends = _ends(pair, author, reason)
    parameters, name = await parameters_now(context.store.facts), context.new_id()

    async def work(atomic: Atomic) -> Decided:
        now = context.now()
        a, b = await _pair(atomic, ends)
        edge = edge_document(a, b, score(a.vector, b.vector, parameters), verdict, now)
        kept = {"_id": name, "ends": list(ends), "verdict": verdict, "author": author, "reason": reason, "at": now}
        await atomic.keep("match_decision", [kept | {"explanation": edge["explanation"], "undone": None}])
        await atomic.keep("match_edge", [edge])
        await rebuild_around(atomic, ends, parameters, now)
        return Decided(name, ends, verdict, author, reason, now)

    return await context.store.atomically(work, locks_of_records(ends))


async def undo(decision: str, author: str, reason: str, context: Context) -> Decided:
    """Let a decision hold no longer; the persons are as if it had never been made.

    Raises:
        FhirError: `required` (400); `not-found` (404) for an unknown decision; `conflict` (412) for one undone already.
    """
    _require_told(author, reason)
    parameters = await parameters_now(context.store.facts)

    async def work(atomic: Atomic) -> Decided:
        now = context.now()
        found = await atomic.having("match_decision", "_id", [decision])
        if not found:
            raise FhirError("not-found", f"There is no decision {decision[:64]}.")
        kept = found[0]
        if kept.get("undone"):
            raise FhirError("conflict", f"The decision {decision} was undone already.")
        kept["undone"] = {"author": author, "reason": reason, "at": now}
        await atomic.keep("match_decision", [kept])
        await _reopen(atomic, kept["ends"], parameters, now)
        await rebuild_around(atomic, kept["ends"], parameters, now)
        return _decided(kept)

    return await context.store.atomically(work)


async def decisions_of(facts: Facts, ids: Sequence[str]) -> list[Decided]:
    """Return every decision about `ids`, undone ones included, oldest first."""
    found = await facts.having("match_decision", "ends", ids)
    return [_decided(one) for one in sorted(found, key=lambda one: (one["at"], one["_id"]))]


async def explain(pair: Sequence[str], context: Context) -> dict[str, Any]:
    """Return why two records are one person or are not: the weight, field by field, and what was decided.

    Raises:
        FhirError: `not-found` (404); `invalid` (400) for one record twice.
    """
    ends = _ends(pair, "-", "-")
    facts = context.store.facts
    a, b = await _pair(facts, ends)
    told = score(a.vector, b.vector, await parameters_now(facts)).explanation()
    persons = await persons_of(facts, ends)
    both = [one for one in await decisions_of(facts, ends) if one.ends == ends]
    return {"same_person": persons[ends[0]] == persons[ends[1]], **told, "decisions": both}


def _ends(pair: Sequence[str], author: str, reason: str) -> tuple[str, str]:
    _require_told(author, reason)
    a, b = sorted(one.removeprefix("Patient/") for one in pair)
    if a == b:
        raise FhirError("invalid", "A pair is two records; the same one was named twice.")
    return a, b


def _require_told(author: str, reason: str) -> None:
    if not author.strip() or not reason.strip():
        raise FhirError("required", "A decision needs an author and a reason.")


async def _pair(facts: Facts, ends: Sequence[str]) -> tuple[Compared, Compared]:
    found = {one["_id"]: compared(one) for one in await facts.having("Patient", "_id", ends, fields=_FIELDS)}
    for each in ends:
        if each not in found:
            raise FhirError("not-found", f"There is no Patient/{each[:64]}.")
    return found[ends[0]], found[ends[1]]


async def _reopen(atomic: Atomic, ends: Sequence[str], parameters: Parameters, now: datetime) -> None:
    """Give the pair the edge that it has by its evidence, and the verdict that still holds, if any."""
    found = {one["_id"]: compared(one) for one in await atomic.having("Patient", "_id", ends, fields=_FIELDS)}
    if len(found) < len(ends):
        return
    others = await atomic.having("match_decision", "ends", [ends[0]])
    left = [one for one in others if one["ends"] == list(ends) and not one.get("undone")]
    scored = score(found[ends[0]].vector, found[ends[1]].vector, parameters)
    edge = edge_document(found[ends[0]], found[ends[1]], scored, "decided" if left else "", now)
    if scored.grade == "certainly-not" and not left:
        await atomic.forget("match_edge", [edge["_id"]])
    else:
        await atomic.keep("match_edge", [edge])


def _decided(kept: dict[str, Any]) -> Decided:
    a, b = kept["ends"]
    return Decided(kept["_id"], (a, b), kept["verdict"], kept["author"], kept["reason"], kept["at"], kept.get("undone"))
