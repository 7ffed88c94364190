"""The measurement of the patient index runs, and what of it is no time holds: MAT-71, MAT-80, MAT-81."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from tests.bench.patients import LIMITS
from tests.bench.program import PROJECT


@pytest.mark.slow
def test_figures_are_printed() -> None:
    """MAT-71, MAT-80, MAT-81, PDQM-119-40: for each kind p50, p95, p99 and CPU; candidates, plans, sizes on disk."""
    command = [sys.executable, "-m", "tests.bench.patients", "--patients", "1000", "--requests", "100"]
    environment = {name: value for name, value in os.environ.items() if not name.startswith("MHD_")}
    done = subprocess.run(command, cwd=PROJECT, env=environment, capture_output=True, text=True, check=False)
    rows = {cells[1].strip(): [cell.strip() for cell in cells] for cells in map(_cells, done.stdout.splitlines())}
    for kind in LIMITS:
        assert "CPU" in rows[f"{kind}, 1,000: p50 / p95 / p99"][2], done.stderr[-3000:]
    assert rows["collection scans, 1,000"][6] == "ok"
    assert rows["candidates of a match, 1,000"][6] == "ok"
    assert "of these keys" in rows["Patient on disk, 1,000"][2]
    assert {"ITI-83, 1,000", "ITI-119, 1,000"} <= rows.keys()


def _cells(line: str) -> list[str]:
    return line.split("|") if line.startswith("|") else ["", line]
