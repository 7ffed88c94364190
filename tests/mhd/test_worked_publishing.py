"""The worked exchanges E-16 to E-19: ITI-105, ITI-106 and FHIR documents, as the specification tells them."""

from __future__ import annotations

import copy
import json
from typing import Any

import httpx
import pytest

from app.fhir.resource import Resource
from app.fhir.xml import from_xml
from tests.mhd.conftest import details, issue, served
from tests.mhd.worked_examples import (
    BASE,
    FILE,
    JSON,
    XML,
    Story,
    bundles,
    contains,
    first,
    refused,
    resources,
    story,
    table,
    told_once,
)
from tests.submissions import ENTRY_UUID, UNIQUE_ID, identifier, oid, sha1

__all__ = ["story"]

pytestmark = pytest.mark.skipif(not FILE.is_file(), reason="the worked examples are not beside the checkout")

CHANGES: dict[str, Any] = {
    "add `content[0].attachment.url`": lambda one: one["content"][0]["attachment"].update(url="http://else.example/x"),
    "remove `content[0].attachment.data`": lambda one: one["content"][0]["attachment"].pop("data"),
    "remove `masterIdentifier`": lambda one: one.pop("masterIdentifier"),
    "`status` = `superseded`": lambda one: one.update(status="superseded"),
    "remove `subject`": lambda one: one.pop("subject"),
    "add identifier of type `entryUUID`": lambda one: one.update(identifier=[identifier(ENTRY_UUID, "urn:uuid:x")]),
    "add `docStatus`": lambda one: one.update(docStatus="final"),
    "second element in `category`": lambda one: one.update(category=[one["type"], one["type"]]),
    "`size` wrong by one": lambda one: one["content"][0]["attachment"].update(size=72),
    "masterIdentifier of E-16, other bytes": lambda one: (
        one.update(masterIdentifier=resources("E-16")[0]["masterIdentifier"]),
        one["content"][0].update(attachment={"contentType": "text/plain", "data": "b3RoZXI="}),
    ),
    "`relatesTo` `replaces` → `DocumentReference/c40aa7f8`": lambda one: one.update(
        relatesTo=[{"code": "replaces", "target": {"reference": "DocumentReference/c40aa7f8"}}]
    ),
    "identifier of type `uniqueId` different from masterIdentifier": lambda one: one.update(
        identifier=[identifier(UNIQUE_ID, oid())]
    ),
}


async def send(story: Story, made: Resource, url: str = "DocumentReference") -> httpx.Response:
    body = story.told(json.dumps(made))
    return await story.client.post(url, content=body, headers={"content-type": JSON, "prefer": "return=minimal"})


async def play_e16(story: Story) -> httpx.Response:
    response = await send(story, resources("E-16")[0])
    assert response.status_code == 201, response.text
    story.ids["c40aa7f8"] = response.json()["id"]
    return response


async def test_e16(story: Story) -> None:
    """E-16: MHD-105-01..16, MHD-66-19: published, answered with the stored resource, listed by a SubmissionSet."""
    response = await play_e16(story)

    stored, expected = response.json(), copy.deepcopy(resources("E-16")[1])
    assert response.headers["location"] == f"{BASE}/DocumentReference/{stored['id']}/_history/1"
    assert response.headers["etag"] == 'W/"1"'
    for part in (expected["meta"], expected["identifier"][0], expected["content"][0]["attachment"]):
        for name in {"lastUpdated", "url"} & set(part) or {"value"} & set(part):
            del part[name]
    del expected["id"]
    contains(stored, expected)
    assert (await story.get(stored["content"][0]["attachment"]["url"], accept="*/*")).status_code == 200
    url = "List?patient=pat-1001&code=submissionset&status=current&date=ge2025-05-06"
    (found,) = (await story.read(url))["entry"]
    assert found["resource"]["entry"][0]["item"]["reference"] == story.told("DocumentReference/c40aa7f8")
    assert (found["resource"]["subject"]["reference"], found["resource"]["mode"]) == ("Patient/pat-1001", "working")


