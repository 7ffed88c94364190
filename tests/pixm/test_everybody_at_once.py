"""Many sources and consumers at once, and what must hold when they are done: MAT-65, PIXM-XREF-08.

For 15 seconds; for as many as `MHD_TEST_CROWD_S` says, 60 for a thorough trial. With `-s` it tells what happened.
"""

from __future__ import annotations

import asyncio
import os
import random
import time
from collections import Counter
from typing import Any

import httpx
from fastapi import FastAPI

from app.fhir.outcome import FhirError
from app.patient.review import cases, decide, undo
from app.store.driver import BUSY
from app.transaction import Context
from tests.patients import EAST, NORTH, SOUTH, feed, person, pix

CLIENTS, SECONDS = 100, float(os.environ.get("MHD_TEST_CROWD_S", "15"))
DOMAINS = (NORTH, SOUTH, EAST)
GIVEN = ("Anna", "Boris", "Cyril", "Dana", "Emil", "Fedor", "Gita", "Hana", "Igor", "Jana")
FAMILY = ("Hruška", "Bielik", "Dvorský", "Zemko", "Oravec", "Gregor", "Petráš", "Vlček")


def somebody(chance: random.Random) -> tuple[str, str, dict[str, Any]]:
    """A domain, a number, and the Patient that it stands for: of 400 numbers in a domain, one person each."""
    number, system = chance.randrange(400), chance.choice(DOMAINS)
    fixed = random.Random(number)
    born = f"{fixed.randrange(1930, 2020)}-{fixed.randrange(1, 13):02}-{fixed.randrange(1, 29):02}"
    name = [{"family": fixed.choice(FAMILY), "given": [fixed.choice(GIVEN)]}]
    return system, f"P-{number}", person(system, f"P-{number}", name=name, birthDate=born)


async def one_client(index: httpx.AsyncClient, context: Context, seed: int, until: float, seen: Counter[str]) -> None:
    """Feed, revise, merge, undo, remove, query, match and decide, until the time is up."""
    chance = random.Random(seed)
    while time.monotonic() < until:
        system, number, patient = somebody(chance)
        dice = chance.random()
        if dice < 0.5:
            phone = [{"system": "phone", "value": f"+4219051112{chance.randrange(10, 99)}"}]
            answer = await feed(index, patient | {"telecom": phone} if chance.random() < 0.5 else patient)
        elif dice < 0.6:
            survivor = {"identifier": {"system": system, "value": f"P-{chance.randrange(400)}"}}
            answer = await feed(
                index, patient | {"active": False, "link": [{"other": survivor, "type": "replaced-by"}]}
            )
        elif dice < 0.7:
            answer = await index.delete("/Patient", params={"identifier": f"{system}|{number}"})
        elif dice < 0.85:
            answer = await pix(index, f"{system}|{number}")
        elif dice < 0.95:
            answer = await index.post(
                "/Patient/$match", json=patient, headers={"Content-Type": "application/fhir+json"}
            )
        else:
            await decide_something(context, chance, seen)
            continue
        # On a slow machine a write may meet others for longer than it is tried again: it is refused as a whole, and says so.
        is_busy = answer.status_code == 503 and answer.json()["issue"][0]["diagnostics"] == BUSY
        assert not is_busy or answer.headers["Retry-After"] == "1"
        assert answer.status_code < 500 or is_busy, answer.text
        seen[f"{answer.request.method} {answer.status_code}"] += 1


async def decide_something(context: Context, chance: random.Random, seen: Counter[str]) -> None:
    """Decide an open case, or undo a decision that holds."""
    facts = context.store.facts
    held = [one for one in await facts.after("match_decision", "", 1000) if not one["undone"]]
    waiting = await cases(facts, 20)
    try:
        if held and chance.random() < 0.5:
            await undo(chance.choice(held)["_id"], "admin", "wrong", context)
        elif waiting:
            one = chance.choice(waiting)
            await decide((one.a, one.b), chance.choice(("same", "different")), "admin", "looked at it", context)
    except FhirError as error:  # somebody else decided it, or a record is gone
        seen[f"refused {error.status}"] += 1
    else:
        seen["decided"] += 1


async def test_invariants(index_app: FastAPI, index: httpx.AsyncClient) -> None:
    """MAT-65, PIXM-XREF-08, PIXM-104-09: nobody is in two persons, no number in two active records, all is explained."""
    context: Context = index_app.state.context
    seen: Counter[str] = Counter()
    until = time.monotonic() + SECONDS
    await asyncio.gather(*(one_client(index, context, seed, until, seen) for seed in range(CLIENTS)))
    facts = context.store.facts
    records = {one["_id"]: one for one in await facts.after("Patient", "", 10_000, fields=("derived.state", "beside"))}
    persons = [one for one in await facts.after("person", "", 10_000) if one["members"]]
    members = [each for one in persons for each in one["members"]]
    assert len(members) == len(set(members))
    assert all(records[each]["derived"]["state"] == "active" for each in members)
    assert all(one["_id"] == min(one["members"]) and len(one["members"]) > 1 for one in persons)
    keys = Counter(str(one["beside"]["feed"]) for one in records.values())
    assert max(keys.values()) == 1
    edges = await facts.after("match_edge", "", 100_000)
    assert all(set(edge["ends"]) <= set(records) for edge in edges)
    assert all(
        abs(sum(part["bits"] for part in edge["explanation"]["parts"]) - edge["weight"]) < 0.01 for edge in edges
    )
    decisions = await facts.after("match_decision", "", 10_000)
    assert all(one["author"] and one["reason"] and one["explanation"] for one in decisions)
    print(f"{SECONDS:.0f} s: {dict(seen)}; {len(records)} records, {len(persons)} persons, {len(edges)} pairs")
    refused = sum(count for what, count in seen.items() if what.endswith("503"))
    assert not [one for one in seen if one.endswith("500")], seen
    assert refused <= 0.01 * sum(seen.values()), seen
    assert seen["PUT 201"] > 50
    assert sum(seen.values()) > 200
