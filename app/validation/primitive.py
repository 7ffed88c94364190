"""The formats of FHIR's primitive types.

Spec: FHIR R4 datatypes.html#primitive and the regular expressions there; json.html#primitive.
"""

from __future__ import annotations

import binascii
import math
import re
from collections.abc import Callable
from datetime import date
from decimal import Decimal
from typing import Any

_TIME = r"([01][0-9]|2[0-3]):[0-5][0-9]:([0-5][0-9]|60)(\.[0-9]+)?"
_ZONE = r"(Z|(\+|-)((0[0-9]|1[0-3]):[0-5][0-9]|14:00))"
_YEAR = r"([0-9]([0-9]([0-9][1-9]|[1-9]0)|[1-9]00)|[1-9]000)"
_DAY = r"(0[1-9]|[12][0-9]|3[01])"
_MONTH = r"(0[1-9]|1[0-2])"

# Type -> the whole text must match. Source: FHIR R4 datatypes.html; `url`, `canonical`, `uuid` as its prose has them.
# Stricter: a URI has no control characters, so that U+0000, by which our own base is stored, comes from nobody else.
PATTERNS = {
    "id": r"[A-Za-z0-9\-.]{1,64}",
    "code": r"[^\s]+( [^\s]+)*",
    "uri": r"[^\s\x00-\x1f\x7f]*",
    "url": r"[^\s\x00-\x1f\x7f]*",
    "canonical": r"[^\s\x00-\x1f\x7f]*",
    "oid": r"urn:oid:[0-2](\.(0|[1-9][0-9]*))+",
    "uuid": r"urn:uuid:[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}",
    "date": rf"{_YEAR}(-{_MONTH}(-{_DAY})?)?",
    "dateTime": rf"{_YEAR}(-{_MONTH}(-{_DAY}(T{_TIME}{_ZONE})?)?)?",
    "instant": rf"{_YEAR}-{_MONTH}-{_DAY}T{_TIME}{_ZONE}",
    "time": _TIME,
}
# What a message says was expected.
EXPECTED = {
    "id": "1 to 64 letters, digits, `-` and `.`",
    "code": "a code without leading, trailing or doubled spaces",
    "uri": "a URI without whitespace",
    "url": "a URL without whitespace",
    "canonical": "a URL without whitespace",
    "oid": "`urn:oid:` and an OID",
    "uuid": "`urn:uuid:` and a UUID in lower case",
    "date": "`YYYY`, `YYYY-MM` or `YYYY-MM-DD`, a day that exists",
    "dateTime": "`YYYY`, `YYYY-MM`, `YYYY-MM-DD` or `YYYY-MM-DDThh:mm:ss+zz:zz`, a day that exists",
    "instant": "`YYYY-MM-DDThh:mm:ss+zz:zz` with a time zone, a day that exists",
    "time": "`hh:mm:ss`",
    "base64Binary": "base64",
    "string": "text without control characters, of at most 1,048,576 characters",
    "markdown": "text without control characters, of at most 1,048,576 characters",
    "integer": "a whole number of 32 bits",
    "unsignedInt": "a whole number from 0 to 2,147,483,647",
    "positiveInt": "a whole number from 1 to 2,147,483,647",
    "decimal": "a number",
    "boolean": "`true` or `false`, in lower case",
}
_LOWEST = {"integer": -(2**31), "unsignedInt": 0, "positiveInt": 1}
_LONGEST_STRING = 2**20
_LONGEST_CODE = 10_000
_CONTROL = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f]")
_BASE64_BLOCK = 65_536


def is_text(kind: str) -> bool:
    """Whether JSON writes values of the primitive type as strings."""
    return kind not in ("boolean", "decimal") and kind not in _LOWEST


def format_of(kind: str) -> Callable[[Any], bool]:  # noqa: PLR0911 - a line for each kind of format
    """Return the function that says whether a JSON value has the format of the primitive type.

    Types that R4 does not know are held to be strings.
    """
    if kind == "boolean":
        return lambda value: value is True or value is False
    if kind == "decimal":
        return _is_decimal
    if kind in _LOWEST:
        lowest = _LOWEST[kind]
        return lambda value: type(value) is int and lowest <= value < 2**31
    if kind == "base64Binary":
        return _is_base64
    if kind in ("date", "dateTime", "instant"):
        return _dated(re.compile(PATTERNS[kind]).fullmatch)
    if kind in PATTERNS:
        return _matching(re.compile(PATTERNS[kind]).fullmatch, _LONGEST_STRING if "uri" in kind else _LONGEST_CODE)
    return _is_string


def _is_decimal(value: Any) -> bool:
    if isinstance(value, (int, float)):
        return not isinstance(value, bool) and math.isfinite(value)
    return isinstance(value, Decimal) and value.is_finite()


def _is_string(value: Any) -> bool:
    # A whole document may be a string; most strings are short, printable, and settled by the second question.
    if type(value) is not str or not value:
        return False
    return value.isprintable() or (_CONTROL.search(value) is None and len(value) <= _LONGEST_STRING)


def _matching(matches: Callable[[str], object], longest: int) -> Callable[[Any], bool]:
    def is_valid(value: Any) -> bool:
        return type(value) is str and 0 < len(value) <= longest and matches(value) is not None

    return is_valid


def _dated(matches: Callable[[str], object]) -> Callable[[Any], bool]:
    def is_valid(value: Any) -> bool:
        if type(value) is not str or len(value) > 64 or not matches(value):
            return False
        return len(value) < 10 or value[8:10] < "29" or _exists(value[:10])

    return is_valid


def _exists(day: str) -> bool:
    try:
        date.fromisoformat(day)
    except ValueError:
        return False
    return True


def _is_base64(value: Any) -> bool:
    """Whether a string, of any length, is base64; whitespace may stand anywhere. Copies one block at a time."""
    if type(value) is not str or not value:
        return False
    if not value.isascii():
        return False
    return _decodes(value) or (any(sign in value for sign in " \n\r\t") and _decodes("".join(value.split())))


def _decodes(text: str) -> bool:
    if len(text) % 4 or not text:
        return False
    last = (len(text) - 1) // _BASE64_BLOCK * _BASE64_BLOCK
    try:
        for start in range(0, len(text), _BASE64_BLOCK):
            binascii.a2b_base64(text[start : start + _BASE64_BLOCK], strict_mode=True)
            if start < last and text[start + _BASE64_BLOCK - 1] == "=":
                return False
    except binascii.Error:
        return False
    return True
