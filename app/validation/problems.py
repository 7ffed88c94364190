"""`python -m app.validation.problems FOLDER`: what packages ask for and cannot be checked, a sentence a line.

A process of its own, because it compiles what most servers never need: 15 MB, which an idle worker would keep.
"""

from __future__ import annotations

import asyncio
import sys
from asyncio.subprocess import PIPE
from pathlib import Path

from app.fhir import packages
from app.validation.validator import Validator

ROOT = Path(__file__).parents[2]


async def surveyed(folder: Path) -> list[str]:
    """Return what the packages in `folder` ask for and cannot be checked; another process finds it out."""
    survey = await asyncio.create_subprocess_exec(*_command(folder), stdout=PIPE, cwd=ROOT)
    told, _ = await survey.communicate()
    return told.decode().splitlines()


def _command(folder: Path) -> tuple[str, ...]:
    return sys.executable, "-m", "app.validation.problems", str(folder.absolute())


def main(folder: str) -> int:
    """Print the problems of the packages in `folder`; return the exit status."""
    for problem in Validator(packages.load(Path(folder))).survey():
        print(problem)  # noqa: T201 - it is the output
    return 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
