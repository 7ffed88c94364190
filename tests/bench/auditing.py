"""What the audit adds to a request: the server with it and without, side by side, for one client and for several."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from statistics import median

from tests.bench.ask import Client
from tests.bench.data import LETTER, Extent
from tests.bench.program import Program, server
from tests.bench.row import Row, milliseconds

ROUNDS = 15
CLIENTS = (1, 4, 16)
BUDGET = 0.25


def rows(mongodb_url: str, folder: Path, extent: Extent, requests: int) -> Iterator[Row]:
    """Measure ITI-67 with all 20 matches on one page: CPU of a request with audit, without, and what it adds."""
    with (
        server(mongodb_url, folder, more={"MHD_AUDIT": "true"}) as on,
        server(mongodb_url, folder, more={"MHD_AUDIT": "false"}) as off,
    ):
        for clients in CLIENTS:
            yield _row(on, off, clients, extent, requests)


def _row(on: Program, off: Program, clients: int, extent: Extent, requests: int) -> Row:
    found: list[tuple[float, float]] = []
    with Client(on.port, clients) as with_audit, Client(off.port, clients) as without:
        for turn in range(ROUNDS + 1):
            paths = [_path(turn * 7919 + each * 13, extent) for each in range(requests)]
            found.append((_cpu_s(on, with_audit, paths), _cpu_s(off, without, paths)))
    found = found[1:]  # the first round warms up
    mine, bare = (median(each[side] for each in found) for side in (0, 1))
    added = median(here / there for here, there in found) - 1
    name = f"ITI-67 with audit, {clients} client{'s' if clients > 1 else ''}"
    return Row(name, milliseconds(mine), milliseconds(bare), f"+{added:.0%}", f"<= +{BUDGET:.0%}", added <= BUDGET)


def _path(number: int, extent: Extent) -> str:
    return f"/fhir/DocumentReference?patient=Patient/p{number % extent.patients}&status=current&type={LETTER}&_count=20"


def _cpu_s(program: Program, client: Client, paths: Sequence[str]) -> float:
    before = program.cpu_s()
    client.get_all(paths)
    return (program.cpu_s() - before) / len(paths)
