"""ITI-65 Provide Document Bundle, 2:3.65.4.1.3: what is refused, how it is said, and that nothing of it is stored."""

from __future__ import annotations

import base64
import copy
import json
from collections.abc import Callable
from typing import Any

import httpx
import pytest

from app.fhir.resource import Resource
from tests.mhd.conftest import Count, Publish, details, issue, locations, served
from tests.submissions import (
    ENTRY_UUID,
    HELLO,
    SD,
    UNIQUE_ID,
    binary,
    changed,
    entry,
    identifier,
    minimal,
    oid,
    sha1,
    submission,
    submission_set,
    urn,
)

METADATA = "XDSRepositoryMetadataError"
RESOURCE = "Bundle.entry[1].resource"
ATTACHMENT = f"{RESOURCE}.content[0].attachment"


def without_entry(position: int) -> Resource:
    made = submission()
    del made["entry"][position]
    return made


def with_entry(*more: Resource, of: Callable[[], Resource] = submission) -> Resource:
    made = of()
    made["entry"].extend(more)
    return made


def edited(path: str, value: Any, **how: Any) -> Resource:
    return changed(submission(**how), path, value)


def attachment(**elements: Any) -> Resource:
    made = submission(HELLO)
    made["entry"][1]["resource"]["content"][0]["attachment"] |= elements
    return made


def same_full_url() -> Resource:
    made = submission()
    made["entry"][1]["fullUrl"] = made["entry"][0]["fullUrl"]
    return made


def same_unique_id_twice() -> Resource:
    made = submission()
    made["entry"][0]["resource"]["identifier"] = [made["entry"][1]["resource"]["masterIdentifier"]]
    return made


def two_documents_one_unique_id() -> Resource:
    made, other = submission(b"one"), submission(b"two")
    other["entry"][1]["resource"]["masterIdentifier"] = made["entry"][1]["resource"]["masterIdentifier"]
    made["entry"][0]["resource"]["entry"].append({"item": {"reference": other["entry"][1]["fullUrl"]}})
    made["entry"].extend(other["entry"][1:])
    return made


def other_unique_id() -> Resource:
    return edited("entry.1.resource.identifier", [identifier(UNIQUE_ID, oid())])


def hex_hash() -> Resource:
    hexadecimal = base64.b64decode(sha1(HELLO)).hex()
    return attachment(hash=base64.b64encode(hexadecimal.encode()).decode())


