"""References to a patient or a record, from the ways in which requests and tokens name them.

What cannot be read gives None: an event says what is known, and never fails for the rest (AUD-06).

Spec: AUD-31, AUD-34, AUD-51; IUA-33; FHIR R4 references.html, search.html#token.
"""

from __future__ import annotations

import re
from typing import Any

from app.fhir.reference import parse as parse_reference
from app.fhir.resource import Resource
from app.search.escape import split, unescape

# Longer texts are no identifiers; they are not repeated.
_LONGEST = 512

_LOCAL_ID = re.compile(r"[A-Za-z0-9\-.]{1,64}")
_CX = re.compile(r"(?P<value>[^^]+)\^\^\^[^&]*&(?P<oid>[0-2](?:\.[0-9]+)+)&ISO")
_KINDS = frozenset({"literal", "absolute", "conditional"})


def patient(text: str, base_url: str = "") -> Resource | None:
    """Return a Reference to the patient that `text` names: an id, `Patient/id` or a URL."""
    if _LOCAL_ID.fullmatch(text):
        return {"reference": f"Patient/{text}"}
    return reference(text, "Patient", base_url)


def reference(text: Any, resource_type: str, base_url: str = "") -> Resource | None:
    """Return a Reference to what `text` names, when it is a `resource_type`."""
    if not isinstance(text, str) or len(text) > _LONGEST:
        return None
    found = parse_reference(text, base_url)
    if found.kind not in _KINDS or found.resource_type != resource_type:
        return None
    return {"reference": f"{found.url}/_history/{found.version}" if found.version else found.url}


def identified(identifier: Any) -> Resource | None:
    """Return a logical Reference by `identifier`, system and value alone."""
    if not isinstance(identifier, dict):
        return None
    kept = {name: identifier[name] for name in ("system", "value") if _is_text(identifier.get(name))}
    return {"identifier": kept} if "value" in kept else None


def token(text: str) -> Resource | None:
    """Return a logical Reference by the one identifier that the search value `text` spells: `system|value`."""
    parts = [unescape(part) for part in split(text, "|")]
    if len(parts) != 2 or not all(parts) or len(split(text, ",")) > 1:
        return None
    return identified({"system": parts[0], "value": parts[1]})


def whole_token(text: str) -> Resource | None:
    """Return the same where a comma belongs to the value."""
    system, _, value = (unescape(part) for part in ("|".join(split(text, "|"))).partition("|"))
    return identified({"system": system, "value": value}) if system and value else None


def claimed(text: str, base_url: str = "") -> Resource | None:
    """Return a Reference to the patient that a claim of a token names: a CX, `urn:oid:…|value`, or a URL (IUA-33)."""
    if found := _CX.fullmatch(text):
        return identified({"system": f"urn:oid:{found['oid']}", "value": found["value"]})
    return token(text) if "|" in text else reference(text, "Patient", base_url)


def _is_text(value: Any) -> bool:
    return isinstance(value, str) and 0 < len(value) <= _LONGEST and value == value.strip()
