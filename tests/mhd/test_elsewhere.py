"""Documents and patients of other servers: ITI-65, 2:3.65.4.1.2, ITI-68, 2:3.68.4.1.2."""

from __future__ import annotations

import base64
from collections.abc import AsyncIterator, Iterator
from typing import Any

import httpx
import orjson
import pytest
import respx

from app.fhir.resource import Resource
from app.store.driver import Connection
from tests.mhd.conftest import DOMAIN, Server, details, issue, locations
from tests.submissions import HELLO, changed, sha1, submission

# Listed by its address: no name is looked up in these tests. TEST-NET-3 (RFC 5737) is nobody's, and is not public.
HOST = "203.0.113.7"
PLACE = f"https://{HOST}/letters/1"
HERE: dict[str, Any] = {"external_documents": (HOST,), "external_references": (HOST,), "external_private": True}


@pytest.fixture
def network() -> Iterator[respx.MockRouter]:
    """A network in which nothing answers but what a test puts there."""
    with respx.mock(assert_all_called=False) as router:
        yield router


def hosted(place: str = PLACE, **attachment: object) -> Resource:
    """Return a submission whose document lies at `place`."""
    made = submission()
    del made["entry"][2]
    made["entry"][1]["resource"]["content"][0]["attachment"] |= {"url": place, **attachment}
    return made


async def posted(client: httpx.AsyncClient, bundle: Resource) -> httpx.Response:
    return await client.post("", json=bundle, headers={"content-type": "application/fhir+json"})


async def url_of(client: httpx.AsyncClient, bundle: Resource) -> str:
    """Publish a submission; return the URL of its document as a Consumer finds it."""
    await posted(client, bundle)
    body = (await client.get("DocumentReference?patient=p1")).json()
    return str(body["entry"][0]["resource"]["content"][0]["attachment"]["url"])


@pytest.mark.parametrize(
    "attachment",
    [
        {"hash": sha1(HELLO), "size": 11},
        {},  # On-Demand
        {"size": 0, "hash": "2jmj7l5rSw0yVb/vlWAYkK/YBwk="},  # Delayed Assembly
    ],
)
async def test_linked(server: Server, patients: None, network: respx.MockRouter, attachment: Resource) -> None:
    """MHD-65-58, MHD-65-60, MHD-65-61, MHD-67-35: the URL, hash and size stay as they came; nothing is fetched."""
    client = await server(**HERE)
    assert await url_of(client, hosted(**attachment)) == PLACE
    found = (await client.get("DocumentReference?patient=p1")).json()["entry"][0]["resource"]

    kept = found["content"][0]["attachment"]
    assert {name: kept[name] for name in ("hash", "size") if name in kept} == attachment
    assert network.calls.call_count == 0


@pytest.mark.parametrize("place", ["https://other.example/1", "http://169.254.169.254/latest", "https://203.0.113.8/1"])
async def test_hosts_that_are_not_listed(server: Server, patients: None, network: respx.MockRouter, place: str) -> None:
    """MHD-65-58, MHD-SEC-09: refused as a missing document, and nobody is asked."""
    client = await server(**HERE | {"external_retrieval": "proxy"})
    response = await posted(client, hosted(place))

    assert (response.status_code, details(issue(response))) == (400, "XDSMissingDocument")
    assert network.calls.call_count == 0


async def test_redirected(server: Server, patients: None, network: respx.MockRouter) -> None:
    """MHD-65-58, MHD-67-40: the document has a URL of this server, which leads to its own."""
    client = await server(**HERE | {"external_retrieval": "redirect"})
    url = await url_of(client, hosted())
    response = await client.get(url)
    wrapper = (await client.get(f"{url}?_format=json")).json()

    assert url.startswith(f"{client.base_url}Binary/")
    assert (response.status_code, response.headers["location"]) == (307, PLACE)
    assert (wrapper["resourceType"], wrapper["meta"]["source"], "data" in wrapper) == ("Binary", PLACE, False)
    assert wrapper["securityContext"]["reference"].startswith("DocumentReference/")
    assert network.calls.call_count == 0


