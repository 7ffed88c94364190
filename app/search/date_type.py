"""The search type date: date, dateTime, instant, Period, Timing.

A value is indexed as its interval, `{"start", "end"}`, half-open and in UTC; a value that is asked is an interval too,
and a prefix says how the two must stand to each other. A Period without a bound is open on that side.

Spec: FHIR R4 search.html#date, #prefix; MHD-GEN-22.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from typing import Any

from app.fhir.dates import EARLIEST, LATEST, interval, period
from app.fhir.outcome import FhirError
from app.search.criteria import Criterion, Interval
from app.search.definitions import SearchParameter
from app.search.escape import unescape

MODIFIERS: frozenset[str] = frozenset()
PREFIXES = frozenset({"eq", "ne", "gt", "lt", "ge", "le", "sa", "eb", "ap"})

_SHOWN = 40


def index(parameter: SearchParameter, values: list[Any]) -> dict[str, list[Any]]:
    """Return the intervals of `values`; what is not a date, which validation refuses, has none."""
    return {parameter.code: [{"start": start, "end": end} for value in values for start, end in _intervals(value)]}


def criterion(parameter: SearchParameter, modifier: str, text: str, base_url: str = "") -> Criterion:
    """Return what the value `text`, a date with or without a prefix, asks of `parameter`.

    Laxer: a blank before the time zone is read as the `+` that it was before somebody decoded the URL.
    `ap` is FHIR's "near": here the asked interval, widened on both sides by its own width (own choice).

    Raises:
        FhirError: `value` (400) when it is not a date, or has an unknown prefix.
    """
    text = unescape(text)
    prefix, date = (text[:2], text[2:]) if text[:1].isalpha() else ("eq", text)
    if prefix not in PREFIXES:
        raise _wrong(
            parameter, f"`{text[:_SHOWN]}` has an unknown prefix; expected one of {', '.join(sorted(PREFIXES))}"
        )
    try:
        start, end = interval(date.replace(" ", "+"))
    except ValueError:
        raise _wrong(
            parameter, f"`{date[:_SHOWN]}` is not a FHIR date; expected for example `2024-05` or `2024-05-17T10:00:00Z`"
        ) from None
    return Interval(parameter.code, prefix, *(_widened(start, end) if prefix == "ap" else (start, end)))


def _wrong(parameter: SearchParameter, reason: str) -> FhirError:
    return FhirError("value", f"Search parameter `{parameter.code}`: {reason}.")


def _intervals(value: Any) -> Iterator[tuple[datetime, datetime]]:
    try:
        if isinstance(value, str):
            yield interval(value)
        elif "start" in value or "end" in value:
            yield period(value.get("start"), value.get("end"))
        else:
            yield from _timing(value)
    except (ValueError, TypeError):
        return


def _timing(value: dict[str, Any]) -> Iterator[tuple[datetime, datetime]]:
    """Yield the events of a Timing, and the bounds of what repeats."""
    for event in value.get("event", ()):
        yield interval(event)
    if bounds := value.get("repeat", {}).get("boundsPeriod"):
        yield period(bounds.get("start"), bounds.get("end"))


def _widened(start: datetime, end: datetime) -> tuple[datetime, datetime]:
    width = end - start
    return (start - width if start - EARLIEST > width else EARLIEST, end + width if LATEST - end > width else LATEST)
