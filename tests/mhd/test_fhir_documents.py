"""FHIR documents as entries of ITI-65, and as native Bundles in ITI-68: MHD 1:33.2.6."""

from __future__ import annotations

import json
from typing import Any

import httpx
import pytest

from app.fhir.packages import Packages
from app.fhir.resource import Resource, parse_json
from app.fhir.xml import from_xml, to_xml
from app.store.driver import Connection
from tests.mhd.conftest import Count, Publish, details, issue, locations, served
from tests.mhd.documents import fhir_document
from tests.submissions import (
    MHD,
    UNIQUE_ID,
    binary,
    bundle,
    changed,
    document_reference,
    entry,
    identifier,
    sha1,
    submission,
    submission_set,
    urn,
)

JSON, XML = "application/fhir+json", "application/fhir+xml"
ANY = {"accept": "*/*"}


def fhir_submission(
    document: Resource | None = None, *, level: str = "comprehensive", content_type: str = JSON, **elements: Any
) -> Resource:
    """Return a submission of a FHIR document: SubmissionSet, DocumentReference and Bundle."""
    document = document or fhir_document()
    reference, file = urn(), urn()
    master = identifier(UNIQUE_ID, document.get("identifier", {}).get("value", urn()))
    described = document_reference(file, **({"masterIdentifier": master} | elements))
    described["content"][0]["attachment"]["contentType"] = content_type
    return bundle(
        entry(submission_set(reference), urn()), entry(described, reference), entry(document, file), level=level
    )


async def published(publish: Publish, made: Resource, client: httpx.AsyncClient) -> tuple[Resource, str]:
    """Publish; return the DocumentReference and the URL of its document."""
    named = locations(await publish(made))
    return (await client.get(named[1])).json(), named[2]


@pytest.mark.parametrize("level", ["minimal", "uncontained", "comprehensive"])
async def test_document_is_an_entry(client: httpx.AsyncClient, publish: Publish, level: str) -> None:
    """MHD-OPT-30, 35, MHD-68-21, MHD-65-54, 64: taken at each level; its URL is a Bundle's, hash and size are told."""
    response = await publish(fhir_submission(level=level))

    named = locations(response)
    assert [one.split("/")[-2] for one in named] == ["List", "DocumentReference", "Bundle"]
    assert all("outcome" not in one["response"] for one in response.json()["entry"])
    attachment = (await client.get(named[1])).json()["content"][0]["attachment"]
    assert attachment["url"] == named[2]
    first = await client.get(named[2], headers=ANY)
    second = await client.get(f"{named[2]}/_history/1", headers=ANY)
    assert first.content == second.content
    assert (attachment["size"], attachment["hash"]) == (len(first.content), sha1(first.content))
    assert first.headers["content-type"] == JSON
    assert {"etag", "last-modified", "content-length"} <= set(first.headers)


async def test_document_is_not_touched(client: httpx.AsyncClient, publish: Publish) -> None:
    """MHD-65-27, MHD-OPT-34: what looks like an outer link, or like `[base]`, stays; so do decimals."""
    made = fhir_submission()
    outer = [one["fullUrl"] for one in made["entry"]]
    document = made["entry"][2]["resource"]
    document["entry"][0]["fullUrl"] = outer[1]
    observation = {
        "resourceType": "Observation",
        "status": "final",
        "code": {"text": "weight"},
        "subject": {"reference": outer[0]},
        "performer": [{"reference": f"{client.base_url}Patient/p1"}],
        "valueQuantity": {"value": 0, "unit": "kg"},
    }
    document["entry"].append({"fullUrl": urn(), "resource": observation})
    document["entry"].append({"fullUrl": outer[0], "resource": {"resourceType": "Patient"}})
    body = json.dumps(made).replace('{"value": 0, ', '{"value": 72.50, ').encode()

    response = await publish(body)

    told = (await client.get(locations(response)[2])).content
    assert b'"value":72.50' in told
    found = parse_json(told)
    assert found.pop("id") == locations(response)[2].rpartition("/")[2]
    assert found == parse_json(body)["entry"][2]["resource"]


