"""Query string -> Query: FHIR R4 search.html; MHD-66-05 to MHD-66-07, MHD-GEN-26, MHD-GEN-27."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from app.fhir.outcome import FhirError
from app.search import page
from app.search.criteria import EVERYTHING, All, Terms
from app.search.definitions import Definitions
from app.search.page import Paging, Position
from app.search.query import Query, parse
from app.search.result import Include, Sort


def _parse(definitions: Definitions, *pairs: tuple[str, str], strict: bool = False, key: bytes = b"") -> Query:
    paging = Paging(key, default_count=20, max_count=100)
    return parse(definitions, "DocumentReference", pairs, base_url="", strict=strict, paging=paging)


def test_repeats_are_and_commas_are_or(definitions: Definitions) -> None:
    """MHD-66-05, MHD-67-03: a repeated parameter narrows, a comma widens."""
    query = _parse(definitions, ("status", "current,superseded"), ("type", "a"), ("type", "b"))
    status, first, second = Terms("status", ("current", "superseded")), Terms("type", ("a",)), Terms("type", ("b",))
    assert query.criterion == All((status, first, second))


def test_empty_values_are_ignored(definitions: Definitions) -> None:
    """MHD-GEN-27: `type=` asks nothing, in strict handling too."""
    query = _parse(definitions, ("type", ""), ("status", "current"), strict=True)
    assert (query.criterion, query.applied) == (Terms("status", ("current",)), (("status", "current"),))


def test_unknown_parameters_are_left_out(definitions: Definitions) -> None:
    """MHD-66-06, MHD-67-04, MHD-GEN-26: what was ignored is not among what was applied."""
    query = _parse(definitions, ("docstatus", "final"), ("status", "current"), ("_sort", "nothing"))
    assert query.applied == (("status", "current"),)
    assert query.ignored == ("docstatus", "_sort")


def test_strict_handling_refuses_them(definitions: Definitions) -> None:
    """MHD-66-06: with `handling=strict` each unknown parameter is an issue of a 400."""
    with pytest.raises(FhirError) as caught:
        _parse(definitions, ("docstatus", "final"), ("foo", "bar"), ("relationship", "x"), strict=True)
    assert caught.value.status == 400
    assert [issue.code for issue in caught.value.issues] == ["not-supported"] * 3


def test_all_that_is_wrong_is_told_at_once(definitions: Definitions) -> None:
    """MHD-66-07, MHD-66-32: bad values are refused without strict handling, every one of them."""
    with pytest.raises(FhirError) as caught:
        _parse(definitions, ("date", "x"), ("type:above", "y"), ("_count", "-1"), ("_total", "some"))
    assert [issue.code for issue in caught.value.issues] == ["value", "not-supported", "value", "value"]


def test_no_values_of_patients_in_messages(definitions: Definitions) -> None:
    """MHD-67-31: a message names the parameter, not the identifier that was asked for."""
    with pytest.raises(FhirError) as caught:
        _parse(definitions, ("patient", "secret one"), ("identifier:of-type", "secret two"))
    assert all("secret" not in issue.diagnostics for issue in caught.value.issues)


def test_nothing_asked_is_everything(definitions: Definitions) -> None:
    """MHD-66-04: a search without parameters is processed as FHIR has it."""
    assert _parse(definitions).criterion == EVERYTHING


@pytest.mark.parametrize(("text", "count"), [("5", 5), ("0", 0), ("1000000", 100)])
def test_count(definitions: Definitions, text: str, count: int) -> None:
    """MHD-66-22, MHD-67-21: `_count` is the size of a page, capped; 0 asks for the total alone."""
    assert _parse(definitions, ("_count", text)).count == count


def test_summary_count_asks_for_the_total_alone(definitions: Definitions) -> None:
    """MHD-67-21: `_summary=count` returns no resources."""
    query = _parse(definitions, ("_summary", "count"))
    assert (query.count, query.summary) == (0, "count")


def test_sort(definitions: Definitions) -> None:
    """MHD-67-21: `_sort=-date`; several keys, the record's own too, `_lastupdated` as the statements spell it."""
    query = _parse(definitions, ("_sort", "-date,status,_lastupdated,-_id"))
    assert query.sort == (
        Sort("date", "date", descending=True),
        Sort("status", "token"),
        Sort("_lastUpdated", "date"),
        Sort("_id", "token", descending=True),
    )


def test_includes(definitions: Definitions) -> None:
    """MHD-67-21: `_include` and `_revinclude` name a type and a reference parameter of it."""
    query = _parse(
        definitions,
        ("_include", "DocumentReference:patient:Patient"),
        ("_include:iterate", "DocumentReference:relatesto"),
        ("_revinclude", "List:item"),
        ("_include", "DocumentReference:status"),
    )
    assert query.includes == (
        Include(False, "DocumentReference", "patient", "Patient"),
        Include(False, "DocumentReference", "relatesto", iterate=True),
        Include(True, "List", "item"),
    )
    assert query.ignored == ("_include",)


def test_other_results(definitions: Definitions) -> None:
    """MHD-67-21: `_elements`, `_total`; `_format` and `_pretty` are the edge's, and known."""
    query = _parse(
        definitions, ("_elements", "status, type"), ("_total", "none"), ("_format", "xml"), ("_pretty", "true")
    )
    assert (query.elements, query.total, query.ignored) == (("status", "type"), "none", ())


def test_last_updated_in_lower_case(definitions: Definitions) -> None:
    """MHD-66-21, D-07: the alias asks the same."""
    first = _parse(definitions, ("_lastupdated", "ge2025"))
    assert first.criterion == _parse(definitions, ("_lastUpdated", "ge2025")).criterion
    assert first.applied == (("_lastupdated", "ge2025"),)


POSITION = Position((datetime(2025, 3, 4, 10, 0, 0, 123000, tzinfo=UTC), "müller", None), "abc")


def test_page_token(definitions: Definitions) -> None:
    """MHD-66-22: an opaque token leads to the position it was made for, whatever the size of the page."""
    query = _parse(definitions, ("status", "current"), ("_count", "5"), key=b"k")
    token = page.token(POSITION, query.fingerprint, b"k")
    following = _parse(definitions, ("status", "current"), ("_count", "9"), ("_after", token), key=b"k")
    assert following.after == POSITION
    assert following.applied == (("status", "current"), ("_count", "9"))


@pytest.mark.parametrize(
    "pairs",
    [
        [("status", "superseded")],
        [("status", "current"), ("type", "x")],
        [("status", "current"), ("_sort", "date")],
    ],
)
def test_page_token_of_another_query(definitions: Definitions, pairs: list[tuple[str, str]]) -> None:
    """MHD-66-22: a token belongs to one query and one order."""
    token = page.token(POSITION, _parse(definitions, ("status", "current")).fingerprint)
    with pytest.raises(FhirError, match="page token") as caught:
        _parse(definitions, *pairs, ("_after", token))
    assert caught.value.status == 400


@pytest.mark.parametrize("text", ["x", "", "äöü", "AAAA", "!", "A" * 40])
def test_altered_page_token(definitions: Definitions, text: str) -> None:
    """MHD-66-22, PDQM-78-58: a token that was altered, or made with another key, is refused with `invalid`."""
    token = page.token(POSITION, _parse(definitions).fingerprint, b"k")
    altered = f"{text}{token[len(text) :]}" if text else page.token(POSITION, _parse(definitions).fingerprint, b"other")
    with pytest.raises(FhirError, match="page token") as caught:
        _parse(definitions, ("_after", altered), key=b"k")
    assert (caught.value.status, caught.value.issues[0].code) == (400, "invalid")
