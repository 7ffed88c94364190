"""FHIRPath as search parameters and invariants use it.

Spec: FHIRPath N1; FHIR R4 fhirpath.html, search.html.
"""

from __future__ import annotations

from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.fhir import path
from app.fhir.packages import load
from app.fhir.path import Environment, Unsupported
from app.fhir.resource import DecimalText, Resource
from app.fhir.structure import Structures

PACKAGES = load(Path(__file__).resolve().parents[2] / "profiles")
STRUCTURES = PACKAGES.structures

OBSERVATION: Resource = {
    "resourceType": "Observation",
    "id": "o1",
    "contained": [{"resourceType": "Patient", "id": "p", "birthDate": "1980-05"}],
    "extension": [{"url": "http://example.org/a", "valueOid": "urn:oid:1.2"}],
    "status": "final",
    "code": {"coding": [{"system": "s", "code": "c"}, {"system": "t", "code": "d"}], "text": "Heart rate"},
    "subject": {"reference": "Patient/1"},
    "performer": [{"reference": "#p"}, {"reference": "http://elsewhere/fhir/Organization/2/_history/1"}],
    "effectiveDateTime": "2024-03",
    "valueQuantity": {"value": DecimalText("72.50"), "system": "http://unitsofmeasure.org", "code": "/min"},
    "component": [{"valueString": "x"}, {"valueInteger": 3}],
}
PATIENT: Resource = {
    "resourceType": "Patient",
    "name": [{"given": ["Ada", "B"], "_given": [None, {"extension": [{"url": "u", "valueCode": "k"}]}], "family": "X"}],
    "_birthDate": {"extension": [{"url": "http://example.org/absent", "valueCode": "unknown"}]},
    "deceasedBoolean": False,
    "multipleBirthInteger": 2,
    "telecom": [{"system": "phone", "value": "1"}, {"system": "email", "value": "2"}],
    "link": [{"other": {"type": "Patient"}}],
}


@pytest.mark.parametrize("structures", [STRUCTURES, None], ids=["with tables", "without"])
@pytest.mark.parametrize(
    ("expression", "expected"),
    [
        ("Observation.status", ["final"]),
        ("status", ["final"]),
        ("Resource.id", ["o1"]),
        ("DomainResource.contained.id", ["p"]),
        ("Patient.name | Observation.code.coding.code", ["c", "d"]),
        ("Observation.value.ofType(Quantity).code", ["/min"]),
        ("(Observation.value as Quantity).code", ["/min"]),
        ("Observation.value.as(Quantity).code", ["/min"]),
        ("Observation.effective as dateTime", ["2024-03"]),
        ("Observation.effective as Period", []),
        ("component.value.ofType(string)", ["x"]),
        ("component.value", ["x", 3]),
        ("Observation.subject.where(resolve() is Patient).reference", ["Patient/1"]),
        ("performer.where(resolve() is Organization).reference", ["http://elsewhere/fhir/Organization/2/_history/1"]),
        ("performer.resolve().birthDate", ["1980-05"]),
        ("extension('http://example.org/a').value.ofType(oid)", ["urn:oid:1.2"]),
        ("extension.where(url = 'http://example.org/a').value", ["urn:oid:1.2"]),
        ("code.coding.where(system = 's').code", ["c"]),
        ("code.coding[1].code", ["d"]),
        ("code.coding.first().code | code.coding.last().code", ["c", "d"]),
        ("code.coding.select(system & code)", ["sc", "td"]),
        ("code.coding.exists(code = 'd')", [True]),
        ("code.coding.all(code.exists())", [True]),
        ("code.coding.count() + 1", [3]),
        ("value.value > 72 and value.value <= 72.5", [True]),
        ("effective < @2024-04 and effective >= @2024-03", [True]),
        ("effective = @2024", []),
        ("code.text.startsWith('Heart') implies status = 'draft'", [False]),
        ("code.text.matches('^H.*e$')", [True]),
        ("code.text.substring(0, 5).upper()", ["HEART"]),
        ("code.text.replace('rate', 'beat').length()", [10]),
        ("code.text.indexOf('rate')", [6]),
        ("iif(status = 'final', code.text, 'none')", ["Heart rate"]),
        ("status in ('draft' | 'final')", [True]),
        ("('draft' | 'final') contains status", [True]),
        ("code.coding.code.combine('c').isDistinct()", [False]),
        ("code.coding.code.combine('c').distinct().count()", [2]),
        ("code.coding.code.intersect('c' | 'x')", ["c"]),
        ("code.coding.code.exclude('c')", ["d"]),
        ("code.coding.tail().code", ["d"]),
        ("%resource.id", ["o1"]),
        ("%ucum = value.system", [True]),
        ("descendants().where($this = 'urn:oid:1.2').exists()", [True]),
        ("children().count() > 5", [True]),
        ("status.toString() & '!'", ["final!"]),
        ("'12'.toInteger() div 5", [2]),
        ("7 mod 4 = 3 and 2 * 3 = 6 and 1 / 4 = 0.25 and -1 < 0", [True]),
        ("status = 'final' xor code.empty()", [True]),
        ("issued.empty() and issued.exists().not()", [True]),
        ("issued = 'x'", []),
        ("(issued = 'x').empty()", [True]),
        ("code.coding.code.trace('codes', $this).join('-')", ["c-d"]),
        ("'HEART RATE' ~ code.text", [True]),
        ("component.repeat(value)", ["x", 3]),
    ],
)
def test_expression(expression: str, expected: list[Any], structures: Structures | None) -> None:
    """FHIRPath N1, sections 5 and 6: what an expression selects, with R4's tables and by names alone."""
    assert path.compile(expression, structures)(OBSERVATION) == expected