async def test_both_formats(client: httpx.AsyncClient, publish: Publish, packages: Packages) -> None:
    """E-19: MHD-68-21: JSON and XML by Accept and `_format`, never a Binary; 406 for anything else."""
    _, url = await published(publish, fhir_submission(), client)

    by_accept = await client.get(url, headers={"accept": XML})
    by_format = await client.get(f"{url}?_format=xml", headers={"accept": JSON})
    in_json = await client.get(f"{url}?_format=json", headers={"accept": XML})
    refused = await client.get(url, headers={"accept": "application/pdf"})

    assert by_accept.content == by_format.content
    assert by_accept.headers["content-type"] == XML
    assert from_xml(by_accept.content, packages.structures) == in_json.json()
    assert (in_json.json()["resourceType"], in_json.json()["type"]) == ("Bundle", "document")
    assert (await client.get(url, headers={"accept": "application/json"})).content == in_json.content
    assert (refused.status_code, issue(refused)["code"]) == (406, "not-supported")


async def test_stored_format_is_that_of_the_metadata(
    client: httpx.AsyncClient, publish: Publish, packages: Packages
) -> None:
    """MHD-68-21, MHD-106-07: a DocumentReference that says XML gets XML."""
    found, url = await published(publish, fhir_submission(content_type=XML), client)

    kept = await client.get(url, headers=ANY)

    assert kept.headers["content-type"] == XML
    assert sha1(kept.content) == found["content"][0]["attachment"]["hash"]
    in_json = await client.get(url, headers={"accept": JSON})
    assert in_json.json() == from_xml(kept.content, packages.structures)


async def test_submission_in_xml(client: httpx.AsyncClient, patients: None, packages: Packages) -> None:
    """MHD-GEN-04, MHD-OPT-30: the same in XML."""
    document = fhir_document()
    body = to_xml(fhir_submission(document), packages.structures)

    response = await client.post("", content=body, headers={"content-type": XML, "accept": JSON})

    told = (await client.get(locations(response)[2])).json()
    assert told["identifier"] == document["identifier"]
    assert told["entry"] == document["entry"]


async def test_parts_and_what_is_known(client: httpx.AsyncClient, publish: Publish) -> None:
    """MHD-68-16, MHD-68-17: Range, If-None-Match and HEAD as for any document."""
    _, url = await published(publish, fhir_submission(), client)
    whole = await client.get(url, headers=ANY)

    part = await client.get(url, headers=ANY | {"range": "bytes=0-9"})
    known = await client.get(url, headers=ANY | {"if-none-match": whole.headers["etag"]})
    head = await client.head(url, headers=ANY)

    assert (part.status_code, part.content) == (206, whole.content[:10])
    assert known.status_code == 304
    assert (head.headers["content-length"], head.content) == (whole.headers["content-length"], b"")


@pytest.mark.parametrize(("name", "value"), [("hash", sha1(b"x")), ("size", 7)])
async def test_hash_and_size_are_ignored(client: httpx.AsyncClient, publish: Publish, name: str, value: Any) -> None:
    """MHD-65-62, A-09: those that come are not held against anything; a warning says so."""
    made = changed(fhir_submission(), f"entry.1.resource.content.0.attachment.{name}", value)

    response = await publish(made)

    (warning,) = response.json()["entry"][1]["response"]["outcome"]["issue"]
    assert warning["severity"] == "warning"
    assert warning["expression"] == [f"Bundle.entry[1].resource.content[0].attachment.{name}"]
    stored = (await client.get(locations(response)[1])).json()["content"][0]["attachment"]
    assert stored[name] != value


async def test_other_identifier_is_warned_about(publish: Publish) -> None:
    """MHD-OPT-32: that of the document should be the masterIdentifier."""
    response = await publish(fhir_submission(masterIdentifier=identifier(UNIQUE_ID, urn())))

    assert response.status_code == 200
    (warning,) = response.json()["entry"][1]["response"]["outcome"]["issue"]
    assert warning["expression"] == ["Bundle.entry[1].resource.masterIdentifier"]


def with_document(path: str, value: Any) -> Resource:
    return fhir_submission(changed(fhir_document(), path, value))


