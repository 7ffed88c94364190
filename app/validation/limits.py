"""Limits a profile sets on a primitive: `maxLength`, `minValue[x]`, `maxValue[x]`.

Spec: FHIR R4 elementdefinition.html#ElementDefinition.maxLength, #ElementDefinition.minValue[x].
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from app.fhir.path_nodes import node_of
from app.fhir.path_values import compare
from app.validation.finding import Finding, Findings
from app.validation.place import Place

Check = Callable[[Any, Place], Findings]
_WRONG = {"minValue": -1, "maxValue": 1}
_WORDS = {"minValue": "below the least", "maxValue": "above the greatest"}


def check_limits(limits: Mapping[str, Any], who: str) -> list[Check]:
    """Return the checks of `limits`, which `who` sets: aspect -> number, date or length."""
    return [
        _check_length(limit, who) if name == "maxLength" else _check_value(name, limit, who)
        for name, limit in limits.items()
    ]


def _check_length(longest: int, who: str) -> Check:
    def check(value: Any, place: Place) -> Findings:
        if not isinstance(value, str) or len(value) <= longest:
            return None
        return [Finding("value", f"This has {len(value)} characters; {who} allows {longest}.")]

    return check


def _check_value(name: str, limit: Any, who: str) -> Check:
    kind = "dateTime" if isinstance(limit, str) else ""
    bound, wrong = node_of(limit, kind), _WRONG[name]

    def check(value: Any, place: Place) -> Findings:
        if compare(node_of(value, kind), bound) != wrong:
            return None
        return [Finding("value", f"This is {_WORDS[name]} value that {who} allows.")]

    return check
