"""docs/security.md is true: the files and tests that its tables name are there."""

from __future__ import annotations

import re

import pytest

from tests.conftest import PROJECT
from tests.test_conformance import functions

ROWS = [
    [cell.strip() for cell in line.strip("|").split(" | ")]
    for line in (PROJECT / "docs" / "security.md").read_text().splitlines()
    if line.startswith("| ") and not line.startswith("| Threat")
]


def test_there_are_threats() -> None:
    """The threat model, and what each threat meets."""
    assert len(ROWS) >= 30
    assert all(len(row) == 4 for row in ROWS), [row for row in ROWS if len(row) != 4]


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row[0][:40])
def test_row_names_what_is_there(row: list[str]) -> None:
    """Where a threat is met, and the test that shows it."""
    for place in re.findall(r"`([^`]+)`", row[2]):
        assert (PROJECT / place).exists(), place
    for test in re.findall(r"`([^`]+)`", row[3]):
        file, _, function = test.partition("::")
        assert function in functions(file), test
