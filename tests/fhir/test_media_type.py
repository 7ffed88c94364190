"""FHIR R4 http.html#mime-type; RFC 9110, 12.5.1: what an `Accept` header asks for."""

from __future__ import annotations

import pytest

from app.fhir.media_type import JSON, XML, choose, fhir_format, normalise_format, parse_accept, quality, split


@pytest.mark.parametrize(
    ("accept", "expected"),
    [
        ("", []),
        ("a/b;q=0.2, c/d", [("c/d", 1.0), ("a/b", 0.2)]),
        ("a/b, c/d", [("a/b", 1.0), ("c/d", 1.0)]),
        ("A/B; Q=0.5", [("a/b", 0.5)]),
        ("a/b;q=nonsense", [("a/b", 1.0)]),
        ("*", [("*/*", 1.0)]),
        (" , a/b,", [("a/b", 1.0)]),
        ("a/b;q=7", [("a/b", 1.0)]),
    ],
)
def test_ranges_are_ordered_by_weight_then_as_sent(accept: str, expected: list[tuple[str, float]]) -> None:
    """RFC 9110, 12.4.2."""
    assert [(one.type, one.q) for one in parse_accept(accept)] == expected


def test_parameters_are_kept_without_the_weight() -> None:
    """RFC 9110, 8.3.1: names in lower case, quotes removed."""
    (one,) = parse_accept('application/fhir+json; fhirVersion=4.0; charset="utf-8"; q=0.5')
    assert one.parameters == {"fhirversion": "4.0", "charset": "utf-8"}
    assert split('Text/Plain; charset="UTF-8"') == ("text/plain", {"charset": "UTF-8"})


@pytest.mark.parametrize(
    ("accept", "offers", "expected"),
    [
        ("", ["application/pdf"], "application/pdf"),
        ("*/*", ["application/pdf"], "application/pdf"),
        ("application/*", ["application/pdf"], "application/pdf"),
        ("image/png", ["text/plain"], None),
        ("application/fhir+json;q=0.5, */*;q=0.8", ["application/pdf", JSON], "application/pdf"),
        ("text/plain;q=0, */*", ["text/plain"], None),
        ("text/*;q=0.3, text/html;q=0.7", ["text/plain", "text/html"], "text/html"),
        ("TEXT/PLAIN", ["text/plain; charset=utf-8"], "text/plain; charset=utf-8"),
        ("text/plain;charset=latin1", ["text/plain;charset=utf-8"], None),
        ("a/b, c/d", ["c/d", "a/b"], "c/d"),
        ("a/b", [], None),
    ],
)
def test_choice_of_the_best_offer(accept: str, offers: list[str], expected: str | None) -> None:
    """RFC 9110, 12.5.1: the most precise range gives the weight; of equals the first offer wins."""
    assert choose(parse_accept(accept), offers) == expected


def test_weight_comes_from_the_most_precise_range() -> None:
    """RFC 9110, 12.5.1, the example of precedence."""
    accept = parse_accept("text/*;q=0.3, text/html;q=0.7, text/html;level=1, */*;q=0.5")
    offers = ("text/html;level=1", "text/html;level=2", "image/jpeg", "text/plain")
    assert [quality(accept, offer) for offer in offers] == [1.0, 0.7, 0.5, 0.3]


@pytest.mark.parametrize(
    ("accept", "asked", "expected"),
    [
        ("", "", JSON),
        ("*/*", "", JSON),
        ("application/*", "", JSON),
        ("application/fhir+xml", "", XML),
        ("application/xml", "", XML),
        ("text/xml", "", XML),
        ("text/json", "", JSON),
        ("application/fhir+xml, application/fhir+json", "", XML),
        ("application/fhir+xml;q=0.5, application/fhir+json", "", JSON),
        ("application/fhir+json;q=0, */*", "", XML),
        ("application/fhir+json; fhirVersion=4.0", "", JSON),
        ("application/fhir+json; fhirVersion=3.0", "", None),
        ("application/fhir+xml; charset=utf-8", "", XML),
        ("image/png", "", None),
        ("text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8", "", JSON),
        ("application/fhir+json", XML, XML),
        ("image/png", JSON, JSON),
        ("application/fhir+json", "text/csv", None),
    ],
)
def test_format_of_an_answer(accept: str, asked: str, expected: str | None) -> None:
    """MHD-GEN-03, MHD-GEN-05, MHD-GEN-06: `_format` wins, then the weights of `Accept`."""
    assert fhir_format(parse_accept(accept), asked) == expected


def test_default_is_used_when_the_caller_does_not_care() -> None:
    """FHIR R4 http.html#mime-type: the format of the request is a good answer to no preference."""
    assert fhir_format((), "", XML) == XML
    assert fhir_format(parse_accept("*/*"), "", XML) == XML


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("json", JSON),
        ("XML", XML),
        ("application/fhir+json", JSON),
        ("application/fhir json", JSON),
        ("application/xml", XML),
        ("text/json", JSON),
        ("application/fhir+xml; charset=utf-8", XML),
        ("text/csv", "text/csv"),
        ("", ""),
    ],
)
def test_spellings_of_format(text: str, expected: str) -> None:
    """MHD-GEN-03: short names, full names, and the `+` that became a space."""
    assert normalise_format(text) == expected