# name (with the requirements it stands for) -> Bundle, status, issue code, expression of the issue, details code;
# behind ` > ` stands the name of an element that is missing there.
REFUSALS: dict[str, tuple[Callable[[], Resource], int, str, str, str]] = {
    "MHD-65-02 document": (lambda: edited("type", "document"), 400, "not-supported", "Bundle.type", ""),
    "MHD-65-04 no claim": (lambda: edited("meta", None), 400, "required", "Bundle.meta.profile", METADATA),
    "MHD-65-04 foreign claim": (
        lambda: edited("meta.profile", ["http://example.org/x"]), 400, "value", "Bundle.meta.profile", METADATA),
    "MHD-65-04 meta is no object": (lambda: edited("meta", [1]), 400, "required", "Bundle.meta.profile", METADATA),
    "MHD-65-04 claims are no list": (
        lambda: edited("meta.profile", 5), 400, "required", "Bundle.meta.profile", METADATA),
    "MHD-65-04 claims are no texts": (
        lambda: edited("meta.profile", [1, None]), 400, "required", "Bundle.meta.profile", METADATA),
    "MHD-65-05 no type at the comprehensive level": (
        lambda: edited("entry.1.resource.type", None), 400, "required", f"{RESOURCE} > `type`", METADATA),
    "MHD-65-07 url is another type": (
        lambda: edited("entry.0.request.url", "DocumentReference"), 400, "value", "Bundle.entry[0].request.url", METADATA),
    "MHD-65-07 no method": (
        lambda: edited("entry.0.request.method", None), 400, "required", "Bundle.entry[0].request > `method`", METADATA),
    "MHD-65-10 no SubmissionSet": (lambda: without_entry(0), 400, "required", "Bundle > SubmissionSet", METADATA),
    "MHD-65-10 two SubmissionSets": (
        lambda: with_entry(entry(submission_set())), 400, "structure", "Bundle.entry", METADATA),
    "MHD-65-12 no DocumentReference": (lambda: without_entry(1), 400, "", "", ""),
    "MHD-65-13 Practitioner": (
        lambda: with_entry(entry({"resourceType": "Practitioner"})), 400, "not-supported", "Bundle.entry[3]", METADATA),
    "MHD-65-13 DELETE": (
        lambda: with_entry({"fullUrl": urn(), "request": {"method": "DELETE", "url": "DocumentReference/1"}}),
        400, "", "Bundle.entry[3]", METADATA),
    "MHD-65-14 two Patients": (
        lambda: with_entry(entry({"resourceType": "Patient"}), entry({"resourceType": "Patient"})),
        400, "structure", "Bundle.entry", METADATA),
    "MHD-65-15 entry without resource": (
        lambda: edited("entry.2.resource", None), 400, "", "Bundle.entry[2]", METADATA),
    "MHD-65-16 superseded": (
        lambda: edited("entry.1.resource.status", "superseded"), 422, "business-rule", f"{RESOURCE}.status", METADATA),
    "MHD-65-16 entered-in-error": (
        lambda: edited("entry.1.resource.status", "entered-in-error"),
        400, "code-invalid", f"{RESOURCE}.status", METADATA),
    "MHD-65-29 dangling urn in SubmissionSet": (
        lambda: edited("entry.0.resource.entry.0.item.reference", urn()),
        400, "not-found", "Bundle.entry[0].resource.entry[0].item", "UnresolvedReferenceException"),
    "MHD-65-33 same fullUrl twice": (same_full_url, 400, "invariant", "Bundle", METADATA),
    "MHD-65-50 missing document": (
        lambda: edited("entry.1.resource.content.0.attachment.url", urn()),
        400, "not-found", f"{ATTACHMENT}.url", "XDSMissingDocument"),
    "MHD-65-50 Binary without data": (
        lambda: edited("entry.2.resource.data", None), 400, "required", "Bundle.entry[2].resource", "XDSMissingDocument"),
    "MHD-65-51 document without DocumentReference": (
        lambda: with_entry(entry(binary())),
        422, "business-rule", "Bundle.entry[3].resource", "XDSMissingDocumentMetadata"),
    "MHD-65-52 wrong hash": (
        lambda: attachment(hash=sha1(b"other")), 422, "business-rule", f"{ATTACHMENT}.hash", METADATA),
    "MHD-65-52 hash in hexadecimal": (hex_hash, 422, "business-rule", f"{ATTACHMENT}.hash", METADATA),
    "MHD-65-52 hash of the base64": (
        lambda: attachment(hash=sha1(base64.b64encode(HELLO))), 422, "business-rule", f"{ATTACHMENT}.hash", METADATA),
    "MHD-65-53 wrong size": (lambda: attachment(size=12), 422, "business-rule", f"{ATTACHMENT}.size", METADATA),
    "MHD-65-57 other media type": (
        lambda: attachment(contentType="application/pdf"),
        422, "business-rule", f"{ATTACHMENT}.contentType", "InvalidDocumentContent"),
    "MHD-65-100 DocumentReference is not listed": (
        lambda: edited("entry.0.resource.entry", None), 422, "business-rule", "Bundle.entry[0].resource.entry", METADATA),
    "MHD-65-101 listed document is unknown": (
        lambda: with_item("DocumentReference/nope"),
        400, "not-found", "Bundle.entry[0].resource.entry[1].item", "UnresolvedReferenceException"),
    "MHD-65-113 two objects, one uniqueId": (
        same_unique_id_twice, 400, "duplicate", f"{RESOURCE}.masterIdentifier", "XDSRepositoryDuplicateUniqueIdInMessage"),
    "MHD-65-113 two documents, one uniqueId": (
        two_documents_one_unique_id,
        400, "duplicate", "Bundle.entry[3].resource.masterIdentifier", "XDSRepositoryDuplicateUniqueIdInMessage"),
    "MHD-65-117 period ends before it starts": (
        lambda: edited("entry.1.resource.context.period", {"start": "2025-03-14", "end": "2025-03-08"}),
        400, "invariant", f"{RESOURCE}.context.period", METADATA),
    "MHD-PR-01 uniqueId of a SubmissionSet is no OID": (
        lambda: edited("entry.0.resource.identifier.0.value", urn()), 400, "invariant", "Bundle.entry[0].resource.identifier[0]", METADATA),
    "MHD-PR-01 entryUUID is no UUID": (
        lambda: edited("entry.1.resource.identifier", [identifier(ENTRY_UUID, oid())]), 400, "invariant", f"{RESOURCE}.identifier[0]", METADATA),
    "MHD-PR-03 masterIdentifier without system": (
        lambda: edited("entry.1.resource.masterIdentifier.system", None), 400, "required", f"{RESOURCE}.masterIdentifier > `system`", METADATA),
    "MHD-PR-04 uniqueId differs from masterIdentifier": (
        other_unique_id, 400, "value", f"{RESOURCE}.identifier", METADATA),
    "MHD-PR-11 contained author is missing": (
        lambda: edited("entry.1.resource.author.0.reference", "#nobody"), 400, "not-found", f"{RESOURCE}.author[0]", "UnresolvedReferenceException"),
    "MHD-PR-20 no sourceId": (
        lambda: edited("entry.0.resource.extension.1", None), 400, "required", "Bundle.entry[0].resource > sourceId", METADATA),
    "MHD-PR-20 mode": (
        lambda: edited("entry.0.resource.mode", "snapshot"), 400, "value", "Bundle.entry[0].resource.mode", METADATA),
    "MHD-65-47 sourcePatientInfo by reference": (
        lambda: edited("entry.1.resource.context.sourcePatientInfo.reference", "Patient/p1"), 400, "", f"{RESOURCE}", METADATA),
    "MHD-OPT-07 author by reference": (
        lambda: edited("entry.1.resource.author.0.reference", "Practitioner/5"), 400, "", f"{RESOURCE}", METADATA),
    "MHD-GEN-12 modifierExtension": (
        lambda: edited("entry.1.resource.modifierExtension", [{"url": "http://example.org/not", "valueBoolean": True}]),
        400, "structure", f"{RESOURCE}.modifierExtension", METADATA),
    "MHD-GEN-15 unknown element": (
        lambda: edited("entry.1.resource.staus", "current"), 400, "structure", f"{RESOURCE}.staus", METADATA),
    "MHD-GEN-15 code outside a required value set": (
        lambda: edited("entry.1.resource.status", "active"), 400, "code-invalid", f"{RESOURCE}.status", METADATA),
    "MHD-GEN-15 wrong type": (
        lambda: attachment(size="11"), 400, "structure", f"{ATTACHMENT}.size", METADATA),
    "MHD-SEC-12 script in the narrative": (
        lambda: edited("entry.1.resource.text", {
            "status": "additional",
            "div": '<div xmlns="http://www.w3.org/1999/xhtml"><script>x()</script></div>'}),
        400, "", f"{RESOURCE}.text.div", METADATA),
}  # fmt: skip


