"""Objects, arrays, cardinality, choice types, partners of primitives.

Spec: FHIR R4 json.html; elementdefinition.html; the invariant ele-1.
"""

from __future__ import annotations

from typing import Any

import pytest

from app.validation.validator import Validator
from tests.validation.conftest import ValidatorOf, element, errors, profile, url_of


@pytest.mark.parametrize(
    ("patient", "expected"),
    [
        ({}, []),
        ({"active": True, "name": [{"family": "F"}]}, []),
        ({"nam": []}, [("structure", "Patient.nam")]),
        ({"name": {"family": "F"}}, [("structure", "Patient.name")]),
        ({"name": []}, [("structure", "Patient.name")]),
        ({"name": [{}]}, [("structure", "Patient.name[0]")]),
        ({"name": [{"id": "a"}]}, [("structure", "Patient.name[0]")]),
        ({"name": [None]}, [("structure", "Patient.name[0]")]),
        ({"name": "F"}, [("structure", "Patient.name")]),
        ({"name": ["F"]}, [("structure", "Patient.name[0]")]),
        ({"name": [[{"family": "F"}]]}, [("structure", "Patient.name[0]")]),
        ({"active": None}, [("structure", "Patient.active")]),
        ({"active": "true"}, [("structure", "Patient.active")]),
        ({"active": [True]}, [("structure", "Patient.active")]),
        ({"gender": ""}, [("structure", "Patient.gender")]),
        ({"gender": 1}, [("structure", "Patient.gender")]),
        ({"meta": {}}, [("structure", "Patient.meta")]),
        ({"deceasedBoolean": True, "deceasedDateTime": "2020"}, [("structure", "Patient.deceased")]),
        ({"deceasedString": "yes"}, [("structure", "Patient.deceasedString")]),
        ({"link": [{"type": "seealso"}]}, [("required", "Patient.link[0]")]),
        ({"name": [{"id": "a", "text": "x"}, {"id": "a", "text": "y"}]}, [("structure", "Patient.name[1].id")]),
        ({"fhir_comments": ["x"]}, [("structure", "Patient.fhir_comments")]),
        ({"resourceType": "Patient", "id": "1", "contact": [{"name": {"text": "x"}}]}, []),
    ],
)
def test_structure(validator: Validator, patient: dict[str, Any], expected: list[tuple[str, str]]) -> None:
    """json.html; ele-1; elementdefinition.html: unknown elements, wrong kinds, nulls, empties, repeats."""
    assert errors(validator.validate({"resourceType": "Patient", **patient})) == expected


EXTENDED = {"extension": [{"url": "http://x", "valueCode": "c"}]}


@pytest.mark.parametrize(
    ("patient", "expected"),
    [
        ({"_birthDate": EXTENDED}, []),
        ({"birthDate": "2020", "_birthDate": {"id": "a", **EXTENDED}}, []),
        ({"_birthDate": {}}, [("structure", "Patient.birthDate")]),
        ({"_birthDate": {"value": 1}}, [("structure", "Patient.birthDate.value")]),
        (
            {"_birthDate": {"extension": [{"url": "a b", "valueCode": "c"}]}},
            [("value", "Patient.birthDate.extension[0].url")],
        ),
        ({"_name": [EXTENDED]}, [("structure", "Patient._name")]),
        ({"name": [{"given": ["A", None], "_given": [None, EXTENDED]}]}, []),
        ({"name": [{"given": [None], "_given": [EXTENDED]}]}, []),
        ({"name": [{"_given": [EXTENDED]}]}, []),
        ({"name": [{"given": ["A", None]}]}, [("structure", "Patient.name[0].given[1]")]),
        ({"name": [{"given": ["A", "B"], "_given": [None, {"id": "b"}]}]}, []),
        ({"birthDate": "2020", "_birthDate": {"id": "b"}}, []),
        ({"multipleBirthInteger": 2, "_multipleBirthInteger": {"id": "b"}}, []),
        ({"_birthDate": {"id": "b"}}, [("structure", "Patient.birthDate")]),
        ({"name": [{"given": [None], "_given": [None]}]}, [("structure", "Patient.name[0].given[0]")]),
        ({"name": [{"given": ["A"], "_given": [EXTENDED, EXTENDED]}]}, [("structure", "Patient.name[0].given")]),
        ({"name": [{"given": ["A"], "_given": EXTENDED}]}, [("structure", "Patient.name[0].given")]),
    ],
)
def test_partners_of_primitives(validator: Validator, patient: dict[str, Any], expected: list[tuple[str, str]]) -> None:
    """json.html#primitive: `_name` holds id and extensions; null stands where the other array has something."""
    assert errors(validator.validate({"resourceType": "Patient", **patient}))[:1] == expected


