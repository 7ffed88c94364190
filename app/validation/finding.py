"""What a check finds, and how it says so: the thing in backticks, what came, what was expected.

A finding knows its place only relative to the check that made it; each check above adds its own step. A valid
resource therefore never builds an expression.

Diagnostics hold names of elements, types, profiles, slices and codes, never other content of a resource.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from difflib import get_close_matches

from app.fhir.outcome import Issue

# More findings than this below one element are not looked for: the sender has enough to do, and time stays bounded.
MOST_FINDINGS = 500
_LONGEST_NAME = 64
_MOST_NAMED = 6
_NAME = re.compile(r"[A-Za-z0-9_.:/|#+\-\[\]]+")

Step = str | tuple[str, int]


class Finding:
    """One finding; `steps` lead from the element up to the root."""

    __slots__ = ("code", "severity", "steps", "text")

    def __init__(self, code: str, text: str, severity: str = "error", *steps: Step) -> None:
        self.code = code
        self.text = text
        self.severity = severity
        self.steps: list[Step] = list(steps)

    @property
    def is_error(self) -> bool:
        """Whether it makes the resource invalid."""
        return self.severity == "error"

    def issue(self, root: str) -> Issue:
        """Return the issue, its expression below `root`."""
        names = (step if isinstance(step, str) else f"{step[0]}[{step[1]}]" for step in reversed(self.steps))
        return Issue(self.code, self.text, ".".join([root, *names] if root else names), self.severity)


Findings = list[Finding] | None


def below(found: Findings, step: Step) -> Findings:
    """Add `step`, the name of the element the findings are in, to each of them."""
    for each in found or ():
        each.steps.append(step)
    return found


def has_errors(found: Findings) -> bool:
    """Whether one of the findings makes the resource invalid."""
    return found is not None and any(each.is_error for each in found)


def shown(name: str) -> str:
    """Return a code or an element's name for a message; anything longer or stranger is only described."""
    if len(name) <= _LONGEST_NAME and _NAME.fullmatch(name):
        return f"`{name}`"
    return f"a text of {len(name)} characters"


def kind_of(value: object) -> str:
    """Return what a JSON value is, without its content."""
    if value is None:
        return "null"
    names = {bool: "a boolean", str: "a string", list: "an array", dict: "an object"}
    return names.get(type(value), "a number")


def brief(url: str) -> str:
    """Return a canonical URL as a short name: its last part."""
    return url.partition("|")[0].rpartition("/")[2] or url


def by(url: str, slice_name: str = "") -> str:
    """Return who demands something: a profile, a slice of it, or FHIR itself."""
    who = f"profile `{brief(url)}`" if url else "FHIR R4"
    return f"{who}, slice `{slice_name}`" if slice_name else who


def nearest(name: str, known: Iterable[str]) -> str:
    """Return " Did you mean `status`?" for a likely slip, else an empty text."""
    if len(name) > _LONGEST_NAME:
        return ""
    names = list(known)[:2000]
    lower = {each.lower(): each for each in names}
    close = [lower[name.lower()]] if name.lower() in lower else get_close_matches(name, names, 1, 0.7)
    return f" Did you mean `{close[0]}`?" if close and close[0] != name else ""


def listed(names: Iterable[str]) -> str:
    """Return the first few names for a message, and how many more there are."""
    every = sorted(set(names))
    text = ", ".join(f"`{each}`" for each in every[:_MOST_NAMED])
    return f"{text} and {len(every) - _MOST_NAMED} more" if len(every) > _MOST_NAMED else text
