"""Formats over HTTP, for every transaction of MHD: JSON, XML, Accept, `_format`, Content-Type (ITI TF-2 Appendix Z; R4)."""

from __future__ import annotations

import copy
import json
from typing import Any

import httpx
import pytest

from app.fhir.packages import Packages
from app.fhir.resource import Resource, parse_json
from app.fhir.xml import from_xml, to_xml
from tests.mhd.conftest import Count, Publish, issue, locations
from tests.submissions import UNIQUE_ID, concept, identifier, oid, submission

JSON, XML = "application/fhir+json", "application/fhir+xml"
UTF8 = "; charset=utf-8"


def decoded(response: httpx.Response, packages: Packages) -> Resource:
    """Return the resource in an answer, read by the format that its header names."""
    content_type = response.headers["content-type"]
    assert content_type in (JSON + UTF8, XML + UTF8), content_type
    return (
        from_xml(response.content, packages.structures)
        if content_type.startswith(XML)
        else parse_json(response.content)
    )


async def posted(
    client: httpx.AsyncClient, made: Resource, packages: Packages, sent: str, **headers: str
) -> httpx.Response:
    """Post `made` in the format `sent`."""
    body = to_xml(made, packages.structures) if sent == XML else json.dumps(made).encode()
    return await client.post("", content=body, headers={"content-type": sent} | headers)


# Reads, searches and failures of a server that has one submission; `{…}` are names of what was stored.
QUESTIONS = {
    "read": "{document}",
    "vread": "{list}/_history/1",
    "search of documents": "DocumentReference?patient=p1&status=current",
    "search of lists": "List?patient=p1&code=submissionset&status=current",
    "empty search": "List?patient=nobody",
    "Binary": "{binary}?_summary=false",
    "Patient": "Patient/p1",
    "capabilities": "metadata",
    "not found": "DocumentReference/nope",
    "bad parameter": "DocumentReference?date=2024-13",
    "unknown path": "Practitioner?family=x",
}


@pytest.mark.parametrize("name", QUESTIONS)
async def test_both_formats_say_the_same(
    client: httpx.AsyncClient, publish: Publish, packages: Packages, name: str
) -> None:
    """MHD-GEN-02, MHD-GEN-07, MHD-GEN-09: every answer, also a failure, comes as JSON and as XML, and is the same."""
    found = dict(zip(("list", "document", "binary"), locations(await publish(submission())), strict=True))
    url = QUESTIONS[name].format(**found)

    in_json = await client.get(url, headers={"accept": JSON})
    in_xml = await client.get(url, headers={"accept": XML})

    assert in_json.headers["content-type"] == JSON + UTF8
    assert in_xml.headers["content-type"] == XML + UTF8
    assert in_json.status_code == in_xml.status_code
    assert decoded(in_xml, packages) == decoded(in_json, packages)


async def test_both_formats_for_a_submission(client: httpx.AsyncClient, publish: Publish, packages: Packages) -> None:
    """MHD-GEN-02, MHD-GEN-07, MHD-65-129: the answer to ITI-65, accepted or refused, in the format of Accept."""
    for sent in (JSON, XML):
        for wanted in (JSON, XML):
            accepted = await posted(client, submission(), packages, sent, accept=wanted)
            refused = await posted(client, submission(subject="Patient/nobody"), packages, sent, accept=wanted)
            assert accepted.headers["content-type"] == refused.headers["content-type"] == wanted + UTF8
            assert (accepted.status_code, decoded(accepted, packages)["type"]) == (200, "transaction-response")
            outcome = decoded(refused, packages)
            assert (refused.status_code, outcome["resourceType"]) == (400, "OperationOutcome")
            assert outcome["issue"][0]["severity"] == "error"


async def test_answer_comes_in_the_format_of_the_request(
    client: httpx.AsyncClient, publish: Publish, packages: Packages
) -> None:
    """MHD-65-129: without Accept, or with one that takes anything."""
    for sent in (JSON, XML):
        response = await posted(client, submission(), packages, sent, accept="*/*")
        assert response.headers["content-type"] == sent + UTF8


