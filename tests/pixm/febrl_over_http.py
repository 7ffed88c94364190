"""FEBRL4 through the interface of the server, not through its functions.

`python -m tests.pixm.febrl_over_http [--persons N]` runs it on a private MongoDB and prints what came out: the files A and
B are fed by ITI-104 as two domains, then each number of A is asked for its counterpart in B by ITI-83, and each record of
B, without its numbers, by ITI-119. No social-security numbers.

Spec: MAT-94; matching.md 9.
"""

from __future__ import annotations

import asyncio
import sys
import tempfile
from argparse import ArgumentParser
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any

import httpx

from app.store.managed import private_mongodb
from tests.patient import febrl
from tests.patient.febrl import person_of
from tests.patients import JSON, NORTH, SOUTH, client_of, feed, identifiers, pix, running_app, settings_of

Pair = tuple[tuple[str, dict[str, Any]], tuple[str, dict[str, Any]]]


@dataclass(frozen=True, slots=True)
class Found:
    """Precision and recall of `targetIdentifier`; the share of records of B whose counterpart `$match` returns, and puts
    first of all records of A.
    """

    precision: float
    recall: float
    matched: float
    best: float


async def feed_all(index: httpx.AsyncClient, persons: int) -> list[Pair]:
    """Feed both records of so many persons; return them, each pair by its numbers."""
    data = febrl.load(4, soc_sec=False)
    assert data.sides is not None
    left, right = ({person_of(one): one for one in side} for side in data.sides)
    pairs: list[Pair] = []
    for name in sorted(left.keys() & right.keys())[:persons]:
        a, b = ((one, as_fed(data.patients[one])) for one in (left[name], right[name]))
        pairs.append((a, b))
    for system, side in ((NORTH, 0), (SOUTH, 1)):
        for pair in pairs:
            number, patient = pair[side]
            answer = await feed(index, {**patient, "identifier": [{"system": system, "value": number}]}, system, number)
            assert answer.status_code == 201, answer.text
    return pairs


def as_fed(patient: dict[str, Any]) -> dict[str, Any]:
    """Return a record of FEBRL as a source may feed it: a name, no empty text, and a birth date only where it exists."""
    names = [one for one in patient["name"] if one] or [{"text": "unknown"}]
    addresses = [{name: value for name, value in one.items() if value} for one in patient.get("address", ())]
    kept = {name: value for name, value in patient.items() if name != "birthDate" or _is_date(value)}
    return {**kept, "name": names, **({"address": addresses} if addresses else {})}


def _is_date(text: str) -> bool:
    try:
        return bool(date.fromisoformat(text))
    except ValueError:
        return False


async def ask(index: httpx.AsyncClient, pairs: Sequence[Pair]) -> Found:
    """Ask for each person by both transactions."""
    told = right = matched = best = 0
    for (a, _), (b, patient) in pairs:
        found = identifiers(await pix(index, f"{NORTH}|{a}", SOUTH))
        told += len(found)
        right += f"{SOUTH}|{b}" in found
        north = await _of_north(index, patient)
        matched += a in north
        best += north[:1] == [a]
    return Found(right / max(told, 1), right / len(pairs), matched / len(pairs), best / len(pairs))


async def _of_north(index: httpx.AsyncClient, patient: dict[str, Any]) -> list[str]:
    """Return the numbers of North's records that `$match` finds, best first; none when too little is known."""
    answer = await index.post("/Patient/$match", json=patient, headers=JSON)
    if answer.status_code == 400:
        return []
    assert answer.status_code == 200, answer.text
    records = [one["resource"] for one in answer.json().get("entry", ()) if one["search"]["mode"] == "match"]
    own = [number for one in records for number in one["identifier"] if number["system"] == NORTH]
    return [one["value"] for one in own]


async def _run(url: str, persons: int) -> Found:
    async with running_app(settings_of(url, "febrl", home_country="AU")) as app, client_of(app) as index:
        pairs = await feed_all(index, persons)
        print(f"{2 * len(pairs)} records fed", file=sys.stderr)
        return await ask(index, pairs)


def main() -> int:
    """Run it and print."""
    parser = ArgumentParser(prog="python -m tests.pixm.febrl_over_http")
    parser.add_argument("--persons", type=int, default=5000)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="mhd-febrl-") as folder, private_mongodb(Path(folder)) as url:
        found = asyncio.run(_run(url, options.persons))
    print(f"ITI-83: precision {found.precision:.4f}, recall {found.recall:.4f}")
    print(f"ITI-119: counterpart returned {found.matched:.4f}, as the first one {found.best:.4f}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