def with_item(reference: str) -> Resource:
    made = submission()
    made["entry"][0]["resource"]["entry"].append({"item": {"reference": reference}})
    return made


@pytest.mark.parametrize("name", REFUSALS)
async def test_refused_submission(publish: Publish, counts: Count, name: str) -> None:
    """MHD-65-119, MHD-65-127, MHD-ERR-01..03, 06: status, issue code, element and details; nothing is stored."""
    make, status, code, place, detail = REFUSALS[name]
    expression, _, element = place.partition(" > ")
    before = await counts()

    response = await publish(make())

    told = response.json()
    assert (response.status_code, told["resourceType"]) == (status, "OperationOutcome"), told
    assert any(
        one["severity"] == "error"
        and (not code or one["code"] == code)
        and expression in one.get("expression", [""])[0]
        and (not detail or details(one) == detail)
        and element in one["diagnostics"]
        for one in told["issue"]
    ), told
    assert await counts() == before


BODIES: dict[str, tuple[bytes, dict[str, str], int, str]] = {
    "malformed JSON": (b'{"resourceType": "Bundle",}', {}, 400, "structure"),
    "no JSON object": (b'["Bundle"]', {}, 400, "structure"),
    "empty body": (b"", {}, 400, "structure"),
    "invalid UTF-8": (b'{"resourceType": "\xff"}', {}, 400, "structure"),
    "malformed XML": (b"<Bundle xmlns='http://hl7.org/fhir'><type", {"content_type": "application/fhir+xml"}, 400, "structure"),
    "entity expansion": (
        b"""<!DOCTYPE x [<!ENTITY a "aaaaaaaaaa"><!ENTITY b "&a;&a;&a;&a;&a;&a;&a;&a;&a;&a;">]>
        <Bundle xmlns='http://hl7.org/fhir'><type value='&b;'/></Bundle>""",
        {"content_type": "application/fhir+xml"}, 400, "structure"),
    "external entity": (
        b"""<!DOCTYPE x [<!ENTITY a SYSTEM "file:///etc/passwd">]><Bundle xmlns='http://hl7.org/fhir'><type value='&a;'/></Bundle>""",
        {"content_type": "application/fhir+xml"}, 400, "structure"),
    "100 levels of JSON": (
        b'{"resourceType":"Bundle","type":"transaction","extension":' + b'[{"url":"a","extension":' * 50 + b"[]" + b"}]" * 50 + b"}",
        {}, 400, "structure"),
    "100,000 levels of JSON": (b"[" * 100_000 + b"]" * 100_000, {}, 400, "structure"),
    "100 levels of XML": (
        b"<Bundle xmlns='http://hl7.org/fhir'>" + b"<extension url='a'>" * 100 + b"</extension>" * 100 + b"</Bundle>",
        {"content_type": "application/fhir+xml"}, 400, "structure"),
    "wrong Content-Type": (b"a,b", {"content_type": "text/csv"}, 415, "not-supported"),
    "another resource": (b'{"resourceType": "Patient"}', {}, 400, "not-supported"),
}  # fmt: skip