@pytest.mark.parametrize(
    ("asked", "expected"),
    [
        ("json", JSON),
        ("xml", XML),
        ("application/fhir%2Bjson", JSON),
        ("application/fhir%2Bxml", XML),
        ("application/fhir+json", JSON),
        ("application/fhir+xml", XML),
        ("application/json", JSON),
        ("text/xml", XML),
    ],
)
async def test_format_parameter_wins(client: httpx.AsyncClient, patients: None, asked: str, expected: str) -> None:
    """MHD-GEN-03: `_format`, its `+` escaped or not, against an Accept header that says the opposite; POST too."""
    opposite = {"accept": XML if expected == JSON else JSON}

    for url in (f"Patient/p1?_format={asked}", f"DocumentReference?patient=p1&_format={asked}"):
        assert (await client.get(url, headers=opposite)).headers["content-type"] == expected + UTF8
    searched = await client.post(
        "DocumentReference/_search",
        content=f"patient=p1&_format={asked}",
        headers=opposite | {"content-type": "application/x-www-form-urlencoded"},
    )
    assert searched.headers["content-type"] == expected + UTF8


async def test_format_parameter_of_a_submission(client: httpx.AsyncClient, publish: Publish) -> None:
    """MHD-GEN-03, MHD-65-129: `_format` on the service root."""
    response = await client.post("?_format=xml", json=submission(), headers={"content-type": JSON, "accept": JSON})

    assert (response.status_code, response.headers["content-type"]) == (200, XML + UTF8)


def stored_form(resource: Resource) -> Resource:
    """Return what two publications of the same content have in common: all but ids, times and assigned entryUUIDs."""
    common = {name: value for name, value in resource.items() if name not in ("id", "meta", "identifier", "entry")}
    if "content" in common:
        common = copy.deepcopy(common)
        del common["content"][0]["attachment"]["url"]
    return common


# What a publication gives anew, or `submission()` does.
GIVEN_HERE = frozenset({"id", "meta", "identifier", "content", "subject", "resourceType"})


async def test_submission_in_both_formats_is_stored_alike(
    client: httpx.AsyncClient, publish: Publish, packages: Packages
) -> None:
    """MHD-GEN-04, MHD-GEN-09: the same content in JSON and in XML."""
    master = identifier(UNIQUE_ID, oid())
    stored = []
    for sent in (JSON, XML):
        made = submission(b"the same", masterIdentifier=master)
        response = await posted(client, made, packages, sent, accept=JSON)
        names = locations(response)
        stored.append([stored_form((await client.get(name)).json()) for name in names[:2]])
        assert (await client.get(names[2])).content == b"the same"

    assert stored[0] == stored[1]


@pytest.mark.parametrize(
    ("content_type", "is_xml"),
    [
        ("application/json", False),
        ("text/json", False),
        ("application/fhir+json; charset=utf-8", False),
        ('application/fhir+json; charset="UTF-8"; fhirVersion=4.0', False),
        ("application/xml", True),
        ("text/xml", True),
        ("application/fhir+xml;charset=UTF-8;fhirVersion=4.0", True),
    ],
)
async def test_generic_types_of_a_request(
    client: httpx.AsyncClient, publish: Publish, packages: Packages, content_type: str, is_xml: bool
) -> None:
    """MHD-GEN-05: generic media types, `charset` and `fhirVersion` of a submission."""
    made = submission()
    body = to_xml(made, packages.structures) if is_xml else json.dumps(made).encode()

    response = await client.post("", content=body, headers={"content-type": content_type, "accept": JSON})

    assert response.status_code == 200, response.text


@pytest.mark.parametrize(
    ("accept", "expected"),
    [
        ("application/fhir+json; fhirVersion=4.0", JSON),
        ("application/json", JSON),
        ("text/json", JSON),
        ("application/xml", XML),
        ("text/xml; charset=utf-8", XML),
        ("application/fhir+xml; charset=utf-8, */*; q=0.1", XML),
        ("*/*", JSON),
    ],
)
async def test_generic_types_of_an_answer(
    client: httpx.AsyncClient, patients: None, accept: str, expected: str
) -> None:
    """MHD-GEN-05: the same in Accept; the answer says FHIR's own type."""
    for url in ("Patient/p1", "DocumentReference?patient=p1"):
        response = await client.get(url, headers={"accept": accept})
        assert (response.status_code, response.headers["content-type"]) == (200, expected + UTF8)


@pytest.mark.parametrize("content_type", ["text/csv", "multipart/form-data; boundary=x", "application/fhir+turtle", ""])
async def test_other_content_type_is_415(
    client: httpx.AsyncClient, publish: Publish, counts: Count, content_type: str
) -> None:
    """MHD-GEN-06: a submission in another media type, or in none."""
    before = await counts()

    response = await client.post("", content=json.dumps(submission()), headers={"content-type": content_type})

    assert (response.status_code, issue(response)["code"]) == (415, "not-supported")
    assert await counts() == before


