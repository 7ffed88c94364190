"""Worked exchanges of MHD, sent as they are written down and answered as they say: `mhd-examples.md` of the specification.

The file lies beside the checkout; without it there is nothing to replay. Searches stand in `test_worked_searches.py`.
"""

from __future__ import annotations

import base64
import copy
import json
import re
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from urllib.parse import parse_qsl, urlsplit

import pytest

from app.fhir.packages import Packages
from app.fhir.resource import Resource
from app.fhir.xml import from_xml
from app.store.change import Create
from app.store.resources import Store
from tests.mhd import worked_examples
from tests.mhd.conftest import Count, details, issue
from tests.mhd.worked_examples import (
    BASE,
    FILE,
    JSON,
    XML,
    Story,
    blocks,
    bundles,
    contains,
    first,
    play_e02,
    play_e05,
    play_e09,
    refused,
    renewed,
    resources,
    section,
    table,
    told_once,
)
from tests.submissions import sha1

story = worked_examples.story

pytestmark = pytest.mark.skipif(not FILE.is_file(), reason="the worked examples are not beside the checkout")


async def test_e02_one_document(story: Story) -> None:
    """E-02: MHD-65-120..122, 125, 126: three entries in order; the same graph when the order is reversed."""
    await play_e02(story)
    backwards = renewed(first("E-02"))
    backwards["entry"].reverse()

    response = await story.post(backwards)

    types = [one["response"]["location"].split("/")[-4] for one in response.json()["entry"]]
    assert types == ["Binary", "DocumentReference", "List"]
    binary, document, submitted = [one["response"]["location"] for one in response.json()["entry"]]
    name = "/".join(document.split("/")[-4:-2])
    assert (await story.read(submitted))["entry"] == [{"item": {"reference": name}}]
    url = (await story.read(document))["content"][0]["attachment"]["url"]
    assert url == binary.partition("/_history")[0]


async def test_e03_read_back(story: Story) -> None:
    """E-03: MHD-65-24..26, 54, 56, 115; MHD-67-40, MHD-67-14: links are rewritten, `Identifier.value` is not."""
    await play_e02(story)

    response = await story.get("DocumentReference/5d0c77a1")

    assert (response.status_code, response.headers["etag"]) == (200, 'W/"1"')
    contains(response.json(), json.loads(story.told(blocks("E-03")[0])))
    submitted = await story.read("List/9b2e4c10")
    assert submitted["entry"][0]["item"]["reference"] == story.told("DocumentReference/5d0c77a1")
    assert submitted["source"]["reference"] == "#aut-1"
    expected = json.loads(blocks("E-03")[0])
    for identifier in (expected["identifier"][0], expected["masterIdentifier"]):
        asked = f"identifier={identifier['system']}|{identifier['value']}&patient=pat-1001&status=current"
        assert await story.found(f"DocumentReference?{asked}") == ["5d0c77a1"]


@told_once
async def test_e04_negotiation(story: Story) -> None:
    """E-04: MHD-68-01..05, 08..10, 13, 18: each row of the table, the wrapper, and the hash of what comes."""
    await play_e02(story)
    wrapper = json.loads(story.told(blocks("E-04")[0]))
    asked: list[tuple[str, str | None]] = [
        ("text/plain; charset=utf-8", accept)
        for accept in (None, "*/*", "text/*", "text/plain", "application/fhir+json;q=0.5, */*;q=0.8")
    ]
    asked += [(f"{JSON}; charset=utf-8", JSON), (f"{XML}; charset=utf-8", XML)]
    assert len(table("E-04", "Request")) == 10
    for content_type, accept in asked:
        request = story.client.build_request("GET", story.told("Binary/e61f02b8"))
        del request.headers["accept"]
        if accept:
            request.headers["accept"] = accept
        response = await story.client.send(request)
        assert (response.status_code, response.headers["content-type"]) == (200, content_type), accept
        if content_type.startswith("text"):
            assert (sha1(response.content), len(response.content)) == ("Vn6BPJ+hcNyYAJ+l0T7DNaWSXSs=", 132)
        elif content_type.startswith(JSON):
            contains(response.json(), wrapper)
    contains((await story.get("Binary/e61f02b8?_format=json", accept="image/png")).json(), wrapper)
    unacceptable = await story.get("Binary/e61f02b8", accept="image/png")
    assert (unacceptable.status_code, unacceptable.json()["resourceType"]) == (406, "OperationOutcome")
    late = {"if-unmodified-since": "Mon, 01 Jan 2001 00:00:00 GMT", "accept": "*/*"}
    assert (await story.get("Binary/e61f02b8", **late)).status_code == 200
    assert (await story.get("Binary/unknown")).status_code == 404


