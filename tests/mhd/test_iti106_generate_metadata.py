"""ITI-106 Generate Metadata, 2:3.106, over HTTP: golden documents, refusals, the same document again."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import httpx
import pytest

from app.fhir.packages import Packages
from app.fhir.resource import Resource, to_json
from app.fhir.xml import from_xml, to_xml
from app.store.driver import Connection
from app.validation.validator import Validator
from tests.conftest import BASE_URL, PROJECT
from tests.mhd.conftest import Count, Publish, details, issue, served
from tests.mhd.documents import CDA_METADATA, CDA_PEOPLE, FHIR_METADATA, FHIR_PEOPLE, cda, fhir_document
from tests.mhd.worked_examples import contains
from tests.submissions import ENTRY_UUID, MHD, SD, UNIQUE_ID, binary, changed, sha1

JSON, XML = "application/fhir+json", "application/fhir+xml"
URL = "DocumentReference/$generate-metadata"
OFFICIAL = PROJECT.parent / "shared" / "ihe" / "mhd" / "examples"


def parameters(*resources: Resource, name: str = "document") -> Resource:
    return {"resourceType": "Parameters", "parameter": [{"name": name, "resource": one} for one in resources]}


def in_binary(document: bytes | None = None, content_type: str = "text/xml") -> Resource:
    return binary(cda() if document is None else document, content_type)


@pytest.fixture
def post(client: httpx.AsyncClient, patients: None) -> Publish:
    """Post a resource to the operation; keywords are headers."""

    async def post(resource: Resource, **headers: str) -> httpx.Response:
        sent = {"content-type": JSON} | {name.replace("_", "-"): value for name, value in headers.items()}
        return await client.post(URL, json=resource, headers=sent)

    return post


async def made_of(response: httpx.Response, client: httpx.AsyncClient) -> Resource:
    """Return the DocumentReference that an answer refers to."""
    assert response.status_code == 200, response.text
    body = response.json()
    assert (body["resourceType"], len(body["parameter"])) == ("Parameters", 1)
    (parameter,) = body["parameter"]
    assert parameter["name"] == "DocumentReference"
    found: Resource = (await client.get(parameter["valueReference"]["reference"])).json()
    return found


def assigned(document: Resource, kind: str) -> str:
    """Return the identifier of Document Sharing that `document` has."""
    kinds = {one["type"]["coding"][0]["code"]: one["value"] for one in document["identifier"] if "type" in one}
    return str(kinds[kind])


def people(document: Resource) -> dict[str, Resource]:
    return {one["id"]: one for one in document["contained"]}


async def test_metadata_of_a_cda_document(client: httpx.AsyncClient, post: Publish, packages: Packages) -> None:
    """MHD-106-05, MHD-106-07, MHD-106-09, MHD-106-12, MHD-106-14, MHD-106-15, MHD-106-17: element by element."""
    found = await made_of(await post(parameters(in_binary())), client)

    contains(found, CDA_METADATA)
    assert {"system": "urn:oid:2.999.7.2", "value": "set-1"} in found["identifier"]
    assert assigned(found, ENTRY_UUID).startswith("urn:uuid:")
    assert found["masterIdentifier"]["type"]["coding"][0]["code"] == UNIQUE_ID
    for name, person in CDA_PEOPLE.items():
        assert people(found)[name] == person
    assert "relatesTo" not in found
    assert found["date"][:10] == found["meta"]["lastUpdated"][:10]
    attachment = found["content"][0]["attachment"]
    assert (attachment["size"], attachment["hash"]) == (len(cda()), sha1(cda()))
    retrieved = await client.get(attachment["url"], headers={"accept": "*/*"})
    assert (retrieved.content, retrieved.headers["content-type"]) == (cda(), "text/xml")
    assert Validator(packages).validate(found, f"{SD}/IHE.MHD.Minimal.DocumentReference") == []


async def test_metadata_of_a_fhir_document(client: httpx.AsyncClient, post: Publish, packages: Packages) -> None:
    """MHD-106-04, MHD-106-07, MHD-106-09, MHD-106-12, MHD-106-15, MHD-106-17, A-14: element by element."""
    document = fhir_document()

    found = await made_of(await post(parameters(document)), client)

    contains(found | {"identifier": found["identifier"][:1]}, FHIR_METADATA)
    contains(found["masterIdentifier"], document["identifier"])
    for name, person in FHIR_PEOPLE.items():
        assert people(found)[name] == person
    assert Validator(packages).validate(found, f"{SD}/IHE.MHD.Minimal.DocumentReference") == []
    attachment = found["content"][0]["attachment"]
    retrieved = await client.get(attachment["url"], headers={"accept": "*/*"})
    assert (attachment["size"], attachment["hash"]) == (len(retrieved.content), sha1(retrieved.content))
    told = retrieved.json()
    assert told.pop("id") == attachment["url"].rpartition("/")[2]
    assert told == document


async def test_submission_set_is_made(client: httpx.AsyncClient, post: Publish) -> None:
    """MHD-106-10: a SubmissionSet with the DocumentReference, found by ITI-66."""
    found = await made_of(await post(parameters(in_binary())), client)

    response = await client.get("List?patient=p1&code=submissionset&status=current")

    (one,) = [entry["resource"] for entry in response.json()["entry"]]
    assert one["entry"] == [{"item": {"reference": f"DocumentReference/{found['id']}"}}]
    assert one["source"] == {"reference": "#author-role1"}
    assert {held["id"] for held in one["contained"]} == {"author-role1", "author1", "author-organization1"}


async def test_xml_in_json_out(client: httpx.AsyncClient, patients: None, packages: Packages) -> None:
    """MHD-106-07, MHD-106-16, MHD-68-21: a Bundle is kept in the format of the request; the answer in that asked for."""
    document = fhir_document()
    body = to_xml(parameters(document), packages.structures)

    response = await client.post(URL, content=body, headers={"content-type": XML, "accept": JSON})

    attachment = (await made_of(response, client))["content"][0]["attachment"]
    assert attachment["contentType"] == XML
    stored = await client.get(attachment["url"], headers={"accept": "*/*"})
    assert stored.headers["content-type"] == XML
    assert sha1(stored.content) == attachment["hash"]
    assert from_xml(stored.content, packages.structures)["identifier"] == document["identifier"]
    default = await client.post(URL, content=body, headers={"content-type": XML})
    assert default.headers["content-type"].startswith(XML)


@pytest.mark.parametrize("make", [in_binary, fhir_document])
async def test_body_may_be_the_document_itself(client: httpx.AsyncClient, post: Publish, make: Any) -> None:
    """MHD-106-03: the Binary or Bundle without Parameters around it."""
    assert (await made_of(await post(make()), client))["subject"] == {"reference": "Patient/p1"}


@pytest.mark.parametrize("format_", [JSON, XML, "application/xml"])
async def test_fhir_document_in_a_binary(
    client: httpx.AsyncClient, post: Publish, packages: Packages, format_: str
) -> None:
    """MHD-106-05, MHD-106-09: a serialised FHIR document keeps its very bytes."""
    document = fhir_document()
    text = json.dumps(document, indent=3).encode() if format_ == JSON else to_xml(document, packages.structures)

    found = await made_of(await post(parameters(in_binary(text, format_))), client)

    attachment = found["content"][0]["attachment"]
    assert attachment["contentType"] == format_
    assert (await client.get(attachment["url"], headers={"accept": "*/*"})).content == text
    assert found["masterIdentifier"]["value"] == document["identifier"]["value"]


async def test_large_cda_document(client: httpx.AsyncClient, post: Publish) -> None:
    """MHD-106-05: a document that was taken out of the body while it arrived is read where it is kept."""
    large = cda().replace(b"Nothing of note.", b"Nothing of note. " * 200_000)

    found = await made_of(await post(parameters(in_binary(large))), client)

    assert found["content"][0]["attachment"]["hash"] == sha1(large)


async def test_large_documents_inside_a_fhir_document(client: httpx.AsyncClient, post: Publish) -> None:
    """MHD-65-27: a Binary inside the document comes back inside the document."""
    document = fhir_document()
    inside = binary(bytes(range(256)) * 4_000, "image/png") | {"id": "picture"}
    document["entry"].append({"fullUrl": "http://author.example/fhir/Binary/picture", "resource": inside})

    found = await made_of(await post(parameters(document)), client)

    told = (await client.get(found["content"][0]["attachment"]["url"])).json()
    assert told["entry"][-1]["resource"] == inside


@pytest.mark.parametrize("make", [in_binary, fhir_document])
async def test_same_document_again(client: httpx.AsyncClient, post: Publish, counts: Count, make: Any) -> None:
    """MHD-106-08: the same document leads to the same DocumentReference, also at the same instant."""
    sent = parameters(make())

    answers = await asyncio.gather(*(post(sent) for _ in range(4)))
    before = await counts()
    again = await post(sent)

    assert {one.text for one in (*answers, again)} == {again.text}
    assert await counts() == before
    assert before["DocumentReference"] == 1


async def test_same_document_after_it_was_replaced(client: httpx.AsyncClient, post: Publish, publish: Publish) -> None:
    """MHD-106-08: what is superseded is not current any more; a new DocumentReference is made, and then found."""
    from tests.submissions import submission

    first = await made_of(await post(parameters(in_binary())), client)
    relation = {"code": "replaces", "target": {"reference": f"DocumentReference/{first['id']}"}}
    assert (await publish(submission(relatesTo=[relation]))).status_code == 200

    second = await made_of(await post(parameters(in_binary())), client)

    assert second["id"] != first["id"]
    assert (await made_of(await post(parameters(in_binary())), client))["id"] == second["id"]


@pytest.mark.parametrize(
    ("sent", "other"),
    [
        (in_binary(), in_binary(cda().replace(b"of note", b"to note"))),
        (document := fhir_document(), changed(document, "entry.0.resource.title", "Another title")),
    ],
    ids=["CDA", "FHIR"],
)
async def test_other_document_of_the_same_unique_id(
    post: Publish, counts: Count, sent: Resource, other: Resource
) -> None:
    """MHD-106-08, MHD-ERR-07: refused, the uniqueId named."""
    assert (await post(parameters(sent))).status_code == 200
    before = await counts()

    refused = await post(parameters(other))

    assert (refused.status_code, details(issue(refused))) == (409, "XDSNonIdenticalHash")
    assert await counts() == before


def without(path: str) -> Resource:
    return changed(fhir_document(), path, None)


BOMB = b'<!DOCTYPE x [<!ENTITY a "aaaa"><!ENTITY b "&a;&a;">]>'
REFUSALS: dict[str, tuple[Any, int, str]] = {
    "another name": (lambda: parameters(in_binary(), name="doc"), 400, ""),
    "two parameters": (lambda: parameters(in_binary(), in_binary()), 400, ""),
    "no parameter": (lambda: {"resourceType": "Parameters"}, 400, ""),
    "value instead of resource": (
        lambda: {"resourceType": "Parameters", "parameter": [{"name": "document", "valueString": "x"}]},
        400,
        "",
    ),
    "Patient instead of document": (lambda: parameters({"resourceType": "Patient"}), 400, ""),
    "another resource": (lambda: {"resourceType": "Patient"}, 400, ""),
    "collection (MHD-106-04)": (
        lambda: parameters({"resourceType": "Bundle", "type": "collection"}),
        422,
        "InvalidDocumentContent",
    ),
    "plain text (MHD-106-05)": (
        lambda: parameters(in_binary(b"Hello World", "text/plain")),
        422,
        "InvalidDocumentContent",
    ),
    "not XML": (lambda: parameters(in_binary(b"Hello World")), 422, "InvalidDocumentContent"),
    "other XML": (lambda: parameters(in_binary(b"<html/>")), 422, "InvalidDocumentContent"),
    "no whole CDA": (lambda: parameters(in_binary(cda()[:-20])), 422, "InvalidDocumentContent"),
    "empty CDA": (
        lambda: parameters(in_binary(b'<ClinicalDocument xmlns="urn:hl7-org:v3"/>')),
        422,
        "InvalidDocumentContent",
    ),
    "entities (MHD-SEC-08)": (
        lambda: parameters(in_binary(BOMB + cda().partition(b"?>")[2])),
        422,
        "InvalidDocumentContent",
    ),
    "very deep (MHD-SEC-08)": (
        lambda: parameters(in_binary(b'<ClinicalDocument xmlns="urn:hl7-org:v3">' + b"<id>" * 200)),
        422,
        "InvalidDocumentContent",
    ),
    "JSON that is none": (lambda: parameters(in_binary(b"{", JSON)), 422, "InvalidDocumentContent"),
    "JSON that is no resource": (lambda: parameters(in_binary(b"[1]", JSON)), 422, "InvalidDocumentContent"),
    "FHIR that is not valid": (
        lambda: parameters(in_binary(to_json(without("entry.0.resource.status")), JSON)),
        422,
        "InvalidDocumentContent",
    ),
    "unknown patient (MHD-106-13)": (lambda: parameters(in_binary(cda(patient="0"))), 400, "XDSUnknownPatientId"),
    "two patients (MHD-106-13)": (lambda: parameters(in_binary(cda(patient="twin"))), 412, "XDSUnknownPatientId"),
    "inactive patient": (
        lambda: parameters(fhir_document(subject={"reference": f"{BASE_URL}/Patient/gone"})),
        400,
        "XDSUnknownPatientId",
    ),
    "no patient": (lambda: parameters(without("entry.0.resource.subject")), 400, "XDSUnknownPatientId"),
}


@pytest.mark.parametrize("name", REFUSALS)
async def test_refusals(post: Publish, counts: Count, name: str) -> None:
    """E-18: MHD-106-02, 04, 05, 13, MHD-PR-34, MHD-SEC-08: refused, and nothing stored."""
    make, status, code = REFUSALS[name]
    before = await counts()

    response = await post(make())

    assert response.status_code == status, response.text
    assert code in [details(one) for one in response.json()["issue"]]
    assert await counts() == before


async def test_unstructured_binary_is_named(post: Publish) -> None:
    """E-18: the refusal of a document that says nothing of itself names its place."""
    told = issue(await post(parameters(in_binary(b"Hello World", "text/plain"))))

    assert (told["code"], told["expression"]) == ("invalid", ["Parameters.parameter[0].resource"])


async def test_only_post_and_only_on_the_type(client: httpx.AsyncClient, patients: None) -> None:
    """MHD-106-01: GET is not offered; neither system nor instance have the operation."""
    assert (await client.get(URL)).status_code == 405
    assert (await client.post("$generate-metadata", json=parameters(in_binary()))).status_code == 404
    assert (
        await client.post("DocumentReference/1/$generate-metadata", json=parameters(in_binary()))
    ).status_code == 404


async def test_subject_by_reference(client: httpx.AsyncClient, post: Publish) -> None:
    """MHD-106-13: a document that names a patient of this server by reference or identifier alone."""
    for subject in (
        {"reference": f"{BASE_URL}/Patient/p2"},
        {"identifier": {"system": "urn:oid:2.999.40.1", "value": "5120"}},
    ):
        found = await made_of(await post(parameters(fhir_document(subject=subject))), client)
        assert found["subject"] == {"reference": "Patient/p2"}


@pytest.mark.parametrize("make", [in_binary, fhir_document])
async def test_comprehensive_deployment(
    mongodb_url: str, database_name: str, database: Connection, patients: None, packages: Packages, make: Any
) -> None:
    """MHD-106-11: what the document does not tell, the deployment does; the profile is met."""
    settings = {
        "metadata_level": "comprehensive",
        "default_facility_type": "http://snomed.info/sct|264372000",
        "default_practice_setting": "http://snomed.info/sct|394802001",
    }
    async with served(mongodb_url, database_name, **settings) as client:
        response = await client.post(URL, json=parameters(make()))
        found = await made_of(response, client)

    assert Validator(packages).validate(found, f"{SD}/IHE.MHD.Comprehensive.DocumentReference") == []


async def test_bare_document_in_a_comprehensive_deployment(
    mongodb_url: str, database_name: str, database: Connection, patients: None, packages: Packages
) -> None:
    """MHD-106-11: a document that tells the least."""
    document = fhir_document(type={"text": "A letter"})
    for name in ("language", "encounter", "attester", "custodian", "event", "confidentiality", "meta", "identifier"):
        del document["entry"][0]["resource"][name]
    del document["meta"]
    async with served(mongodb_url, database_name, metadata_level="comprehensive") as client:
        found = await made_of(await client.post(URL, json=parameters(document)), client)

    assert Validator(packages).validate(found, f"{SD}/IHE.MHD.Comprehensive.DocumentReference") == []
    assert found["content"][0]["attachment"]["language"] == "und"
    assert found["securityLabel"][0]["coding"][0]["code"] == "N"
    assert found["content"][0]["format"]["code"] == "urn:ihe:iti:xds:2017:mimeTypeSufficient"


async def test_status_of_refusals_can_be_400(
    mongodb_url: str, database_name: str, database: Connection, patients: None
) -> None:
    """MHD-ERR-06: with the switch every refusal of a document is 400."""
    async with served(mongodb_url, database_name, validation_status="400") as client:
        assert (await client.post(URL, json=parameters(in_binary(b"x", "text/plain")))).status_code == 400


async def test_option_off(mongodb_url: str, database_name: str, database: Connection, patients: None) -> None:
    """MHD-OPT-22, MHD-CS-09, MHD-CS-12: without the option 404, and the statement does not say it."""
    async with served(mongodb_url, database_name, generate_metadata=False, fhir_documents=False) as client:
        response = await client.post(URL, json=parameters(in_binary()))
        statement = (await client.get("metadata")).json()

    assert response.status_code in (404, 405)
    types = {one["type"]: one for one in statement["rest"][0]["resource"]}
    assert "generate-metadata" not in {one["name"] for one in types["DocumentReference"].get("operation", [])}
    assert "Bundle" not in types
    assert f"{MHD}/CapabilityStatement/IHE.MHD.DocumentRecipient.Generate" not in statement["instantiates"]


async def test_option_on(client: httpx.AsyncClient) -> None:
    """MHD-OPT-21, MHD-CS-09, MHD-CS-10: the operation and the statement are told."""
    statement = (await client.get("metadata")).json()

    (offered,) = [one for one in statement["rest"][0]["resource"] if one["type"] == "DocumentReference"]
    definition = f"{MHD}/OperationDefinition/generate-metadata"
    assert {"name": "generate-metadata", "definition": definition} in offered["operation"]
    assert f"{MHD}/CapabilityStatement/IHE.MHD.DocumentRecipient.Generate" in statement["instantiates"]


async def test_bundle_without_the_fhir_documents_option(
    mongodb_url: str, database_name: str, database: Connection, patients: None
) -> None:
    """MHD-OPT-21: ITI-106 takes Bundles whether or not ITI-65 does."""
    async with served(mongodb_url, database_name, fhir_documents=False) as client:
        found = await made_of(await client.post(URL, json=parameters(fhir_document())), client)
        assert (await client.get(found["content"][0]["attachment"]["url"])).status_code == 200


@pytest.mark.skipif(not OFFICIAL.is_dir(), reason="the official examples are not beside the checkout")
async def test_official_examples(client: httpx.AsyncClient, post: Publish) -> None:
    """MHD-106-05, D-08: the Binary example is plain text, and refused; the FHIR document needs a patient of ours."""
    plain = json.loads((OFFICIAL / "Parameters-ex-input-binary.json").read_text())
    document = json.loads((OFFICIAL / "Parameters-ex-input-doc-bundle.json").read_text())

    assert details(issue(await post(plain))) == "InvalidDocumentContent"
    for entry in document["parameter"][0]["resource"]["entry"]:
        if entry["resource"]["resourceType"] == "Patient":
            entry["resource"]["identifier"] = [{"system": "urn:oid:2.999.40.1", "value": "4711"}]
    found = await made_of(await post(document), client)
    assert found["type"]["coding"][0]["code"] == "28655-9"
