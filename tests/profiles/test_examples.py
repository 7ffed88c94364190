"""Every example of every package: a valid one passes its profile, an invalid one fails with the issue it names.

A valid example names its profile in `meta.profile`. Beside an invalid one, `<name>.expected.json` says against
which profile it is held, the code and the expression of the issue it must give, and the requirement that it breaks.

Spec: MHD profiles, mhd.md section 10; PIXm section 7; PDQm section 6; BALP.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from app.fhir.packages import Packages
from app.fhir.resource import Resource, parse_json
from app.validation.validator import Validator
from tests.profiles.conftest import examples_in

PROFILES = Path(__file__).resolve().parents[2] / "profiles"
VALID = sorted(PROFILES.glob("*/examples/valid/*.json"))
INVALID = sorted(path for path in PROFILES.glob("*/examples/invalid/*.json") if ".expected." not in path.name)
DROPPED = [(each, name) for each in sorted(PROFILES.glob("*.tgz")) for name, _ in examples_in(each)]
MHD = PROFILES / "ihe.iti.mhd-4.2.4"


def name(path: Path) -> str:
    return f"{path.parts[-4]}/{path.stem}"


def read(path: Path) -> Resource:
    resource: Resource = parse_json(path.read_bytes())
    return resource


def expected(path: Path) -> Resource:
    return read(path.with_suffix(".expected.json"))


@pytest.mark.parametrize("path", VALID, ids=name)
def test_valid_example_passes_its_profile(path: Path, validator: Validator) -> None:
    """MHD-PR-01, MHD-PR-10, MHD-PR-20, MHD-PR-21, MHD-PR-22, MHD-PR-30 to 35: what the profiles allow has no error."""
    resource = read(path)
    for profile in resource["meta"]["profile"]:
        errors = [issue for issue in validator.validate(resource, profile) if issue.is_error]
        assert not errors


@pytest.mark.parametrize(("archive", "example"), DROPPED)
def test_example_of_a_dropped_package_passes_its_profile(archive: Path, example: str, validator: Validator) -> None:
    """NAT-01: what a published archive brings as examples meets what it claims."""
    resource = dict(examples_in(archive))[example]
    assert [issue for issue in validator.validate(resource, claims=True) if issue.is_error] == []


@pytest.mark.parametrize("path", INVALID, ids=name)
def test_invalid_example_gives_the_issue_it_names(path: Path, validator: Validator) -> None:
    """MHD-PR-01, 03, 10, 11, 13, 20 to 22, 30 to 35; PIXM-DAT-01, 03, 11; PDQM-DAT-01; PDQM-119-03, 04, 21, 22.

    The issue has the code and the element; that there are others beside it (a slice that is missing because its
    entry is wrong, say) is no fault. `requirement` beside the example names the rule it breaks.
    """
    wanted = expected(path)
    found = [
        (issue.code, issue.expression) for issue in validator.validate(read(path), wanted["profile"]) if issue.is_error
    ]
    assert (wanted["code"], wanted["expression"]) in found


@pytest.mark.parametrize("path", INVALID, ids=name)
def test_no_issue_of_an_invalid_example_tells_what_stood_in_a_name(path: Path, validator: Validator) -> None:
    """MHD-ERR-05: diagnostics name elements, codes and types; never the names of the people in a resource."""
    issues = validator.validate(read(path), expected(path)["profile"])
    assert not [issue for issue in issues if re.search("Beispiel|Aurelia|Exempel|Voorbeeld|Femke", issue.diagnostics)]


@pytest.mark.parametrize(
    "requirement",
    ["MHD-PR-01", "MHD-PR-03", "MHD-PR-10", "MHD-PR-11", "MHD-PR-13", "MHD-PR-20", "MHD-PR-21", "MHD-PR-22"]
    + [f"MHD-PR-{number}" for number in range(30, 36)],
)
def test_every_rule_of_the_mhd_profiles_has_an_invalid_example(requirement: str) -> None:
    """MHD-PR-01 to 35: each requirement that a profile can state is broken by at least one example."""
    assert requirement in {expected(path)["requirement"] for path in INVALID if MHD in path.parents}


def test_every_profile_has_a_valid_example(packages: Packages) -> None:
    """MHD-PR-10, MHD-PR-20, MHD-PR-30: each has an example; datatypes and extensions stand inside others."""
    named = {profile for path in VALID for profile in read(path)["meta"]["profile"]}
    assert sorted(set(resource_profiles(packages)) - named) == []


def test_national_format_code_is_accepted(validator: Validator) -> None:
    """MHD-PR-12: a format code outside the preferred value set is no error, in a bundle neither."""
    path = MHD / "examples/valid/document-reference-national-format.json"
    resource = read(path)
    issues = validator.validate(resource, resource["meta"]["profile"][0])
    assert not [issue for issue in issues if issue.is_error]


def resource_profiles(packages: Packages) -> Iterator[str]:
    for definition in packages.all("StructureDefinition"):
        of_ihe = definition["url"].startswith("https://profiles.ihe.net/")
        if of_ihe and definition["type"] not in ("Extension", "Identifier"):
            yield definition["url"]