LETTERS = "DocumentReference?patient=pat-1001&type=http://loinc.org|18842-5"


async def checks_of_e05(story: Story) -> None:
    old = await story.read("DocumentReference/5d0c77a1")
    assert (old["status"], old["meta"]["versionId"]) == ("superseded", "2")
    assert await story.found(f"{LETTERS}&status=current") == ["77aa9e04"]
    assert await story.found(f"{LETTERS}&status=superseded") == ["5d0c77a1"]
    assert set(await story.found(f"{LETTERS}&status=current,superseded")) == {"77aa9e04", "5d0c77a1"}


async def test_e05_replace(story: Story) -> None:
    """E-05: MHD-65-70, 71, 74, 75, 123; MHD-67-19: the replacement with its PATCH entry."""
    await play_e05(story)

    await checks_of_e05(story)


async def test_e05_without_the_patch(story: Story) -> None:
    """E-05: MHD-65-74: the same effect without the PATCH entry."""
    await play_e02(story)
    sent, expected = first("E-05"), copy.deepcopy(bundles("E-05", "transaction-response")[0])
    del sent["entry"][1], expected["entry"][1]

    await story.exchange(sent, expected)

    await checks_of_e05(story)


async def test_e05_other_patches(story: Story, counts: Count) -> None:
    """E-05: MHD-65-76, MHD-65-77: another path; a target that the Bundle does not replace."""
    await play_e02(story)
    path, lone = first("E-05"), first("E-05")
    path["entry"][1]["resource"]["parameter"][0]["part"][1]["valueString"] = "DocumentReference.type"
    del lone["entry"][2]["resource"]["relatesTo"]
    before = await counts()

    for sent in (path, lone):
        assert (await story.post(sent)).status_code in (400, 422)
    assert await counts() == before


@pytest.mark.parametrize("code", ["replaces", "appends", "transforms", "signs"])
async def test_e06_superseded_target(story: Story, counts: Count, code: str) -> None:
    """E-06: MHD-65-73, 127; MHD-ERR-01..03: every relation to a superseded document fails, and stores nothing."""
    await play_e05(story)
    sent = renewed(first("E-05"))
    del sent["entry"][1]
    fragment = resources("E-06")[0]
    sent["entry"][1]["resource"] |= fragment
    sent["entry"][1]["resource"]["relatesTo"][0]["code"] = code
    before = await counts()

    refused(await story.post(sent), 422, resources("E-06")[1])

    assert await counts() == before
    master = sent["entry"][1]["resource"]["masterIdentifier"]["value"]
    assert await story.found(f"DocumentReference?identifier={master}") == []


def two_documents(change: Callable[[Resource], None]) -> Resource:
    """Return the Bundle of E-07, its faulty attachment changed once more by `change`."""
    faulty, other = resources("E-07")[0], first("E-05")
    masters = re.findall(r"urn:oid:2\.25\.\d+", section("E-07"))
    made = renewed(first("E-02"))
    second, document = renewed(first("E-02"))["entry"][1], copy.deepcopy(other["entry"][3])
    document["fullUrl"] = faulty["url"]
    change(faulty)
    second["resource"]["content"][0]["attachment"] = faulty
    second["resource"]["masterIdentifier"]["value"] = masters[0]
    made["entry"][1]["resource"]["masterIdentifier"]["value"] = masters[1]
    made["entry"][0]["resource"]["entry"].append({"item": {"reference": second["fullUrl"]}})
    made["entry"] += [second, document]
    return made


def hexadecimal(attachment: Resource) -> None:
    attachment["hash"] = base64.b64encode(b"b63bacb55059d95179").decode()


def of_the_base64(attachment: Resource) -> None:
    attachment["hash"] = sha1(first("E-05")["entry"][3]["resource"]["data"].encode())


def one_too_large(attachment: Resource) -> None:
    attachment |= {"hash": "tjustVBZ2VF5alU+ZkdmCjW/I30=", "size": 134}


VARIANTS = {
    "hash of another document": (lambda attachment: None, "hash"),
    "hash as hexadecimal": (hexadecimal, "hash"),
    "hash of the base64": (of_the_base64, "hash"),
    "size one too large": (one_too_large, "size"),
}


