"""Configured value sets: the codes that a deployment takes for an element of Document Sharing, read from a TOML file.

    [DocumentReference]
    type = "https://example.org/fhir/ValueSet/document-types"        # a ValueSet of a profile package
    "context.facilityType" = ["http://snomed.info/sct|22232009"]     # or the codes themselves

    [SubmissionSet]
    designationType = ["http://snomed.info/sct|58000006"]

What is not named there is not checked. Codes are compared with their systems, and never by their display; of a concept
one coding has to be among them.

Spec: ITI-42, 2:3.42.4.1.3.3; MHD-XDS-03, MHD-MHDS-06.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

from app.document.entry import Entry, Submission
from app.document.vocabulary import DESIGNATION_TYPE
from app.fhir.expansion import Codes
from app.fhir.outcome import Issue
from app.fhir.packages import Packages
from app.fhir.resource import Resource

# What may be named, and where it stands in the resource; the last of an extension's path is its value.
ELEMENTS: Mapping[str, tuple[str, ...]] = {
    "DocumentReference": (
        "type",
        "category",
        "securityLabel",
        "content.attachment.contentType",
        "content.attachment.language",
        "content.format",
        "context.event",
        "context.facilityType",
        "context.practiceSetting",
    ),
    "SubmissionSet": ("designationType",),
    "Folder": ("designationType",),
}
_EXTENSIONS = {"designationType": DESIGNATION_TYPE}
_CODE = re.compile(r"([^\s|]+\|)?[^\s|]+")
_MOST_NAMED = 6


class ValueSetsError(Exception):
    """The file of value sets stops the start: one sentence with its name, the line, and the remedy."""


@dataclass(frozen=True, slots=True)
class Binding:
    """The codes of an element.

    Attributes:
        kind: `DocumentReference`, `SubmissionSet` or `Folder`.
        element: dotted, as in the file.
        name: of the ValueSet; empty when the file lists the codes.
    """

    kind: str
    element: str
    name: str
    codes: Codes

    def allows(self, value: Any) -> bool:
        """Whether `value`, a code, Coding or CodeableConcept, has one of the codes."""
        if isinstance(value, str):
            return any(code == value for _, code in self.codes)
        return any((one.get("system", ""), one.get("code", "")) in self.codes for one in _codings(value))


def load(path: str, packages: Packages) -> tuple[Binding, ...]:
    """Return the bindings of the file at `path`, none when it is empty; a file is read once.

    Raises:
        ValueSetsError: it cannot be read, or says something that is not as described above.
    """
    return _read(path, packages) if path else ()


@lru_cache(maxsize=1)  # it keeps the packages in memory, so those of a server that ended are not to stay
def _read(path: str, packages: Packages) -> tuple[Binding, ...]:
    try:
        text = Path(path).read_text(encoding="utf-8")
        content = tomllib.loads(text)
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise ValueSetsError(f"The file of value sets {path} cannot be read: {error}.") from None
    return tuple(_File(path, text, packages).bindings(content))


def check_codes(submission: Submission, bindings: tuple[Binding, ...]) -> Iterator[tuple[Entry, Issue]]:
    """Every code of `submission` is one that this deployment takes for its element."""
    for kind, entry in _described(submission) if bindings else ():
        for binding in bindings:
            if binding.kind == kind:
                yield from ((entry, issue) for issue in _check(entry, binding))


def _described(submission: Submission) -> Iterator[tuple[str, Entry]]:
    if not submission.is_derived:  # else this server chose its codes
        yield "SubmissionSet", submission.submission_set
    yield from (("DocumentReference", entry) for entry in submission.documents)
    yield from (("Folder", entry) for entry in submission.folders)


def _check(entry: Entry, binding: Binding) -> Iterator[Issue]:
    url = _EXTENSIONS.get(binding.element)
    found = _extended(entry.resource, url) if url else _values(entry.resource, binding.element.split("."))
    for at, value in found:
        if not binding.allows(value):
            yield entry.issue("code-invalid", _refusal(value, binding), at)


def _refusal(value: Any, binding: Binding) -> str:
    came = [value] if isinstance(value, str) else [f"{one.get('system', '')}|{one['code']}" for one in _codings(value)]
    allowed = sorted("|".join(filter(None, pair)) for pair in binding.codes)
    listed = ", ".join(f"`{one}`" for one in allowed[:_MOST_NAMED])
    more = f" and {len(allowed) - _MOST_NAMED} more" if len(allowed) > _MOST_NAMED else ""
    source = f" (value set `{binding.name}`)" if binding.name else ""
    shown = ", ".join(f"`{one[:200]}`" for one in came[:3]) or "no code"
    expected = f"expected one of: {listed}{more}{source}"
    return f"This server takes other codes for `{binding.element}`. Came: {shown}, {expected}."


def _codings(value: Any) -> list[Resource]:
    if not isinstance(value, dict):
        return []
    return [one for one in value.get("coding", [] if "text" in value else [value]) if one.get("code")]


def _values(value: Any, steps: list[str], at: str = "") -> Iterator[tuple[str, Any]]:
    """Yield what `value` has below `steps`, and where: `content[0].format`."""
    if isinstance(value, list):
        for position, item in enumerate(value):
            yield from _values(item, steps, f"{at}[{position}]")
    elif not steps:
        yield at, value
    elif isinstance(value, dict) and steps[0] in value:
        yield from _values(value[steps[0]], steps[1:], f"{at}.{steps[0]}" if at else steps[0])


def _extended(resource: Resource, url: str) -> Iterator[tuple[str, Any]]:
    for position, extension in enumerate(resource.get("extension", ())):
        if extension.get("url") == url:
            yield f"extension[{position}].value", extension.get("valueCodeableConcept")


@dataclass(frozen=True, slots=True)
class _File:
    """A file of value sets, read as TOML; what is wrong is told by its line."""

    path: str
    text: str
    packages: Packages

    def bindings(self, content: dict[str, Any]) -> Iterator[Binding]:
        for kind, elements in content.items():
            if kind not in ELEMENTS or not isinstance(elements, dict):
                raise self._wrong(kind, f"`[{kind}]` is not known; known are {', '.join(ELEMENTS)}")
            for element, told in elements.items():
                if element not in ELEMENTS[kind]:
                    raise self._wrong(
                        element,
                        f"`{element}` is not known of a {kind}; known are, in quotation marks where there is a dot, "
                        f"{', '.join(ELEMENTS[kind])}",
                    )
                yield Binding(kind, element, told if isinstance(told, str) else "", self._codes(element, told))

    def _codes(self, element: str, told: Any) -> Codes:
        if isinstance(told, str):
            codes = self.packages.codes(told)
            if not codes:
                raise self._wrong(element, f"no profile package has the value set `{told}`, or not all of its codes")
            return codes
        if not isinstance(told, list) or not told or not all(isinstance(one, str) for one in told):
            raise self._wrong(element, f"`{element}` must be the URL of a value set, or a list of texts `system|code`")
        for one in told:
            if not _CODE.fullmatch(one):
                raise self._wrong(
                    element, f"`{one}` is not of the form `system|code`, or `code` where there is no system"
                )
        return frozenset((system, code) for system, _, code in (one.rpartition("|") for one in told))

    def _wrong(self, name: str, text: str) -> ValueSetsError:
        pattern = re.compile(rf"""\s*\[*\s*["']?{re.escape(name)}["']?\s*[=\].]""")
        line = next((at for at, line in enumerate(self.text.splitlines(), 1) if pattern.match(line)), 1)
        return ValueSetsError(f"{self.path}, line {line}: {text}.")
