"""Bindings to value sets.

Spec: FHIR R4 terminologies.html#strength.
"""

from __future__ import annotations

from typing import Any

import pytest

from app.fhir.resource import Resource
from app.validation.validator import Validator
from tests.validation.conftest import EXAMPLE, MHD, ValidatorOf, element, profile, url_of

COLOURS: Resource = {
    "resourceType": "ValueSet",
    "id": "colours",
    "url": f"{EXAMPLE}ValueSet/colours",
    "status": "active",
    "compose": {"include": [{"system": "http://colours", "concept": [{"code": "red"}, {"code": "green"}]}]},
}
RED = {"system": "http://colours", "code": "red"}
BLUE = {"system": "http://colours", "code": "blue"}
FOREIGN = {"system": "http://other", "code": "red"}


@pytest.mark.parametrize(
    ("strength", "concept", "severity"),
    [
        ("required", {"coding": [RED]}, ""),
        ("required", {"coding": [BLUE, RED]}, ""),
        ("required", {"coding": [BLUE]}, "error"),
        ("required", {"coding": [FOREIGN]}, "error"),
        ("required", {"coding": [{"code": "red"}]}, "error"),
        ("required", {"text": "red"}, "error"),
        ("extensible", {"coding": [RED]}, ""),
        ("extensible", {"coding": [BLUE]}, "warning"),
        ("extensible", {"text": "red"}, ""),
        ("preferred", {"coding": [BLUE]}, ""),
        ("example", {"coding": [BLUE]}, ""),
    ],
)
def test_strength(validator_of: ValidatorOf, strength: str, concept: Resource, severity: str) -> None:
    """terminologies.html#strength: required is an error, extensible a warning, the weaker ones nothing (MHD-PR-12)."""
    binding = {"strength": strength, "valueSet": COLOURS["url"] + "|1.0"}
    validator = validator_of(COLOURS, profile("p", "Basic", element("Basic.code", binding=binding)))
    issues = validator.validate({"resourceType": "Basic", "code": concept}, url_of("p"))
    assert [(issue.code, issue.severity, issue.expression) for issue in issues] == (
        [("code-invalid", severity, "Basic.code")] if severity else []
    )


@pytest.mark.parametrize(("code", "valid"), [("red", True), ("blue", False), ("http://colours", False)])
def test_a_code_is_compared_without_its_system(validator_of: ValidatorOf, code: str, valid: bool) -> None:
    """terminologies.html#code: a `code` has no system of its own."""
    binding = {"strength": "required", "valueSet": COLOURS["url"]}
    validator = validator_of(COLOURS, profile("p", "Patient", element("Patient.language", binding=binding)))
    issues = validator.validate({"resourceType": "Patient", "language": code}, url_of("p"))
    assert (not issues) is valid


def test_a_code_of_another_system_is_told_so(validator_of: ValidatorOf) -> None:
    """Messages a person can act on."""
    binding = {"strength": "required", "valueSet": COLOURS["url"]}
    validator = validator_of(COLOURS, profile("p", "Basic", element("Basic.code", binding=binding)))
    (issue,) = validator.validate({"resourceType": "Basic", "code": {"coding": [FOREIGN]}}, url_of("p"))
    assert issue.diagnostics == (
        "`red` is not in the value set `http://example.org/fhir/ValueSet/colours` (profile `p`); allowed are `green`, `red`. "
        "The code is right, and its system is not."
    )


def test_an_unknown_required_value_set_is_a_problem(validator_of: ValidatorOf) -> None:
    """Architecture decision 6: what cannot be checked is reported by name, and nothing is refused for it."""
    binding = {"strength": "required", "valueSet": "http://nobody.has/this"}
    validator = validator_of(profile("p", "Basic", element("Basic.code", binding=binding)))
    assert validator.validate({"resourceType": "Basic", "code": {"text": "x"}}, url_of("p")) == []
    assert any("http://nobody.has/this" in problem for problem in validator.problems)


@pytest.mark.parametrize(
    ("status", "hint"),
    [("curent", "Did you mean `current`?"), ("entered-in-error", "allowed are `current`, `superseded`.")],
)
def test_document_reference_status(validator: Validator, status: str, hint: str) -> None:
    """MHD-65-16, MHD-PR-10: a DocumentReference is current or superseded, and nothing else."""
    resource: dict[str, Any] = {"resourceType": "DocumentReference", "status": status}
    issues = validator.validate(resource, f"{MHD}Minimal.DocumentReference")
    (issue,) = (issue for issue in issues if issue.code == "code-invalid")
    assert issue.expression == "DocumentReference.status"
    assert issue.diagnostics.endswith(hint)


@pytest.mark.parametrize(
    ("media_type", "valid"), [("text/plain", True), ("application/pdf; x=1", True), ("pdf", False)]
)
def test_media_types_have_a_form(validator: Validator, media_type: str, valid: bool) -> None:
    """datatypes.html#Attachment: a media type has no list of codes, and a form."""
    resource = {"resourceType": "Binary", "contentType": media_type}
    assert (not [issue for issue in validator.validate(resource) if issue.is_error]) is valid