@pytest.mark.parametrize("name", BODIES)
async def test_refused_body(publish: Publish, counts: Count, name: str) -> None:
    """MHD-65-110, MHD-GEN-06, MHD-GEN-07, MHD-SEC-08: what cannot be read is told as such, and nothing is stored."""
    body, headers, status, code = BODIES[name]
    before = await counts()

    response = await publish(body, **headers, accept="application/fhir+json")

    assert (response.status_code, issue(response)["code"]) == (status, code), response.text
    assert await counts() == before


async def test_error_in_the_format_of_the_request(client: httpx.AsyncClient) -> None:
    """MHD-65-129, MHD-GEN-07: without an Accept header the OperationOutcome comes as the request did."""
    response = await client.post("", content=b"<Bundle", headers={"content-type": "application/fhir+xml"})

    assert response.headers["content-type"].startswith("application/fhir+xml")
    assert b"<OperationOutcome" in response.content


async def test_first_document_of_a_faulty_submission_is_not_stored(client: httpx.AsyncClient, publish: Publish) -> None:
    """MHD-65-20: one wrong hash among two documents, and neither is there."""
    good, bad = submission(b"good"), submission(b"bad")
    bad["entry"][1]["resource"]["content"][0]["attachment"]["hash"] = sha1(b"good")
    good["entry"][0]["resource"]["entry"].append({"item": {"reference": bad["entry"][1]["fullUrl"]}})
    good["entry"].extend(bad["entry"][1:])

    response = await publish(good)

    assert issue(response)["expression"] == ["Bundle.entry[3].resource.content[0].attachment.hash"]
    master = good["entry"][1]["resource"]["masterIdentifier"]["value"]
    found = (await client.get(f"DocumentReference?identifier=urn:ietf:rfc:3986|{master}")).json()
    assert found["total"] == 0


async def test_all_problems_are_told_at_once(publish: Publish) -> None:
    """MHD-ERR-04: two missing elements, two issues, each with its expression."""
    made = changed(edited("entry.1.resource.type", None), "entry.1.resource.category", None)

    response = await publish(made)

    told = [one["diagnostics"] for one in response.json()["issue"] if one["expression"] == [RESOURCE]]
    assert [text.split(" ")[0] for text in told] == ["`type`", "`category`"]


