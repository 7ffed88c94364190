"""Bindings: whether a code is among those of its value set.

A required binding is an error, an extensible one a warning, the weaker ones say nothing. For a value set that no
package can enumerate nothing is checked but the form of its codes, where the R4 tables know one (mime types).

Spec: FHIR R4 terminologies.html#strength; elementdefinition.html#ElementDefinition.binding.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

from app.fhir.packages import Packages
from app.validation.finding import Finding, Findings, brief, by, listed, nearest, shown
from app.validation.place import Place

Check = Callable[[Any, Place], Findings]

_SEVERITY = {"required": "error", "extensible": "warning"}
CODED_TYPES = frozenset({"code", "Coding", "CodeableConcept", "Quantity", "string", "uri", "url", "canonical"})


class ValueSet:
    """The codes that a binding allows, and the words for those it does not."""

    def __init__(self, url: str, strength: str, source: str, packages: Packages) -> None:
        self.url = url
        self.severity = _SEVERITY[strength]
        self.source = source
        pairs = packages.codes(url)
        self.is_known = pairs is not None
        self.pairs: frozenset[tuple[str, str]] = pairs or frozenset()
        self.codes = frozenset(code for _, code in self.pairs)
        pattern = packages.code_pattern(url)
        self.matches = re.compile(pattern).fullmatch if pattern and not self.is_known else None

    @property
    def is_checked(self) -> bool:
        """Whether anything at all can be said about a code."""
        return self.is_known or self.matches is not None

    def has_code(self, code: Any) -> bool:
        """Whether a code without a system is allowed; what is no string is another check's business."""
        if self.matches is not None:
            return not isinstance(code, str) or self.matches(code) is not None
        return not isinstance(code, str) or code in self.codes

    def has_coding(self, coding: Any) -> bool:
        """Whether a Coding, as JSON, is allowed."""
        if not isinstance(coding, dict):
            return True
        if self.matches is not None:
            return self.has_code(coding.get("code"))
        system, code = coding.get("system", ""), coding.get("code", "")
        return isinstance(system, str) and isinstance(code, str) and (system, code) in self.pairs

    def refuse(self, value: Any, place: Place) -> Finding:
        """Return the finding for a value that has none of the codes."""
        codes = [code for code in _codes(value) if isinstance(code, str)]
        came = ", ".join(shown(code) for code in codes[:3]) or "no code"
        subject = f"none of {came} is" if len(codes) > 1 else f"{came} is not"
        hint = nearest(codes[0], self.codes) if codes and place.may_suggest() else ""
        allowed = f"; allowed are {listed(self.codes)}" if self.codes else ""
        if self.codes.intersection(codes):
            hint = " The code is right, and its system is not."
        # One of R4's own is known by its name; one of a package can only be looked up by its URL (NAT-05).
        name = brief(self.url) if self.url.startswith("http://hl7.org/fhir/") else self.url
        text = f"{subject} in the value set `{name}` ({by(self.source)}){allowed}.{hint}"
        return Finding("code-invalid", text[0].upper() + text[1:], self.severity)


def check_binding(binding: tuple[str, str], source: str, kind: str, packages: Packages) -> Check | None:
    """Return the check of a binding for values of the type `kind`; None when there is nothing to check."""
    strength, url = binding
    if strength not in _SEVERITY or kind not in CODED_TYPES:
        return None
    value_set = ValueSet(url, strength, source, packages)
    if not value_set.is_checked:
        return None
    if kind == "CodeableConcept":
        return _check_concept(value_set, is_required=strength == "required")
    meets = {"Coding": value_set.has_coding, "Quantity": value_set.has_coding}.get(kind, value_set.has_code)

    def check(value: Any, place: Place) -> Findings:
        return None if meets(value) else [value_set.refuse(value, place)]

    return check


def _check_concept(value_set: ValueSet, *, is_required: bool) -> Check:
    """One of the codings must be in the value set; text alone is enough where a code is not required."""
    has = value_set.has_coding

    def check(value: Any, place: Place) -> Findings:
        codings = value.get("coding") if isinstance(value, dict) else None
        if not isinstance(codings, list) or not codings:
            return [value_set.refuse(value, place)] if is_required and isinstance(value, dict) else None
        for coding in codings:
            if has(coding):
                return None
        return [value_set.refuse(value, place)]

    return check


def _codes(value: Any) -> list[Any]:
    if not isinstance(value, dict):
        return [value]
    codings = value.get("coding")
    if isinstance(codings, list):
        return [each.get("code") for each in codings if isinstance(each, dict)]
    return [value.get("code")]