def orphan() -> Resource:
    made = submission()
    made["entry"].append(entry(fhir_document()))
    return made


REFUSALS: dict[str, tuple[Any, int, str]] = {
    "collection": (lambda: with_document("type", "collection"), 400, "InvalidDocumentContent"),
    "no Composition": (lambda: with_document("entry", fhir_document()["entry"][1:]), 400, ""),
    "Composition is second": (lambda: with_document("entry", fhir_document()["entry"][::-1]), 400, ""),
    "no timestamp": (lambda: with_document("timestamp", None), 400, ""),
    "another media type": (lambda: fhir_submission(content_type="text/plain"), 400, "InvalidDocumentContent"),
    "not valid inside": (lambda: with_document("entry.0.resource.status", "fine"), 400, ""),
    "no DocumentReference (MHD-65-51)": (orphan, 422, "XDSMissingDocumentMetadata"),
}


@pytest.mark.parametrize("name", REFUSALS)
async def test_refusals(publish: Publish, counts: Count, name: str) -> None:
    """MHD-OPT-32, MHD-65-51: refused by name, and nothing stored."""
    make, status, code = REFUSALS[name]
    before = await counts()

    response = await publish(make())

    assert response.status_code == status, response.text
    assert not code or code in [details(one) for one in response.json()["issue"]]
    assert await counts() == before


async def test_same_document_again(client: httpx.AsyncClient, publish: Publish, packages: Packages) -> None:
    """MHD-65-112: the same document may come again, in whichever format; another one of its uniqueId may not."""
    document = fhir_document()
    assert (await publish(fhir_submission(document))).status_code == 200
    in_xml = to_xml(fhir_submission(document), packages.structures)

    again = await client.post("", content=in_xml, headers={"content-type": XML, "accept": JSON})
    other = await publish(fhir_submission(changed(document, "entry.0.resource.title", "Another title")))

    assert again.status_code == 200, again.text
    assert (other.status_code, details(issue(other))) == (409, "XDSNonIdenticalHash")


async def test_large_parts_of_a_document(client: httpx.AsyncClient, publish: Publish) -> None:
    """MHD-65-27, MHD-65-55: a long base64 text inside the document stays inside."""
    document = fhir_document()
    inside = binary(bytes(range(256)) * 9_000, "image/png") | {"id": "picture"}
    document["entry"].append({"fullUrl": "http://author.example/fhir/Binary/picture", "resource": inside})

    _, url = await published(publish, fhir_submission(document), client)

    assert (await client.get(url)).json()["entry"][-1]["resource"] == inside


async def test_too_large_parts_of_a_document(
    mongodb_url: str, database_name: str, database: Connection, patients: None, counts: Count
) -> None:
    """MHD-SEC-08: a FHIR document is bounded by what this server takes as a resource."""
    document = fhir_document()
    inside = binary(bytes(300_000), "image/png")
    document["entry"].append({"fullUrl": "http://author.example/fhir/Binary/picture", "resource": inside})
    before = await counts()

    async with served(mongodb_url, database_name, max_resource_bytes=200_000) as client:
        response = await client.post("", json=fhir_submission(document))

    assert (response.status_code, issue(response)["code"]) == (413, "too-long")
    assert await counts() == before


