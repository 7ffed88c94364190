"""What the tests of validation share: the validator over this repository's packages, and over packages made here."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from app.fhir.outcome import Issue
from app.fhir.packages import load
from app.fhir.resource import Resource
from app.validation.validator import Validator

REPOSITORY = Path(__file__).resolve().parents[2]
MHD = "https://profiles.ihe.net/ITI/MHD/StructureDefinition/IHE.MHD."
EXAMPLE = "http://example.org/fhir/"

ValidatorOf = Callable[..., Validator]


@pytest.fixture(scope="session")
def validator() -> Validator:
    """The validator over every package below profiles/."""
    return Validator(load(REPOSITORY / "profiles"))


@pytest.fixture
def validator_of(tmp_path: Path) -> ValidatorOf:
    """A maker of validators over R4 and one package of the given conformance resources."""

    def make(*resources: Resource, severity: str = "enforce") -> Validator:
        core = next((REPOSITORY / "profiles").glob("hl7.fhir.r4.core-*"))
        (tmp_path / core.name).symlink_to(core, target_is_directory=True)
        package = tmp_path / "example.test-1.0.0"
        for resource in resources:
            folder = package / resource["resourceType"]
            folder.mkdir(parents=True, exist_ok=True)
            (folder / f"{resource['id']}.json").write_text(json.dumps(resource))
        manifest = {"name": "example.test", "version": "1.0.0", "canonical": EXAMPLE, "fhirVersions": ["4.0.1"]}
        (package / "package.json").write_text(json.dumps(manifest))
        (package / "profile.toml").write_text(f'severity = "{severity}"\n')
        return Validator(load(tmp_path))

    return make


def profile(name: str, kind: str, *elements: Resource, base: str = "", **more: Any) -> Resource:
    """Return a profile `name` on the type `kind`; an element is given by its id and what it constrains."""
    return {
        "resourceType": "StructureDefinition",
        "id": name,
        "url": f"{EXAMPLE}StructureDefinition/{name}",
        "name": name,
        "status": "active",
        "kind": "resource",
        "abstract": False,
        "type": kind,
        "baseDefinition": base or f"http://hl7.org/fhir/StructureDefinition/{kind}",
        "derivation": "constraint",
        "differential": {"element": list(elements)},
        **more,
    }


def element(element_id: str, **constraints: Any) -> Resource:
    """Return an element of a differential; path and sliceName follow from the id."""
    path = ".".join(part.partition(":")[0] for part in element_id.split("."))
    name = element_id.rpartition(".")[2].partition(":")[2]
    return {"id": element_id, "path": path, **({"sliceName": name} if name else {}), **constraints}


def sliced_by(kind: str, path: str, rules: str = "open", *, ordered: bool = False) -> Resource:
    """Return a slicing with one discriminator."""
    return {"discriminator": [{"type": kind, "path": path}], "rules": rules, "ordered": ordered}


def url_of(name: str) -> str:
    """Return the canonical URL of the profile that `profile(name, ...)` makes."""
    return f"{EXAMPLE}StructureDefinition/{name}"


def errors(issues: list[Issue]) -> list[tuple[str, str]]:
    """Return code and expression of the errors."""
    return [(issue.code, issue.expression) for issue in issues if issue.is_error]