@pytest.mark.parametrize("change", CHANGES)
async def test_e17(story: Story, change: str) -> None:
    """E-17: MHD-105-02, 04, 07, 13, 14, 18, 19: each row of the table."""
    rows = dict(table("E-17", "Change"))
    assert set(rows) == set(CHANGES)
    await play_e16(story)
    made = copy.deepcopy(resources("E-16")[0])
    made["masterIdentifier"]["value"] = oid()
    CHANGES[change](made)

    response = await send(story, made)

    statuses, _, code = rows[change].partition(",")
    if "**201**" in statuses:
        assert response.status_code == 201
        assert (await story.read("DocumentReference/c40aa7f8"))["status"] == "superseded"
        return
    assert str(response.status_code) in statuses.split("|"), response.text
    wanted = [one.strip(" `") for one in code.split(",") if "XDS" in one]
    assert not wanted or details(issue(response)) == wanted[0]


async def test_e17_body(story: Story) -> None:
    """E-17: MHD-105-13: the refusal names the element."""
    made = copy.deepcopy(resources("E-16")[0])
    made["content"][0]["attachment"]["url"] = "http://else.example/x"

    told, wanted = issue(await send(story, made)), resources("E-17")[0]["issue"][0]

    assert (told["severity"], details(told), told["expression"]) == (
        wanted["severity"],
        details(wanted),
        wanted["expression"],
    )


OPERATION = "DocumentReference/$generate-metadata"


@told_once
async def test_e18(story: Story) -> None:
    """E-18: MHD-106-01..16: metadata of a FHIR document; the same again is the same; both formats."""
    sent, _, expected = (copy.deepcopy(one) for one in resources("E-18")[:3])

    response = await send(story, sent, OPERATION)

    assert response.status_code == 200, response.text
    reference = response.json()["parameter"][0]["valueReference"]["reference"]
    found = await story.read(reference)
    attachment = found["content"][0]["attachment"]
    assert attachment["url"].startswith(f"{BASE}/Bundle/")
    del expected["content"][0]["attachment"]["url"], expected["id"]
    contains(found | {"author": [{"reference": "#a1"}]}, expected)
    assert (await send(story, sent, OPERATION)).json() == response.json()
    plain = await story.get(attachment["url"], accept="*/*")
    in_xml = await story.get(attachment["url"], accept=XML)
    assert plain.headers["content-type"].startswith(JSON)
    assert sha1(plain.content) == attachment["hash"]
    assert (plain.json()["resourceType"], plain.json()["type"]) == ("Bundle", "document")
    assert in_xml.text.partition("?>")[2].lstrip().startswith("<Bundle")
    assert (await story.read("List?patient=pat-1001&code=submissionset&status=current"))["total"] == 1


async def test_e18_refusals(story: Story) -> None:
    """E-18: MHD-106-01, 02, 04, 05, 13: refusals of the list."""
    sent, told = resources("E-18")[0], resources("E-18")[3]
    document = sent["parameter"][0]["resource"]
    text = {"resourceType": "Binary", "contentType": "text/plain", "data": "SGVsbG8gV29ybGQ="}
    unknown = copy.deepcopy(document)
    unknown["entry"][1]["resource"]["identifier"][0]["value"] = "0"

    def parameters(*made: Resource, name: str = "document") -> Resource:
        return {"resourceType": "Parameters", "parameter": [{"name": name, "resource": one} for one in made]}

    for made in (
        parameters(document, name="doc"),
        parameters(document, document),
        parameters(document | {"type": "collection"}),
    ):
        assert (await send(story, made, OPERATION)).status_code in (400, 422)
    refused(await send(story, parameters(text), OPERATION), 422, told)
    assert (await story.get(OPERATION)).status_code == 405
    assert details(issue(await send(story, parameters(unknown), OPERATION))) == "XDSUnknownPatientId"


@told_once
async def test_e19(story: Story, packages: Any) -> None:
    """E-19: MHD-OPT-30..35, MHD-65-27, 62, MHD-68-21: a FHIR document as an entry."""
    response = await story.exchange(first("E-19"), bundles("E-19", "transaction-response")[0])

    assert len(response.json()["entry"]) == 3
    in_json = await story.get("Bundle/e8023f9b")
    in_xml = await story.get("Bundle/e8023f9b", accept=XML)
    assert from_xml(in_xml.content, packages.structures) == in_json.json()
    told = in_json.json()
    assert told.pop("id") == story.ids["e8023f9b"]
    assert told == first("E-19")["entry"][2]["resource"]


async def test_e19_option_off(mongodb_url: str, database_name: str, story: Story) -> None:
    """E-19: MHD-OPT-31: without the option."""
    async with served(mongodb_url, database_name, fhir_documents=False) as client:
        response = await client.post("", json=first("E-19"), headers={"content-type": JSON})

    refused(response, 422, resources("E-19")[-1])
