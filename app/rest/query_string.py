"""Query strings and form bodies: pairs of name and value, decoded exactly once, order and repeats kept.

Spec: FHIR R4 search.html#escaping; URL Standard, application/x-www-form-urlencoded (`+` is a space).
"""

from __future__ import annotations

import re
from urllib.parse import unquote_to_bytes

from app.fhir.outcome import FhirError

Pairs = tuple[tuple[str, str], ...]

_BAD_ESCAPE = re.compile(rb"%(?![0-9A-Fa-f]{2})")


def decode_pairs(text: bytes) -> Pairs:
    """Return the pairs of `text`; a name without `=` has an empty value.

    Examples:
        b"type=http%3A%2F%2Floinc.org%7C1&name=a+b" -> (("type", "http://loinc.org|1"), ("name", "a b"))

    Raises:
        FhirError: `invalid` (400) for a `%` without two hexadecimal digits, or bytes that are not UTF-8.
    """
    if not text:
        return ()
    if b"%" in text and _BAD_ESCAPE.search(text):
        raise FhirError(
            "invalid", "The parameters hold a `%` that two hexadecimal digits do not follow; send it as `%25`."
        )
    try:
        return tuple(_pair(part) for part in text.split(b"&") if part)
    except UnicodeDecodeError:
        raise FhirError("invalid", "The parameters are not UTF-8.") from None


def _pair(part: bytes) -> tuple[str, str]:
    name, _, value = part.partition(b"=")
    return _decoded(name), _decoded(value)


def _decoded(text: bytes) -> str:
    if b"+" in text:
        text = text.replace(b"+", b" ")
    return (unquote_to_bytes(text) if b"%" in text else text).decode()
