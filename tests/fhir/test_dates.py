"""Partial dates as intervals: FHIR R4 datatypes.html#dateTime, search.html#date; MHD-GEN-22."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from app.fhir.dates import EARLIEST, LATEST, interval, period


def _at(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


@pytest.mark.parametrize(
    ("text", "start", "end"),
    [
        ("2024", "2024-01-01", "2025-01-01"),
        ("2024-05", "2024-05-01", "2024-06-01"),
        ("2024-12", "2024-12-01", "2025-01-01"),
        ("2024-02-29", "2024-02-29", "2024-03-01"),
        ("2024-12-31", "2024-12-31", "2025-01-01"),
        ("2025-03-04T10:00", "2025-03-04T10:00", "2025-03-04T10:01"),
        ("2025-03-04T10:00Z", "2025-03-04T10:00", "2025-03-04T10:01"),
        ("2025-03-04T10:00:05Z", "2025-03-04T10:00:05", "2025-03-04T10:00:06"),
        ("2025-03-04T10:00:05.5Z", "2025-03-04T10:00:05.500", "2025-03-04T10:00:05.600"),
        ("2025-03-04T10:00:05.123Z", "2025-03-04T10:00:05.123", "2025-03-04T10:00:05.124"),
        ("2025-03-04T10:00:05.123456789Z", "2025-03-04T10:00:05.123", "2025-03-04T10:00:05.124"),
        ("2025-03-04T23:30:00-02:00", "2025-03-05T01:30:00", "2025-03-05T01:30:01"),
        ("2025-03-04T00:15:00+05:45", "2025-03-03T18:30:00", "2025-03-03T18:30:01"),
        ("2016-12-31T23:59:60Z", "2017-01-01T00:00:00", "2017-01-01T00:00:01"),
    ],
)
def test_a_date_stands_for_its_whole_interval(text: str, start: str, end: str) -> None:
    """MHD-GEN-22: a partial value stands for its whole interval; zones are compared as instants; the default is UTC."""
    assert interval(text) == (_at(start), _at(end))


@pytest.mark.parametrize("text", ["9999", "9999-12", "9999-12-31", "9999-12-31T23:59:59Z", "9999-12-31T23:59:59-12:00"])
def test_the_last_dates_end_where_time_ends(text: str) -> None:
    """FHIR R4 datatypes.html#date: years go to 9999."""
    assert interval(text)[1] == LATEST


def test_the_first_dates_begin_where_time_begins() -> None:
    """FHIR R4 datatypes.html#date: years begin with 0001."""
    assert interval("0001-01-01T00:00:00+14:00")[0] == EARLIEST


@pytest.mark.parametrize(
    "text",
    [
        *("", "24", "2024-13", "2024-00", "2023-02-29", "2024-5", "2024-05-32", "2024-05-01T25:00", "2024-05-01T10"),
        *("2024-05-01T10:00:61Z", "2024-05-01T10:00:00+15:00", "2024-05-01T10:00:00+0100", "2024-05-01 10:00:00Z"),
        *("-yesterday", "2024-05Z", "2024-05-01T10:00:00.Z", "0000", "٢٠٢٤", "2024-05-01\n"),
    ],
)
def test_what_is_not_a_date_is_refused(text: str) -> None:
    """MHD-67-31: `creation=gt-yesterday` is not a date; nor is a day that no calendar has."""
    with pytest.raises(ValueError, match=r"."):
        interval(text)


@pytest.mark.parametrize(
    ("start", "end", "expected"),
    [
        ("2024-12-20", "2025-01-05", (_at("2024-12-20"), _at("2025-01-06"))),
        (None, "2025", (EARLIEST, _at("2026-01-01"))),
        ("2025-01-01T10:00:00Z", None, (_at("2025-01-01T10:00"), LATEST)),
        (None, None, (EARLIEST, LATEST)),
    ],
)
def test_a_period_without_a_bound_is_open(
    start: str | None, end: str | None, expected: tuple[datetime, datetime]
) -> None:
    """MHD-GEN-22: a Period with a missing bound is open-ended; its end counts as a whole."""
    assert period(start, end) == expected
