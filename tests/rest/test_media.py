"""FHIR's formats at the edge: FHIR R4 http.html#mime-type; MHD-GEN-02 to MHD-GEN-08."""

from __future__ import annotations

import httpx
import pytest

JSON = "application/fhir+json; charset=utf-8"
XML = "application/fhir+xml; charset=utf-8"


def issue(answer: httpx.Response) -> tuple[int, str, str]:
    found = answer.json()["issue"][0]
    return answer.status_code, found["severity"], found["code"]


@pytest.mark.parametrize(
    ("accept", "query", "expected"),
    [
        ("", "", JSON),
        ("*/*", "", JSON),
        ("application/fhir+xml", "", XML),
        ("application/xml", "", XML),
        ("application/fhir+json; fhirVersion=4.0", "", JSON),
        ("text/html,application/xml;q=0.9,*/*;q=0.8", "", JSON),
        ("application/fhir+json", "?_format=xml", XML),
        ("application/fhir+xml", "?_format=application/fhir+json", JSON),
        ("application/fhir+json", "?_format=application/fhir%2Bxml", XML),
        ("image/png", "?_format=json", JSON),
    ],
)
async def test_answer_has_the_format_that_was_asked_for(
    http: httpx.AsyncClient, accept: str, query: str, expected: str
) -> None:
    """MHD-GEN-03, MHD-GEN-05, MHD-GEN-08: `_format` wins over `Accept`; the charset is told."""
    answer = await http.get(f"/fhir/Patient/1{query}", headers={"Accept": accept})
    assert (answer.status_code, answer.headers["content-type"]) == (200, expected)
    assert answer.text.startswith("<?xml" if expected == XML else "{") or answer.text.startswith("<Patient")


@pytest.mark.parametrize("path", ["/fhir/Patient/1", "/fhir/Patient", "/fhir/metadata"])
@pytest.mark.parametrize(
    ("accept", "query"), [("image/png", ""), ("", "?_format=csv"), ("application/fhir+json; fhirVersion=3.0", "")]
)
async def test_unsatisfiable_wish_is_not_acceptable(
    http: httpx.AsyncClient, path: str, accept: str, query: str
) -> None:
    """MHD-GEN-06: 406 with an outcome, in JSON since nothing else was agreed."""
    answer = await http.get(path + query, headers={"Accept": accept})
    assert issue(answer) == (406, "error", "not-supported")


async def test_nothing_is_done_before_the_answer_is_known_to_be_acceptable(http: httpx.AsyncClient) -> None:
    """MHD-GEN-06: a submission whose answer could not be sent is refused, not stored."""
    answer = await http.post("/fhir", json={"resourceType": "Patient"}, headers={"Accept": "image/png"})
    assert answer.status_code == 406
    assert "location" not in answer.headers


async def test_document_is_not_a_matter_of_fhir_formats(http: httpx.AsyncClient) -> None:
    """MHD-68-02: the bytes go out with their own type, whatever FHIR type is not acceptable."""
    answer = await http.get("/fhir/Binary/1", headers={"Accept": "text/plain"})
    assert (answer.status_code, answer.content) == (200, b"abcdef")
    assert answer.headers["content-type"] == "text/plain; charset=latin-1"
    assert (answer.headers["content-length"], answer.headers["x-content-type-options"]) == ("6", "nosniff")


@pytest.mark.parametrize(
    ("content_type", "status"),
    [
        ("application/fhir+json", 201),
        ("application/json; charset=utf-8", 201),
        ("text/json", 201),
        ('application/fhir+json; fhirVersion="4.0"; charset=UTF-8', 201),
        ("text/csv", 415),
        ("application/fhir+json; charset=latin-1", 415),
        ("application/fhir+json; fhirVersion=3.0", 415),
        ("application/x-www-form-urlencoded", 415),
        ("", 415),
    ],
)
async def test_type_of_the_body(http: httpx.AsyncClient, content_type: str, status: int) -> None:
    """MHD-GEN-05, MHD-GEN-06: generic types and parameters are taken, any other type is 415."""
    headers = {"Content-Type": content_type} if content_type else {}
    answer = await http.post("/fhir", content=b'{"resourceType":"Patient"}', headers=headers)
    assert answer.status_code == status
    if status == 415:
        assert issue(answer) == (415, "error", "not-supported")


