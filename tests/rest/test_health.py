"""Is the server up, does its store answer; and the pages for people."""

from __future__ import annotations

import httpx
import pytest
from pydantic import SecretStr

from app.fhir.outcome import FhirError
from tests.rest.conftest import Serve


async def test_live_and_ready(http: httpx.AsyncClient) -> None:
    """`/health/live`, `/health/ready`."""
    assert (await http.get("/health/live")).json() == {"status": "up"}
    assert (await http.get("/health/ready")).status_code == 200


async def test_ready_says_when_the_store_is_away(serve: Serve) -> None:
    """503, and the process stays up."""
    async with serve() as client:
        await client.app.state.context.store.close()  # type: ignore[attr-defined]
        assert (await client.get("/health/ready")).status_code == 503
        assert (await client.get("/health/live")).status_code == 200


async def test_store_that_is_away_fails_requests_in_fhirs_words(serve: Serve) -> None:
    """MHD section 15: overload or absence of the store is 503 `transient`."""
    with pytest.raises(FhirError) as caught:
        async with serve(mongodb_url=SecretStr("mongodb://127.0.0.1:1/?serverSelectionTimeoutMS=50")):
            pass
    assert caught.value.issues[0].code == "transient"


@pytest.mark.parametrize("path", ["/health/live/", "/docs/"])
async def test_no_redirect_to_a_host_that_the_client_names(http: httpx.AsyncClient, path: str) -> None:
    """FastAPI's own answer to a slash would lead to whatever `Host` says."""
    answer = await http.get(path, headers={"Host": "evil.example"}, follow_redirects=False)
    assert (answer.status_code, answer.json()["issue"][0]["code"]) == (404, "not-found")
    assert "evil" not in str(answer.headers) + answer.text


@pytest.mark.parametrize("path", ["/", "/docs"])
async def test_pages_work_without_the_internet(http: httpx.AsyncClient, path: str) -> None:
    """A browser sees what this is; no script, font or image comes from elsewhere."""
    page = (await http.get(path, headers={"Accept": "text/html"})).text
    assert "http://test.example.org/fhir" in page
    assert "OWN-1" in page
    assert "curl" in page
    for outside in ("<script", "src=", "@import", "url("):
        assert outside not in page


async def test_openapi_lists_every_interaction(http: httpx.AsyncClient) -> None:
    """OpenAPI from the records."""
    described = (await http.get("/openapi.json")).json()
    assert described["servers"] == [{"url": "http://test.example.org/fhir"}]
    assert set(described["paths"]) >= {"/", "/Patient", "/Patient/_search", "/Patient/{id}", "/metadata"}
    assert described["paths"]["/Patient/{id}"]["get"]["parameters"][0]["name"] == "id"


async def test_tour_is_there_with_the_example_data_only(serve: Serve) -> None:
    """The submissions that two of the curl lines send; no dead line without the data."""
    async with serve(example_data=True) as client:
        assert "/examples/submission" in (await client.get("/")).text
        first, second = [(await client.get("/examples/submission")).json() for _ in range(2)]
        assert first["type"] == "transaction"
        assert first != second
        assert (await client.get("/examples/faulty-submission")).status_code == 200
    async with serve(example_data=False) as client:
        assert "/examples/" not in (await client.get("/")).text
        assert (await client.get("/examples/submission")).status_code == 404
