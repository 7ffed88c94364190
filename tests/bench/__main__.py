"""`python -m tests.bench` prints the table; `--quick` measures on less, `--only ROW` a part of it."""

from __future__ import annotations

import sys
import tempfile
from argparse import ArgumentParser, Namespace
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

from app.fhir import packages as fhir_packages
from app.fhir.packages import Packages
from app.search.definitions import Definitions
from app.store.managed import private_mongodb
from tests.bench import auditing, guarding, inside, life, loading, writing
from tests.bench.ask import Client
from tests.bench.data import LETTER, Extent, load
from tests.bench.program import DATABASE, PROJECT, Program, bare, server
from tests.bench.reading import Reading
from tests.bench.row import Row, table


@dataclass(frozen=True, slots=True)
class Bench:
    """What the rows are measured with; `reading` and `ours` belong to one running server."""

    options: Namespace
    folder: Path
    mongodb_url: str
    packages: Packages
    ours: Program
    reading: Reading
    record_id: str
    extent: Extent

    def searchset(self) -> bytes:
        """Return a page of 20."""
        with Client(self.ours.port, 1) as client:
            path = f"/fhir/DocumentReference?patient=Patient/p1&status=current&type={LETTER}&_count=20"
            return client.get(path)[1]


# Name for `--only` -> what it measures.
ROWS: dict[str, Callable[[Bench], list[Row]]] = {
    "page": lambda bench: [bench.reading.page()],
    "first-page": lambda bench: [bench.reading.first_page()],
    "audit": lambda bench: list(
        auditing.rows(bench.mongodb_url, bench.folder, bench.extent, 80 if bench.options.quick else 160)
    ),
    "authorization": lambda bench: list(
        guarding.rows(bench.mongodb_url, bench.folder, bench.extent, 80 if bench.options.quick else 160)
    ),
    "lists": lambda bench: [bench.reading.lists()],
    "patient": lambda bench: [bench.reading.patient()],
    "read": lambda bench: [bench.reading.read(bench.record_id)],
    "document": lambda bench: [bench.reading.document()],
    "submission": lambda bench: [writing.validation_share(bench.ours, bench.packages, _few(bench, 40))],
    "atomic": lambda bench: [writing.atomic_rate(bench.ours, bench.mongodb_url, _few(bench, 40))],
    "simplified": lambda bench: [writing.simplified(bench.ours, bench.mongodb_url, _few(bench, 40))],
    "metadata": lambda bench: [writing.generated(bench.ours, bench.mongodb_url, _few(bench, 40))],
    "validation": lambda bench: [inside.validation(bench.packages)],
    "packages": lambda bench: loading.packages(),
    "xml": lambda bench: inside.xml(bench.packages, bench.searchset()),
    "start": lambda bench: life.start_and_idle(bench.mongodb_url, bench.folder),
    "growth": lambda bench: [
        life.growth(bench.mongodb_url, bench.folder, (32 if bench.options.quick else 256) * 1_000_000)
    ],
}


def main() -> int:
    """Measure and print; the exit status tells only whether everything could be measured."""
    parser = ArgumentParser(prog="python -m tests.bench", description="Measures the hot paths.")
    parser.add_argument("--quick", action="store_true", help="a tenth of the data, fewer requests")
    parser.add_argument("--only", action="append", choices=sorted(ROWS), help="this row alone; may be repeated")
    rows = list(_measured(parser.parse_args()))
    print(table(rows))
    return 0


def _measured(options: Namespace) -> Iterator[Row]:
    extent = Extent(100 if options.quick else 1_000)
    packages = fhir_packages.load(PROJECT / "profiles")
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="mhd-bench-")))
        url = stack.enter_context(private_mongodb(folder))
        _tell(f"{extent.documents} DocumentReferences of {extent.patients} patients ...")
        record_id = load(url, DATABASE, Definitions(packages), extent)
        ours = stack.enter_context(server(url, folder))
        limit = stack.enter_context(bare(url, f"http://127.0.0.1:{ours.port}/fhir", folder))
        reading = Reading(ours, limit, extent, 100 if options.quick else 200)
        bench = Bench(options, folder, url, packages, ours, reading, record_id, extent)
        for name in options.only or ROWS:
            for row in ROWS[name](bench):
                _tell("  ".join(row.cells))
                yield row


def _few(bench: Bench, requests: int) -> int:
    return requests // 4 if bench.options.quick else requests


def _tell(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


if __name__ == "__main__":
    sys.exit(main())
