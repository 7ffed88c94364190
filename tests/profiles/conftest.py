"""What the tests of the profile packages share: the packages of this repository, loaded once, and their validator."""

from __future__ import annotations

from pathlib import Path

import pytest

from app.fhir.packages import Packages, load
from app.validation.validator import Validator

REPOSITORY = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="session")
def packages() -> Packages:
    """Every package below profiles/."""
    return load(REPOSITORY / "profiles")


@pytest.fixture(scope="session")
def validator(packages: Packages) -> Validator:
    """The validator over those packages; what it compiles stays for all tests of the run."""
    return Validator(packages)
