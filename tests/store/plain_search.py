"""Search as slow and obvious as can be: the referee for what index terms and MongoDB filters answer.

It reads the resources themselves, knows the meaning of its few dates and names from tables, and shares no code with
the server. Spec: MHD-GEN-20 to MHD-GEN-25, in the words of the requirements.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from datetime import UTC, datetime
from typing import Any

Resource = dict[str, Any]
Interval = tuple[datetime, datetime]
Stored = dict[str, Resource]  # "Type/id" -> resource

FIRST, LAST = datetime(1, 1, 1, tzinfo=UTC), datetime(9999, 12, 31, tzinfo=UTC)
URI = "urn:ietf:rfc:3986"


def _days(*numbers: int) -> datetime:
    return datetime(*numbers, tzinfo=UTC)  # type: ignore[arg-type, misc]


DATES: dict[str, Interval] = {
    "2024": (_days(2024, 1, 1), _days(2025, 1, 1)),
    "2025": (_days(2025, 1, 1), _days(2026, 1, 1)),
    "2024-12": (_days(2024, 12, 1), _days(2025, 1, 1)),
    "2025-01": (_days(2025, 1, 1), _days(2025, 2, 1)),
    "2025-02": (_days(2025, 2, 1), _days(2025, 3, 1)),
    "2024-12-31": (_days(2024, 12, 31), _days(2025, 1, 1)),
    "2025-01-01": (_days(2025, 1, 1), _days(2025, 1, 2)),
    "2025-01-15": (_days(2025, 1, 15), _days(2025, 1, 16)),
    "2025-01-15T10:00:00Z": (_days(2025, 1, 15, 10), _days(2025, 1, 15, 10, 0, 1)),
    "2025-01-01T00:30:00+02:00": (_days(2024, 12, 31, 22, 30), _days(2024, 12, 31, 22, 30, 1)),
    "2024-12-31T23:30:00-02:00": (_days(2025, 1, 1, 1, 30), _days(2025, 1, 1, 1, 30, 1)),
    "2025-01-15T10:00:00.250Z": (_days(2025, 1, 15, 10, 0, 0, 250000), _days(2025, 1, 15, 10, 0, 0, 251000)),
}
NAMES = {
    "Müller": "muller",
    "MÜLLER-Lüdenscheid": "muller-ludenscheid",
    "Novotný": "novotny",
    "Ní Dhomhnaill": "ni dhomhnaill",
    "Søren": "soren",
    "Łucja": "lucja",
    "Anna Maria": "anna maria",
    "Maria": "maria",
    "o'neil": "o'neil",
}


def meets(resource: Resource, name: str, text: str, stored: Stored) -> bool:
    """Tell whether `resource` meets one parameter; a comma in `text` means "or"."""
    head, _, rest = name.partition(".")
    if rest:
        return _chained(resource, head, rest, text, stored)
    code, _, modifier = name.partition(":")
    if modifier == "missing":
        return (not _values(resource, code)) == (text == "true")
    if modifier == "not":
        return not meets(resource, code, text, stored)
    return any(_meets(resource, code, modifier, each) for each in text.split(","))


def _chained(resource: Resource, head: str, rest: str, text: str, stored: Stored) -> bool:
    # A role has identifiers of its own, but no names: for these its person is asked.
    is_role_asked = rest.startswith("identifier")
    return any(
        meets(target, rest, text, stored)
        for target, through_role in targets(resource, head, stored)
        if not (through_role and is_role_asked)
    )


def targets(resource: Resource, head: str, stored: Stored) -> list[tuple[Resource, bool]]:
    """Return the targets of a reference: contained, stored, or known by their identifier.

    A role is followed by its person, marked with True.
    """
    found: list[tuple[Resource, bool]] = []
    for value in _values(resource, head):
        text = value.get("reference", "")
        inner = {f"#{each['id']}": each for each in resource.get("contained", ())}
        if target := inner.get(text) or stored.get(text):
            found.append((target, False))
            if target["resourceType"] == "PractitionerRole":
                person = target["practitioner"]["reference"]
                found.append((inner.get(person) or stored[person], True))
        if "identifier" in value:
            found.append(({"resourceType": "", "identifier": [value["identifier"]]}, False))
    return found


def _meets(resource: Resource, code: str, modifier: str, text: str) -> bool:
    return any(TYPES[code](value, modifier, text) for value in _values(resource, code))


def _values(resource: Resource, code: str) -> list[Any]:
    found: Any = [resource]
    if code == "identifier":
        return [*resource.get("identifier", ()), *([m] if (m := resource.get("masterIdentifier")) else [])]
    if code in EXTENSIONS:
        url, value = EXTENSIONS[code]
        return [each[value] for each in resource.get("extension", ()) if each["url"].endswith(f"/{url}")]
    for key in PATHS[code].split("."):
        found = [each[key] for each in found if key in each]
        found = [one for each in found for one in (each if isinstance(each, list) else [each])]
    return list(found)


def _token(value: Any, modifier: str, text: str) -> bool:
    if modifier == "of-type":
        types = value.get("type", {}).get("coding", ())
        return text in [f"{each['system']}|{each['code']}|{value['value']}" for each in types]
    codings: list[tuple[str | None, str | None]]
    if isinstance(value, str):
        codings = [(None, value)]
    elif "coding" in value:
        codings = [(each.get("system"), each.get("code")) for each in value["coding"]]
    elif "code" in value:
        codings = [(value.get("system"), value["code"])]
    else:
        codings = [(value.get("system"), value["value"])]
        if "system" not in value and value["value"].startswith("urn:oid:"):
            codings.append((URI, value["value"]))
    system, bar, code = text.partition("|")
    if not bar:
        return any(stored_code == text for _, stored_code in codings)
    return any((s or "") == system and code in ("", c) for s, c in codings)


def _date(value: Any, modifier: str, text: str) -> bool:
    operator, asked = (text[:2], text[2:]) if text[0].isalpha() else ("eq", text)
    low, high = _interval(value)
    start, end = DATES[asked]
    lies_within = start <= low and high <= end
    reaches_above, reaches_below = high > end, low < start
    width = end - start
    return {
        "ap": low < end + width and high > start - width,
        "eq": lies_within,
        "ne": not lies_within,
        "gt": reaches_above,
        "lt": reaches_below,
        "ge": reaches_above or lies_within,
        "le": reaches_below or lies_within,
        "sa": low >= end,
        "eb": high <= start,
    }[operator]


def _interval(value: Any) -> Interval:
    if isinstance(value, str):
        return DATES[value]
    low = DATES[value["start"]][0] if "start" in value else FIRST
    return low, DATES[value["end"]][1] if "end" in value else LAST


def _string(value: str, modifier: str, text: str) -> bool:
    if modifier == "exact":
        return value == text
    plain, asked = NAMES[value], NAMES.get(text, text.lower())
    return asked in plain if modifier == "contains" else plain.startswith(asked)


def _reference(value: Any, modifier: str, text: str) -> bool:
    if modifier == "identifier":
        return "identifier" in value and _token(value["identifier"], "", text)
    reference = value.get("reference", "")
    asked = text.removeprefix("https://here.example/fhir/")
    if "/" not in asked:
        return reference in [f"{each}/{asked}" for each in ([modifier] if modifier else ["Patient", "Encounter"])]
    return bool(reference == asked)


def _uri(value: str, modifier: str, text: str) -> bool:
    return value == text


def ordered(resources: Iterable[Resource], key: str) -> list[str]:
    """Return ids in the order of the sort key `key`, `-date` say; ids descending among equals, none before some."""
    code = key.removeprefix("-")
    by_id = sorted(resources, key=lambda each: str(each["id"]), reverse=True)
    if code == "_id":
        return [each["id"] for each in (by_id if key.startswith("-") else by_id[::-1])]

    def value(resource: Resource) -> tuple[bool, Any]:
        first = next(iter(_values(resource, code)), None)
        if first is None:
            return False, None
        return True, _interval(first)[0] if TYPES[code] is _date else first if isinstance(first, str) else first[
            "coding"
        ][0]["code"]

    some = [each for each in by_id if value(each)[0]]
    none = [each["id"] for each in by_id if not value(each)[0]]
    if key.startswith("-"):
        return [each["id"] for each in sorted(some, key=lambda each: value(each)[1], reverse=True)] + none
    return none + [each["id"] for each in sorted(some, key=lambda each: value(each)[1])]


PATHS = {
    "_id": "id",
    "status": "status",
    "type": "type",
    "category": "category",
    "format": "content.format",
    "date": "date",
    "creation": "content.attachment.creation",
    "period": "context.period",
    "patient": "subject",
    "related": "context.related",
    "author": "author",
    "event": "context.event",
    "facility": "context.facilityType",
    "setting": "context.practiceSetting",
    "security-label": "securityLabel",
    "code": "code",
    "source": "source",
    "family": "name.family",
    "given": "name.given",
}
# Parameters of extensions: end of the URL, and where the value is.
EXTENSIONS = {
    "targetCommunityIdList": ("ihe-HomeCommunityId", "valueOid"),
    "designationType": ("ihe-designationType", "valueCodeableConcept"),
    "sourceId": ("ihe-sourceId", "valueIdentifier"),
}
TYPES: dict[str, Callable[[Any, str, str], bool]] = {
    **dict.fromkeys(("_id", "status", "type", "category", "format", "identifier"), _token),
    **dict.fromkeys(("event", "facility", "setting", "security-label", "code", "designationType", "sourceId"), _token),
    **dict.fromkeys(("date", "creation", "period"), _date),
    **dict.fromkeys(("family", "given"), _string),
    **dict.fromkeys(("patient", "related", "author", "source"), _reference),
    "targetCommunityIdList": _uri,
}
