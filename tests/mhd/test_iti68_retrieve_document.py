"""ITI-68 Retrieve Document, 2:3.68: the bytes as they were published, or the Binary that holds them."""

from __future__ import annotations

import base64
import json

import httpx
import pytest

from tests.mhd.conftest import Publish, issue, locations
from tests.submissions import sha1, submission

TEXT = "Grüße aus dem Labor\n".encode()
TYPE = "text/plain; charset=utf-8"


@pytest.fixture
async def url(publish: Publish) -> str:
    """Where a text document lies."""
    return locations(await publish(submission(TEXT, content_type=TYPE)))[2]


RAW, JSON, XML = TYPE, "application/fhir+json; charset=utf-8", "application/fhir+xml; charset=utf-8"


@pytest.mark.parametrize(
    ("accept", "content_type"),
    [
        (None, RAW),
        ("*/*", RAW),
        ("text/*", RAW),
        ("text/plain", RAW),
        ("application/fhir+json;q=0.5, */*;q=0.8", RAW),
        ("application/fhir+json, text/plain", RAW),
        ("application/fhir+json", JSON),
        ("application/fhir+xml", XML),
        ("application/fhir+json, text/plain;q=0.5", JSON),
        ("application/fhir+json, */*;q=0.1", JSON),
    ],
)
async def test_accept_decides_the_form(
    client: httpx.AsyncClient, url: str, accept: str | None, content_type: str
) -> None:
    """MHD-68-01..04, MHD-68-08: raw unless a FHIR format is asked for, and liked better."""
    request = client.build_request("GET", url)
    request.headers.pop("accept", None)
    if accept:
        request.headers["accept"] = accept

    response = await client.send(request)

    assert response.status_code == 200
    assert response.headers["content-type"] == content_type
    if content_type == RAW:
        assert response.content == TEXT
        assert sha1(response.content) == sha1(TEXT)


async def test_wrapper_holds_the_document(client: httpx.AsyncClient, url: str) -> None:
    """MHD-68-04, MHD-68-05, MHD-GEN-03: the same Binary in JSON and XML; `_format` wins over Accept."""
    in_json = await client.get(f"{url}?_format=json", headers={"accept": "text/plain"})
    in_xml = await client.get(f"{url}?_format=xml", headers={"accept": "application/fhir+json"})

    wrapper = in_json.json()
    assert (wrapper["resourceType"], wrapper["contentType"]) == ("Binary", TYPE)
    assert base64.b64decode(wrapper["data"]) == TEXT
    assert int(in_json.headers["content-length"]) == len(in_json.content)
    assert f'<data value="{wrapper["data"]}"/>' in in_xml.text
    assert int(in_xml.headers["content-length"]) == len(in_xml.content)


async def test_fhir_document_is_sent_as_it_is(client: httpx.AsyncClient, publish: Publish) -> None:
    """MHD-68-05, MHD-68-06, A-01: of a document that is FHIR itself the raw bytes; the wrapper through `_format`."""
    document = json.dumps({"resourceType": "Bundle", "type": "document"}, indent=3).encode()
    url = locations(await publish(submission(document, content_type="application/fhir+json")))[2]

    raw = await client.get(url, headers={"accept": "application/fhir+json"})
    wrapper = await client.get(f"{url}?_format=json")

    assert raw.content == document
    assert wrapper.json()["resourceType"] == "Binary"


async def test_nothing_acceptable_is_406(client: httpx.AsyncClient, url: str) -> None:
    """MHD-68-10, MHD-68-14: 406 with an OperationOutcome that says what there is."""
    response = await client.get(url, headers={"accept": "image/png"})

    assert (response.status_code, issue(response)["code"]) == (406, "not-supported")
    assert TYPE in issue(response)["diagnostics"]


async def test_format_that_nobody_offers(client: httpx.AsyncClient, url: str) -> None:
    """MHD-68-05, MHD-68-10: `_format` may name the document's own type; any other than that and FHIR's is 406."""
    own = await client.get(url, params={"_format": "text/plain"})
    other = await client.get(url, params={"_format": "image/png"})

    assert (own.status_code, own.content) == (200, TEXT)
    assert (other.status_code, issue(other)["code"]) == (406, "not-supported")