async def test_proxied(server: Server, patients: None, network: respx.MockRouter) -> None:
    """MHD-65-58, MHD-68-01, MHD-68-04: the bytes come through this server, raw or in a Binary, with our headers."""
    route = network.get(PLACE).respond(
        200, content=HELLO, content_type="text/plain; charset=ascii", headers={"set-cookie": "a=b", "x-powered-by": "y"}
    )
    client = await server(**HERE | {"external_retrieval": "proxy"})
    url = await url_of(client, hosted())
    raw = await client.get(url, headers={"authorization": "Bearer secret", "cookie": "c=d"})
    wrapper = await client.get(f"{url}?_format=json")
    head = await client.head(url)

    assert (raw.status_code, raw.content, raw.headers["content-type"]) == (200, HELLO, "text/plain")
    assert raw.headers["content-disposition"] == 'inline; filename="An invented letter.txt"'
    assert not {"set-cookie", "x-powered-by", "etag"} & set(raw.headers)
    assert base64.b64decode(wrapper.json()["data"]) == HELLO
    assert (head.status_code, head.content, head.headers["content-length"]) == (200, b"", "11")
    assert not {"authorization", "cookie"} & set(route.calls[0].request.headers)


async def test_proxied_without_a_length(server: Server, patients: None, network: respx.MockRouter) -> None:
    """MHD-68-01, MHD-68-04: a document whose size is not known before its end."""

    async def pieces() -> AsyncIterator[bytes]:
        for start in range(0, len(HELLO), 4):
            yield HELLO[start : start + 4]

    def answer(request: httpx.Request) -> httpx.Response:
        return httpx.Response(200, content=pieces(), headers={"content-type": "text/plain"})

    network.get(PLACE).mock(side_effect=answer)
    client = await server(**HERE | {"external_retrieval": "proxy"})
    url = await url_of(client, hosted())
    assert (await client.get(url)).content == HELLO
    assert base64.b64decode((await client.get(f"{url}?_format=json")).json()["data"]) == HELLO


@pytest.mark.parametrize(
    ("answer", "status"),
    [
        (httpx.Response(404), 404),
        (httpx.Response(500), 502),
        (httpx.Response(200, html="<h1>Log in</h1>"), 502),  # not what was published
        (httpx.Response(302, headers={"location": "https://169.254.169.254/"}), 404),
        (httpx.ConnectError("no route"), 502),
        (httpx.Response(200, headers={"content-type": "text/plain", "content-length": "99999999999"}), 502),
    ],
)
async def test_proxy_fails(
    server: Server,
    patients: None,
    network: respx.MockRouter,
    answer: httpx.Response | Exception,
    status: int,
) -> None:
    """MHD-68-09, MHD-68-14, MHD-SEC-09: what the other server does wrong is told in FHIR's words."""
    network.get(PLACE).mock(**{"side_effect" if isinstance(answer, Exception) else "return_value": answer})
    client = await server(**HERE | {"external_retrieval": "proxy"})
    response = await client.get(await url_of(client, hosted()))

    assert (response.status_code, issue(response)["severity"]) == (status, "error")


async def test_a_host_that_is_listed_no_more(server: Server, patients: None, network: respx.MockRouter) -> None:
    """MHD-SEC-09: the list counts when a document is asked for, not only when it was published."""
    client = await server(**HERE | {"external_retrieval": "proxy"})
    url = await url_of(client, hosted())
    for setting in ("proxy", "redirect"):
        client = await server(**HERE | {"external_documents": (), "external_retrieval": setting})
        assert (await client.get(url)).status_code == 404
    assert network.calls.call_count == 0


# --- patients -------------------------------------------------------------------------------------------------------

PERSON = f"https://{HOST}/fhir/Patient/77"


def about(subject: str) -> Resource:
    return submission(subject=subject)


def person(**elements: object) -> Resource:
    return {
        "resourceType": "Patient",
        "id": "77",
        "identifier": [{"system": DOMAIN, "value": "4711"}],
        "managingOrganization": {"reference": "Organization/3"},
    } | elements


