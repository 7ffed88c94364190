"""ITI-105 Simplified Publish, 2:3.105, over HTTP; E-16 and E-17 of the worked exchanges."""

from __future__ import annotations

import asyncio
import base64
from typing import Any

import httpx
import pytest

from app.fhir.packages import Packages
from app.fhir.resource import Resource
from app.fhir.xml import to_xml
from app.store.driver import Connection
from tests.conftest import BASE_URL, PROJECT
from tests.mhd.conftest import DOMAIN, Count, Publish, details, issue, served
from tests.submissions import (
    ENTRY_UUID,
    HELLO,
    MHD,
    SD,
    UNIQUE_ID,
    changed,
    concept,
    document_reference,
    identifier,
    oid,
    sha1,
    submission,
)

JSON, XML = "application/fhir+json", "application/fhir+xml"
OFFICIAL = PROJECT.parent / "shared" / "ihe" / "mhd" / "examples"
NEVER = "2jmj7l5rSw0yVb/vlWAYkK/YBwk="


def simplified(document: bytes = HELLO, **elements: Any) -> Resource:
    """Return what ITI-105 takes: E-16 in short."""
    made = document_reference("", **({"masterIdentifier": {"system": "urn:ietf:rfc:3986", "value": oid()}} | elements))
    attachment = made["content"][0]["attachment"]
    del attachment["url"]
    attachment["data"] = base64.b64encode(document).decode()
    return made


@pytest.fixture
def post(client: httpx.AsyncClient, patients: None) -> Publish:
    """Post a DocumentReference; keywords are headers."""

    async def post(resource: Resource, **headers: str) -> httpx.Response:
        sent = {"content-type": JSON} | {name.replace("_", "-"): value for name, value in headers.items()}
        return await client.post("DocumentReference", json=resource, headers=sent)

    return post


async def submission_sets(client: httpx.AsyncClient) -> list[Resource]:
    response = await client.get("List?code=submissionset&patient=p1&status=current")
    return [one["resource"] for one in response.json().get("entry", ())]


async def test_document_is_published(client: httpx.AsyncClient, post: Publish) -> None:
    """E-16: MHD-105-01, 04, 08, 09, 11, 12, MHD-OPT-20: 201 with the stored resource although `return=minimal`."""
    sent = simplified()

    response = await post(sent, prefer="return=minimal")

    assert response.status_code == 201, response.text
    stored = response.json()
    assert response.headers["location"] == f"{BASE_URL}/DocumentReference/{stored['id']}/_history/1"
    assert response.headers["etag"] == 'W/"1"'
    assert (await client.get(response.headers["location"])).json() == stored
    attachment = stored["content"][0]["attachment"]
    assert "data" not in attachment
    assert (attachment["size"], attachment["hash"]) == (len(HELLO), sha1(HELLO))
    assert attachment["url"].startswith(f"{BASE_URL}/Binary/")
    document = await client.get(attachment["url"], headers={"accept": "*/*"})
    assert (document.content, document.headers["content-type"]) == (HELLO, "text/plain")
    kinds = [one["type"]["coding"][0]["code"] for one in stored["identifier"]]
    assert kinds == [ENTRY_UUID]
    assert stored["masterIdentifier"] == sent["masterIdentifier"] | {"type": identifier(UNIQUE_ID, "")["type"]}