def test_a_required_primitive_may_have_only_an_extension(validator: Validator) -> None:
    """json.html#primitive: an element without a value, explained by an extension, is there."""
    resource = {"resourceType": "Observation", "_status": EXTENDED, "code": {"text": "x"}}
    assert errors(validator.validate(resource)) == []


@pytest.mark.parametrize(
    ("value", "code", "expression"),
    [
        ([1], "structure", ""),
        ("x", "structure", ""),
        (None, "structure", ""),
        (1.5, "structure", ""),
        ({}, "structure", ""),
        ({"resourceType": 1}, "structure", ""),
        ({"resourceType": "Patiant"}, "structure", ""),
        ({"resourceType": "DomainResource"}, "structure", ""),
        ({"resourceType": "HumanName", "family": "F"}, "structure", ""),
    ],
)
def test_what_is_no_resource(validator: Validator, value: Any, code: str, expression: str) -> None:
    """json.html: a resource is an object with a `resourceType` that R4 knows."""
    assert errors(validator.validate(value)) == [(code, expression)]


@pytest.mark.parametrize(
    ("resource", "words"),
    [
        ({"resourceType": "Patiant"}, "`Patiant` is not a resource type of FHIR R4. Did you mean `Patient`?"),
        (
            {"resourceType": "Patient", "birthdate": "2020"},
            "`Patient` has no element `birthdate`. Did you mean `birthDate`?",
        ),
        (
            {"resourceType": "Patient", "gender": "femal"},
            "`femal` is not in the value set `administrative-gender` (FHIR R4); "
            "allowed are `female`, `male`, `other`, `unknown`. Did you mean `female`?",
        ),
        ({"resourceType": "Patient", "link": [{"type": "refer"}]}, "`other` is missing; FHIR R4 demands it."),
        (
            {"resourceType": "Patient", "active": "true"},
            "This is a string; expected is a `boolean`: `true` or `false`, in lower case, in JSON without quotation marks.",
        ),
    ],
)
def test_messages_name_thing_what_came_and_the_way_out(
    validator: Validator, resource: dict[str, Any], words: str
) -> None:
    """Style 10: the thing in backticks, what came, what was expected, the likely slip."""
    assert validator.validate(resource)[0].diagnostics == words


def test_no_patient_data_in_messages(validator: Validator) -> None:
    """Style 10: names, birth dates, identifiers' values and texts do not appear in diagnostics or expressions."""
    secret = "Zyxwvut Lastname 1980-05-44"
    resource = {
        "resourceType": "Patient",
        "birthDate": secret,
        "name": [{"family": 5, "given": [secret, "\x01" + secret]}],
        "gender": secret,
        secret: 1,
        "identifier": [{"system": secret, "value": ""}],
        "text": {"div": secret},
    }
    issues = validator.validate(resource)
    assert len(issues) >= 7
    assert not [issue for issue in issues if "Zyx" in issue.diagnostics or "Zyx" in issue.expression]


def test_issues_come_in_the_order_of_the_document_each_once(validator: Validator) -> None:
    """All issues at once, sorted, without repeats."""
    resource = {
        "resourceType": "Patient",
        "gender": "x",
        "contact": [{"gender": "y"}, {"gender": "z", "name": {"family": ""}}],
        "birthDate": "x",
        "active": "x",
    }
    assert [expression for _, expression in errors(validator.validate(resource))] == [
        "Patient.gender",
        "Patient.contact[0]",
        "Patient.contact[0].gender",
        "Patient.contact[1].gender",
        "Patient.contact[1].name.family",
        "Patient.birthDate",
        "Patient.active",
    ]


