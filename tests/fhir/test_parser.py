"""A FHIR body, parsed: FHIR R4 json.html, xml.html; MHD-SEC-08."""

from __future__ import annotations

import json
import re
from decimal import Decimal

import pytest

from app.fhir.media_type import JSON, XML
from app.fhir.outcome import FhirError
from app.fhir.packages import Packages
from app.fhir.parser import MAX_DEPTH, parse_resource


def refused(body: bytes, packages: Packages, media_type: str = JSON) -> tuple[int, str, str]:
    with pytest.raises(FhirError) as caught:
        parse_resource(body, media_type, packages.structures)
    return caught.value.status, caught.value.issues[0].code, caught.value.issues[0].diagnostics


@pytest.mark.parametrize(
    ("body", "words"),
    [
        (b"", "not JSON"),
        (b"{", "line 1"),
        (b'{"resourceType":"Patient",\n "x": }', "line 2, column 7"),
        (b'{"resourceType":"Patient","x":"ab', "line 1, column 31: Unterminated string."),
        (b'{"resourceType":"Patient","x":NaN}', "not JSON"),
        (b'{"resourceType":"Patient","x":1.5,"y":NaN}', "not JSON"),
        (b'{"resourceType":"Patient"} x', "not JSON"),
        (b"[]", "resourceType"),
        (b"1.5", "resourceType"),
        (b'"Patient"', "resourceType"),
        (b"{}", "resourceType"),
        (b'{"resourceType":1}', "resourceType"),
        (b"null", "resourceType"),
        (b'{"resourceType":"Patient","x":"\xff"}', "not JSON"),
        (b'{"resourceType":"Patient","x":1.5,"y":"\xff"}', "not JSON"),
    ],
)
def test_what_is_not_a_resource_is_refused_with_its_place(body: bytes, words: str, packages: Packages) -> None:
    """MHD section 15: not parseable, or not FHIR: 400 `structure`; line and column are told."""
    status, code, text = refused(body, packages)
    assert (status, code) == (400, "structure")
    assert words in text


@pytest.mark.parametrize(
    "body",
    [
        b"<",
        b"",
        b"<Patient",
        b'<Patient xmlns="http://hl7.org/fhir"><birthDate value="1815"></Patient>',
        b'<!DOCTYPE x [<!ENTITY e "boom">]><Patient xmlns="http://hl7.org/fhir"><id value="&e;"/></Patient>',
        b'<!DOCTYPE x SYSTEM "http://127.0.0.1:1/x"><Patient xmlns="http://hl7.org/fhir"/>',
        b"<Patient/>",
    ],
)
def test_malformed_or_hostile_xml_is_refused(body: bytes, packages: Packages) -> None:
    """MHD-SEC-08: no DTD, no entities; 400 `structure`."""
    status, code, text = refused(body, packages, XML)
    assert (status, code) == (400, "structure")
    assert re.search(r"line \d+, column \d+", text)


def nested_json(levels: int) -> bytes:
    return b'{"resourceType":"Basic","extension":' + b"[" * levels + b"]" * levels + b"}"


@pytest.mark.parametrize("levels", [MAX_DEPTH, 100, 1_000, 5_000, 100_000])
@pytest.mark.parametrize("number", [b"", b',"x":1.5'])
def test_deep_json_is_refused(levels: int, number: bytes, packages: Packages) -> None:
    """MHD-SEC-08: 100 levels deep is 400, and no parser runs out of stack."""
    body = nested_json(levels)[:-1] + number + b"}"
    assert refused(body, packages)[:2] == (400, "structure")


def test_depth_below_the_limit_is_taken(packages: Packages) -> None:
    """The limit is far above what real resources need."""
    assert parse_resource(nested_json(MAX_DEPTH - 1), JSON, packages.structures)["resourceType"] == "Basic"


@pytest.mark.parametrize("levels", [100, 1_000, 100_000])
def test_deep_xml_is_refused(levels: int, packages: Packages) -> None:
    """MHD-SEC-08: the same in XML."""
    inner = b'<extension url="http://x.example.org">' * levels + b"</extension>" * levels
    assert refused(b'<Basic xmlns="http://hl7.org/fhir">' + inner + b"</Basic>", packages, XML)[:2] == (
        400,
        "structure",
    )


