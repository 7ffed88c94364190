r"""Identifiers as the patient index asks for them: `system|value`, of a domain that is recognised.

Spec: PIXM-83-02 to PIXM-83-04, PIXM-104-03, PIXM-104-04, PIXM-104-13, PIXM-104-14; PIXM-DOM-07, PIXM-HTTP-12.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from app.domains import Domain
from app.fhir.outcome import FhirError, Issue
from app.search.escape import split, unescape
from app.transaction import Context

# Beside the identifier a conditional interaction may have these, which ask nothing (PIXM-104-04).
CONTROLS = frozenset({"_format", "_pretty", "_summary"})

UNKNOWN_DOMAIN = "identifier Assigning Authority not found"


@dataclass(frozen=True, slots=True)
class RecordKey:
    """The identifier under which a source feeds a record.

    Attributes:
        value: `Patient/<id>` in the domain of a FHIR server.
    """

    domain: Domain
    value: str

    @property
    def system(self) -> str:
        """The domain as answers spell it."""
        return self.domain.system

    @property
    def unique(self) -> str:
        """What no two records have in common (PIXM-104-09)."""
        return f"Patient/{self.domain.source}/{self.system}|{self.value}"


def told(code: str, sentence: str, *, status: int | None = None, expression: str = "", text: str = "") -> FhirError:
    """Return a refusal that says `sentence` in its diagnostics and, unless `text` is given, in `details.text`."""
    return FhirError.of([Issue(code, sentence, expression, text=text or sentence)], status=status)


def record_key(pairs: Sequence[tuple[str, str]], client: str, context: Context) -> RecordKey:
    """Return the key that the query of a conditional interaction names, once `client` may feed its domain.

    Raises:
        FhirError: `required`, `invalid`, `not-supported` or `code-invalid` (400); `forbidden` (403).
    """
    given = [value for name, value in pairs if name == "identifier"]
    for name, _ in pairs:
        if name != "identifier" and name not in CONTROLS:
            raise told(
                "not-supported", f"search parameter {name[:64]} is not supported here; identifier alone names a record"
            )
    if not given:
        raise told("required", "identifier is required: system|value")
    if len(given) > 1:
        raise told("invalid", "identifier may be given once")
    system, value = halves("identifier", given[0])
    domain = context.domains.find(system)
    if domain is None:
        raise told("code-invalid", UNKNOWN_DOMAIN)
    if domain is context.domains.own or domain.kind == "person" or not domain.may_be_fed_by(client):
        raise told("forbidden", f"client is not the identity source of {domain.system}")
    return RecordKey(domain, value)


def halves(name: str, text: str, *, is_list: bool = False) -> tuple[str, str]:
    r"""Return system and value of the token `text`, both there, escapes resolved.

    Args:
        is_list: a comma belongs to the value; otherwise it would begin a list, which is refused.

    Raises:
        FhirError: `invalid` (400).
    """
    if not is_list and len(split(text, ",")) > 1:
        raise told("invalid", f"{name} takes one identifier, not a list")
    parts = [unescape(part) for part in split(text, "|")]
    if len(parts) != 2 or not all(parts):
        raise told("invalid", f"{name} must be of the form system|value, both halves present")
    return parts[0], parts[1]