def test_root_of_expressions_can_be_given(validator: Validator) -> None:
    """FHIR R4 operationoutcome.html: an expression leads from the resource that was sent."""
    issues = validator.validate({"resourceType": "Patient", "active": 1}, root="Parameters.parameter[0].resource")
    assert issues[0].expression == "Parameters.parameter[0].resource.active"


def test_cardinality_of_a_profile(validator_of: ValidatorOf) -> None:
    """elementdefinition.html: min and max, below contentReference too, and what a profile says it is."""
    validator = validator_of(
        profile(
            "p",
            "Bundle",
            element("Bundle.link", min=1, max="2"),
            element("Bundle.entry.link", max="0"),
            element("Bundle.entry.fullUrl", min=1),
            element("Bundle.timestamp", max="0"),
        )
    )
    link = {"relation": "self", "url": "http://x"}
    resource = {"resourceType": "Bundle", "type": "collection", "timestamp": "2020-01-01T00:00:00Z", "link": [link] * 3}
    resource["entry"] = [{"link": [link], "resource": {"resourceType": "Patient"}}]
    issues = validator.validate(resource, url_of("p"))
    assert errors(issues) == [
        ("structure", "Bundle.timestamp"),
        ("structure", "Bundle.link"),
        ("required", "Bundle.entry[0]"),
        ("structure", "Bundle.entry[0].link"),
    ]
    assert issues[0].diagnostics == "`timestamp` is not allowed by profile `p`."
    assert issues[1].diagnostics == "`link` comes 3 times; profile `p` allows at most 2."


def test_invariant_of_a_borrowed_element(validator: Validator) -> None:
    """FHIR R4 parameters.html inv-1: `part` borrows its children, and the constraint with them."""
    part = {"name": "x"}
    found = errors(validator.validate({"resourceType": "Parameters", "parameter": [{"name": "a", "part": [part]}]}))
    assert found == [("invariant", "Parameters.parameter[0].part[0]")]


@pytest.mark.parametrize(
    ("constraint", "value", "expected"),
    [
        ({"maxLength": 3}, "abcd", "value"),
        ({"maxLength": 4}, "abcd", ""),
        ({"fixedString": "abc"}, "abcd", "value"),
        ({"patternString": "abcd"}, "abcd", ""),
    ],
)
def test_limits_of_a_string(validator_of: ValidatorOf, constraint: dict[str, Any], value: str, expected: str) -> None:
    """elementdefinition.html: maxLength, fixed[x], pattern[x]."""
    validator = validator_of(profile("p", "Patient", element("Patient.name.family", **constraint)))
    found = errors(validator.validate({"resourceType": "Patient", "name": [{"family": value}]}, url_of("p")))
    assert found == ([(expected, "Patient.name[0].family")] if expected else [])


@pytest.mark.parametrize(("rank", "valid"), [(1, False), (2, True), (5, True), (6, False)])
def test_limits_of_a_number(validator_of: ValidatorOf, rank: int, valid: bool) -> None:
    """elementdefinition.html: minValue[x], maxValue[x]."""
    limits = element("Patient.telecom.rank", minValuePositiveInt=2, maxValuePositiveInt=5)
    found = errors(
        validator_of(profile("p", "Patient", limits)).validate(
            {"resourceType": "Patient", "telecom": [{"rank": rank}]}, url_of("p")
        )
    )
    assert (found == []) is valid


def test_fixed_and_pattern_of_a_concept(validator_of: ValidatorOf) -> None:
    """elementdefinition.html: fixed is the whole, pattern a part; a pattern's array may have more items."""
    concept = {"coding": [{"system": "s", "code": "c"}]}
    resource = {
        "resourceType": "Basic",
        "code": {"coding": [{"code": "x"}, {"system": "s", "code": "c", "display": "C"}]},
    }
    validator = validator_of(
        profile("fixed", "Basic", element("Basic.code", fixedCodeableConcept=concept)),
        profile("pattern", "Basic", element("Basic.code", patternCodeableConcept=concept)),
    )
    assert errors(validator.validate(resource, url_of("fixed"))) == [("value", "Basic.code")]
    assert errors(validator.validate(resource, url_of("pattern"))) == []
    assert "`s#c`" in validator.validate(resource, url_of("fixed"))[0].diagnostics