async def test_submission_set_is_derived(client: httpx.AsyncClient, post: Publish) -> None:
    """MHD-105-08, MHD-105-16, MHD-66-19: the SubmissionSet field by field, found by ITI-66."""
    community = {"url": f"{SD}/ihe-HomeCommunityId", "valueOid": "urn:oid:2.999.10"}
    organization = {"resourceType": "Organization", "id": "house", "name": "An invented house"}
    sent = simplified(extension=[community])
    sent["contained"].append(organization)
    sent["author"] = [{"reference": "#house"}, {"reference": "#author"}]

    stored = (await post(sent)).json()

    (found,) = await submission_sets(client)
    extensions = {one["url"].rpartition("/")[2]: one for one in found["extension"]}
    assert extensions["ihe-designationType"]["valueCodeableConcept"] == sent["type"]
    assert extensions["ihe-sourceId"]["valueIdentifier"]["value"].startswith("urn:oid:2.25.")
    assert extensions["ihe-HomeCommunityId"] == community
    assert found["entry"] == [{"item": {"reference": f"DocumentReference/{stored['id']}"}}]
    assert (found["subject"], found["mode"], found["status"]) == (sent["subject"], "working", "current")
    assert found["title"] == "An invented letter"
    assert found["date"][:10] == stored["meta"]["lastUpdated"][:10]
    assert found["source"]["reference"] == "#author"
    assert found["source"]["extension"][0]["valueReference"] == {"reference": "#house"}
    assert {one["id"] for one in found["contained"]} == {"author", "house"}
    by_kind = {one["type"]["coding"][0]["code"]: one["value"] for one in found["identifier"]}
    assert by_kind[UNIQUE_ID].startswith("urn:oid:2.25.")
    assert by_kind[ENTRY_UUID].startswith("urn:uuid:")


async def test_derived_resources_meet_their_profiles(
    client: httpx.AsyncClient, post: Publish, packages: Packages
) -> None:
    """MHD-105-10, MHD-105-16: what is stored meets the Minimal profiles, and claims no other."""
    from app.validation.validator import Validator

    sent = simplified(meta={"profile": [f"{SD}/IHE.MHD.SimplifiedPublish.DocumentReference", "http://other.example/p"]})

    stored = (await post(sent)).json()

    assert stored["meta"]["profile"] == ["http://other.example/p"]
    validator = Validator(packages)
    assert validator.validate(stored, f"{SD}/IHE.MHD.Comprehensive.DocumentReference") == []
    (found,) = await submission_sets(client)
    assert validator.validate(found, f"{SD}/IHE.MHD.Comprehensive.SubmissionSet") == []


@pytest.mark.parametrize("media_type", ["image/png", "application/pdf", "text/xml", JSON])
async def test_any_media_type(client: httpx.AsyncClient, post: Publish, media_type: str) -> None:
    """MHD-105-03: any document, its bytes kept as they are."""
    document = bytes(range(256))
    sent = simplified(document)
    sent["content"][0]["attachment"]["contentType"] = media_type

    url = (await post(sent)).json()["content"][0]["attachment"]["url"]

    assert (await client.get(url, headers={"accept": "*/*"})).content == document


async def test_large_document_goes_by_the_memory(client: httpx.AsyncClient, post: Publish) -> None:
    """MHD-105-08: a document that is taken out of the body while it arrives is the one that is stored."""
    document = bytes(range(256)) * 12_000

    stored = (await post(simplified(document))).json()

    attachment = stored["content"][0]["attachment"]
    assert (attachment["size"], attachment["hash"]) == (len(document), sha1(document))
    assert (await client.get(attachment["url"], headers={"accept": "*/*"})).content == document


async def test_other_long_data_stay_where_they_are(client: httpx.AsyncClient, post: Publish) -> None:
    """MHD-65-118: base64 that is no document of its own comes back in its place."""
    photo = base64.b64encode(bytes(range(256)) * 2_000).decode()
    extension = {"url": "http://other.example/seal", "valueAttachment": {"contentType": "image/png", "data": photo}}

    stored = (await post(simplified(extension=[extension]))).json()

    assert stored["extension"] == [extension]


async def test_xml_in_and_out(client: httpx.AsyncClient, patients: None, packages: Packages) -> None:
    """MHD-GEN-04, MHD-105-01: the same in XML."""
    body = to_xml(simplified(), packages.structures)

    response = await client.post("DocumentReference", content=body, headers={"content-type": XML})

    assert response.status_code == 201, response.text
    assert response.headers["content-type"].startswith(XML)
    assert '<url value="' in response.text


async def test_conditional_and_logical_patients(client: httpx.AsyncClient, post: Publish) -> None:
    """MHD-105-05: a patient by identifier or condition; one who is not known is refused."""
    logical = await post(simplified(subject={"identifier": {"system": DOMAIN, "value": "4711"}}))
    conditional = await post(simplified(subject={"reference": f"Patient?identifier={DOMAIN}|4711"}))

    assert [one.json()["subject"]["reference"] for one in (logical, conditional)] == ["Patient/p1"] * 2
    for subject in (
        {"reference": "Patient/nobody"},
        {"identifier": {"system": DOMAIN, "value": "0"}},
        {"display": "somebody"},
        {"reference": "Patient/gone"},
    ):
        refused = await post(simplified(subject=subject))
        assert (refused.status_code, details(issue(refused))) == (400, "XDSUnknownPatientId"), subject


