"""The formats of primitive types.

Spec: FHIR R4 datatypes.html#primitive.
"""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest

from app.fhir.resource import DecimalText
from app.validation.primitive import format_of

VALID: list[tuple[str, Any]] = [
    ("boolean", True),
    ("boolean", False),
    ("integer", -(2**31)),
    ("integer", 0),
    ("integer", 2**31 - 1),
    ("unsignedInt", 0),
    ("positiveInt", 1),
    ("decimal", 1),
    ("decimal", 1.5),
    ("decimal", DecimalText("1.10")),
    ("decimal", Decimal("1e-3")),
    ("string", "a"),
    ("string", "Grüße\n\t"),
    ("string", " a "),
    ("markdown", "# a\r\n"),
    ("code", "a"),
    ("code", "a b"),
    ("id", "a-1.B"),
    ("id", "a" * 64),
    ("uri", "urn:oid:1.2"),
    ("uri", "a"),
    ("url", "http://example.org/a?b#c"),
    ("canonical", "http://x|1.0"),
    ("oid", "urn:oid:1.2.840"),
    ("uuid", "urn:uuid:c757873d-ec9a-4326-a141-556f43239520"),
    ("date", "2020"),
    ("date", "2020-12"),
    ("date", "2020-02-29"),
    ("dateTime", "2020"),
    ("dateTime", "2020-02"),
    ("dateTime", "2020-02-28"),
    ("dateTime", "2020-02-28T23:59:59Z"),
    ("dateTime", "2020-02-28T23:59:59.123+14:00"),
    ("dateTime", "2016-12-31T23:59:60Z"),
    ("instant", "2020-02-28T23:59:59.123456789-05:00"),
    ("time", "23:59:59.9"),
    ("base64Binary", "QUJD"),
    ("base64Binary", "QQ=="),
    ("base64Binary", "QUJD\nQUI="),
    ("base64Binary", " QUJD "),
    ("base64Binary", "QUJD" * 50_000),
    ("base64Binary", "QUJD" * 16_384 + "QQ=="),
]
INVALID: list[tuple[str, Any]] = [
    ("boolean", "true"),
    ("boolean", 1),
    ("boolean", 0),
    ("boolean", None),
    ("integer", 2**31),
    ("integer", True),
    ("integer", 1.0),
    ("integer", "1"),
    ("unsignedInt", -1),
    ("positiveInt", 0),
    ("decimal", "1.5"),
    ("decimal", True),
    ("decimal", float("nan")),
    ("decimal", float("inf")),
    ("string", ""),
    ("string", 1),
    ("string", "a\x00"),
    ("string", "a\x0b"),
    ("string", "a" * (2**20) + "\n"),
    ("code", " a"),
    ("code", "a "),
    ("code", "a  b"),
    ("code", ""),
    ("code", "a\tb"),
    ("id", "a_b"),
    ("id", "a" * 65),
    ("id", ""),
    ("uri", "a b"),
    ("url", "http://x y"),
    ("uri", ""),
    ("url", "\x00/Binary/1"),
    ("oid", "1.2.3"),
    ("oid", "urn:oid:1"),
    ("oid", "urn:oid:1.02"),
    ("oid", "urn:oid:3.1.a"),
    ("uuid", "c757873d-ec9a-4326-a141-556f43239520"),
    ("uuid", "urn:uuid:C757873D-EC9A-4326-A141-556F43239520"),
    ("date", "2020-13"),
    ("date", "2020-02-30"),
    ("date", "2021-02-29"),
    ("date", "20"),
    ("date", "2020-1-1"),
    ("date", "2020-01-01T00:00:00Z"),
    ("date", "0000"),
    ("date", "2020-"),
    ("date", ""),
    ("date", 2020),
    ("dateTime", "2020-01-01T00:00:00"),
    ("dateTime", "2020-01-01T00:00Z"),
    ("dateTime", "2020-01-01T24:00:00Z"),
    ("dateTime", "2020-02-30T00:00:00Z"),
    ("dateTime", "2020-01-01T00:00:00+15:00"),
    ("dateTime", "2020-01-01 00:00:00Z"),
    ("dateTime", "2020-01-01T00:00:00Z\n"),
    ("instant", "2020-01-01"),
    ("instant", "2020-01-01T00:00:00"),
    ("time", "24:00:00"),
    ("time", "10:00"),
    ("base64Binary", "QUJ"),
    ("base64Binary", "QU*D"),
    ("base64Binary", ""),
    ("base64Binary", "Q==="),
    ("base64Binary", "QQ==QUJD"),
    ("base64Binary", "ä"),
    ("base64Binary", "QUJD" * 16_383 + "QQ==QUJD"),
    ("base64Binary", "QUJD" * 50_000 + "*"),
    ("base64Binary", "  "),
]


@pytest.mark.parametrize(("kind", "value"), VALID, ids=lambda each: repr(each)[:40])
def test_valid(kind: str, value: Any) -> None:
    """datatypes.html#primitive: what each type allows."""
    assert format_of(kind)(value)


@pytest.mark.parametrize(("kind", "value"), INVALID, ids=lambda each: repr(each)[:40])
def test_invalid(kind: str, value: Any) -> None:
    """datatypes.html#primitive: what each type does not allow."""
    assert not format_of(kind)(value)
