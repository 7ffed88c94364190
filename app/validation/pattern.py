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
    return _pattern(expected) if kind == "pattern" else (lambda value: _is_same(value, expected))


def _pattern(expected: Any) -> Meets:
    if isinstance(expected, dict):
        return _object({key: _pattern(each) for key, each in expected.items()})
    if isinstance(expected, list):
        return _array([_pattern(each) for each in expected])
    if isinstance(expected, str):
        return lambda value: bool(value == expected)
    return lambda value: _is_same(value, expected)


def _object(parts: dict[str, Meets]) -> Meets:
    pairs = tuple(parts.items())

    def is_met(value: Any) -> bool:
        if type(value) is not dict:
            return False
        for key, part in pairs:  # noqa: SIM110 - a generator costs as much again, and this is asked often
            if key not in value or not part(value[key]):
                return False
        return True

    return is_met


def _array(parts: list[Meets]) -> Meets:
    def is_met(value: Any) -> bool:
        return isinstance(value, list) and all(any(map(part, value)) for part in parts)

    return is_met


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