async def test_unknown_document_is_404(client: httpx.AsyncClient, url: str) -> None:
    """MHD-68-09, MHD-68-14: an unknown URL."""
    response = await client.get(url[:-4] + "0000")

    assert (response.status_code, issue(response)["code"]) == (404, "not-found")


async def test_if_unmodified_since_is_ignored(client: httpx.AsyncClient, url: str) -> None:
    """MHD-68-13: a Consumer must not send it; when it does, it gets the document."""
    response = await client.get(url, headers={"if-unmodified-since": "Mon, 01 Jan 2001 00:00:00 GMT"})

    assert (response.status_code, response.content) == (200, TEXT)


async def test_headers_of_a_document(client: httpx.AsyncClient, url: str) -> None:
    """MHD-68-16, MHD-SEC-11: length, version, date, and that nobody guesses the type."""
    headers = (await client.get(url)).headers

    assert headers["content-length"] == str(len(TEXT))
    assert headers["etag"] == '"1.document"'
    assert headers["last-modified"].endswith("GMT")
    assert headers["x-content-type-options"] == "nosniff"
    assert headers["cache-control"] == "private"


async def test_conditional_get(client: httpx.AsyncClient, url: str) -> None:
    """MHD-68-16: 304 without a body for a version that the client has."""
    tag = (await client.get(url)).headers["etag"]

    response = await client.get(url, headers={"if-none-match": tag})

    assert (response.status_code, response.content, response.headers["etag"]) == (304, b"", tag)
    assert (await client.get(url, headers={"if-none-match": 'W/"9"'})).status_code == 200
    since = {"if-modified-since": response.headers["last-modified"]}
    assert (await client.get(url, headers=since)).status_code == 304


@pytest.mark.parametrize("other", ["application/fhir+json", "application/fhir+xml"])
async def test_document_and_its_binary_are_told_apart(client: httpx.AsyncClient, url: str, other: str) -> None:
    """MHD-68-16, RFC 9110, 8.8.3: who has the Binary does not have the document, nor the other way round."""
    raw, wrapped = (await client.get(url)), (await client.get(url, headers={"accept": other}))
    assert raw.headers["etag"] != wrapped.headers["etag"].removeprefix("W/")
    assert (raw.headers["vary"], wrapped.headers["vary"]) == ("Accept", "Accept")

    by_raw, by_wrapped = ({"if-none-match": one.headers["etag"]} for one in (raw, wrapped))

    assert (await client.get(url, headers=by_wrapped)).status_code == 200
    assert (await client.get(url, headers=by_raw)).status_code == 304
    assert (await client.get(url, headers=by_raw | {"accept": other})).status_code == 200
    assert (await client.get(url, headers=by_wrapped | {"accept": other})).status_code == 304


async def test_head(client: httpx.AsyncClient, url: str) -> None:
    """MHD-68-17: the headers alone."""
    response = await client.head(url)

    assert (response.status_code, response.content) == (200, b"")
    assert response.headers["content-length"] == str(len(TEXT))


async def test_coding_does_not_change_the_document(client: httpx.AsyncClient, url: str) -> None:
    """MHD-68-18: the hash is that of the decoded body."""
    response = await client.get(url, headers={"accept-encoding": "gzip"})

    assert response.content == TEXT


@pytest.mark.parametrize("method", ["POST", "PUT", "PATCH", "DELETE"])
async def test_other_methods_are_refused(client: httpx.AsyncClient, url: str, method: str) -> None:
    """MHD-68-12, MHD-GEN-10: 405 with the methods that there are."""
    response = await client.request(method, url)

    assert (response.status_code, issue(response)["code"]) == (405, "not-supported")
    assert "GET" in response.headers["allow"]


async def test_document_of_a_superseded_reference_stays(client: httpx.AsyncClient, publish: Publish) -> None:
    """MHD-68-11, A-04: history must stay readable."""
    _, described, stored = locations(await publish(submission(TEXT, content_type=TYPE)))
    name = "/".join(described.rsplit("/", 2)[1:])

    await publish(submission(relatesTo=[{"code": "replaces", "target": {"reference": name}}]))

    assert (await client.get(described)).json()["status"] == "superseded"
    assert (await client.get(stored)).content == TEXT