async def test_structure_is_told_before_content(publish: Publish) -> None:
    """MHD-65-110: a missing element and a wrong hash: the missing element is told."""
    made = changed(attachment(hash=sha1(b"other")), "entry.1.resource.type", None)

    assert issue(await publish(made))["code"] == "required"


async def test_unique_id_with_other_bytes_is_refused(publish: Publish, counts: Count) -> None:
    """MHD-65-112, MHD-ERR-07: a uniqueId that is known with another hash; the answer names it."""
    master = identifier(UNIQUE_ID, oid())
    assert (await publish(submission(b"one", masterIdentifier=master))).status_code == 200
    before = await counts()

    response = await publish(submission(b"two", masterIdentifier=master))

    first = issue(response)
    assert (response.status_code, first["code"], details(first)) == (409, "duplicate", "XDSNonIdenticalHash")
    assert master["value"] in first["diagnostics"]
    assert await counts() == before


async def test_same_bundle_twice_is_refused(publish: Publish, counts: Count) -> None:
    """MHD-65-114: the uniqueId of a SubmissionSet is used once."""
    made = submission()
    assert (await publish(made)).status_code == 200
    before = await counts()

    response = await publish(copy.deepcopy(made))

    assert (response.status_code, details(issue(response))) == (409, "XDSDuplicateUniqueIdInRegistry")
    assert await counts() == before


async def test_entry_uuid_is_used_once(publish: Publish) -> None:
    """MHD-65-115: an entryUUID that another object has is refused."""
    taken = [identifier(ENTRY_UUID, urn())]
    assert (await publish(submission(identifier=taken))).status_code == 200

    response = await publish(submission(identifier=taken))

    assert (response.status_code, issue(response)["code"]) == (409, "duplicate")


async def test_minimal_content_with_comprehensive_claim(publish: Publish) -> None:
    """MHD-65-05: what is enough for Minimal is not for Comprehensive."""
    made = minimal()
    made["meta"]["profile"] = [f"{SD}/IHE.MHD.Comprehensive.ProvideBundle"]

    assert (await publish(made)).status_code == 400


async def test_no_patient_data_in_the_answer(publish: Publish) -> None:
    """MHD-ERR-05, MHD-SEC-07: an error tells names of elements and codes, nothing of a person."""
    made = submission(subject="Patient/p1")
    made["entry"][1]["resource"]["contained"][1]["name"] = [{"family": "Geheim", "gven": ["Secret"]}]

    text = (await publish(made)).text

    assert "gven" in text
    assert "Geheim" not in text
    assert "Secret" not in text


async def test_too_large_body_is_refused(small_client: httpx.AsyncClient, counts: Count) -> None:
    """MHD-SEC-08: a body over the limit gets 413 `too-long`, and nothing of it stays."""
    before = await counts()

    response = await small_client.post(
        "", content=json.dumps(submission(b"x" * 200_000)), headers={"content-type": "application/fhir+json"}
    )

    first = issue(response)
    assert (response.status_code, first["code"], details(first)) == (413, "too-long", "XDSRepositoryOutOfResources")
    assert await counts() == before


async def test_document_of_another_patient_cannot_be_attached(
    client: httpx.AsyncClient, publish: Publish, counts: Count
) -> None:
    """MHD-65-59, MHD-SEC-10, MHD-67-37: a Binary that is stored here is attached to no second DocumentReference."""
    stolen = locations(await publish(submission(subject="Patient/p1")))[2]
    before = await counts()

    for url in (stolen, "/".join(stolen.rsplit("/", 2)[1:])):
        made = changed(submission(subject="Patient/p2"), "entry.1.resource.content.0.attachment.url", url)
        del made["entry"][2]
        response = await publish(made)
        assert (response.status_code, details(issue(response))) == (400, "XDSMissingDocument"), response.text
    assert await counts() == before


