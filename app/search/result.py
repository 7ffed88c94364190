"""Parameters that shape the result: `_sort`, `_count`, `_total`, `_summary`, `_elements`, `_include`, `_revinclude`.

Spec: FHIR R4 search.html#return, #sort, #include, #summary, #elements; MHD-66-22, MHD-67-21.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from app.fhir.outcome import FhirError
from app.search.definitions import Definitions

# The official statements spell it so (MHD D-07).
ALIASES = {"_lastupdated": "_lastUpdated"}
TOTALS = ("none", "estimate", "accurate")
SUMMARIES = ("true", "text", "data", "count", "false")


@dataclass(frozen=True, slots=True)
class Sort:
    """One sort key: a parameter's code, its search type, and the direction; `_id` and `_lastUpdated` are codes too."""

    parameter: str
    type: str
    descending: bool = False


@dataclass(frozen=True, slots=True)
class Include:
    """Resources to add to the matches.

    Attributes:
        reverse: False: those to which a match refers (`_include`); True: those that refer to a match (`_revinclude`).
        resource_type: the type that holds the reference.
        parameter: the reference parameter; `*` for all.
        target: the only type of target to add; empty for all.
        iterate: also for what was added itself.
    """

    reverse: bool
    resource_type: str
    parameter: str
    target: str = ""
    iterate: bool = False


def sort(definitions: Definitions, resource_type: str, text: str) -> tuple[Sort, ...] | None:
    """Return the keys of `_sort`, `-date,_id`; None when one of them is not a parameter of `resource_type`."""
    keys = []
    for each in text.split(","):
        code = each.strip().removeprefix("-")
        parameter = definitions.get(resource_type, ALIASES.get(code, code)) if "." not in code else None
        if parameter is None:
            return None
        keys.append(Sort(parameter.code, parameter.type, each.strip().startswith("-")))
    return tuple(keys)


def include(definitions: Definitions, name: str, text: str) -> Include | None:
    """Return what `name` (`_include`, `_revinclude:iterate` …) and `text` ask to add; None when it is not supported.

    Raises:
        FhirError: `value` (400) when `text` is not of the form `Type:parameter` or `Type:parameter:Target`.
    """
    word, _, modifier = name.partition(":")
    parts = text.split(":")
    if modifier not in ("", "iterate", "recurse") or not re.fullmatch(r"[A-Za-z]+(:[\w*-]+){1,2}", text):
        raise wrong(name, "expected `Type:parameter` or `Type:parameter:Target`")
    parameter = definitions.get(parts[0], parts[1])
    if parts[1] != "*" and (parameter is None or parameter.type != "reference"):
        return None
    return Include(word == "_revinclude", parts[0], parts[1], "".join(parts[2:]), bool(modifier))


def count(text: str, max_count: int) -> int:
    """Return the size of a page, at most `max_count`; 0 asks for the total alone.

    Raises:
        FhirError: `value` (400) when `text` is not a number.
    """
    if not re.fullmatch(r"[0-9]{1,9}", text):
        raise wrong("_count", "expected a number of resources, 0 or more")
    return min(int(text), max_count)


def one_of(name: str, text: str, expected: tuple[str, ...]) -> str:
    """Return `text` when it is one of the words that the parameter `name` knows.

    Raises:
        FhirError: `value` (400) when it is not.
    """
    if text not in expected:
        raise wrong(name, f"`{text[:40]}` is not one of {', '.join(f'`{each}`' for each in expected)}")
    return text


def wrong(name: str, reason: str) -> FhirError:
    """Return the refusal of a value of the parameter `name`."""
    return FhirError("value", f"Search parameter `{name}`: {reason}.")
