"""The validator as a whole: unknown profiles, claims, severities, threads, growth.

Spec: FHIR R4 validation.html; resource.html#Meta.profile.
"""

from __future__ import annotations

import threading

import pytest

from app.fhir.outcome import Issue
from app.validation.validator import Validator
from tests.validation.conftest import MHD, ValidatorOf, element, errors, profile, sliced_by, url_of

NAMED = profile("named", "Patient", element("Patient.name", min=1))
PATIENT = {"resourceType": "Patient", "active": True}


@pytest.mark.parametrize("url", ["http://nobody.has/this", url_of("named") + "|9.9", "x", "Patient"])
def test_an_unknown_profile_is_one_issue(validator_of: ValidatorOf, url: str) -> None:
    """validation.html: what cannot be checked is said; the base type is checked all the same."""
    validator = validator_of(NAMED)
    assert not validator.knows(url)
    assert errors(validator.validate({**PATIENT, "gender": "x"}, url)) == [
        ("not-supported", "Patient"),
        ("code-invalid", "Patient.gender"),
    ]


@pytest.mark.parametrize("version", ["", "|1.0.0"])
def test_a_profile_by_version(validator_of: ValidatorOf, version: str) -> None:
    """references.html#canonical: `url|version`."""
    assert errors(validator_of(NAMED).validate(PATIENT, url_of("named") + version)) == [("required", "Patient")]


@pytest.mark.parametrize("url", ["Patient", "Patient|4.0.1", "DomainResource"])
def test_base_types_are_profiles_too(validator: Validator, url: str) -> None:
    """structuredefinition.html: the definition of a type can be named like a profile."""
    found = errors(validator.validate({**PATIENT, "gender": "x"}, f"http://hl7.org/fhir/StructureDefinition/{url}"))
    if url.startswith("Patient"):
        assert found == [("code-invalid", "Patient.gender")]
    else:
        assert ("structure", "Patient") in found


def test_a_profile_of_another_type(validator: Validator) -> None:
    """profiling.html: a profile is about one type."""
    found = errors(validator.validate(PATIENT, f"{MHD}Minimal.DocumentReference"))
    assert ("structure", "Patient") in found


@pytest.mark.parametrize(
    ("severity", "expected"), [("enforce", [("error", "required")]), ("warn", [("warning", "required")]), ("off", [])]
)
def test_severity_of_a_package(validator_of: ValidatorOf, severity: str, expected: list[tuple[str, str]]) -> None:
    """`profile.toml` says whether a package is enforced; what R4 demands stays an error."""
    issues = validator_of(NAMED, severity=severity).validate({**PATIENT, "gender": "x"}, url_of("named"))
    found = [(issue.severity, issue.code) for issue in issues]
    assert found == [*expected, ("error", "code-invalid")]


def test_claims_are_checked_when_asked(validator_of: ValidatorOf) -> None:
    """MHD-65-06: `meta.profile` of an entry is a soft claim."""
    validator = validator_of(NAMED)
    claiming = {**PATIENT, "meta": {"profile": [url_of("named"), "http://nobody.has/this"]}}
    bundle = {"resourceType": "Bundle", "type": "collection", "entry": [{"resource": claiming}]}
    assert errors(validator.validate(claiming)) == []
    assert errors(validator.validate(claiming, claims=True)) == [("required", "Patient")]
    assert errors(validator.validate(bundle)) == []
    assert errors(validator.validate(bundle, claims=True)) == [("required", "Bundle.entry[0].resource")]


def test_a_missing_parent_is_a_problem(validator_of: ValidatorOf) -> None:
    """A missing dependency is named."""
    validator = validator_of(profile("p", "Patient", base="http://nobody.has/this"))
    assert errors(validator.validate(PATIENT, url_of("p"))) == [("not-supported", "Patient")]
    assert "http://nobody.has/this" in validator.problems[0]


def test_an_element_that_is_not_there_is_a_problem(validator_of: ValidatorOf) -> None:
    """Architecture decision 6: never skipped in silence."""
    validator = validator_of(profile("p", "Patient", element("Patient.shoeSize", min=1)))
    assert validator.validate(PATIENT, url_of("p")) == []
    assert "`shoeSize`" in validator.problems[0]