async def test_document_elsewhere_needs_an_allowed_host(mongodb_url: str, database_name: str, publish: Publish) -> None:
    """MHD-65-58, MHD-65-60, MHD-65-61, MHD-67-35, MHD-MHDS-08: on an allowed host, with or without hash and size, unchanged."""
    url = "https://archive.example/documents/7?part=1"
    made = changed(submission(), "entry.1.resource.content.0.attachment.url", url)
    del made["entry"][2]
    delayed = copy.deepcopy(made)
    delayed["entry"][0]["resource"]["identifier"] = [identifier(UNIQUE_ID, oid())]
    delayed["entry"][1]["resource"]["masterIdentifier"] = identifier(UNIQUE_ID, oid())
    delayed["entry"][1]["resource"]["content"][0]["attachment"] |= {"size": 0, "hash": "2jmj7l5rSw0yVb/vlWAYkK/YBwk="}

    assert details(issue(await publish(made))) == "XDSMissingDocument"
    async with served(mongodb_url, database_name, external_documents=("archive.example",)) as client:
        for sent in (made, delayed):
            response = await client.post("", json=sent, headers={"content-type": "application/fhir+json"})
            kept = (await client.get(locations(response)[1])).json()["content"][0]["attachment"]
            assert kept == sent["entry"][1]["resource"]["content"][0]["attachment"]


async def test_document_without_bytes_is_one_that_says_so(publish: Publish) -> None:
    """MHD-65-50, MHD-65-61: FHIR has no base64 of nothing; only with `size` 0 is no `data` an empty document."""
    empty = changed(edited("entry.2.resource.data", None), "entry.1.resource.content.0.attachment.size", 0)

    assert (await publish(empty)).status_code == 200


def also(made: Resource, resource: Resource, method: str = "POST", url: str = "") -> Resource:
    made["entry"].append(entry(resource, method=method, url=url))
    return made


# What a submission has beside a good one -> code and place of the refusal (mhd.md section 15).
OUTSIDE = {
    "another type": (
        lambda: also(submission(), {"resourceType": "Basic", "code": {"text": "x"}}),
        "not-supported",
        "Bundle.entry[3]",
    ),
    "a second SubmissionSet": (lambda: also(submission(), submission_set(entry=None)), "required", "Bundle.entry[3]"),
    "no SubmissionSet": (lambda: changed(submission(), "entry.0", None), "required", "Bundle"),
    "DELETE": (
        lambda: also(submission(), {"resourceType": "Patient"}, "DELETE", "Patient/p1"),
        "not-supported",
        "Bundle.entry[3].request.method",
    ),
}


@pytest.mark.parametrize("name", OUTSIDE)
async def test_entry_outside_the_slices(publish: Publish, counts: Count, name: str) -> None:
    """MHD-65-07, MHD-65-14, MHD-ERR-01: what no slice takes is not supported; of SubmissionSets there is one."""
    made, code, expression = OUTSIDE[name]
    before = await counts()

    response = await publish(made())

    found = issue(response)
    assert (response.status_code, found["code"], found["expression"]) == (400, code, [expression]), response.text
    assert details(found) == "XDSRepositoryMetadataError"
    assert await counts() == before


async def test_delete_without_a_resource(publish: Publish) -> None:
    """MHD-65-07: the refusal speaks of the method alone."""
    made = submission()
    made["entry"].append({"fullUrl": urn(), "request": {"method": "DELETE", "url": "DocumentReference/x"}})

    response = await publish(made)

    assert [one["code"] for one in response.json()["issue"]] == ["not-supported"]


@pytest.mark.parametrize("query", ["foo=1", "identifier=|", "birthdate=yesterday"])
async def test_condition_that_is_not_understood(publish: Publish, query: str) -> None:
    """MHD-65-30, MHD-ERR-02: the refusal names the place in the Bundle, and has its code."""
    response = await publish(submission(subject=f"Patient?{query}"))

    assert response.status_code == 400
    found = issue(response)
    assert details(found) == "UnresolvedReferenceException"
    assert found["expression"] == ["Bundle.entry[0].resource.subject.reference"]


async def test_batch_publishes_nothing(publish: Publish, counts: Count) -> None:
    """MHD-65-02: what is offered as a batch is no submission."""
    before = await counts()

    response = await publish(changed(submission(), "type", "batch"))

    if response.status_code == 200:  # others may be batched
        assert {one["response"]["status"][0] for one in response.json()["entry"]} == {"4"}
    else:
        assert response.status_code == 400
    assert await counts() == before
