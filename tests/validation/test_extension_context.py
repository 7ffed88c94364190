"""Where extensions may stand.

Spec: FHIR R4 defining-extensions.html#context; MHD-PR-35.
"""

from __future__ import annotations

from typing import Any

import pytest

from app.fhir.resource import Resource
from app.validation.validator import Validator
from tests.validation.conftest import ValidatorOf, element, errors, profile, url_of

HOME = "https://profiles.ihe.net/ITI/MHD/StructureDefinition/"


def collection(**elements: Any) -> Resource:
    return {"resourceType": "List", "status": "current", "mode": "working", **elements}


SOURCE = {"url": HOME + "ihe-sourceId", "valueIdentifier": {"value": "urn:oid:1.2"}}
AUTHOR = {"url": HOME + "ihe-authorOrg", "valueReference": {"reference": "Organization/1"}}


@pytest.mark.parametrize(
    ("resource", "expected"),
    [
        (collection(extension=[SOURCE]), []),
        (collection(source={"extension": [AUTHOR]}), []),
        (collection(extension=[AUTHOR]), [("structure", "List.extension[0]")]),
        (collection(subject={"extension": [AUTHOR]}), [("structure", "List.subject.extension[0]")]),
        (collection(source={"extension": [SOURCE]}), [("structure", "List.source.extension[0]")]),
        ({"resourceType": "Patient", "extension": [SOURCE]}, [("structure", "Patient.extension[0]")]),
        (
            {"resourceType": "Patient", "birthDate": "2020", "_birthDate": {"extension": [SOURCE]}},
            [("structure", "Patient.birthDate.extension[0]")],
        ),
        (
            {
                "resourceType": "Bundle",
                "type": "collection",
                "entry": [{"resource": collection(extension=[SOURCE, AUTHOR])}],
            },
            [("structure", "Bundle.entry[0].resource.extension[1]")],
        ),
        (collection(extension=[{**SOURCE, "url": HOME + "ihe-SourceId"}]), []),
    ],
)
def test_context_of_mhd_extensions(validator: Validator, resource: Resource, expected: list[Any]) -> None:
    """MHD-PR-35: each extension has its place; another spelling is another, unknown extension."""
    assert errors(validator.validate(resource)) == expected


@pytest.mark.parametrize(
    ("context", "valid"),
    [
        ({"type": "element", "expression": "HumanName"}, True),
        ({"type": "element", "expression": "Patient.name"}, True),
        ({"type": "element", "expression": "Element"}, True),
        ({"type": "element", "expression": "Patient"}, False),
        ({"type": "element", "expression": "Resource"}, False),
        ({"type": "fhirpath", "expression": "whatever"}, True),
        ({"type": "extension", "expression": "http://example.org/other"}, False),
    ],
)
def test_kinds_of_context(validator_of: ValidatorOf, context: Resource, valid: bool) -> None:
    """defining-extensions.html#context: an element, its type or what that specialises; fhirpath is not decided."""
    url = url_of("e")
    definition = profile("e", "Extension", element("Extension.url", fixedUri=url), context=[context])
    name = {"family": "F", "extension": [{"url": url, "valueCode": "x"}]}
    found = errors(validator_of(definition).validate({"resourceType": "Patient", "name": [name]}))
    assert found == ([] if valid else [("structure", "Patient.name[0].extension[0]")])