def test_profiles_that_lead_to_each_other(validator_of: ValidatorOf) -> None:
    """profiling.html: an extension may hold itself; compilation ends."""
    types = [{"code": "Extension", "profile": [url_of("e")]}]
    extension = profile(
        "e", "Extension", element("Extension.extension:e", type=types), element("Extension.url", fixedUri=url_of("e"))
    )
    validator = validator_of(extension)
    inner = {"url": url_of("e"), "valueCode": "x"}
    resource = {**PATIENT, "extension": [{"url": url_of("e"), "extension": [inner, {"url": "u:x", "valueCode": "y"}]}]}
    assert errors(validator.validate(resource)) == []


def test_many_threads_see_the_same(validator_of: ValidatorOf) -> None:
    """Compiled lazily, safe to share between threads."""
    validator = validator_of(NAMED)
    found: list[list[Issue]] = []

    def run() -> None:
        found.extend(validator.validate({**PATIENT, "gender": "x"}, url_of("named")) for _ in range(20))

    threads = [threading.Thread(target=run) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(found) == 160
    assert all(errors(each) == [("required", "Patient"), ("code-invalid", "Patient.gender")] for each in found)


def test_nothing_is_remembered_of_what_clients_send(validator_of: ValidatorOf) -> None:
    """No growth with use: unknown profiles, extensions and types leave nothing behind."""
    validator = validator_of(NAMED)

    def use(start: int) -> None:
        for number in range(start, start + 50):
            url = f"http://nobody.has/{number}"
            resource = {**PATIENT, "meta": {"profile": [url]}, "extension": [{"url": url, "valueCode": "x"}]}
            validator.validate(resource, url, claims=True)
            validator.validate(resource, f"http://hl7.org/fhir/StructureDefinition/Patient|{number}")
            validator.validate({"resourceType": f"X{number}"})

    use(0)
    compiler = validator._compiler
    sizes = [
        len(vars(holder)[name])
        for holder in (compiler, compiler.packages, compiler.snapshots)
        for name in sorted(vars(holder))
        if hasattr(vars(holder)[name], "__len__")
    ]
    use(1000)
    again = [
        len(vars(holder)[name])
        for holder in (compiler, compiler.packages, compiler.snapshots)
        for name in sorted(vars(holder))
        if hasattr(vars(holder)[name], "__len__")
    ]
    assert sizes == again


@pytest.mark.parametrize(("severity", "told"), [("enforce", ["error"]), ("warn", ["warning"]), ("off", [])])
def test_severity_of_an_extension(validator_of: ValidatorOf, severity: str, told: list[str]) -> None:
    """NAT-05: a known extension is as severe as its package, wherever it stands; what R4 demands of it stays."""
    fixed = element("Extension.url", fixedUri=url_of("e"))
    known = profile("e", "Extension", element("Extension.value[x]", min=1, type=[{"code": "boolean"}]), fixed)
    validator = validator_of({**known, "kind": "complex-type"}, severity=severity)
    issues = validator.validate({**PATIENT, "extension": [{"url": url_of("e"), "valueCode": "x"}]})
    assert [issue.severity for issue in issues] == told
    broken = validator.validate({**PATIENT, "extension": [{"url": url_of("e"), "valueCode": 5}]})
    assert "error" in [issue.severity for issue in broken]


@pytest.mark.parametrize("severity", ["warn", "off"])
def test_what_a_transaction_demands_is_enforced(validator_of: ValidatorOf, severity: str) -> None:
    """NAT-05: is_strict leaves the severity of the package aside."""
    validator = validator_of(NAMED, severity=severity)
    assert errors(validator.validate(PATIENT, url_of("named"), is_strict=True)) == [("required", "Patient")]
    assert errors(validator.validate(PATIENT, url_of("named"))) == []


def test_slices_by_profile_are_told_apart_in_a_mild_package(validator_of: ValidatorOf) -> None:
    """NAT-05: severity is about what is told; which entry is in which slice is another question."""
    slices = [
        element("Bundle.entry", slicing=sliced_by("profile", "resource")),
        element("Bundle.entry:named", max="1"),
        element("Bundle.entry:named.resource", type=[{"code": "Patient", "profile": [url_of("named")]}]),
    ]
    validator = validator_of(NAMED, profile("b", "Bundle", *slices), severity="warn")
    entries = [{"resource": {**PATIENT, "name": [{"family": "F"}]}}, {"resource": PATIENT}]
    bundle = {"resourceType": "Bundle", "type": "collection", "entry": entries}
    assert validator.validate(bundle, url_of("b")) == []
