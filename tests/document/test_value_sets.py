"""The file of value sets: what it may say, and the sentence with the line that stops the start."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from app.document.value_sets import ValueSetsError, load
from app.fhir.packages import Packages
from tests.conftest import PROJECT

SYSTEM = "http://terminology.hl7.org/CodeSystem/v3-Confidentiality"
CONFIDENTIALITY = "http://terminology.hl7.org/ValueSet/v3-ConfidentialityClassification"

# Text of a file -> the line that is wrong, and words of the sentence.
WRONG = {
    "[Documentreference]\ntype = ['a|b']\n": (1, "known are DocumentReference, SubmissionSet, Folder"),
    "\n[Folder]\ntype = ['a|b']\n": (3, "known are, in quotation marks where there is a dot, designationType"),
    "[DocumentReference]\ntype = 'https://nobody.example/ValueSet/x'\n": (2, "no profile package has"),
    "[DocumentReference]\ntype = 'http://hl7.org/fhir/ValueSet/mimetypes'\n": (2, "not all of its codes"),
    "[DocumentReference]\ntype = []\n": (2, "the URL of a value set, or a list"),
    "[DocumentReference]\n\n'content.format' = ['one two']\n": (3, "not of the form `system|code`"),
    "[DocumentReference]\ntype = [1]\n": (2, "a list of texts"),
    "type = ['a|b']\n": (1, "known are DocumentReference, SubmissionSet, Folder"),
}


def test_codes_and_value_sets(packages: Packages, tmp_path: Path) -> None:
    """MHD-MHDS-06: a list of codes, or the URL of a ValueSet that a profile package has."""
    path = tmp_path / "value-sets.toml"
    path.write_text(f"[DocumentReference]\ntype = ['a|b', 'c']\nsecurityLabel = '{CONFIDENTIALITY}'\n")

    kinds = {each.element: each for each in load(str(path), packages)}

    assert kinds["type"].codes == {("a", "b"), ("", "c")}
    assert kinds["securityLabel"].allows({"coding": [{"system": SYSTEM, "code": "N"}]})
    assert not kinds["securityLabel"].allows({"coding": [{"system": SYSTEM, "code": "none"}]})
    assert load("", packages) == ()


@pytest.mark.parametrize("text", WRONG)
def test_wrong_file(packages: Packages, tmp_path: Path, text: str) -> None:
    """MHD-MHDS-06: a file that cannot be used is refused by its line, and with the remedy."""
    path = tmp_path / "value-sets.toml"
    path.write_text(text)
    line, words = WRONG[text]

    with pytest.raises(ValueSetsError) as refused:
        load(str(path), packages)

    assert str(refused.value).startswith(f"{path}, line {line}: ")
    assert words in str(refused.value)


@pytest.mark.parametrize("text", [None, "= nothing", "\x00"])
def test_unreadable_file(packages: Packages, tmp_path: Path, text: str | None) -> None:
    """MHD-MHDS-06: a file that is missing or no TOML is named."""
    path = tmp_path / "value-sets.toml"
    if text is not None:
        path.write_text(text)
    with pytest.raises(ValueSetsError, match=str(path)):
        load(str(path), packages)


def test_wrong_file_stops_the_start(mongodb_url: str, tmp_path: Path) -> None:
    """MHD-MHDS-06: the server does not start with a rule that it cannot apply."""
    path = tmp_path / "value-sets.toml"
    path.write_text("[Folder]\nkind = ['a|b']\n")
    environment = {"MHD_VALUE_SETS": str(path), "MHD_MONGODB_URL": mongodb_url, "MHD_PORT": "0"}

    done = subprocess.run(
        [sys.executable, "-m", "app", "serve"],
        cwd=PROJECT,
        env=os.environ | environment,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )

    assert done.returncode == 1
    assert f"{path}, line 2: " in done.stderr
