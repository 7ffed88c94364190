"""What the tests of the profile packages share: the packages of this repository, loaded once, and their validator."""

from __future__ import annotations

import tarfile
from pathlib import Path

import pytest

from app.fhir.packages import Packages, load
from app.fhir.resource import Resource, parse_json
from app.validation.validator import Validator

REPOSITORY = Path(__file__).resolve().parents[2]


def examples_in(archive: Path) -> list[tuple[str, Resource]]:
    """Return name and content of the examples of a published package that claim a profile."""
    found = []
    with tarfile.open(archive) as files:
        for member in files:
            content = files.extractfile(member) if member.name.startswith("package/example") else None
            if content and member.name.endswith(".json"):
                found.append((member.name.rpartition("/")[2], parse_json(content.read())))
    return [(name, each) for name, each in found if "profile" in each.get("meta", ())]


@pytest.fixture(scope="session")
def packages() -> Packages:
    """Every package below profiles/."""
    return load(REPOSITORY / "profiles")


@pytest.fixture(scope="session")
def validator(packages: Packages) -> Validator:
    """The validator over those packages; what it compiles stays for all tests of the run."""
    return Validator(packages)
