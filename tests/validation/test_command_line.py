"""`python -m app.validation`: reports for people, OperationOutcomes for programs, exit statuses.

Spec: own choice.
"""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from app.validation.__main__ import FAILED, NOT_VALID, VALID, main

ROOT = Path(__file__).resolve().parents[2]
GOOD = '{"resourceType": "Patient", "active": true}'
BAD = '{"resourceType": "Patient", "birthdate": "2020"}'
XML = '<Patient xmlns="http://hl7.org/fhir"><active value="maybe"/></Patient>'


@pytest.fixture
def files(tmp_path: Path) -> dict[str, str]:
    """Files by name."""
    texts = {
        "good.json": GOOD,
        "bad.json": BAD,
        "bad.xml": XML,
        "broken.json": '{\n "a": }',
        "broken.xml": XML.replace(">", ">\n", 1).removesuffix("</Patient>"),
        "twins.json": GOOD.replace("{", '{"active": false, '),
        "marked.json": "\ufeff" + GOOD,
    }
    for name, text in texts.items():
        (tmp_path / name).write_text(text)
    return {name: str(tmp_path / name) for name in texts}


def test_valid_file(files: dict[str, str], capsys: pytest.CaptureFixture[str]) -> None:
    """Exit status 0 and one line."""
    assert main([files["good.json"]]) == VALID
    assert capsys.readouterr().out == f"{files['good.json']}: valid\n"


def test_report(files: dict[str, str], capsys: pytest.CaptureFixture[str]) -> None:
    """Expression, what came, what was expected; no colour where there is no terminal."""
    assert main([files["good.json"], files["bad.json"]]) == NOT_VALID
    out = capsys.readouterr().out
    assert "not valid (1 error, 0 remarks)\n  Patient.birthdate\n    error structure: " in out
    assert "Did you mean `birthDate`?" in out
    assert "\x1b" not in out


def test_colour_can_be_asked_for(files: dict[str, str], capsys: pytest.CaptureFixture[str]) -> None:
    """Colour on a terminal."""
    main(["--colour", files["bad.json"]])
    assert "\x1b[31merror\x1b[0m" in capsys.readouterr().out


def test_json(files: dict[str, str], capsys: pytest.CaptureFixture[str]) -> None:
    """JSON on request, an OperationOutcome a line."""
    assert main(["--json", files["good.json"], files["bad.json"]]) == NOT_VALID
    good, bad = map(json.loads, capsys.readouterr().out.splitlines())
    assert good["outcome"]["issue"][0]["severity"] == "information"
    assert bad["outcome"]["issue"][0]["expression"] == ["Patient.birthdate"]


def test_xml_and_broken_files(files: dict[str, str], capsys: pytest.CaptureFixture[str]) -> None:
    """XML is read too; line and column for what cannot be read."""
    assert main([files["bad.xml"]]) == NOT_VALID
    assert "Patient.active" in capsys.readouterr().out
    assert main([files["broken.json"]]) == NOT_VALID
    assert "line 2, column 7" in capsys.readouterr().out
    assert main([files["broken.xml"]]) == NOT_VALID
    assert "line 2, column" in capsys.readouterr().out


def test_what_the_server_refuses_is_refused(files: dict[str, str], capsys: pytest.CaptureFixture[str]) -> None:
    """The doors read alike; a name that is there twice is not kept once in silence."""
    assert main([files["twins.json"], "--json"]) == NOT_VALID
    assert "`active` is there twice" in capsys.readouterr().out
    assert main([files["marked.json"]]) == VALID


def test_reader_that_stops_early(files: dict[str, str]) -> None:
    """Own choice: `| head` ends the program as it ends others, without a traceback."""
    command = [sys.executable, "-m", "app.validation", *[files["bad.json"]] * 2000]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, cwd=ROOT) as program:
        assert program.stdout
        assert program.stderr
        program.stdout.readline()
        program.stdout.close()
        assert program.stderr.read() == b""


def test_what_cannot_be_asked(files: dict[str, str], capsys: pytest.CaptureFixture[str]) -> None:
    """A missing file or profile is another exit status than an invalid resource."""
    assert main(["/nowhere/at/all.json"]) == FAILED
    assert main([files["good.json"], "--profile", "http://nobody.has/this"]) == FAILED
    assert "http://nobody.has/this" in capsys.readouterr().err


def test_profile(files: dict[str, str]) -> None:
    """--profile URL."""
    pdqm = "https://profiles.ihe.net/ITI/PDQm/StructureDefinition/IHE.PDQm.Patient"
    assert main([files["bad.json"], "--profile", pdqm]) == NOT_VALID