async def test_size_and_hash_that_are_right(post: Publish) -> None:
    """MHD-105-07: those that come are those of the decoded document."""
    sent = simplified()
    sent["content"][0]["attachment"] |= {"size": len(HELLO), "hash": sha1(HELLO)}

    assert (await post(sent)).status_code == 201


def edited(path: str, value: Any) -> Resource:
    return changed(simplified(), path, value)


ATTACHMENT = "content.0.attachment"
REFUSALS = {
    "url": (lambda: edited(f"{ATTACHMENT}.url", "http://else.example/x"), 400, "content[0].attachment.url"),
    "no data (MHD-105-19)": (lambda: edited(f"{ATTACHMENT}.data", None), 400, "content[0].attachment"),
    "url and no data": (
        lambda: changed(edited(f"{ATTACHMENT}.url", "http://else.example/x"), f"{ATTACHMENT}.data", None),
        400,
        "content[0].attachment",
    ),
    "no contentType": (lambda: edited(f"{ATTACHMENT}.contentType", None), 400, "content[0].attachment"),
    "no masterIdentifier (MHD-105-04)": (lambda: edited("masterIdentifier", None), 400, ""),
    "masterIdentifier without system": (
        lambda: edited("masterIdentifier", {"value": "7"}),
        400,
        "masterIdentifier.system",
    ),
    "superseded": (lambda: edited("status", "superseded"), 400, "status"),
    "no subject": (lambda: edited("subject", None), 400, ""),
    "entryUUID": (lambda: edited("identifier", [identifier(ENTRY_UUID, "urn:uuid:" + "0" * 8)]), 400, "identifier"),
    "docStatus": (lambda: edited("docStatus", "final"), 400, "docStatus"),
    "modifierExtension": (
        lambda: edited("modifierExtension", [{"url": "http://other.example/m", "valueBoolean": True}]),
        400,
        "modifierExtension",
    ),
    "two categories": (
        lambda: edited("category", [concept("http://loinc.org", "11488-4"), concept("http://loinc.org", "18842-5")]),
        400,
        "category",
    ),
    "two contents": (lambda: edited("content", simplified()["content"] * 2), 400, "content"),
    "size (MHD-105-07)": (lambda: edited(f"{ATTACHMENT}.size", len(HELLO) + 1), 422, "content[0].attachment.size"),
    "hash (MHD-105-07)": (lambda: edited(f"{ATTACHMENT}.hash", NEVER), 422, "content[0].attachment.hash"),
    "delayed assembly (MHD-105-17)": (
        lambda: changed(edited(f"{ATTACHMENT}.hash", NEVER), f"{ATTACHMENT}.size", 0),
        422,
        "content[0].attachment.hash",
    ),
    "another uniqueId (MHD-PR-04)": (lambda: edited("identifier", [identifier(UNIQUE_ID, oid())]), 400, "identifier"),
    "relatesTo nothing": (
        lambda: edited("relatesTo", [{"code": "appends", "target": {"reference": "DocumentReference/none"}}]),
        400,
        "relatesTo[0].target",
    ),
}


@pytest.mark.parametrize("name", REFUSALS)
async def test_refusals(post: Publish, counts: Count, name: str) -> None:
    """E-17: MHD-105-02, 04, 07, 13, 17, 19: refused with the element named, and nothing stored."""
    make, status, element = REFUSALS[name]
    before = await counts()

    response = await post(make())

    assert response.status_code == status, response.text
    named = [at for one in response.json()["issue"] for at in one.get("expression", ())]
    assert any(at.startswith(f"DocumentReference.{element}".rstrip(".")) for at in named), named
    assert details(issue(response)) in ("XDSRepositoryMetadataError", "UnresolvedReferenceException")
    assert await counts() == before