@pytest.mark.parametrize(
    ("expression", "expected"),
    [
        ("name.given", ["Ada", "B"]),
        ("name.given[1].extension('u').value", ["k"]),
        ("birthDate", []),
        ("birthDate.exists()", [True]),
        ("birthDate.hasValue()", [False]),
        ("birthDate.extension.value", ["unknown"]),
        ("name.family.hasValue()", [True]),
        ("Patient.deceased.exists() and Patient.deceased != false", [False]),
        ("(Patient.deceased as dateTime)", []),
        ("deceased is boolean", [True]),
        ("multipleBirth is integer and (multipleBirth is string).not()", [True]),
        ("Patient.telecom.where(system='email').value", ["2"]),
        ("link.other.where(resolve() is Patient).exists()", [True]),
        ("$this is Patient and $this is DomainResource and $this is Resource", [True]),
        ("name is HumanName", [True]),
        ("name is Element", [True]),
        ("name is Identifier", [False]),
        ("name.family is FHIR.string", [True]),
        ("name.family is System.String", [True]),
    ],
)
def test_typed_expression(expression: str, expected: list[Any]) -> None:
    """FHIR R4 fhirpath.html#types, json.html#primitive: types and partners of primitives."""
    assert path.compile(expression, STRUCTURES)(PATIENT) == expected


@pytest.mark.parametrize(
    ("left", "operator", "right", "expected"),
    [
        ("2024-03-01", "<", "2024-03-02", [True]),
        ("2024", "<", "2024-03", []),
        ("2023", "<", "2024-03", [True]),
        ("2024-03-01T10:00:00Z", "=", "2024-03-01T11:00:00+01:00", [True]),
        ("2024-03-01T10:00:00Z", "<", "2024-03-01T10:30:00+01:00", [False]),
        ("2024-03-01", "<=", "2024-03-01T10:00:00Z", []),
        ("not a date", "<", "2024", []),
    ],
)
def test_dates_are_compared_as_far_as_they_go(left: str, operator: str, right: str, expected: list[bool]) -> None:
    """FHIRPath N1, 6.2: two dates of different precision have no order when they agree as far as both go."""
    period = {"start": left, "end": right}
    assert path.compile(f"start {operator} end", STRUCTURES)(period, Environment(path="Period")) == expected


def test_decimals_keep_their_value() -> None:
    """FHIRPath N1, 6.1: 72.50 equals 72.5, whatever the text was."""
    assert path.compile("value.value = 72.5")(OBSERVATION) == [True]
    assert path.compile("value.value")(OBSERVATION) == [Decimal("72.5")]


@pytest.mark.parametrize(
    ("expression", "named"),
    [
        ("memberOf('http://x')", "memberOf"),
        ("conformsTo('http://x')", "conformsTo"),
        ("name.aggregate($this)", "aggregate"),
        ("$index", r"\$index"),
        ("1 'mg'", "quantity"),
        ("name.where(", "end"),
        ("name..given", "."),
        ("%unknown", "unknown"),
        ("", "end"),
        ("a" + "(" * 500, "levels|expected"),
        ("substring()", "substring"),
    ],
)
def test_what_is_missing_is_named(expression: str, named: str) -> None:
    """Architecture decision 6: what cannot be evaluated is refused when it is compiled, by name."""
    with pytest.raises(Unsupported, match=named):
        path.compile(expression)


def test_resolver_and_container() -> None:
    """FHIR R4 fhirpath.html#functions: resolve() asks the resolver first, then `contained` of the container."""
    other = {"resourceType": "Group", "id": "1"}
    found = path.compile("subject.resolve().id")
    environment = Environment(resolve=lambda text: other if text == "Patient/1" else None)
    assert found(OBSERVATION, environment) == ["1"]
    inner = path.compile("reference.substring(1) in %rootResource.contained.id")
    assert inner({"reference": "#p"}, Environment(root=OBSERVATION, path="Reference")) == [True]


@pytest.mark.parametrize("parameter", list(PACKAGES.all("SearchParameter")), ids=lambda each: each["url"][-60:])
def test_every_search_parameter_compiles(parameter: Resource) -> None:
    """FHIR R4 searchparameter-registry.html: every expression of every loaded package is understood."""
    for expression in filter(None, [parameter.get("expression")]):
        assert path.compile(expression, STRUCTURES)({"resourceType": "Patient"}) is not None


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=8),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from(["name", "value", "reference", "_name", "id", "extension", "url"]), inner)
    ),
    max_leaves=20,
)
EXPRESSIONS = [
    path.compile(text, STRUCTURES)
    for text in (
        "name.given.substring(1).toInteger() + 1",
        "descendants().where(reference.startsWith('#')).resolve().id | children().distinct()",
        "value > 3 and name ~ value and extension('u').value is string",
        "name.select(value & id).join(',') | repeat(extension).url",
    )
]


@given(JSON)
def test_no_value_makes_an_expression_raise(value: Any) -> None:
    """FHIRPath N1, 2: what is no error of the expression is the empty collection."""
    for expression in EXPRESSIONS:
        assert isinstance(expression(value), list)
        assert isinstance(expression({"resourceType": "Patient", "name": value, "extension": value}), list)
