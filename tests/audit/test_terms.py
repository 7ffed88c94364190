"""The terms of an event are those that the expressions of the search parameters find (AUD-92, AUD-93)."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from app.audit.terms import patients_of, terms_of
from app.fhir.resource import parse_json
from app.search.definitions import Definitions
from app.search.index import index
from tests.audit.keeping import event
from tests.conftest import PROJECT

EXAMPLES = sorted(
    path
    for path in (PROJECT / "profiles").glob("*/examples/valid/*.json")
    if b'"AuditEvent"' in path.read_bytes()[:200]
)

# What is ours: the record's own date, texts that nobody is told to search, who a patient is by their part.
OWN = ("date", "patient", "patient:target", "type:text", "subtype:text", "entity-role:text", "entity-type:text")
COMPANIONS = (":text", ":of-type")


def plain(terms: dict[str, list[Any]]) -> dict[str, set[str]]:
    """Return `terms` without order, and without what this index leaves out."""
    return {
        name: {repr(each) for each in found}
        for name, found in terms.items()
        if name not in OWN and not name.endswith(COMPANIONS) and found
    }


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.stem)
def test_examples_have_the_terms_of_the_expressions(definitions: Definitions, path: Path) -> None:
    """AUD-92, AUD-93: for each example of each package."""
    resource = parse_json(path.read_bytes())

    expected = plain(index(definitions, resource))
    found = plain(terms_of(resource, {}))

    for name in (*expected, *found):
        if not name.endswith(":target"):
            assert found.get(name) == expected.get(name), name


def test_there_are_examples() -> None:
    """The test above looks at something."""
    assert len(EXAMPLES) > 10


def test_patient_is_found_by_what_is_known() -> None:
    """AUD-94: the identifiers of the Patient who is referred to; the Patient who has the identifier that is named."""
    who = {"identifier": {"system": "urn:oid:2.999.10.1", "value": "N-1"}}
    person = {"type": {"code": "1"}, "role": {"code": "1"}}
    by_reference = event(entity=[{"what": {"reference": "Patient/p1"}, **person}])
    by_identifier = event(entity=[{"what": who, **person}])
    term = "urn:oid:2.999.10.1|N-1"

    assert list(patients_of(by_reference)) == ["Patient/p1"]
    assert list(patients_of(by_identifier)) == [term]
    assert terms_of(by_reference, {"Patient/p1": [term]})["patient:target"] == [{"identifier": [term]}]
    assert terms_of(by_identifier, {term: ["Patient/p1"]})["patient"] == ["Patient/p1"]


def test_version_of_a_patient_is_that_patient() -> None:
    """AUD-93: `patient=Patient/p1` finds events that name a version."""
    found = terms_of(event(entity=[{"what": {"reference": "Patient/p1/_history/2"}}]), {})

    assert found["patient"] == ["Patient/p1"]