@pytest.mark.parametrize(
    "body",
    [
        b'{"resourceType":"Patient","id":"a","id":"b"}',
        b'{"resourceType":"Patient","name":[{"family":"a","family":"b"}]}',
        b'{"resourceType":"Patient", "id" : "a", "id" : "b"}',
        b'{"resourceType":"Patient","multipleBirthInteger":1,"id":"a","id":"b","x":1.50}',
    ],
)
def test_name_twice_is_refused(body: bytes, packages: Packages) -> None:
    """RFC 8259, 4: what the second of two equal names means is anybody's guess."""
    status, code, text = refused(body, packages)
    assert (status, code) == (400, "structure")
    assert "twice" in text


def test_text_that_looks_like_a_name_is_no_name(packages: Packages) -> None:
    """Quotes and colons inside of strings do not count."""
    body = {"resourceType": "Patient", "id": "a", "text": {"div": 'say "id": "id" : and \\": too'}}
    assert parse_resource(json.dumps(body).encode(), JSON, packages.structures) == body


@pytest.mark.parametrize("text", ["\\u0000/Binary/1", "a\\u0000", "\\ud800", "\\ud800\\u0041"])
@pytest.mark.parametrize("number", ["", ',"x":1.5'])
def test_characters_that_fhir_strings_cannot_hold(text: str, number: str, packages: Packages) -> None:
    """FHIR R4 datatypes.html#string; U+0000 stands for our own base in memory, so no client may send it."""
    body = f'{{"resourceType":"Patient","id":"{text}"{number}}}'.encode()
    assert refused(body, packages)[:1] == (400,)


def test_escaped_backslash_is_no_escape(packages: Packages) -> None:
    """`\\\\u0000` is the six characters of that text."""
    body = b'{"resourceType":"Patient","id":"\\\\u0000 \\ud83d\\ude00"}'
    assert parse_resource(body, JSON, packages.structures)["id"] == "\\u0000 \U0001f600"


def test_long_integers_are_refused_or_kept_as_text(packages: Packages) -> None:
    """MHD-GEN-09: an integer that no machine word holds is a decimal that remembers its text."""
    resource = parse_resource(b'{"resourceType":"X","a":123,"b":' + b"9" * 5_000 + b"}", JSON, packages.structures)
    assert (resource["a"], resource["b"].text) == (123, "9" * 5_000)


def test_decimals_keep_their_text(packages: Packages) -> None:
    """MHD-GEN-09: 1.10 is not 1.1."""
    resource = parse_resource(b'{"resourceType":"X","a":1.10,"b":1e3}', JSON, packages.structures)
    assert (resource["a"], resource["a"].text, resource["b"].text) == (Decimal("1.10"), "1.10", "1e3")


@pytest.mark.parametrize(
    ("media_type", "body"),
    [
        (JSON, b'{"resourceType":"Patient"}'),
        (XML, b'<Patient xmlns="http://hl7.org/fhir"><active value="true"/></Patient>'),
    ],
)
def test_byte_order_mark_is_tolerated(media_type: str, body: bytes, packages: Packages) -> None:
    """RFC 8259 section 8.1: a parser may ignore the mark that editors on Windows put before a text."""
    assert parse_resource(b"\xef\xbb\xbf" + body, media_type, packages.structures)["resourceType"] == "Patient"


@pytest.mark.parametrize(
    ("body", "place"),
    [
        ('{"resourceType":"Patient",\n "active":true,\n "active":false}', "line 3, column 2"),
        ('{"resourceType":"Patient", "name": [{"family":"a"}, {"family":"a:\\"","family":"b"}]}', "line 1, column 70"),
        ('{"resourceType":"X", "a":{"a":{"a":[{},{}]}}, "\\u0061":1}', "line 1, column 47"),
    ],
)
def test_place_of_a_property_that_is_there_twice(packages: Packages, body: str, place: str) -> None:
    """MHD-ERR-02: line and column of the second one."""
    with pytest.raises(FhirError, match=place) as refused:
        parse_resource(body.encode(), JSON, packages.structures)
    assert "is there twice in one object" in refused.value.issues[0].diagnostics
