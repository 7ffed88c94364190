"""References of every form: FHIR R4 references.html; MHD-GEN-23."""

from __future__ import annotations

import pytest

from app.fhir.reference import Reference, parse, relative

BASE_URL = "https://here.example/fhir"


@pytest.mark.parametrize(
    "text",
    [
        "Patient/1",
        "Patient/1/_history/3",
        f"{BASE_URL}/Patient/1",
        f"{BASE_URL}/Patient/1/_history/3",
        "\x00/Patient/1",
        "\x00/Patient/1/_history/3",
    ],
)
def test_one_resource_has_one_reference(text: str) -> None:
    """MHD-66-14: relative, absolute and stored forms of one reference are equal; versions do not count."""
    assert parse(text, BASE_URL) == Reference("literal", "Patient", "1", url="Patient/1")


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (
            "http://a.example/fhir/Patient/1",
            Reference("absolute", "Patient", "1", url="http://a.example/fhir/Patient/1"),
        ),
        (
            "http://a.example/fhir/Patient/1/_history/2",
            Reference("absolute", "Patient", "1", url="http://a.example/fhir/Patient/1"),
        ),
        ("http://a.example/some/page.html", Reference("absolute", url="http://a.example/some/page.html")),
        ("http://a.example", Reference("absolute", url="http://a.example")),
        ("#author", Reference("contained", id="author", url="#author")),
        ("#", Reference("contained", url="#")),
        (
            "urn:uuid:0c287d32-01e3-4d87-9953-9fcc9407eb21",
            Reference("urn", url="urn:uuid:0c287d32-01e3-4d87-9953-9fcc9407eb21"),
        ),
        ("Patient?identifier=a|b", Reference("conditional", "Patient", url="Patient?identifier=a|b")),
        ("1", Reference("unknown", url="1")),
        ("", Reference("unknown")),
        ("Patient/with space", Reference("unknown", url="Patient/with space")),
        (f"Patient/{'x' * 65}", Reference("unknown", url=f"Patient/{'x' * 65}")),
    ],
)
def test_each_form_is_told(text: str, expected: Reference) -> None:
    """FHIR R4 references.html#literal, #contained, http.html#trules: each form of a reference is recognised."""
    assert parse(text, BASE_URL) == expected


def test_the_version_is_kept() -> None:
    """FHIR R4 references.html#versions: a reference may name a version."""
    assert parse("Patient/1/_history/3").version == "3"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (f"{BASE_URL}/Binary/1", "Binary/1"),
        ("\x00/Binary/1", "Binary/1"),
        ("https://here.example/fhirx/Binary/1", "https://here.example/fhirx/Binary/1"),
        ("Binary/1", "Binary/1"),
    ],
)
def test_own_urls_lose_their_base(text: str, expected: str) -> None:
    """FHIR R4 http.html#general: what is below our own base is ours, and nothing else is."""
    assert relative(text, BASE_URL) == expected