async def test_encoded_body_is_refused(http: httpx.AsyncClient) -> None:
    """RFC 9110, 8.4: a content coding that is not known is 415."""
    headers = {"Content-Type": "application/fhir+json", "Content-Encoding": "gzip"}
    assert issue(await http.post("/fhir", content=b"\x1f\x8b", headers=headers)) == (415, "error", "not-supported")


async def test_answer_follows_the_body_when_nothing_is_asked(http: httpx.AsyncClient) -> None:
    """FHIR R4 http.html#mime-type: XML in, XML out."""
    body = b'<Patient xmlns="http://hl7.org/fhir"><birthDate value="1815-12-10"/></Patient>'
    answer = await http.post("/fhir", content=body, headers={"Content-Type": "application/fhir+xml"})
    assert (answer.status_code, answer.headers["content-type"]) == (201, XML)
    answer = await http.post("/fhir?_format=json", content=body, headers={"Content-Type": "application/fhir+xml"})
    assert answer.json() == {"resourceType": "Patient", "birthDate": "1815-12-10"}


async def test_numbers_keep_their_text_in_both_formats(http: httpx.AsyncClient) -> None:
    """MHD-GEN-09: decimal precision survives, pretty or not."""
    body = b'{"resourceType":"Observation","status":"final","code":{"text":"x"},"valueQuantity":{"value":1.10}}'
    headers = {"Content-Type": "application/fhir+json"}
    for query, text in (("", '"value":1.10'), ("?_pretty=true", '"value": 1.10'), ("?_format=xml", 'value="1.10"')):
        assert text in (await http.post(f"/fhir{query}", content=body, headers=headers)).text


async def test_pretty_is_for_people(http: httpx.AsyncClient) -> None:
    """FHIR R4 http.html#parameters: `_pretty`; a browser gets it unasked."""
    assert "\n" not in (await http.get("/fhir/Patient/1")).text
    assert "\n  " in (await http.get("/fhir/Patient/1?_pretty=true")).text
    assert "\n  " in (await http.get("/fhir/Patient/1", headers={"Accept": "text/html"})).text


@pytest.mark.parametrize(("path", "status"), [("Patient/absent", 404), ("Patient/broken", 500), ("Nothing", 404)])
async def test_errors_come_in_the_format_that_was_asked_for(http: httpx.AsyncClient, path: str, status: int) -> None:
    """MHD-GEN-07: an OperationOutcome in the negotiated format."""
    answer = await http.get(f"/fhir/{path}", headers={"Accept": "application/fhir+xml"})
    assert (answer.status_code, answer.headers["content-type"]) == (status, XML)
    assert "<OperationOutcome" in answer.text


async def test_own_urls_are_absolute(http: httpx.AsyncClient) -> None:
    """MHD-67-40: what begins with `[base]` in memory is a public URL in the answer."""
    (own,) = [one for one in (await http.get("/fhir/Patient")).json()["parameter"] if one["name"] == "own"]
    assert own["valueUri"] == "http://test.example.org/fhir/Binary/1"
    answer = await http.post("/fhir", json={"resourceType": "Patient"})
    assert answer.headers["location"] == "http://test.example.org/fhir/Patient/1/_history/1"


@pytest.mark.parametrize("path", ["Patient/1", "Binary/1", "Patient/absent", "metadata"])
async def test_head_is_get_without_a_body(http: httpx.AsyncClient, path: str) -> None:
    """MHD-68-17; RFC 9110, 9.3.2: the same header fields."""
    full, head = await http.get(f"/fhir/{path}"), await http.head(f"/fhir/{path}")
    assert (head.status_code, head.content) == (full.status_code, b"")
    own = {"x-request-id", "date"}
    assert {name: text for name, text in head.headers.items() if name not in own} == {
        name: text for name, text in full.headers.items() if name not in own
    }


async def test_not_modified_has_no_body(http: httpx.AsyncClient) -> None:
    """FHIR R4 http.html#cread: 304, with the ETag."""
    answer = await http.get("/fhir/Patient/known")
    assert (answer.status_code, answer.content, answer.headers["etag"]) == (304, b"", 'W/"1"')