@pytest.mark.parametrize("name", VARIANTS)
async def test_e07_wrong_hash(story: Story, counts: Count, name: str) -> None:
    """E-07: MHD-65-20, 52, 53, 127; MHD-ERR-02, MHD-ERR-07: of two documents none is stored."""
    change, element = VARIANTS[name]
    before = await counts()

    response = await story.post(two_documents(change))

    expected = resources("E-07")[1]
    expected["issue"][0]["expression"] = [expected["issue"][0]["expression"][0].replace("hash", element)]
    refused(response, 422, expected)
    assert re.findall(r"urn:oid:2\.25\.\d+", section("E-07"))[0] in issue(response)["details"]["text"]
    assert await counts() == before
    asked = re.sub(r"\s+", "", re.findall(r"GET (\S+\s+\S+) HTTP", blocks("E-07", "http")[0])[0])
    body = await story.read(asked)
    assert (body["total"], body["resourceType"]) == (0, "Bundle")
    urls = [resources("E-07")[2]["link"][0]["url"], body["link"][0]["url"]]
    assert parse_qsl(urlsplit(urls[0]).query) == parse_qsl(urlsplit(urls[1]).query)


async def test_e07_right_or_absent(story: Story) -> None:
    """E-07: MHD-65-52, MHD-65-54: the right hash is accepted; without hash and size the server fills in both."""

    def right(attachment: Resource) -> None:
        attachment["hash"] = "tjustVBZ2VF5alU+ZkdmCjW/I30="

    def absent(attachment: Resource) -> None:
        del attachment["hash"], attachment["size"]

    for change in (right, absent):
        response = await story.post(renewed(two_documents(change)))
        assert response.status_code == 200, response.text
        attachment = (await story.read(response.json()["entry"][3]["response"]["location"]))["content"][0]["attachment"]
        assert (attachment["hash"], attachment["size"]) == ("tjustVBZ2VF5alU+ZkdmCjW/I30=", 133)


async def test_e08_patients_differ(story: Story, counts: Count) -> None:
    """E-08: MHD-65-41, 42, 43: another patient, the same one in another form, an unknown one."""
    fragment, differ, unknown = resources("E-08")
    before = await counts()
    sent = renewed(first("E-02"))
    sent["entry"][0]["resource"] |= fragment
    refused(await story.post(sent), 422, differ)
    nobody = json.loads(json.dumps(renewed(first("E-02"))).replace("Patient/pat-1001", "Patient/pat-9999"))
    refused(await story.post(nobody), 400, unknown)
    assert await counts() == before
    same = renewed(first("E-02"))
    same["entry"][0]["resource"]["subject"]["reference"] = f"{BASE}/Patient/pat-1001"

    assert (await story.post(same)).status_code == 200


async def test_e09_folder(story: Story) -> None:
    """E-09: MHD-65-90, 91, 96, 97; MHD-66-11, 12: a Folder is created, and gains a document."""
    await play_e09(story)

    folder = await story.read("List/b7d1e930")
    members = [one["item"]["reference"] for one in folder["entry"]]
    assert members == [story.told(f"DocumentReference/{name}") for name in ("77aa9e04", "a91be3d7")]
    assert abs(datetime.now(UTC) - datetime.fromisoformat(folder["date"])) < timedelta(minutes=1)
    asked = "patient=pat-1001&code=folder&status=current&designationType=http://snomed.info/sct|84114007"
    assert await story.found(f"List?{asked}") == ["b7d1e930"]


async def test_e09_refusals(story: Story, counts: Count) -> None:
    """E-09: MHD-65-92..95: a member less, a List as member, another patient's document, an unknown Folder."""
    await play_e09(story)
    foreign = json.loads(json.dumps(renewed(first("E-02"))).replace("pat-1001", "pat-1002"))
    other = (await story.post(foreign)).json()["entry"][1]["response"]["location"].split("/")[-3]
    before = await counts()

    def variant(change: Callable[[Resource], None]) -> Resource:
        made = renewed(bundles("E-09", "transaction")[1])
        entry = made["entry"][1]
        del entry["resource"]["identifier"]
        entry["resource"]["entry"].insert(1, {"item": {"reference": "DocumentReference/a91be3d7"}})
        change(entry)
        return made

    def less(entry: Resource) -> None:
        del entry["resource"]["entry"][0]

    def nested(entry: Resource) -> None:
        entry["resource"]["entry"].append({"item": {"reference": "List/44f0b7aa"}})

    def of_another(entry: Resource) -> None:
        entry["resource"]["entry"].append({"item": {"reference": f"DocumentReference/{other}"}})

    def new(entry: Resource) -> None:
        entry["request"]["url"] = "List/new-id"
        entry["fullUrl"], entry["resource"]["id"] = f"{BASE}/List/new-id", "new-id"

    for change, statuses, code in (
        (less, (400, 422), "XDSRepositoryMetadataError"),
        (nested, (400,), ""),
        (of_another, (400, 422), "XDSPatientIdDoesNotMatch"),
        (new, (400, 404, 405), "UnresolvedReferenceException"),
    ):
        made = variant(change)
        made["entry"][0]["resource"]["entry"][1:] = []
        response = await story.post(made)
        assert response.status_code in statuses, (change, response.text)
        assert not code or details(issue(response)) == code, response.text
    assert await counts() == before