@pytest.mark.parametrize(("switch", "media_types"), [("json", [JSON]), ("xml", [XML]), ("both", [JSON, XML])])
async def test_documents_are_added(
    mongodb_url: str, database_name: str, database: Connection, patients: None, switch: str, media_types: list[str]
) -> None:
    """MHD-OPT-33, MHD-OPT-35, A-09: with the switch, Binaries with metadata of their own that transform the original."""
    async with served(mongodb_url, database_name, fhir_document_extra_docref=switch) as client:
        response = await client.post("", json=fhir_submission())
        named = locations(response)
        assert len(named) == 3
        found = (await client.get("DocumentReference?patient=p1&status=current")).json()
        original = (await client.get(named[1])).json()
        added = [one["resource"] for one in found["entry"] if one["resource"]["id"] != original["id"]]
        assert not {"hash", "size"} & set(original["content"][0]["attachment"])
        assert sorted(one["content"][0]["attachment"]["contentType"] for one in added) == media_types
        for one in added:
            attachment = one["content"][0]["attachment"]
            assert one["relatesTo"] == [
                {"code": "transforms", "target": {"reference": f"DocumentReference/{original['id']}"}}
            ]
            assert one["type"] == original["type"]
            assert one["masterIdentifier"]["value"] != original["masterIdentifier"]["value"]
            assert one["identifier"][0]["value"] != original["identifier"][0]["value"]
            document = await client.get(attachment["url"], headers=ANY)
            assert sha1(document.content) == attachment["hash"]
            assert len(document.content) == attachment["size"]
            assert document.headers["content-type"] == attachment["contentType"]
        members = (await client.get(named[0])).json()["entry"]
        assert {one["item"]["reference"].rpartition("/")[2] for one in members} == {
            original["id"],
            *(one["id"] for one in added),
        }


async def test_option_off(
    mongodb_url: str, database_name: str, database: Connection, patients: None, counts: Count
) -> None:
    """E-19: MHD-OPT-31, MHD-CS-12: without the option refused by name; the statement does not say it."""
    before = await counts()
    async with served(mongodb_url, database_name, fhir_documents=False) as client:
        response = await client.post("", json=fhir_submission())
        statement = (await client.get("metadata")).json()

    assert (response.status_code, details(issue(response))) == (422, "FHIRDocumentNotSupported")
    assert issue(response)["expression"] == ["Bundle.entry[2].resource"]
    assert await counts() == before
    assert f"{MHD}/CapabilityStatement/IHE.MHD.DocumentRecipient.Fdoc" not in statement["instantiates"]


async def test_representation_leaves_documents_out(publish: Publish) -> None:
    """MHD-65-128: with `return=representation` metadata come back, documents do not."""
    response = await publish(fhir_submission(), prefer="return=representation")

    assert [one.get("resource", {}).get("resourceType") for one in response.json()["entry"]] == [
        "List",
        "DocumentReference",
        None,
    ]


async def test_superseded_document(mongodb_url: str, database_name: str, database: Connection, patients: None) -> None:
    """MHD-68-11, A-04: a FHIR document that was replaced, where the deployment serves it no more."""
    async with served(mongodb_url, database_name, superseded_retrieval=410) as client:
        named = locations(await client.post("", json=fhir_submission()))
        relation = {"code": "replaces", "target": {"reference": "/".join(named[1].split("/")[-2:])}}
        assert (await client.get(named[2])).status_code == 200
        assert (await client.post("", json=fhir_submission(relatesTo=[relation]))).status_code == 200

        assert (await client.get(named[2])).status_code == 410


@pytest.mark.parametrize(("kept", "asked"), [(JSON, XML), (XML, JSON)])
async def test_binary_is_made_into_the_other_format(
    client: httpx.AsyncClient, publish: Publish, packages: Packages, kept: str, asked: str
) -> None:
    """MHD-68-07: a FHIR document in a Binary, asked for in the other format."""
    document = fhir_document()
    text = json.dumps(document).encode() if kept == JSON else to_xml(document, packages.structures)
    url = locations(await publish(submission(text, content_type=kept)))[2]

    response = await client.get(url, headers={"accept": asked})

    assert (response.status_code, response.headers["content-type"]) == (200, asked)
    told = response.json() if asked == JSON else from_xml(response.content, packages.structures)
    assert told == document
    etag = (await client.get(url, headers={"accept": asked, "if-none-match": response.headers["etag"]})).status_code
    assert etag == 304


@pytest.mark.parametrize(("kept", "asked"), [(JSON, XML), (XML, JSON)])
async def test_what_is_no_resource_is_not_made_into_another_format(
    client: httpx.AsyncClient, publish: Publish, kept: str, asked: str
) -> None:
    """MHD-68-07, MHD-68-10: 406 when the document is not what it says."""
    url = locations(await publish(submission(b"neither", content_type=kept)))[2]

    response = await client.get(url, headers={"accept": asked})

    assert response.status_code == 406
    assert "not-supported" in response.text
