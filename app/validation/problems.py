"""`python -m app.validation.problems FOLDER`: what packages ask for and cannot be checked, a sentence a line.

A process of its own, because it compiles what most servers never need: 15 MB, which an idle worker would keep.
"""

from __future__ import annotations

import sys
from pathlib import Path

from app.fhir import packages
from app.validation.validator import Validator


def main(folder: str) -> int:
    """Print the problems of the packages in `folder`; return the exit status."""
    for problem in Validator(packages.load(Path(folder))).survey():
        print(problem)  # noqa: T201 - it is the output
    return 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
