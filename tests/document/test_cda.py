"""HL7 v3 read as FHIR: datatypes, and headers that are hostile."""

from __future__ import annotations

import pytest

from app.document.cda_header import MAX_ELEMENTS, V3, CdaError, CdaHeaderReader, Element
from app.document.cda_types import concept, date_time, gender, human_names, identifier, period, telecoms
from app.document.derivation import class_of, format_of

ROOT = f'<ClinicalDocument xmlns="{V3}">'


def read(text: str | bytes) -> Element:
    """Read a document in pieces of a few bytes."""
    reader = CdaHeaderReader()
    document = text.encode() if isinstance(text, str) else text
    for start in range(0, len(document), 7):
        reader.feed(document[start : start + 7])
    return reader.close()


def within(text: str) -> Element:
    return read(f"{ROOT}{text}</ClinicalDocument>")


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("2025", "2025"),
        ("202503", "2025-03"),
        ("20250314", "2025-03-14"),
        ("202503141540", "2025-03-14"),
        ("2025031415+0100", "2025-03-14"),
        ("202503141540+0100", "2025-03-14T15:40:00+01:00"),
        ("20250314154012-0330", "2025-03-14T15:40:12-03:30"),
        ("20250314154012.5+0000", "2025-03-14T15:40:12.5+00:00"),
        ("yesterday", ""),
        ("", ""),
    ],
)
def test_times(value: str, expected: str) -> None:
    """MHD-106-17: as precise as they are; a time without an offset is a day."""
    assert date_time(Element("effectiveTime", {"value": value})) == expected


@pytest.mark.parametrize(
    ("root", "extension", "expected"),
    [
        ("1.2.3", "", {"system": "urn:ietf:rfc:3986", "value": "urn:oid:1.2.3"}),
        ("1.2.3", "A-7", {"system": "urn:oid:1.2.3", "value": "A-7"}),
        (
            "0753B480-B4D9-5E86-87E3-007167D602F0",
            "",
            {"system": "urn:ietf:rfc:3986", "value": "urn:uuid:0753b480-b4d9-5e86-87e3-007167d602f0"},
        ),
        ("", "A-7", None),
    ],
)
def test_identifiers(root: str, extension: str, expected: object) -> None:
    """MHD-PR-03, MHD-106-15: an II with and without extension; one without root says nothing."""
    assert identifier(Element("id", {"root": root, "extension": extension})) == expected


def test_concepts() -> None:
    """MHD-106-15: a code, its translations and its text; a null flavour says nothing."""
    found = within(
        '<code code="1" codeSystem="2.16.840.1.113883.6.1"><originalText>one</originalText>'
        '<translation code="2" codeSystem="2.999" displayName="two"/></code>'
    )

    assert concept(found.first("code")) == {
        "coding": [
            {"system": "http://loinc.org", "code": "1"},
            {"system": "urn:oid:2.999", "code": "2", "display": "two"},
        ],
        "text": "one",
    }
    assert concept(Element("code", {"nullFlavor": "UNK"})) is None
    assert concept(None) is None


def test_other_datatypes() -> None:
    """MHD-106-15: names, telecoms, gender, periods."""
    owner = within(
        "<name>Otto <!-- x -->Beispiel</name><name/><telecom value='tel:1'/><telecom value='https://a.example/x'/>"
        "<telecom value='nonsense'/><effectiveTime value='2025'/>"
    )

    assert human_names(owner) == [{"text": "Otto Beispiel"}]
    assert telecoms(owner) == [
        {"system": "phone", "value": "1"},
        {"system": "url", "value": "https://a.example/x"},
    ]
    assert [gender(Element("g", {"code": code})) for code in ("M", "UN", "X", "")] == ["male", "other", "unknown", ""]
    assert period(owner.first("effectiveTime")) == {"start": "2025", "end": "2025"}
    assert period(Element("effectiveTime", {}, [Element("low", {"value": "2024"})])) == {"start": "2024"}


def test_derivation() -> None:
    """MHD-106-15: the most special template decides; a type that no table knows has no class."""
    marks = ["1.3.6.1.4.1.19376.1.5.3.1.1.2", "1.3.6.1.4.1.19376.1.5.3.1.1.5|2.0"]

    assert format_of(marks)["code"] == "urn:ihe:pcc:xphr:2007"
    assert format_of([])["code"] == "urn:ihe:iti:xds:2017:mimeTypeSufficient"
    assert class_of({"coding": [{"system": "http://loinc.org", "code": "0-0"}]}) is None


def test_other_encodings() -> None:
    """MHD-106-05: a document in the encoding that it declares."""
    text = f'<?xml version="1.0" encoding="ISO-8859-1"?>{ROOT}<title>Grüße</title></ClinicalDocument>'

    assert read(text.encode("iso-8859-1")).string("title") == "Grüße"


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("", "no element"),
        ("<x>", "root element"),
        (f"{ROOT}<id>", "no element"),
        (f'<!DOCTYPE x SYSTEM "http://127.0.0.1/x">{ROOT}</ClinicalDocument>', "DOCTYPE"),
        (f'<!DOCTYPE x [<!ENTITY a "b">]>{ROOT}&a;</ClinicalDocument>', "DOCTYPE"),
        (f"{ROOT}&a;</ClinicalDocument>", "undefined entity"),
        (ROOT + "<a>" * 200, "levels deep"),
        (ROOT + "<a/>" * MAX_ELEMENTS, "elements"),
        (f"{ROOT}<a>{'x' * 1_000_001}</a></ClinicalDocument>", "characters"),
    ],
)
def test_hostile_documents(text: str, why: str) -> None:
    """MHD-SEC-08: no document types, no entities, bounded depth, size and number."""
    with pytest.raises(CdaError, match=why):
        read(text)


def test_body_is_passed_over() -> None:
    """MHD-SEC-08: what the body holds is neither kept nor counted, but must be well-formed."""
    body = "<component><structuredBody>" + "<a>text</a>" * MAX_ELEMENTS + "</structuredBody></component>"

    reader = CdaHeaderReader()
    reader.feed(f"{ROOT}{body}<id root='1.2'/></ClinicalDocument>".encode())
    assert [one.name for one in reader.close().children] == ["component", "id"]
