"""What the profile packages cost: time to the first verdict of a new process, and its memory once all are compiled."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from statistics import median

import psutil

from tests.bench.program import PROJECT
from tests.bench.row import Row, at_most, megabytes

STARTS = 5


def packages() -> list[Row]:
    """Measure new processes that load every package and validate a DocumentReference and a submission."""
    command = [sys.executable, "-m", "tests.bench.loading"]
    done = [
        json.loads(subprocess.run(command, cwd=PROJECT, capture_output=True, check=True).stdout) for _ in range(STARTS)
    ]
    times, sizes = [each["first_s"] for each in done], [each["bytes"] for each in done]
    return [
        at_most("load all packages, first verdict", median(times), 1.5, lambda value: f"{value:.2f} s"),
        at_most("memory, every profile compiled", median(sizes), 120_000_000, megabytes),
    ]


def measure() -> dict[str, float]:
    """Return seconds to the first verdict, imports included, and the memory after all profiles.

    Not `ru_maxrss`: on Linux a process inherits that of the one which started it.
    """
    start = time.perf_counter()
    from app.document.level import COMPREHENSIVE
    from app.fhir.packages import load
    from app.search.definitions import Definitions
    from app.validation.validator import Validator
    from tests.submissions import submission

    loaded = load(PROJECT / "profiles")
    validator, definitions = Validator(loaded), Definitions(loaded)
    validator.validate(submission(), COMPREHENSIVE)
    first = time.perf_counter() - start
    validator.survey()
    definitions.of("DocumentReference")
    return {"first_s": first, "bytes": psutil.Process().memory_info().rss}


if __name__ == "__main__":
    print(json.dumps(measure()))
