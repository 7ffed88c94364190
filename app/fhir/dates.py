"""Partial dates as intervals.

A FHIR date says only as much as it knows: "2024-05" is all of May. So every date, dateTime and instant is read
as a half-open interval [start, end) of instants in UTC. What has no zone is read in UTC, this server's default.
Instants are kept to the millisecond, which is what the store keeps: an interval grows to whole milliseconds.

Spec: FHIR R4 datatypes.html#dateTime; search.html#date; MHD-GEN-22.
"""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta, timezone

# Stand for "no lower bound" and "no upper bound": the first and last instants that can be written.
EARLIEST = datetime(1, 1, 1, tzinfo=UTC)
LATEST = datetime(9999, 12, 31, 23, 59, 59, 999000, tzinfo=UTC)

_DATE = re.compile(
    r"(?P<year>\d{4})(?:-(?P<month>\d\d)(?:-(?P<day>\d\d)"
    r"(?:T(?P<hour>\d\d):(?P<minute>\d\d)(?::(?P<second>\d\d)(?:\.(?P<fraction>\d{1,9})\d*)?)?"
    r"(?P<zone>Z|[+-]\d\d:\d\d)?)?)?)?",
    re.ASCII,
)
_MILLISECOND = timedelta(milliseconds=1)


def interval(text: str) -> tuple[datetime, datetime]:
    """Return the half-open UTC interval [start, end) that the partial date `text` covers.

    Laxer than the data types, as search is: a time may lack its seconds and its zone.
    The leap second, `:60`, is read as the first second of the next minute.

    Spec: FHIR R4 datatypes.html#dateTime; search.html#date.

    Examples:
        "2024"                      -> 2024-01-01T00:00Z .. 2025-01-01T00:00Z
        "2024-05"                   -> 2024-05-01T00:00Z .. 2024-06-01T00:00Z
        "2025-03-04T23:30:00-02:00" -> 2025-03-05T01:30:00Z .. 2025-03-05T01:30:01Z

    Raises:
        ValueError: `text` is not a FHIR date, dateTime or instant.
    """
    match = _DATE.fullmatch(text)
    if match is None:
        raise ValueError("not a FHIR date")
    year, month, day, hour, minute, second, fraction, zone = match.groups()
    if hour is not None:
        return _instant(datetime(int(year), int(month), int(day), int(hour), int(minute)), second, fraction, zone)
    if day is not None:
        return _from(datetime(int(year), int(month), int(day), tzinfo=UTC), timedelta(days=1))
    if month is not None:
        start = datetime(int(year), int(month), 1, tzinfo=UTC)
        return start, _first_of(start.year + start.month // 12, start.month % 12 + 1)
    return datetime(int(year), 1, 1, tzinfo=UTC), _first_of(int(year) + 1, 1)


def period(start: str | None, end: str | None) -> tuple[datetime, datetime]:
    """Return the UTC interval from the first instant of `start` to the last of `end`; a missing bound is open.

    Raises:
        ValueError: a bound is not a FHIR date.
    """
    return interval(start)[0] if start else EARLIEST, interval(end)[1] if end else LATEST


def _instant(minute: datetime, second: str | None, fraction: str | None, zone: str | None) -> tuple[datetime, datetime]:
    start = minute.replace(tzinfo=_zone(zone))
    if second is None:
        return _from(start, timedelta(minutes=1))
    if int(second) > 60:
        raise ValueError("not a FHIR date")
    start = _shifted(start, timedelta(seconds=int(second)))
    if fraction is None:
        return _from(start, timedelta(seconds=1))
    # From 1 to 9 digits: the interval is as wide as the last digit, and at least a millisecond.
    milliseconds = int(fraction[:3].ljust(3, "0"))
    width = 10 ** (3 - len(fraction)) if len(fraction) < 3 else 1
    return _from(_shifted(start, milliseconds * _MILLISECOND), width * _MILLISECOND)


def _zone(zone: str | None) -> timezone:
    if zone is None or zone == "Z":
        return UTC
    hours, minutes = int(zone[1:3]), int(zone[4:6])
    if hours > 14 or minutes > 59:
        raise ValueError("not a FHIR time zone")
    offset = timedelta(hours=hours, minutes=minutes)
    return timezone(-offset if zone[0] == "-" else offset)


def _from(start: datetime, width: timedelta) -> tuple[datetime, datetime]:
    start = _in_utc(start)
    return start, _shifted(start, width)


def _in_utc(moment: datetime) -> datetime:
    try:
        return moment.astimezone(UTC)
    except OverflowError:
        return EARLIEST if moment.year == 1 else LATEST


def _shifted(moment: datetime, by: timedelta) -> datetime:
    try:
        return min(moment + by, LATEST) if moment.tzinfo is UTC else moment + by
    except OverflowError:
        return LATEST


def _first_of(year: int, month: int) -> datetime:
    return LATEST if year > 9999 else datetime(year, month, 1, tzinfo=UTC)
