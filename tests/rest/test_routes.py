"""Every URL below `[base]`: FHIR R4 http.html#summary; MHD-GEN-10."""

from __future__ import annotations

import dataclasses

import httpx
import pytest

from app.rest.table import DoubleRouteError, Table
from tests.rest.conftest import OWN, Serve


def parameters(answer: httpx.Response) -> list[tuple[str, str]]:
    return [(one["name"], one.get("valueString", "")) for one in answer.json()["parameter"] if one["name"] != "own"]


@pytest.mark.parametrize("path", ["/fhir", "/fhir/"])
async def test_base_answers_with_and_without_slash(http: httpx.AsyncClient, path: str) -> None:
    """MHD section 1: `POST [base]`, no redirect."""
    answer = await http.post(path, json={"resourceType": "Patient"})
    assert (answer.status_code, answer.history) == (201, [])


async def test_slash_at_the_end_is_tolerated(http: httpx.AsyncClient) -> None:
    """A trailing slash; the URL that is told has none."""
    answer = await http.get("/fhir/Patient/?x=1")
    assert parameters(answer) == [
        ("x", "1"),
        ("url", "Patient?x=1"),
        ("method", "GET"),
        ("format", "application/fhir+json"),
    ]


async def test_search_by_form_merges_both_sources(http: httpx.AsyncClient) -> None:
    """FHIR R4 http.html#search: POST `_search` takes parameters from the URL and the body."""
    answer = await http.post("/fhir/Patient/_search?a=1", data={"b": "x y+z", "a": "2"})
    assert parameters(answer)[:3] == [("a", "1"), ("b", "x y+z"), ("a", "2")]


async def test_form_may_name_the_format(http: httpx.AsyncClient) -> None:
    """MHD-GEN-03: `_format` is a parameter like the others."""
    answer = await http.post("/fhir/Patient/_search", data={"_format": "xml"}, headers={"Accept": "application/json"})
    assert answer.headers["content-type"] == "application/fhir+xml; charset=utf-8"


async def test_search_with_an_empty_body(http: httpx.AsyncClient) -> None:
    """FHIR R4 http.html#search: a form without parameters is a search without parameters."""
    assert (await http.post("/fhir/Patient/_search?a=1")).status_code == 200


@pytest.mark.parametrize("content_type", ["application/json", "text/plain", "multipart/form-data; boundary=x"])
async def test_search_with_another_body_is_refused(http: httpx.AsyncClient, content_type: str) -> None:
    """MHD-GEN-06: 415."""
    answer = await http.post("/fhir/Patient/_search", content=b"a=1", headers={"Content-Type": content_type})
    assert (answer.status_code, answer.json()["issue"][0]["code"]) == (415, "not-supported")


@pytest.mark.parametrize("query", ["x=%zz", "x=%ff"])
async def test_broken_escape_is_refused(http: httpx.AsyncClient, query: str) -> None:
    """MHD-GEN-14: 400 `invalid`."""
    answer = await http.get(httpx.URL("http://test.example.org/fhir/Patient", query=query.encode()))
    assert (answer.status_code, answer.json()["issue"][0]["code"]) == (400, "invalid")


@pytest.mark.parametrize(
    ("method", "path", "allow"),
    [
        ("DELETE", "/fhir/Patient/1", "GET, HEAD"),
        ("PUT", "/fhir/Patient/1", "GET, HEAD"),
        ("PATCH", "/fhir/Patient/1", "GET, HEAD"),
        ("POST", "/fhir/Patient", "GET, HEAD"),
        ("POST", "/fhir/Binary/1", "GET, HEAD"),
        ("GET", "/fhir/Patient/_search", "POST"),
        ("GET", "/fhir", "POST"),
        ("PUT", "/fhir/metadata", "GET, HEAD"),
    ],
)
async def test_method_that_is_not_offered(http: httpx.AsyncClient, method: str, path: str, allow: str) -> None:
    """MHD-GEN-10, MHD-68-12: 405 with `Allow` and an outcome; nothing but ITI-65 changes what was published."""
    answer = await http.request(method, path)
    assert (answer.status_code, answer.headers["allow"]) == (405, allow)
    assert answer.json()["issue"][0]["code"] == "not-supported"


@pytest.mark.parametrize(
    ("path", "words"),
    [
        ("/fhir/Nothing", "`Patient`"),
        ("/fhir/Patiens/1", "Did you mean `Patient`?"),
        ("/fhir/Patient/1/2/3", "[base]/metadata"),
        ("/fhir/Patient/a_b", "[base]/metadata"),
        ("/fhir/Patient/" + "x" * 65, "[base]/metadata"),
        ("/fhir/Patient/1/$everything", "[base]/metadata"),
        ("/elsewhere", "http://test.example.org/fhir"),
        ("/fhirx", "http://test.example.org/fhir"),
    ],
)
async def test_path_that_is_not_there(http: httpx.AsyncClient, path: str, words: str) -> None:
    """MHD-GEN-07, style.md 10: 404 with an outcome that names the way out."""
    answer = await http.get(path)
    code = "not-supported" if "$" in path else "not-found"
    assert (answer.status_code, answer.json()["issue"][0]["code"]) == (404, code)
    assert words in answer.json()["issue"][0]["diagnostics"]


async def test_version_is_a_variable_of_the_path(http: httpx.AsyncClient) -> None:
    """MHD-GEN-08: vread."""
    assert (await http.get("/fhir/Patient/1/_history/7")).json()["id"] == "1"


async def test_base_comes_from_the_settings(serve: Serve) -> None:
    """MHD_BASE_URL; also without a path, where the pages come first."""
    async with serve(base_url="https://test.example.org/a/b/") as client:
        assert (await client.get("/a/b/Patient/1")).status_code == 200
        assert (await client.get("/fhir/Patient/1")).status_code == 404
        answer = await client.post("/a/b", json={"resourceType": "Patient"})
        assert answer.headers["location"] == "https://test.example.org/a/b/Patient/1/_history/1"
    async with serve(base_url="https://test.example.org") as client:
        assert (await client.get("/Patient/1")).status_code == 200
        assert (await client.post("/", json={"resourceType": "Patient"})).status_code == 201
        assert (await client.get("/health/live")).status_code == 200


def test_two_transactions_cannot_claim_one_url() -> None:
    """style.md 4: the server refuses to start, and names both."""
    with pytest.raises(DoubleRouteError, match=r"`GET \[base\]/Patient/\{id\}` is claimed by OWN-1 .* and OWN-2"):
        Table((OWN, dataclasses.replace(OWN, code="OWN-2")))