async def test_e09_cascade(story: Story) -> None:
    """E-09: MHD-65-80, MHD-65-96: the replacement of a member becomes a member, and the date advances."""
    await play_e09(story)
    before = await story.read("List/b7d1e930")
    sent = renewed(first("E-05"))
    del sent["entry"][1]
    sent["entry"][1]["resource"]["relatesTo"][0]["target"]["reference"] = "DocumentReference/77aa9e04"

    response = await story.post(sent)

    name = "/".join(response.json()["entry"][1]["response"]["location"].split("/")[-4:-2])
    after = await story.read("List/b7d1e930")
    assert after["entry"] == [*before["entry"], {"item": {"reference": name}}]
    assert after["date"] > before["date"]


async def test_e10_minimal_push(story: Story) -> None:
    """E-10: MHD-65-05, 14, 46; MHD-GEN-11; MHD-PR-23: the Patient of the Bundle is the known one."""
    await story.exchange(first("E-10"), bundles("E-10", "transaction-response")[0])

    document = await story.read("DocumentReference/2e9f41c6")
    assert document["subject"]["reference"] == "Patient/pat-1002"
    attachment = document["content"][0]["attachment"]
    assert (attachment["size"], attachment["hash"]) == (52, "azkKlYglG/6dtf6Q3XFUH7ZKhdc=")
    asked = "patient=pat-1002&code=submissionset&status=current&sourceId=urn:oid:2.999.7.2"
    assert await story.found(f"List?{asked}") == ["d5107b3e"]
    claim = first("E-02")["meta"]
    assert (await story.post(renewed(first("E-10")) | {"meta": claim})).status_code == 400


async def test_e11_conditional_and_logical(story: Story, store: Store) -> None:
    """E-11: MHD-65-30, MHD-65-44: both forms of subject find the patient; none, or two, and the transaction fails."""
    conditional, logical, expected = resources("E-11")

    def about(subject: Resource, value: str = "4711-230857") -> Resource:
        made = renewed(first("E-02"))
        for entry in made["entry"][:2]:
            entry["resource"] |= json.loads(json.dumps(subject).replace("4711-230857", value))
        return made

    for subject, stored in ((conditional, {"reference": "Patient/pat-1001"}), (logical, expected["subject"])):
        response = await story.post(about(subject))
        assert response.status_code == 200, response.text
        document = await story.read(response.json()["entry"][1]["response"]["location"])
        assert document["subject"] == stored
        for asked in ("patient=pat-1001", "patient.identifier=urn:oid:2.999.40.1|4711-230857"):
            assert document["id"] in await story.found(f"DocumentReference?{asked}&status=current")
        none = await story.post(about(subject, "0815"))
        assert none.status_code in (400, 404, 412)
        assert details(issue(none)) in ("UnresolvedReferenceException", "XDSUnknownPatientId")
    twin = {"resourceType": "Patient", "id": "twin", "identifier": [expected["subject"]["identifier"]]}
    await store.commit([Create(twin)], datetime.now(UTC))
    several = await story.post(about(conditional))
    assert (several.status_code, issue(several)["code"]) == (412, "multiple-matches")


@told_once
@pytest.mark.parametrize("accept", [XML, None])
async def test_e12_xml(story: Story, packages: Packages, accept: str | None) -> None:
    """E-12: MHD-GEN-02, 04, 09; MHD-65-129: XML in and out, with Accept or without; read as JSON."""
    headers = {"content-type": XML}
    request = story.client.build_request("POST", "", content=blocks("E-12", "xml")[0].encode(), headers=headers)
    del request.headers["accept"]
    if accept:
        request.headers["accept"] = accept

    response = await story.client.send(request)

    assert (response.status_code, response.headers["content-type"]) == (200, f"{XML}; charset=utf-8")
    body = from_xml(response.content, packages.structures)
    assert (body["resourceType"], body["type"]) == ("Bundle", "transaction-response")
    assert [one["response"]["status"] for one in body["entry"]] == ["201 Created"] * 3
    sent = from_xml(blocks("E-12", "xml")[0].encode(), packages.structures)["entry"][1]["resource"]
    read = await story.read(body["entry"][1]["response"]["location"])
    sent["content"][0]["attachment"]["url"] = body["entry"][2]["response"]["location"].partition("/_history")[0]
    contains(read, sent)
