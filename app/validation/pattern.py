"""Fixed values and patterns: the part of an element's value that a profile prescribes.

Spec: FHIR R4 elementdefinition.html#ElementDefinition.fixed[x], #ElementDefinition.pattern[x].
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import orjson

from app.validation.finding import Finding, Findings, shown
from app.validation.place import Place

Meets = Callable[[Any], bool]
_NAMED = 160


def meets(kind: str, expected: Any) -> Meets:
    """Return the function that says whether a JSON value meets a fixed value or pattern.

    Args:
        kind: `fixed`: the same in every part; `pattern`: everything in `expected` is there, in any place of an array.
    """
    return (lambda value: _is_same(value, expected)) if kind == "fixed" else (lambda value: contains(value, expected))


def contains(value: Any, pattern: Any) -> bool:
    """Whether `value` has everything that `pattern` has."""
    if isinstance(pattern, dict):
        return isinstance(value, dict) and all(key in value and contains(value[key], pattern[key]) for key in pattern)
    if isinstance(pattern, list):
        return isinstance(value, list) and all(any(contains(item, each) for item in value) for each in pattern)
    return _is_same(value, pattern)


def check_fixed(kind: str, expected: Any, code: str, who: str) -> Callable[[Any, Place], Findings]:
    """Return the check that a value of the type `code` meets the `fixed` value or `pattern` that `who` demands."""
    is_met = meets(kind, expected)

    def check(value: Any, place: Place) -> Findings:
        if is_met(value):
            return None
        came = shown(value) if code == "code" and isinstance(value, str) else f"This `{code}`"
        return [Finding("value", f"{came} is not {summary(expected)}, which {who} demands.")]

    return check


def summary(expected: Any) -> str:
    """Return a fixed value or pattern for a message; a coding as `system#code`."""
    if isinstance(expected, dict):
        codings = expected.get("coding", [expected])
        if isinstance(codings, list) and all(isinstance(each, dict) and "code" in each for each in codings):
            return " and ".join(f"`{each.get('system', '')}#{each['code']}`" for each in codings)
    text = expected if isinstance(expected, str) else orjson.dumps(expected, default=str).decode()
    return f"`{text if len(text) <= _NAMED else text[:_NAMED] + '…'}`"


def _is_same(value: Any, expected: Any) -> bool:
    """JSON's own equality: true is not 1, and 1.0 is 1."""
    return bool(value == expected) and isinstance(value, bool) is isinstance(expected, bool)
