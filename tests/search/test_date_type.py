"""The search type date: FHIR R4 search.html#date; MHD-GEN-22."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from app.fhir.outcome import FhirError
from app.fhir.resource import Resource
from app.search import date_type
from app.search.definitions import Definitions, SearchParameter
from app.search.query import parse
from tests.builders import document_reference

Finds = Callable[[Resource, str], bool]

# stored value, asked value, then what each prefix answers, in the order of PREFIXES
PREFIXES = ("eq", "ne", "gt", "lt", "ge", "le", "sa", "eb", "ap")
TABLE = [
    ("2025-03-04", "2025-03", "y n n n y y n n y"),
    ("2025-03", "2025-03-04", "n y y y y y n n y"),
    ("2025-03", "2025-03", "y n n n y y n n y"),
    ("2025-03", "2025-02", "n y y n y n y n y"),
    ("2025-03", "2025-04", "n y n y n y n y y"),
    ("2025-03", "2025-06", "n y n y n y n y n"),
    ("2025-03-04T23:30:00-02:00", "2025-03-05", "y n n n y y n n y"),
    ("2025-03-04T23:30:00-02:00", "2025-03-04", "n y y n y n y n y"),
    ("2025-03-04T12:00:00Z", "2025-03-04T13:00:00+01:00", "y n n n y y n n y"),
    ({"start": "2024-12-20", "end": "2025-01-05"}, "2025-01", "n y n y n y n n y"),
    ({"start": "2024-12-20"}, "2025-01", "n y y y y y n n y"),
    ({"end": "2025-01-05"}, "2025-01", "n y n y n y n n y"),
    ({"start": "2025-02-01"}, "2025-01", "n y y n y n y n y"),
]


@pytest.mark.parametrize(("stored", "asked", "answers"), TABLE)
def test_prefixes(finds: Finds, stored: Any, asked: str, answers: str) -> None:
    """MHD-GEN-22, MHD-66-11: each prefix compares the two intervals as instants; a missing bound is open."""
    name, resource = "period", document_reference("1", context={"period": stored})
    if isinstance(stored, str):
        name, resource = "date", document_reference("1", date=stored)
    found = {prefix: finds(resource, f"{name}={prefix}{asked}") for prefix in PREFIXES}
    assert found == {prefix: answer == "y" for prefix, answer in zip(PREFIXES, answers.split(), strict=True)}
    assert finds(resource, f"{name}={asked}") is found["eq"]


@pytest.mark.parametrize(
    ("period", "expected"),
    [
        ({"start": "2024-12-20", "end": "2025-01-05"}, True),
        ({"start": "2025-01-10", "end": "2025-01-11"}, True),
        ({"start": "2025-01-30", "end": "2025-03-01"}, True),
        # Begins on the day that `le` names and ends behind it: neither below that day nor within it, by the letter.
        ({"start": "2025-01-31", "end": "2025-03-01"}, False),
        ({"start": "2024-01-01", "end": "2025-03-01"}, True),
        ({"start": "2024-01-01"}, True),
        ({"end": "2024-12-31"}, False),
        ({"start": "2025-02-01"}, False),
        (None, False),
    ],
)
def test_period_that_overlaps_a_month(finds: Finds, period: dict[str, str] | None, expected: bool) -> None:
    """MHD-67-16: `ge` and `le` together ask for overlap; without `context.period` there is no match."""
    resource = document_reference("1", context={"period": period} if period else {})
    assert finds(resource, "period=ge2025-01-01&period=le2025-01-31") is expected


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("date=ge2025-03-01&date=lt2025-04-01", True),
        ("date=ge2025-04-01&date=lt2025-05-01", False),
        ("creation=lt2020-01-01", True),
        ("date=lt2020-01-01", False),
        ("date=2025-03-04", True),
        ("date=2024,2025-03-04", True),
        ("date:missing=false", True),
        ("date=2025-03-04T10:00:00 00:00", True),
    ],
)
def test_dates_of_a_document(finds: Finds, query: str, expected: bool) -> None:
    """MHD-66-11, MHD-67-12, MHD-67-13: ranges; `creation` is the document's, `date` the reference's."""
    content = [{"attachment": {"creation": "2019-05-06"}}]
    assert finds(document_reference("1", date="2025-03-04T10:00:00Z", content=content), query) is expected


@pytest.mark.parametrize("text", ["2024-13", "ge2025-99", "gt-yesterday", "xx2024", "ge", "2024-05,2024-99", "2024*"])
def test_what_is_not_a_date_is_refused(definitions: Definitions, text: str) -> None:
    """MHD-67-31, MHD-66-32: a date that cannot be read is 400, and the message names the parameter."""
    with pytest.raises(FhirError, match="Search parameter `creation`:") as caught:
        parse(definitions, "DocumentReference", [("creation", text)], base_url="")
    assert (caught.value.status, caught.value.issues[0].code) == (400, "value")


def test_timing() -> None:
    """FHIR R4 search.html#date: a Timing is found by its events and by the bounds of what repeats."""
    timing = {"event": ["2025-03-04"], "repeat": {"boundsPeriod": {"start": "2025"}}}
    found = date_type.index(SearchParameter("occurrence", "date", ""), [timing])["occurrence"]
    assert [each["start"].year for each in found] == [2025, 2025]
