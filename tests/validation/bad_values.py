"""Values that are wrong for their type, and samples of right ones.

Spec: FHIR R4 datatypes.html, the regular expressions of the primitives; json.html.
"""

from __future__ import annotations

from typing import Any

# JSON kind of the right value -> values of other kinds.
WRONG_KINDS: dict[str, tuple[Any, ...]] = {
    "object": ("x", 5, None, [], True),
    "string": (5, True, {"a": "x"}, None, ["x"]),
    "number": ("1", None, {"a": 1}, [1]),
}

# Type -> what is wrong -> values.
_WHITESPACE = "illegal whitespace"
_DATE = "bad date"
_TEXT = "bad format"
BAD: dict[str, dict[str, tuple[Any, ...]]] = {
    "base64Binary": {"bad base64": ("a$", "abc", "=abc", "QUJD=", "QQ")},
    "boolean": {_TEXT: ("true", 1)},
    "canonical": {_WHITESPACE: ("a b", " urn:x", "urn:x ")},
    "code": {_WHITESPACE: (" x", "x ", "x  y", "x\ty", "\n"), _TEXT: ("",)},
    "date": {_DATE: ("2024-02-30", "2024-13", "2023-02-29", "24-01-01", "2024-1-1", "2024-01-01T", "20240101"), _WHITESPACE: (" 2024",)},
    "dateTime": {
        _DATE: ("2024-02-30T10:00:00Z", "2024-01-01T10:00:00", "2024-01-01T25:00:00Z", "2024-01-01 10:00:00Z", "2024-13", "0000", "2024-01-01T10:00Z", "2024-01-01T10:00:00+25:00"),
        _WHITESPACE: ("2024 ", "\t2024"),
    },
    "decimal": {_TEXT: ("1.0", True)},
    "id": {_TEXT: ("a_b", "x" * 65, "", "ä"), _WHITESPACE: ("a b", " a")},
    "instant": {_DATE: ("2024-01-01", "2024-01-01T10:00:00", "2024-02-30T10:00:00Z", "2024"), _WHITESPACE: (" 2024-01-01T10:00:00Z",)},
    "integer": {_TEXT: ("1", 1.5, 2**31, True)},
    "markdown": {_TEXT: ("",)},
    "oid": {_TEXT: ("1.2.3", "urn:oid:3.1", "urn:oid:1.02")},
    "positiveInt": {_TEXT: (0, -1, 1.5)},
    "string": {_TEXT: ("",)},
    "time": {_TEXT: ("25:00:00", "10:00", "10:60:00")},
    "unsignedInt": {_TEXT: (-1, 1.5)},
    "uri": {_WHITESPACE: ("a b", " urn:x", "urn:x\n"), _TEXT: ("",)},
    "url": {_WHITESPACE: ("http://x/a b", " http://x")},
    "uuid": {_TEXT: ("x", "urn:uuid:X")},
    "xhtml": {"bad narrative": ("<div>", "<p>x</p>", '<div xmlns="http://www.w3.org/1999/xhtml"><script>x</script></div>', "")},
}  # fmt: skip

# Right values, for elements that may not be there at all.
SAMPLES: dict[str, Any] = {
    "Attachment": {"title": "x"}, "boolean": True, "code": "x", "CodeableConcept": {"text": "x"}, "Coding": {"code": "x"},
    "canonical": "urn:x", "date": "2024", "dateTime": "2024", "decimal": 1, "id": "x", "Identifier": {"value": "x"},
    "instant": "2024-01-01T10:00:00Z", "integer": 1, "markdown": "x", "Period": {"start": "2024"}, "positiveInt": 1,
    "Reference": {"display": "x"}, "string": "x", "unsignedInt": 1, "uri": "urn:x", "url": "urn:x",
    "base64Binary": "QUJD", "Signature": {"type": [{"code": "x"}], "when": "2024-01-01T10:00:00Z", "who": {"display": "x"}},
}  # fmt: skip