async def test_body_that_is_no_document_reference(client: httpx.AsyncClient, post: Publish) -> None:
    """MHD-105-01: another resource, or none, is refused."""
    assert (await post({"resourceType": "Patient"})).status_code == 400
    assert (await client.post("DocumentReference")).status_code == 400


async def test_known_unique_id(client: httpx.AsyncClient, post: Publish, publish: Publish, counts: Count) -> None:
    """E-17: MHD-105-18, MHD-65-112: the same document again is taken, another under its uniqueId is not."""
    sent = simplified()
    first = await post(sent)
    assert (await post(sent)).status_code == 201
    before = await counts()

    other = await post(changed(sent, f"{ATTACHMENT}.data", base64.b64encode(b"other").decode()))

    assert (first.status_code, other.status_code) == (201, 409)
    assert details(issue(other)) == "XDSNonIdenticalHash"
    assert sent["masterIdentifier"]["value"] in issue(other)["diagnostics"]
    assert await counts() == before
    by_bundle = submission(masterIdentifier=identifier(UNIQUE_ID, sent["masterIdentifier"]["value"]))
    assert (await publish(by_bundle)).status_code == 200


@pytest.mark.parametrize("code", ["replaces", "transforms", "appends", "signs"])
async def test_relations(client: httpx.AsyncClient, post: Publish, code: str) -> None:
    """E-17: MHD-105-14, A-05: every relation is supported; what is replaced is superseded by the server."""
    target = (await post(simplified())).json()["id"]
    relation = {"code": code, "target": {"reference": f"DocumentReference/{target}"}}

    response = await post(simplified(b"other", relatesTo=[relation]))

    assert response.status_code == 201
    assert response.json()["relatesTo"] == [relation]
    status = (await client.get(f"DocumentReference/{target}")).json()["status"]
    assert status == ("superseded" if code == "replaces" else "current")


async def test_replaced_document_is_replaced_once(client: httpx.AsyncClient, post: Publish) -> None:
    """MHD-105-14, MHD-65-73: of two replacements at the same instant one is made."""
    target = (await post(simplified())).json()["id"]
    relation = {"code": "replaces", "target": {"reference": f"DocumentReference/{target}"}}

    answers = await asyncio.gather(*(post(simplified(relatesTo=[relation])) for _ in range(4)))

    assert sorted(one.status_code for one in answers) == [201, 422, 422, 422]


async def test_if_none_exist(client: httpx.AsyncClient, post: Publish) -> None:
    """MHD-105-21: created once; then 200 and the one that is there; 412 when several meet the condition."""
    sent = simplified()
    condition = f"identifier={sent['masterIdentifier']['value']}"

    answers = await asyncio.gather(*(post(sent, if_none_exist=condition) for _ in range(6)))

    assert sorted(one.status_code for one in answers) == [200] * 5 + [201]
    assert len({one.headers["location"] for one in answers}) == 1
    assert (await client.get(f"DocumentReference?{condition}")).json()["total"] == 1
    assert len(await submission_sets(client)) == 1
    await post(sent)
    assert (await post(sent, if_none_exist=condition)).status_code == 412
    assert (await post(sent, if_none_exist="nonsense=1")).status_code == 400


async def test_condition_that_is_met_no_more(client: httpx.AsyncClient, post: Publish) -> None:
    """MHD-105-21: what was created under a condition and meets it no more does not stand in the way."""
    sent = simplified()
    condition = f"identifier={sent['masterIdentifier']['value']}&status=current"
    first = (await post(sent, if_none_exist=condition)).json()["id"]
    relation = {"code": "replaces", "target": {"reference": f"DocumentReference/{first}"}}
    await post(simplified(relatesTo=[relation]))

    again = await post(sent, if_none_exist=condition)

    assert again.status_code == 201
    assert again.json()["id"] != first


async def test_unique_id_is_assigned_where_that_is_wanted(
    mongodb_url: str, database_name: str, database: Connection, patients: None
) -> None:
    """MHD-105-04, A-13: with the switch a missing masterIdentifier is made."""
    async with served(mongodb_url, database_name, assign_unique_id=True) as client:
        response = await client.post("DocumentReference", json=edited("masterIdentifier", None))

    assert response.status_code == 201, response.text
    assert response.json()["masterIdentifier"]["value"].startswith("urn:uuid:")