async def test_known_patient_of_another_server(server: Server, patients: None, network: respx.MockRouter) -> None:
    """MHD-65-45, MHD-65-41: the URL on a listed host means the own patient with the same identifier."""
    route = network.get(PERSON).respond(json=person())
    client = await server(**HERE)
    published = locations(await posted(client, about(f"{PERSON}/_history/3")))
    found = (await client.get("DocumentReference?patient=Patient/p1")).json()
    lists = (await client.get("List?patient=Patient/p1")).json()

    assert f"{found['entry'][0]['fullUrl']}" == published[1]
    assert found["entry"][0]["resource"]["subject"]["reference"].partition("/_history")[0] == "Patient/p1"
    assert lists["total"] == 1
    assert route.call_count == 1
    assert route.calls.last.request.headers["accept"] == "application/fhir+json"


async def test_new_patient_of_another_server(server: Server, patients: None, network: respx.MockRouter) -> None:
    """MHD-65-45, MHD-65-46, MHD-OPT-35: one who is not known becomes one, where that is allowed; no entry tells it."""
    network.get(PERSON).respond(json=person(identifier=[{"system": DOMAIN, "value": "new"}], name=[{"family": "Neu"}]))
    client = await server(**HERE)
    response = await posted(client, about(PERSON))
    [one] = (await client.get(f"Patient?identifier={DOMAIN}|new")).json()["entry"]
    found = (await client.get(f"DocumentReference?patient={one['resource']['id']}")).json()
    again = await posted(client, about(PERSON))

    assert len(response.json()["entry"]) == 3
    assert found["total"] == 1
    assert one["resource"]["meta"]["source"] == PERSON
    assert "managingOrganization" not in one["resource"]  # it would mean an organization of this server
    assert again.status_code == 200


@pytest.mark.parametrize("policy", ["match", "reject"])
async def test_unknown_patient_of_another_server(
    server: Server, patients: None, network: respx.MockRouter, policy: str
) -> None:
    """MHD-65-43, MHD-65-45: where no patient may be created, one who is not known is refused."""
    network.get(PERSON).respond(json=person(identifier=[{"system": DOMAIN, "value": "new"}]))
    client = await server(**HERE | {"patient_in_bundle": policy})
    response = await posted(client, about(PERSON))

    assert (response.status_code, details(issue(response))) == (400, "XDSUnknownPatientId")


@pytest.mark.parametrize(
    "answer",
    [
        httpx.Response(404),
        httpx.Response(200, text="<html>"),
        httpx.Response(200, json=[]),
        httpx.Response(200, json={"resourceType": "Practitioner"}),
        httpx.Response(200, json=person(active=False)),
        httpx.Response(200, json=person(gender="unheard of")),
    ],
)
async def test_what_is_no_patient(
    server: Server,
    patients: None,
    network: respx.MockRouter,
    answer: httpx.Response,
    database: Connection,
) -> None:
    """MHD-65-43, MHD-65-45: what the URL leads to is nobody who could be meant; nothing is stored."""
    network.get(PERSON).mock(return_value=answer)
    client = await server(**HERE)
    response = await posted(client, about(PERSON))

    assert (response.status_code, details(issue(response))) == (400, "XDSUnknownPatientId")
    assert await database.database["DocumentReference"].count_documents({}) == 0


async def test_patient_server_is_away(server: Server, patients: None, network: respx.MockRouter) -> None:
    """MHD-65-45: not the fault of the submission: it may be sent again."""
    network.get(PERSON).mock(side_effect=httpx.ConnectError("no route"))
    client = await server(**HERE)
    response = await posted(client, about(PERSON))

    assert (response.status_code, issue(response)["code"]) == (502, "transient")


async def test_patients_of_hosts_that_are_not_listed(server: Server, patients: None, network: respx.MockRouter) -> None:
    """MHD-65-45, MHD-SEC-09: rejected without any request; the list of documents is no list of patients."""
    client = await server(**HERE | {"external_references": ("pix.example",)})
    for url in (PERSON, "https://other.example/Patient/1", "http://169.254.169.254/Patient/1"):
        response = await posted(client, about(url))
        assert (response.status_code, details(issue(response))) == (400, "XDSUnknownPatientId")
    assert network.calls.call_count == 0


async def test_authors_elsewhere_are_not_fetched(server: Server, patients: None, network: respx.MockRouter) -> None:
    """MHD-65-63, MHD-OPT-10: an absolute author is kept as it came, and nobody is asked for it, listed or not."""
    authors = [{"reference": f"https://{host}/fhir/Practitioner/5"} for host in (HOST, "other.example")]
    made = submission(level="uncontained", author=[{"reference": "#author"}, *authors])
    client = await server(**HERE)
    location = locations(await posted(client, made))[1]
    assert (await client.get(location)).json()["author"][1:] == authors
    assert network.calls.call_count == 0


