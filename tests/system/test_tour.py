"""The five lines that a first visitor copies from the terminal."""

from __future__ import annotations

import subprocess
from pathlib import Path

import orjson
import pytest

from tests.system.program import PATIENCE_S, Program

TITLES = ("Search a patient", "Find her documents", "Fetch the letter", "Publish a document", "See a refusal")


@pytest.fixture
def lines(server: Program) -> dict[str, str]:
    """The printed commands, by the beginning of their title."""
    told = server.output.read_text().splitlines()
    return {
        title: told[at + 1]
        for title in TITLES
        for at, line in enumerate(told)
        if line.startswith(title) and told[at + 1]
    }


def copy_and_paste(line: str, folder: Path) -> bytes:
    """Return what the line prints in a shell."""
    shell = ["/bin/sh", "-c", line]
    done = subprocess.run(shell, cwd=folder, capture_output=True, timeout=PATIENCE_S, check=False)
    assert (done.returncode, done.stderr) == (0, b""), line
    return done.stdout


def test_five_lines_are_printed(lines: dict[str, str]) -> None:
    """`serve` prints five curl lines."""
    assert len(lines) == 5
    assert all(line.startswith("curl ") for line in lines.values())


def test_search_a_patient(lines: dict[str, str], tmp_path: Path) -> None:
    """Line 1 (ITI-78): the example people are found by name."""
    found = orjson.loads(copy_and_paste(lines["Search a patient"], tmp_path))
    assert {one["resource"]["id"] for one in found["entry"]} == {"ida", "luka"}


def test_find_her_documents(lines: dict[str, str], tmp_path: Path) -> None:
    """Line 2 (ITI-67): her current documents are found, and nobody else's."""
    found = orjson.loads(copy_and_paste(lines["Find her documents"], tmp_path))
    assert found["total"] >= 4
    assert {one["resource"]["subject"]["reference"].rpartition("/")[2] for one in found["entry"]} == {"ida"}


def test_fetch_the_letter(lines: dict[str, str], tmp_path: Path) -> None:
    """Line 3 (ITI-68): a PDF lies in the folder afterwards."""
    assert b"letter.pdf" in copy_and_paste(lines["Fetch the letter"], tmp_path)
    assert (tmp_path / "letter.pdf").read_bytes().startswith(b"%PDF-")


def test_publish_a_document_twice(lines: dict[str, str], tmp_path: Path) -> None:
    """Line 4 (ITI-65): it works, and again when it is pasted again."""
    for _ in range(2):
        answer = orjson.loads(copy_and_paste(lines["Publish a document"], tmp_path))
        assert answer["type"] == "transaction-response"
        assert [one["response"]["status"][:3] for one in answer["entry"]] == ["201"] * 3


def test_see_a_refusal(lines: dict[str, str], tmp_path: Path) -> None:
    """Line 5; MHD-ERR-04: every mistake is told at once, each with its element."""
    outcome = orjson.loads(copy_and_paste(lines["See a refusal"], tmp_path))
    assert outcome["resourceType"] == "OperationOutcome"
    told = {(one["code"], one["expression"][0]) for one in outcome["issue"]}
    document = "Bundle.entry[1].resource"
    assert {("structure", f"{document}.staus"), ("required", document)} <= told
    assert any(code == "code-invalid" and at == "Bundle.entry[0].resource.mode" for code, at in told)
