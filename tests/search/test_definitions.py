"""Which search parameters exist: FHIR R4 searchparameter.html; the parameter tables of MHD-66 and MHD-67."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from app.fhir.packages import Packages
from app.fhir.resource import Resource
from app.search.definitions import Definitions
from app.search.index import index
from tests.builders import document_reference

STATEMENTS = Path(__file__).parents[3] / "shared" / "ihe" / "mhd" / "CapabilityStatement"
TYPES = ("DocumentReference", "List", "Patient", "Practitioner", "PractitionerRole", "RelatedPerson", "AuditEvent")


@pytest.mark.parametrize("name", ["IHE.MHD.DocumentResponder.json", "IHE.MHD.DocumentResponder.Target.json"])
def test_what_ihe_lists_is_defined(definitions: Definitions, name: str) -> None:
    """MHD-66-19, MHD-67-20, MHD-66-21: every parameter of the Document Responder exists, with its type."""
    if not STATEMENTS.exists():
        pytest.skip("the published definitions are not here")
    statement = json.loads((STATEMENTS / name).read_text())
    for resource in statement["rest"][0]["resource"]:
        for listed in resource.get("searchParam", ()):
            code = listed["name"].replace("_lastupdated", "_lastUpdated")
            parameter = definitions.get(resource["type"], code)
            assert parameter is not None, code
            assert (parameter.type, parameter.url) == (listed["type"], listed.get("definition", ""))


@pytest.mark.parametrize("resource_type", TYPES)
def test_every_expression_is_understood(packages: Packages, resource_type: str) -> None:
    """FHIR R4 searchparameter.html: no parameter of a served type is lost because of its expression."""
    definitions = Definitions(packages)
    assert definitions.of(resource_type)
    assert definitions.problems == []


class _WithOneMore:
    """The packages, and a SearchParameter that an operator dropped in."""

    def __init__(self, packages: Packages, source: Resource) -> None:
        self.structures, self.codes = packages.structures, packages.codes
        self._packages, self._source = packages, source

    def all(self, resource_type: str) -> Iterator[Resource]:
        yield from self._packages.all(resource_type)
        yield self._source


@pytest.mark.parametrize(
    ("expression", "terms"),
    [
        ("DocumentReference.content.attachment.title", ["a title\x1fA Title"]),
        ("DocumentReference.content.attachment.where(contentType = 'text/plain').title", ["a title\x1fA Title"]),
        ("DocumentReference.content.first().attachment.title", ["a title\x1fA Title"]),
        ("(DocumentReference.content.attachment.title | DocumentReference.description)", ["a title\x1fA Title", "x"]),
        ("DocumentReference.extension('http://x.example').value.as(string)", ["y"]),
        ("(DocumentReference.extension('http://x.example').value as string)", ["y"]),
        ("DocumentReference.extension('http://x.example').value", ["y"]),
    ],
)
def test_a_parameter_is_data(packages: Packages, expression: str, terms: list[str]) -> None:
    """MHD-67-20: a SearchParameter resource in a package is all it takes, whatever form its expression has."""
    source: Resource = {"code": "title", "base": ["DocumentReference"], "type": "string", "expression": expression}
    definitions = Definitions(_WithOneMore(packages, source))  # type: ignore[arg-type]
    resource = document_reference(
        "1",
        description="x",
        content=[{"attachment": {"contentType": "text/plain", "title": "A Title"}}],
        extension=[{"url": "http://x.example", "valueString": "y"}, {"url": "http://z.example", "valueString": "z"}],
    )
    assert index(definitions, resource)["title"] == terms


def test_what_cannot_be_evaluated_is_told(packages: Packages) -> None:
    """FHIR R4 searchparameter.html: an expression that cannot be evaluated is reported, not skipped in silence."""
    source = {
        "code": "odd",
        "base": ["List"],
        "type": "token",
        "expression": "List.conformsTo('x') +",
        "url": "urn:odd",
    }
    definitions = Definitions(_WithOneMore(packages, source))  # type: ignore[arg-type]
    assert definitions.get("List", "odd") is None
    assert any("urn:odd" in each for each in definitions.problems)
