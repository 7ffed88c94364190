"""docs/conformance.md says what is true: each row that is done names tests that are there and name its requirement."""

from __future__ import annotations

import ast
import re
from functools import cache

import pytest

from tests.conftest import PROJECT

TABLES = PROJECT / "docs" / "conformance.md"
TESTS = PROJECT / "tests"
LIST = PROJECT.parent / "shared" / "spec" / "mhd.md"
ID = r"[A-Z]{2,5}(?:-[0-9A-Z]+)?-\d{2,3}"

# Id -> (state, tests as the row names them).
ROWS: dict[str, tuple[str, list[str]]] = {
    cells[0]: (cells[2], re.findall(r"`([^`]+)`", cells[3]))
    for cells in (
        [cell.strip() for cell in line.strip("|").split("|")]
        for line in TABLES.read_text().splitlines()
        if re.match(rf"\| {ID} \|", line)
    )
}


def named(text: str) -> set[str]:
    """Return the ids in `text`; `MHD-65-01..04, 07` names five."""
    found = set(re.findall(ID, text))
    for first, rest in re.findall(rf"({ID})((?:(?:\.\.|, | to )\d{{2,3}}\b)+)", text):
        prefix, _, last = first.rpartition("-")
        for word, number in re.findall(r"(\.\.|, | to )(\d{2,3})", rest):
            start = int(number) if word == ", " else int(last) + 1
            found |= {f"{prefix}-{one:02d}" for one in range(start, int(number) + 1)}
            last = number
    return found


@cache
def functions(file: str) -> dict[str, str]:
    """Return the tests of a file: name -> docstring; the whole text under the empty name."""
    text = (TESTS / file).read_text()
    tests = (one for one in ast.walk(ast.parse(text)) if isinstance(one, ast.FunctionDef | ast.AsyncFunctionDef))
    return {"": text} | {one.name: ast.get_docstring(one) or "" for one in tests}


@pytest.mark.parametrize("requirement", ROWS)
def test_row_names_its_proof(requirement: str) -> None:
    """Style 12: what is done, or partly, is named by the tests of its row; every other row says what it is."""
    state, tests = ROWS[requirement]

    assert re.match(r"done$|partly: |planned$|not applicable: ", state)
    assert bool(tests) == state.startswith(("done", "partly"))
    for test in tests:
        file, _, function = test.partition("::")
        assert requirement in named(functions(file)[function]), test


@pytest.mark.skipif(not LIST.is_file(), reason="the list of requirements is not beside the checkout")
def test_every_requirement_has_a_row() -> None:
    """docs/conformance.md: nothing is left out, and nothing is made up."""
    lines = LIST.read_text().splitlines()
    asked = {found[1] for line in lines if (found := re.match(rf"\s*(?:[-*#]+\s*)?\*\*\[?({ID})\b", line))}

    assert {one for one in ROWS if one.startswith("MHD-")} == asked