@pytest.mark.parametrize(
    "content_type", ["application/fhir+json; charset=iso-8859-1", "application/fhir+json; fhirVersion=5.0"]
)
async def test_other_charset_or_version_is_415(client: httpx.AsyncClient, publish: Publish, content_type: str) -> None:
    """MHD-GEN-06: FHIR is UTF-8, and this is R4."""
    response = await client.post("", content=json.dumps(submission()), headers={"content-type": content_type})

    assert response.status_code == 415


@pytest.mark.parametrize("url", ["List?patient=p1", "DocumentReference?patient=p1", "metadata"])
async def test_unsatisfiable_accept_is_406(client: httpx.AsyncClient, patients: None, url: str) -> None:
    """MHD-GEN-06: nothing that FHIR comes in is acceptable."""
    response = await client.get(url, headers={"accept": "image/png"})

    assert (response.status_code, issue(response)["code"]) == (406, "not-supported")


async def test_unsatisfiable_accept_of_a_submission_is_406(publish: Publish, counts: Count) -> None:
    """MHD-GEN-06, MHD-ERR-03: what could not be answered is not stored."""
    before = await counts()

    assert (await publish(submission(), accept="image/png")).status_code == 406
    assert await counts() == before


async def test_location_of_a_submission_is_its_version(client: httpx.AsyncClient, publish: Publish) -> None:
    """MHD-GEN-08: location, etag and lastModified of the answer are those of the version that is read there."""
    response = await publish(submission())

    for entry in response.json()["entry"]:
        told = entry["response"]
        read = await client.get(told["location"], headers={"accept": JSON})
        assert (read.status_code, read.headers["content-type"]) == (200, JSON + UTF8)
        assert read.headers["etag"] == told["etag"] == 'W/"1"'
        assert read.headers["last-modified"].endswith("GMT")
        meta = read.json()["meta"]
        assert (meta["versionId"], meta["lastUpdated"]) == ("1", told["lastModified"])


async def test_nothing_is_lost_between_the_formats(
    client: httpx.AsyncClient, publish: Publish, packages: Packages
) -> None:
    """MHD-GEN-09: XML in, JSON out, JSON in again: extensions on primitives, narrative, decimals, order of repetitions."""
    div = '<div xmlns="http://www.w3.org/1999/xhtml"><p>a &amp; b<br/> <b>c</b></p></div>'
    more: dict[str, Any] = {
        "text": {"status": "additional", "div": div},
        "_date": {"extension": [{"url": "http://example.org/source", "valueString": "stamped"}]},
        "extension": [
            {"url": "http://example.org/n", "valueDecimal": 1.5},
            {
                "url": "http://example.org/deep",
                "extension": [{"url": "b", "valueBoolean": False}, {"url": "a", "valueInteger": 0}],
            },
        ],
        "description": "Zeilen\n\tmit  Leerraum & <Zeichen>",
        "_description": {"id": "d1"},
    }
    made = submission(**more)
    document = made["entry"][1]["resource"]
    person = document["contained"][1]
    person["name"] = [{"given": ["Zoë", "Anna", "Bo"], "_given": [None, {"id": "second"}, None]}]
    person["_birthDate"] = {"extension": [{"url": "http://example.org/unknown", "valueCode": "unknown"}]}
    document["securityLabel"] = [concept("urn:oid:2.999.6", code) for code in ("Z", "A", "M")]
    expected = stored_form(document | {"content": copy.deepcopy(document["content"])})
    expected["content"][0]["attachment"] |= {"size": 11, "hash": "Ck1VqNd45QIvq3AZd8XYQLvEhtA="}

    first = locations(await posted(client, made, packages, XML, accept=JSON))[1]
    read = (await client.get(first)).json()
    assert stored_form(read) == expected

    again = submission(**{name: value for name, value in read.items() if name not in GIVEN_HERE})
    second = locations(await posted(client, again, packages, JSON, accept=JSON))[1]
    in_xml = decoded(await client.get(second, headers={"accept": XML}), packages)
    assert stored_form(in_xml) == expected


async def test_other_version_is_named(client: httpx.AsyncClient) -> None:
    """MHD-GEN-05, MHD-GEN-06: who asks for another version of FHIR is told which one is here."""
    response = await client.get("/metadata", headers={"accept": "application/fhir+json; fhirVersion=5.0"})
    assert response.status_code == 406
    assert "`fhirVersion`" in issue(response)["diagnostics"]
    assert "`4.0`" in issue(response)["diagnostics"]
