"""Issues as text for a person: where, what, and how bad, in colour where the terminal can.

Spec: none; own choice.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from app.fhir.outcome import Issue

_COLOURS = {"fatal": "31", "error": "31", "warning": "33", "information": "36"}
_GREEN = "32"


def report(name: str, issues: Sequence[Issue], *, colour: bool) -> str:
    """Return a file's verdict and its issues, a line for each place and a line for each sentence about it."""
    errors = sum(issue.is_error for issue in issues)
    verdict = _paint("valid", _GREEN, colour=colour) if not errors else _paint("not valid", "31", colour=colour)
    counted = f" ({_count(errors, 'error')}, {_count(len(issues) - errors, 'remark')})" if issues else ""
    return "\n".join([f"{name}: {verdict}{counted}", *_lines(issues, colour=colour)])


def _lines(issues: Iterable[Issue], *, colour: bool) -> Iterable[str]:
    for issue in issues:
        severity = _paint(issue.severity, _COLOURS.get(issue.severity, "36"), colour=colour)
        yield f"  {issue.expression or '(the whole)'}"
        yield f"    {severity} {issue.code}: {issue.diagnostics}"


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}{'' if number == 1 else 's'}"


def _paint(text: str, code: str, *, colour: bool) -> str:
    return f"\x1b[{code}m{text}\x1b[0m" if colour else text
