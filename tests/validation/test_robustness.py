"""Nothing in JSON makes the validator raise, and size costs no more than size.

Spec: own choice.
"""

from __future__ import annotations

import copy
import json
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from app.fhir.resource import Resource
from app.validation.finding import MOST_FINDINGS
from app.validation.validator import Validator
from tests.validation.conftest import MHD
from tests.validation.test_provide_bundle import COMPREHENSIVE, bundle

NAMES = [
    "resourceType",
    "id",
    "meta",
    "extension",
    "url",
    "valueString",
    "_valueString",
    "entry",
    "resource",
    "request",
    "contained",
    "identifier",
    "type",
    "coding",
    "system",
    "code",
    "status",
    "content",
    "attachment",
    "reference",
    "name",
    "part",
    "parameter",
    "text",
    "div",
    "fullUrl",
    "method",
    "period",
    "start",
    "end",
    "profile",
]
TEXTS = [
    "Patient",
    "Bundle",
    "List",
    "DocumentReference",
    "transaction",
    "POST",
    "#",
    "#a",
    "urn:uuid:1",
    "2020",
    "current",
]
LEAVES = st.none() | st.booleans() | st.integers() | st.floats() | st.sampled_from(TEXTS) | st.text(max_size=6)
JSON = st.recursive(
    LEAVES,
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(NAMES) | st.text(max_size=4), inner, max_size=4)
    ),
    max_leaves=25,
)
PROFILES = ["", COMPREHENSIVE, f"{MHD}Comprehensive.DocumentReference", f"{MHD}Patch.Parameters", "http://x"]


@settings(max_examples=300, suppress_health_check=[HealthCheck.too_slow], deadline=None)
@given(
    value=JSON, profile=st.sampled_from(PROFILES), kind=st.sampled_from(["", "Patient", "Bundle", "DocumentReference"])
)
def test_any_json(validator: Validator, value: Any, profile: str, kind: str) -> None:
    """Nothing in JSON makes the validator raise."""
    if kind and isinstance(value, dict):
        value["resourceType"] = kind
    issues = validator.validate(value, profile, claims=True)
    assert all(issue.diagnostics and issue.code for issue in issues)


def places(value: Any) -> list[tuple[Any, Any]]:
    """Return every (container, key) below a JSON value."""
    pairs = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    return [pair for key, item in pairs for pair in ((value, key), *places(item))]


@settings(max_examples=300, suppress_health_check=[HealthCheck.too_slow], deadline=None)
@given(where=st.integers(0, 10_000), value=JSON)
def test_any_json_anywhere_in_a_submission(validator: Validator, where: int, value: Any) -> None:
    """A submission with anything in any place is answered with issues."""
    message = bundle()
    found = places(message)
    container, key = found[where % len(found)]
    container[key] = value
    assert isinstance(validator.validate(message, COMPREHENSIVE), list)


def nested(depth: int) -> Resource:
    extension: Resource = {"url": "u:x", "valueCode": "c"}
    for _ in range(depth):
        extension = {"url": "u:x", "extension": [extension]}
    return {"resourceType": "Patient", "extension": [extension]}


def test_depth(validator: Validator) -> None:
    """50 levels are read, 50,000 are refused with an issue."""
    assert validator.validate(nested(50)) == []
    (issue,) = validator.validate(nested(50_000))
    assert (issue.code, issue.expression) == ("structure", "Patient")
    assert validator.validate(nested(50)) == []


def test_nested_bundles(validator: Validator) -> None:
    """What is too deep while it is compiled leaves nothing half compiled behind."""
    inner = bundle()
    for _ in range(2000):
        request = {"method": "POST", "url": "Bundle"}
        inner = {"resourceType": "Bundle", "type": "transaction", "entry": [{"resource": inner, "request": request}]}
    assert validator.validate(inner, COMPREHENSIVE)
    assert not [issue for issue in validator.validate(bundle(), COMPREHENSIVE) if issue.is_error]


@pytest.mark.parametrize(
    "resource",
    [
        {"resourceType": "Patient", **{f"x{number}": 1 for number in range(20_000)}},
        {"resourceType": "Patient", "name": [{"id": "a", "text": "x"}] * 10_000 + [{"id": "a", "text": "y"}]},
        {"resourceType": "Patient", "name": [{} for _ in range(20_000)]},
        {"resourceType": "Patient", "telecom": [{"system": f"x{number}"} for number in range(20_000)]},
        {"resourceType": "Bundle", "type": "transaction", "entry": [{"resource": {}} for _ in range(20_000)]},
    ],
)
def test_width_is_capped(validator: Validator, resource: Resource) -> None:
    """Capped; one more mistake of twenty thousand helps nobody."""
    assert 1 <= len(validator.validate(resource)) <= MOST_FINDINGS + 5


def test_large_content_is_not_looked_at_twice(validator: Validator) -> None:
    """Architecture decision 12: a Binary of many megabytes is checked in blocks."""
    message = copy.deepcopy(bundle())
    message["entry"][2]["resource"]["data"] = "QUJD" * 2_000_000
    assert not [issue for issue in validator.validate(message, COMPREHENSIVE) if issue.is_error]
    message["entry"][2]["resource"]["data"] += "*"
    assert [issue.expression for issue in validator.validate(message, COMPREHENSIVE) if issue.is_error] == [
        "Bundle.entry[2].resource.data"
    ]


def test_surrogates(validator: Validator) -> None:
    """RFC 8259 section 8.2: a lone surrogate is JSON, and must not break anything."""
    resource = json.loads(
        '{"resourceType": "Patient", "id": "\\ud800", "text": {"div": "<div>\\ud800</div>"}, "\\ud800": 1}'
    )
    assert validator.validate(resource)