async def test_comprehensive_deployment(
    mongodb_url: str, database_name: str, database: Connection, patients: None
) -> None:
    """MHD-105-15: a deployment that demands comprehensive metadata demands them here."""
    async with served(mongodb_url, database_name, metadata_level="comprehensive") as client:
        refused = await client.post("DocumentReference", json=edited("type", None))
        taken = await client.post("DocumentReference", json=simplified())

    assert (refused.status_code, taken.status_code) == (400, 201), (refused.text, taken.text)
    assert "type" in issue(refused)["diagnostics"]


async def test_source_patient_is_contained(
    mongodb_url: str, database_name: str, database: Connection, patients: None, post: Publish
) -> None:
    """MHD-105-06: by reference only where the option UnContained Reference is offered."""
    sent = edited("context.sourcePatientInfo", {"reference": "Patient/p1"})
    sent["contained"] = [one for one in sent["contained"] if one["id"] != "source"]
    assert (await post(sent)).status_code == 201

    async with served(mongodb_url, database_name, uncontained=False) as client:
        refused = await client.post("DocumentReference", json=sent)

    assert refused.status_code == 400
    assert issue(refused)["expression"] == ["DocumentReference.context.sourcePatientInfo"]


async def test_source_id_is_configured(
    mongodb_url: str, database_name: str, database: Connection, patients: None
) -> None:
    """MHD-105-16: the OID of the source is a setting."""
    async with served(mongodb_url, database_name, source_id="urn:oid:2.999.7.7") as client:
        await client.post("DocumentReference", json=simplified())
        (found,) = await submission_sets(client)

    values = [one.get("valueIdentifier", {}).get("value") for one in found["extension"]]
    assert "urn:oid:2.999.7.7" in values


async def test_nothing_is_fetched(post: Publish, client: httpx.AsyncClient) -> None:
    """MHD-105-20: an absolute reference is stored as it came; that it leads nowhere does not matter."""
    reference = {"reference": "http://directory.example/fhir/Practitioner/5"}

    stored = (await post(simplified(author=[reference], contained=simplified()["contained"][1:]))).json()

    assert stored["author"] == [reference]


async def test_option_off(mongodb_url: str, database_name: str, database: Connection, patients: None) -> None:
    """MHD-OPT-22, MHD-CS-09, MHD-CS-12: without the option 405, and the statement does not say it."""
    async with served(mongodb_url, database_name, simplified_publish=False) as client:
        response = await client.post("DocumentReference", json=simplified())
        statement = (await client.get("metadata")).json()

    assert response.status_code == 405
    assert issue(response)["code"] == "not-supported"
    (offered,) = [one for one in statement["rest"][0]["resource"] if one["type"] == "DocumentReference"]
    assert "create" not in {one["code"] for one in offered["interaction"]}
    assert f"{SD}/IHE.MHD.SimplifiedPublish.DocumentReference" not in offered["supportedProfile"]
    assert f"{MHD}/CapabilityStatement/IHE.MHD.DocumentRecipient.Simplified" not in statement["instantiates"]


async def test_option_on(client: httpx.AsyncClient) -> None:
    """MHD-OPT-20, MHD-CS-09, MHD-CS-10: interaction, profile and statement are told."""
    statement = (await client.get("metadata")).json()

    (offered,) = [one for one in statement["rest"][0]["resource"] if one["type"] == "DocumentReference"]
    assert "create" in {one["code"] for one in offered["interaction"]}
    assert offered["conditionalCreate"] is True
    assert f"{SD}/IHE.MHD.SimplifiedPublish.DocumentReference" in offered["supportedProfile"]
    assert f"{MHD}/CapabilityStatement/IHE.MHD.DocumentRecipient.Simplified" in statement["instantiates"]


@pytest.mark.skipif(not OFFICIAL.is_dir(), reason="the official examples are not beside the checkout")
async def test_official_example(post: Publish) -> None:
    """MHD-105-01: IHE's example, its patient being one of ours."""
    import json

    sent = json.loads((OFFICIAL / "DocumentReference-ex-DocumentReferenceSimplifiedPublish.json").read_text())
    sent["subject"] = {"reference": "Patient/p1"}

    response = await post(sent)

    assert response.status_code == 201, response.text
