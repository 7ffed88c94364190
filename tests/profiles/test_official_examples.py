"""The guides' own examples, read where they lie: each behaves as the table beside them says.

The files are IHE's and no part of this repository; the tests are skipped where they are not at hand.

Spec: the examples of MHD 4.2.4 and 4.2.3, PIXm 3.1.0, PDQm 3.2.0 and BALP 1.1.4.
"""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from app.fhir.packages import load
from app.fhir.resource import Resource, parse_json
from app.validation.validator import Validator

REPOSITORY = Path(__file__).resolve().parents[2]
IHE = REPOSITORY.parent / "shared" / "ihe"
ROW = re.compile(r"^\| `(?P<file>[^`]+\.json)` \| \w+ \| (?P<profiles>[^|]+) \| (?P<valid>\w+) \|$", re.MULTILINE)
PUBLISHER = "https://profiles.ihe.net/ITI/"

pytestmark = pytest.mark.skipif(not IHE.is_dir(), reason="the guides' examples are not at hand")


def rows(of_4_2_3: bool) -> list[tuple[str, str, str]]:
    """Return file, profile ids and validity as the table gives them, of MHD 4.2.3 or of all other guides."""
    if not IHE.is_dir():
        return []
    table = ROW.findall((IHE / "README.md").read_text())
    return [row for row in table if row[0].startswith("mhd-4.2.3/") == of_4_2_3]


@pytest.fixture(scope="session")
def canonical() -> dict[str, str]:
    """Profile id -> canonical URL, as the published definitions have it."""
    found = {}
    for path in IHE.glob("*/StructureDefinition/*.json"):
        url = json.loads(path.read_bytes())["url"]
        found[path.stem] = url
    return found


@pytest.fixture(scope="session")
def validator_4_2_3(tmp_path_factory: pytest.TempPathFactory) -> Validator:
    """A validator with the published package of MHD 4.2.3, as it would be dropped into profiles/, in place of ours."""
    folder = tmp_path_factory.mktemp("profiles")
    for package in (REPOSITORY / "profiles").iterdir():
        if package.is_dir() and not package.name.startswith("ihe.iti.mhd-"):
            (folder / package.name).symlink_to(package, target_is_directory=True)
    published = folder / "ihe.iti.mhd-4.2.3"
    published.mkdir()
    for part in ("StructureDefinition", "ValueSet", "CodeSystem", "SearchParameter"):
        (published / part).symlink_to(IHE / "mhd-4.2.3" / part, target_is_directory=True)
    manifest = {"name": "ihe.iti.mhd", "version": "4.2.3", "canonical": PUBLISHER + "MHD", "fhirVersions": ["4.0.1"]}
    (published / "package.json").write_text(json.dumps(manifest))
    return Validator(load(folder))


def errors(validator: Validator, file: str, profiles: str, canonical: dict[str, str]) -> list[str]:
    resource: Resource = parse_json((IHE / file).read_bytes())
    urls = [canonical[part.strip()] for part in profiles.split(",") if part.strip() != "base R4"]
    issues = [issue for url in urls or [""] for issue in validator.validate(resource, url)]
    return [f"{issue.code} {issue.expression}: {issue.diagnostics}" for issue in issues if issue.is_error]


@pytest.mark.parametrize(("file", "profiles", "valid"), rows(of_4_2_3=False))
def test_official_example(
    file: str, profiles: str, valid: str, validator: Validator, canonical: dict[str, str]
) -> None:
    """MHD-PR-01, MHD-PR-10, MHD-PR-20, MHD-PR-30 to 34, PIXM-DAT-01, PDQM-DAT-01: as the table says."""
    found = errors(validator, file, profiles, canonical)
    assert (found == []) == (valid == "yes"), found


@pytest.mark.parametrize(("file", "profiles", "valid"), rows(of_4_2_3=True))
def test_official_example_of_mhd_4_2_3(
    file: str, profiles: str, valid: str, validator_4_2_3: Validator, canonical: dict[str, str]
) -> None:
    """MHD-PR-02: an older version of the guide, dropped into profiles/ as published, accepts its own examples."""
    found = errors(validator_4_2_3, file, profiles, canonical)
    assert (found == []) == (valid == "yes"), found


def test_no_official_example_is_left_out() -> None:
    """MHD-PR-10: every example that lies there has its row in the table."""
    listed = {file for file, _, _ in rows(of_4_2_3=False) + rows(of_4_2_3=True)}
    assert {str(path.relative_to(IHE)) for path in IHE.glob("*/examples/*.json")} == listed
