"""The patient index under measure: `python -m tests.bench.patients`, that is `make bench-patients`.

    --patients 10000,1000000   sizes of the index, one after the other; the last is what budgets are about
    --requests N               of each kind, one after the other on one connection
    --folder FOLDER            where the data are kept; the next run finds them there

Records come from the project's own loader. Times are wall clock and, beside it, CPU of the server's process; plans are
those that the database says it used. The exit status is 1 when a budget is missed; an index of less than a million has
the same budgets, so that a regression shows early (MAT-80).

Spec: MAT-71, MAT-80, MAT-81, PDQM-119-40; matching.md 8.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import time
from argparse import ArgumentParser
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from statistics import quantiles
from typing import Any

from pymongo import MongoClient

from app.domains import Domains, parse
from app.store.managed import private_mongodb
from tests.bench.ask import Client
from tests.bench.beside import ratios
from tests.bench.program import PROJECT, Program, bare_patients, server
from tests.bench.questions import KINDS, Question, questions
from tests.bench.row import Row, milliseconds, table

DOMAINS = PROJECT / "app" / "examples" / "domains.toml"
SEED = 1
WARM_UP = 100

# What each kind may cost at a million patients: p50, p95, p99 in seconds (matching.md 8; PDQM-119-40 for $match).
LIMITS = {
    "ITI-78 by identifier": (0.004, 0.015, 0.040),
    "ITI-78 by family and birth date": (0.004, 0.015, 0.040),
    "ITI-83": (0.003, 0.010, 0.025),
    "ITI-119": (0.015, 0.050, 0.120),
}
# How much p50 may grow from the smallest index to the largest; $match has its limits instead.
GROWTH = 2.0
CANDIDATES_P95 = 200


@dataclass(frozen=True, slots=True)
class Figures:
    """What one kind of request cost; seconds."""

    kind: str
    patients: int
    p50: float
    p95: float
    p99: float
    cpu: float


@dataclass(frozen=True, slots=True)
class Index:
    """An index under measure, and what it is asked, by kind."""

    patients: int
    server: Program
    asked: dict[str, list[Question]]


def main() -> int:
    """Measure and print; 1 when a budget is missed."""
    parser = ArgumentParser(prog="python -m tests.bench.patients", description="Measures the patient index.")
    parser.add_argument("--patients", default="10000,100000", help="sizes, separated by commas")
    parser.add_argument("--requests", type=int, default=2000)
    parser.add_argument("--folder", type=Path)
    parser.add_argument("--cache-gb", type=float, default=2.0, help="cache of the private mongod")
    options = parser.parse_args()
    sizes = [int(text) for text in options.patients.split(",")]
    with ExitStack() as stack:
        folder = options.folder or Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="mhd-bench-")))
        folder.mkdir(parents=True, exist_ok=True)
        url = stack.enter_context(private_mongodb(folder))
        with MongoClient[dict[str, Any]](url) as client:
            cache = f"cache_size={round(options.cache_gb * 1024)}M"
            client.admin.command("setParameter", 1, wiredTigerEngineRuntimeConfig=cache)
        for size in sizes:
            _loaded(url, folder, size)
        rows = _measured(url, folder, sizes, options.requests)
    print(table(rows))
    return 1 if any(row.is_met is False for row in rows) else 0


def _measured(url: str, folder: Path, sizes: Sequence[int], requests: int) -> list[Row]:
    """Measure all indexes in turns: what else the machine does meanwhile disturbs each of them alike."""
    domains = Domains(parse(DOMAINS), "http://127.0.0.1/fhir")
    with ExitStack() as stack:
        more = {"MHD_DOMAINS": str(DOMAINS)}
        indexes = [Index(size, stack.enter_context(server(url, folder, name_of(size), more)), {}) for size in sizes]
        for index in indexes:
            for kind in KINDS:
                index.asked[kind] = questions(kind, domains, SEED, index.patients, requests + WARM_UP)
        rows = list(_rows([one for kind in KINDS for one in _figures(kind, indexes)]))
        for index in indexes:
            rows += [*_plans(url, index), *_sizes(url, index.patients)]
            base = f"http://127.0.0.1:{index.server.port}/fhir"
            with bare_patients(url, name_of(index.patients), base, folder) as limit:
                rows += ratios(index.server, limit, index.asked, index.patients)
    return rows


def name_of(size: int) -> str:
    """Return the name of the database with so many patients."""
    return f"patients_{size}"


def _loaded(url: str, folder: Path, size: int) -> None:
    """Load with the command that an administrator types."""
    name = name_of(size)
    settings = {"MHD_MONGODB_URL": url, "MHD_MONGODB_DATABASE": name, "MHD_DOMAINS": str(DOMAINS)}
    command = [sys.executable, "-m", "app", "patients", "load", "--count", str(size), "--seed", str(SEED)]
    with MongoClient[dict[str, Any]](url) as client:
        if client[name]["Patient"].estimated_document_count() >= size and client[name]["person"].find_one():
            return
    environment = {key: value for key, value in os.environ.items() if not key.startswith("MHD_")} | settings
    begun = time.monotonic()
    subprocess.run(["nice", "-n", "5", *command], cwd=PROJECT, env=environment, check=True)
    _tell(f"{size:,} records loaded and linked in {time.monotonic() - begun:.0f} s")


def _figures(kind: str, indexes: Sequence[Index]) -> list[Figures]:
    """Ask one question after the other, on one connection to each index, a few of each in turn."""
    with ExitStack() as stack:
        clients = [stack.enter_context(Client(one.server.port, 1)) for one in indexes]
        taken: list[list[float]] = [[] for _ in indexes]
        spent = [0.0 for _ in indexes]
        for first in range(0, len(indexes[0].asked[kind]), WARM_UP):
            for at, (index, client) in enumerate(zip(indexes, clients, strict=True)):
                before = index.server.cpu_s()
                times = [_timed(client, one) for one in index.asked[kind][first : first + WARM_UP]]
                if first:  # the first round warms up
                    spent[at] += index.server.cpu_s() - before
                    taken[at] += times
    found = []
    for index, times, cpu in zip(indexes, taken, spent, strict=True):
        cuts = quantiles(times, n=100)
        found.append(Figures(kind, index.patients, cuts[49], cuts[94], cuts[98], cpu / len(times)))
        _tell(
            f"{index.patients:,} {kind}: p50 {cuts[49] * 1000:.1f} p95 {cuts[94] * 1000:.1f} p99 {cuts[98] * 1000:.1f} ms"
        )
    return found


def _timed(client: Client, question: Question) -> float:
    begun = time.perf_counter()
    _ask(client, question)
    return time.perf_counter() - begun


def _ask(client: Client, question: Question) -> bytes:
    status, body = client.post(question.path, question.body) if question.body else client.get(question.path)
    if status != 200:
        raise RuntimeError(f"{question.path}: status {status}: {body[:500]!r}")
    return body


def _rows(figures: Sequence[Figures]) -> Iterator[Row]:
    smallest = {one.kind: one for one in reversed(figures)}
    for one in figures:
        told = f"{one.p50 * 1000:.1f} / {one.p95 * 1000:.1f} / {one.p99 * 1000:.1f} ms, CPU {milliseconds(one.cpu)}"
        limits = LIMITS[one.kind]
        is_met = all(value <= limit for value, limit in zip((one.p50, one.p95, one.p99), limits, strict=True))
        budget = " / ".join(f"{limit * 1000:.0f}" for limit in limits) + " ms"
        yield Row(f"{one.kind}, {one.patients:,}: p50 / p95 / p99", told, budget=budget, is_met=is_met)
        first = smallest[one.kind]
        if first.patients < one.patients and one.kind != "ITI-119":
            growth = one.p50 / first.p50
            yield Row(
                f"{one.kind}: p50 at {one.patients:,} to {first.patients:,}",
                "",
                "",
                f"{growth:.2f}",
                f"<= {GROWTH:.2f}",
                growth <= GROWTH,
            )


def _plans(url: str, index: Index) -> Iterator[Row]:
    """Ask while the database notes how it finds: index scans only, and how many candidates a match reads."""
    size = index.patients
    with MongoClient[dict[str, Any]](url) as client, Client(index.server.port, 1) as asking:
        database = client[name_of(size)]
        database["system.profile"].drop()
        database.create_collection("system.profile", capped=True, size=64 << 20)
        database.command("profile", 2)
        for kind in KINDS:
            for question in index.asked[kind][:300]:
                _ask(asking, question)
        database.command("profile", 0)
        noted = list(
            database["system.profile"].find({"op": {"$in": ["query", "command"]}, "planSummary": {"$exists": True}})
        )
    plans = {
        f"{one['ns'].partition('.')[2]} {one['planSummary']}" for one in noted if "system.profile" not in one["ns"]
    }
    for plan in sorted(plans):
        _tell(f"{size:,} plan: {plan}")
    scans = [plan for plan in plans if "COLLSCAN" in plan]
    yield Row(f"collection scans, {size:,}", str(len(scans)), budget="<= 0", is_met=not scans)
    read = sorted(one["nreturned"] for one in noted if "derived.keys" in one.get("command", {}).get("filter", {}))
    p50, p95 = (read[int(len(read) * share)] for share in (0.5, 0.95))
    told = f"p50 {p50}, p95 {p95}, most {read[-1]}"
    yield Row(f"candidates of a match, {size:,}", told, budget=f"p95 <= {CANDIDATES_P95}", is_met=p95 <= CANDIDATES_P95)


def _sizes(url: str, size: int) -> Iterator[Row]:
    name = name_of(size)
    with MongoClient[dict[str, Any]](url) as client:
        told = client[name].command("collStats", "Patient")
        all_of = client[name].command("dbStats")
    index = told["indexSizes"]["derived.keys"] / 1e6
    text = f"{told['storageSize'] / 1e6:.0f} MB, indexes {told['totalIndexSize'] / 1e6:.0f} MB, of these keys {index:.0f} MB"
    yield Row(f"Patient on disk, {size:,}", f"{text}; all {all_of['totalSize'] / 1e6:.0f} MB")


def _tell(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


if __name__ == "__main__":
    sys.exit(main())