async def test_a_full_url_is_no_place(server: Server, patients: None, network: respx.MockRouter) -> None:
    """MHD-65-26, MHD-65-46: a Patient entry whose fullUrl is on a listed host is in the Bundle; it is not fetched."""
    made = about(PERSON)
    made["entry"].append(
        {
            "fullUrl": PERSON,
            "resource": person(managingOrganization=None),
            "request": {"method": "POST", "url": "Patient"},
        }
    )
    made = changed(made, "entry.3.resource.managingOrganization", None)
    client = await server(**HERE)
    response = await posted(client, made)

    assert response.status_code == 200, orjson.dumps(response.json())
    assert network.calls.call_count == 0


def with_ranges(request: httpx.Request) -> httpx.Response:
    """Answer as a server that knows ranges."""
    known = {"etag": '"v7"', "accept-ranges": "bytes", "content-type": "text/plain"}
    asked = request.headers.get("range")
    if not asked or request.headers.get("if-range", '"v7"') != '"v7"':
        return httpx.Response(200, content=HELLO, headers=known)
    first, _, last = asked.removeprefix("bytes=").partition("-")
    if int(first) >= len(HELLO):
        return httpx.Response(416, headers={"content-range": f"bytes */{len(HELLO)}"})
    end = min(int(last or len(HELLO)), len(HELLO) - 1)
    part = {"content-range": f"bytes {first}-{end}/{len(HELLO)}"}
    return httpx.Response(206, content=HELLO[int(first) : end + 1], headers=known | part)


async def test_proxied_in_parts(server: Server, patients: None, network: respx.MockRouter) -> None:
    """MHD-68-16, MHD-65-58: Range and If-Range are passed on, and what the other server says of its document comes back."""
    network.get(PLACE).mock(side_effect=with_ranges)
    client = await server(**HERE | {"external_retrieval": "proxy"})
    url = await url_of(client, hosted())

    whole = await client.get(url)
    part = await client.get(url, headers={"range": "bytes=6-", "if-range": whole.headers["etag"]})
    changed = await client.get(url, headers={"range": "bytes=6-", "if-range": '"v6"'})
    beyond = await client.get(url, headers={"range": "bytes=99-"})

    assert (whole.status_code, whole.headers["etag"], whole.headers["accept-ranges"]) == (200, '"v7"', "bytes")
    assert (part.status_code, part.content, part.headers["content-range"]) == (206, HELLO[6:], "bytes 6-10/11")
    assert (part.headers["content-length"], part.headers["x-content-type-options"]) == ("5", "nosniff")
    assert (changed.status_code, changed.content) == (200, HELLO)
    assert (beyond.status_code, beyond.headers["content-range"]) == (416, "bytes */11")
    assert beyond.json()["issue"][0]["code"] == "invalid"
    wrapper = await client.get(f"{url}?_format=json", headers={"range": "bytes=6-"})
    assert base64.b64decode(wrapper.json()["data"]) == HELLO


@pytest.mark.parametrize("asked", ["bytes=0-1,4-5", "lines=1-2", "bytes=x"])
async def test_other_ranges_are_not_passed_on(
    server: Server, patients: None, network: respx.MockRouter, asked: str
) -> None:
    """RFC 9110, 14.2: a range that is not passed on is ignored."""
    route = network.get(PLACE).mock(side_effect=with_ranges)
    client = await server(**HERE | {"external_retrieval": "proxy"})

    response = await client.get(await url_of(client, hosted()), headers={"range": asked})

    assert (response.status_code, response.content) == (200, HELLO)
    assert "range" not in route.calls.last.request.headers


async def test_part_that_nobody_asked_for(server: Server, patients: None, network: respx.MockRouter) -> None:
    """MHD-65-58: it is no document."""
    network.get(PLACE).respond(206, content=b"He", content_type="text/plain", headers={"content-range": "bytes 0-1/11"})
    client = await server(**HERE | {"external_retrieval": "proxy"})

    assert (await client.get(await url_of(client, hosted()))).status_code == 502
