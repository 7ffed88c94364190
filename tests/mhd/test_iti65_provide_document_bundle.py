"""ITI-65 Provide Document Bundle, 2:3.65: what is accepted, what is stored, what is answered.

Refusals stand in `test_iti65_refusals.py`, patients in `test_iti65_patients.py`.
"""

from __future__ import annotations

import base64
import uuid

import httpx
import pytest

from tests.mhd.conftest import Count, Publish, locations
from tests.submissions import (
    ENTRY_UUID,
    HELLO,
    SD,
    UNIQUE_ID,
    binary,
    bundle,
    changed,
    document_reference,
    entry,
    identifier,
    minimal,
    oid,
    sha1,
    submission,
    submission_set,
    urn,
)


async def read(client: httpx.AsyncClient, url: str) -> dict:
    response = await client.get(url)
    assert response.status_code == 200, response.text
    return response.json()


@pytest.mark.parametrize("level", ["minimal", "uncontained", "comprehensive"])
async def test_each_level_is_accepted(publish: Publish, level: str) -> None:
    """MHD-65-01, MHD-65-03, MHD-65-05, MHD-OPT-01: a valid Bundle of each level gets 200."""
    response = await publish(submission(level=level))

    assert response.status_code == 200, response.text


async def test_base_answers_with_and_without_slash(client: httpx.AsyncClient, publish: Publish) -> None:
    """MHD-65-01: the service root takes the Bundle with or without a slash at its end, and redirects nobody."""
    base = str(client.base_url).rstrip("/")
    headers = {"content-type": "application/fhir+json"}

    for url in (base, f"{base}/"):
        assert (await client.post(url, json=submission(), headers=headers)).status_code == 200


@pytest.mark.parametrize(
    "claim",
    [
        f"{SD}/IHE.MHD.Comprehensive.ProvideBundle|4.2.4",
        f"{SD}/IHE.MHD.Comprehensive.ProvideBundle".replace("https:", "http:"),
    ],
)
async def test_claim_is_read_tolerantly(publish: Publish, claim: str) -> None:
    """MHD-65-04: a version suffix and the spelling of releases before 4.2 name the same profile."""
    assert (await publish(changed(submission(), "meta.profile", [claim]))).status_code == 200


async def test_foreign_claim_beside_is_tolerated_and_the_stricter_level_counts(publish: Publish) -> None:
    """MHD-65-04: of two MHD profiles the stricter one counts; a foreign one beside them does not disturb."""
    minimal_claim = f"{SD}/IHE.MHD.Minimal.ProvideBundle"
    both = ["http://example.org/national", minimal_claim, f"{SD}/IHE.MHD.Comprehensive.ProvideBundle"]

    assert (
        await publish(changed(minimal(), "meta.profile", ["http://example.org/national", minimal_claim]))
    ).is_success
    assert (await publish(changed(minimal(), "meta.profile", both))).status_code == 400


async def test_claim_of_a_resource_is_soft(publish: Publish) -> None:
    """MHD-65-06: a DocumentReference that claims more than it holds is accepted at the Bundle's level."""
    claiming = minimal(meta={"profile": [f"{SD}/IHE.MHD.Comprehensive.DocumentReference"]})

    assert (await publish(claiming)).status_code == 200


async def test_response_is_in_the_order_of_the_request(client: httpx.AsyncClient, publish: Publish) -> None:
    """MHD-65-08, MHD-65-11, MHD-65-120..122, 124, 125: one entry each, in order, with location, etag, lastModified."""
    first, second, one, two = urn(), urn(), urn(), urn()
    sent = bundle(
        entry(binary(b"two"), two),
        entry(document_reference(one), first),
        entry(submission_set(first, second), urn()),
        entry(binary(b"one"), one),
        entry(document_reference(two), second),
    )

    response = await publish(sent)

    body = response.json()
    assert response.status_code == 200, response.text
    assert (body["resourceType"], body["type"]) == ("Bundle", "transaction-response")
    types = ["Binary", "DocumentReference", "List", "Binary", "DocumentReference"]
    base = str(client.base_url).rstrip("/")
    for resource_type, answered in zip(types, body["entry"], strict=True):
        told = answered["response"]
        assert told["status"] == "201 Created"
        assert told["location"].startswith(f"{base}/{resource_type}/")
        assert told["location"].endswith("/_history/1")
        assert told["etag"] == 'W/"1"'
        assert told["lastModified"]
        assert (await client.get(told["location"])).status_code == 200


async def test_clean_submission_has_no_outcome(publish: Publish) -> None:
    """MHD-65-126, MHD-65-84: nothing is said where there is nothing to say."""
    response = await publish(submission())

    assert all("outcome" not in one["response"] for one in response.json()["entry"])


async def test_links_are_rewritten(client: httpx.AsyncClient, publish: Publish) -> None:
    """MHD-65-24, MHD-65-56, MHD-67-40: references and attachment.url name what was stored; the url is absolute."""
    listed, described, stored = locations(await publish(submission()))

    document = await read(client, described)
    assert document["content"][0]["attachment"]["url"] == stored
    submitted = await read(client, listed)
    assert submitted["entry"][0]["item"]["reference"] == "/".join(described.rsplit("/", 2)[1:])
    assert "urn:uuid" not in str(submitted["entry"])


async def test_identifier_value_is_no_link(client: httpx.AsyncClient, publish: Publish) -> None:
    """MHD-65-25: a fullUrl that is an entryUUID too stays what it is in `identifier.value`, and finds the document."""
    sent = submission()
    full_url = sent["entry"][1]["fullUrl"]
    sent["entry"][1]["resource"]["identifier"] = [identifier(ENTRY_UUID, full_url)]

    described = locations(await publish(sent))[1]

    assert (await read(client, described))["identifier"] == [identifier(ENTRY_UUID, full_url)]
    found = await read(client, f"DocumentReference?identifier=urn:ietf:rfc:3986|{full_url}&status=current")
    assert found["total"] == 1


async def test_rewriting_descends_into_contained_resources_and_extensions(
    client: httpx.AsyncClient, publish: Publish
) -> None:
    """MHD-65-26: contained resources, extensions and narrative are rewritten; `#id` is not."""
    full_url = urn()
    person = {"resourceType": "Patient", "identifier": [{"system": "urn:oid:2.999.40.1", "value": "new"}]}
    sent = submission(subject=full_url)
    kin = {"resourceType": "RelatedPerson", "id": "kin", "patient": {"reference": full_url}}
    sent["entry"][0]["resource"]["extension"].append(
        {"url": f"{SD}/ihe-intendedRecipient", "valueReference": {"reference": full_url}}
    )
    sent["entry"][1]["resource"]["contained"].append(kin)
    sent["entry"][1]["resource"]["author"].append({"reference": "#kin"})
    sent["entry"][1]["resource"]["text"] = {
        "status": "additional",
        "div": f'<div xmlns="http://www.w3.org/1999/xhtml"><a href="{full_url}">who</a></div>',
    }
    sent["entry"].append(entry(person, full_url))

    listed, described, _, patient = locations(await publish(sent))

    name = "/".join(patient.rsplit("/", 2)[1:])
    document = await read(client, described)
    assert document["contained"][2]["patient"]["reference"] == name
    assert document["author"] == [{"reference": "#author"}, {"reference": "#kin"}]
    assert f'href="{name}"' in document["text"]["div"]
    assert (await read(client, listed))["extension"][-1]["valueReference"]["reference"] == name


async def test_relative_links_count_from_the_entry(client: httpx.AsyncClient, publish: Publish) -> None:
    """MHD-65-28: `Type/id` in an entry with a RESTful fullUrl means the entry below the same base."""
    sent = submission()
    base = "http://source.example/fhir"
    sent["entry"][0] |= {"fullUrl": f"{base}/List/s1"}
    sent["entry"][1] |= {"fullUrl": f"{base}/DocumentReference/a1"}
    sent["entry"][0]["resource"]["entry"] = [{"item": {"reference": "DocumentReference/a1"}}]

    listed, described, _ = locations(await publish(sent))

    item = (await read(client, listed))["entry"][0]["item"]["reference"]
    assert item == "/".join(described.rsplit("/", 2)[1:])


async def test_version_and_foreign_references_stay(client: httpx.AsyncClient, publish: Publish) -> None:
    """MHD-65-31: a reference to something outside the Bundle is stored as it was sent, its version included."""
    related = [{"reference": "Encounter/x/_history/1"}, {"reference": "https://elsewhere.example/fhir/Encounter/9"}]
    sent = submission()
    sent["entry"][1]["resource"]["context"]["related"] = related

    described = locations(await publish(sent))[1]

    assert (await read(client, described))["context"]["related"] == related


async def test_the_server_gives_the_id(client: httpx.AsyncClient, publish: Publish) -> None:
    """MHD-65-23: an id in a POST is not used."""
    described = locations(await publish(submission(id="my-id")))[1]

    assert not described.endswith("my-id")
    assert (await client.get("DocumentReference/my-id")).status_code == 404


async def test_hash_and_size_are_filled_in(client: httpx.AsyncClient, publish: Publish) -> None:
    """MHD-65-54: what the source left out the server computes from the bytes."""
    described = locations(await publish(submission(HELLO)))[1]

    attachment = (await read(client, described))["content"][0]["attachment"]
    assert (attachment["size"], attachment["hash"]) == (11, "Ck1VqNd45QIvq3AZd8XYQLvEhtA=")


async def test_right_hash_and_size_are_accepted(publish: Publish) -> None:
    """MHD-65-52, MHD-65-53: SHA-1 over the bytes in base64, and the number of bytes."""
    sent = submission(HELLO)
    sent["entry"][1]["resource"]["content"][0]["attachment"] |= {"hash": sha1(HELLO), "size": 11}

    assert (await publish(sent)).status_code == 200


async def test_document_is_kept_bit_by_bit(client: httpx.AsyncClient, publish: Publish) -> None:
    """MHD-65-55, MHD-68-01: every byte comes back; white space in the base64 does not count."""
    document = bytes(range(256)) * 5
    sent = submission(document, content_type="application/octet-stream")
    text = sent["entry"][2]["resource"]["data"]
    sent["entry"][2]["resource"]["data"] = "\n".join(text[at : at + 76] for at in range(0, len(text), 76))

    stored = locations(await publish(sent))[2]

    assert (await client.get(stored)).content == document


async def test_binary_names_its_owner(client: httpx.AsyncClient, publish: Publish) -> None:
    """MHD-65-64: access to the document follows its DocumentReference."""
    _, described, stored = locations(await publish(submission()))

    wrapper = await read(client, f"{stored}?_format=json")
    assert wrapper["securityContext"]["reference"] == "/".join(described.rsplit("/", 2)[1:])
    assert base64.b64decode(wrapper["data"]) == HELLO


async def test_entry_uuid_and_unique_id_are_assigned(client: httpx.AsyncClient, publish: Publish) -> None:
    """MHD-65-115, MHD-65-116, MHD-XDS-06: each object has an entryUUID, the SubmissionSet an OID as uniqueId."""
    sent = submission()
    del sent["entry"][0]["resource"]["identifier"]

    listed, described, _ = locations(await publish(sent))

    by_kind = {one["type"]["coding"][0]["code"]: one["value"] for one in (await read(client, listed))["identifier"]}
    assert by_kind[UNIQUE_ID].startswith("urn:oid:2.25.")
    assert uuid.UUID(by_kind[ENTRY_UUID].removeprefix("urn:uuid:"))
    document = await read(client, described)
    assert [one["type"]["coding"][0]["code"] for one in document["identifier"]] == [ENTRY_UUID]


async def test_identifiers_of_older_sources_are_told_apart(client: httpx.AsyncClient, publish: Publish) -> None:
    """MHD-PR-02, A-17: a source of MHD 4.2.3 sends `use` and no `type`."""
    sent = submission()
    for one in sent["entry"][:2]:
        resource = one["resource"]
        resource["identifier"] = [
            {"use": "official", "system": "urn:ietf:rfc:3986", "value": urn()},
        ]
    sent["entry"][0]["resource"]["identifier"].append({"use": "usual", "system": "urn:ietf:rfc:3986", "value": oid()})
    del sent["entry"][1]["resource"]["masterIdentifier"]["type"]

    listed, described, _ = locations(await publish(sent))

    kinds = [one["type"]["coding"][0]["code"] for one in (await read(client, listed))["identifier"]]
    assert kinds == [ENTRY_UUID, UNIQUE_ID]
    assert (await read(client, described))["masterIdentifier"]["type"]["coding"][0]["code"] == UNIQUE_ID


async def test_everything_that_was_sent_is_kept(client: httpx.AsyncClient, publish: Publish) -> None:
    """MHD-65-105, MHD-65-118, MHD-GEN-09: dates, security labels, tags, custodian and unknown extensions come back."""
    more = {
        "meta": {"security": [{"system": "http://terminology.hl7.org/CodeSystem/v3-ActReason", "code": "HTEST"}]},
        "custodian": {"display": "An invented archive"},
        "extension": [{"url": "http://example.org/weight", "valueDecimal": 72.5}],
    }

    listed, described, _ = locations(await publish(submission(**more)))

    document = await read(client, described)
    assert document["meta"]["security"] == more["meta"]["security"]
    assert document["custodian"] == more["custodian"]
    assert document["extension"] == more["extension"]
    assert document["date"] == "2025-03-14T16:05:00+01:00"
    assert (await read(client, listed))["date"] == "2025-03-14T16:05:00+01:00"


async def test_decimals_keep_their_text(client: httpx.AsyncClient, publish: Publish) -> None:
    """MHD-GEN-09: 72.50 is not 72.5, in JSON and in XML."""
    import json

    body = json.dumps(submission(extension=[{"url": "http://example.org/w", "valueDecimal": 4242.5}]))

    described = locations(await publish(body.replace("4242.5", "4242.50").encode()))[1]

    assert '"valueDecimal":4242.50' in (await client.get(described)).text
    assert 'valueDecimal value="4242.50"' in (await client.get(f"{described}?_format=xml")).text


async def test_submission_lists_documents_that_are_stored(client: httpx.AsyncClient, publish: Publish) -> None:
    """MHD-65-101: a SubmissionSet may list what is stored already, also of another patient."""
    earlier = locations(await publish(submission(subject="Patient/p2")))[1]
    sent = submission()
    sent["entry"][0]["resource"]["entry"].append({"item": {"reference": earlier}})

    listed = locations(await publish(sent))[0]

    assert len((await read(client, listed))["entry"]) == 2


async def test_same_document_may_be_published_again(client: httpx.AsyncClient, publish: Publish) -> None:
    """MHD-65-112: the same uniqueId with the same bytes is accepted in a new submission, and found twice."""
    master = identifier(UNIQUE_ID, oid())

    for _ in range(2):
        assert (await publish(submission(masterIdentifier=master))).status_code == 200

    found = await read(client, f"DocumentReference?identifier=urn:ietf:rfc:3986|{master['value']}")
    assert found["total"] == 2


async def test_missing_optional_elements_are_no_reason(publish: Publish) -> None:
    """MHD-GEN-11, MHD-65-111, MHD-XDS-02: R2 elements may be missing."""
    assert (await publish(minimal())).status_code == 200
    assert (
        await publish(submission(author=None, contained=[submission()["entry"][1]["resource"]["contained"][1]]))
    ).is_success


async def test_uncontained_level_takes_references(publish: Publish) -> None:
    """MHD-OPT-10, MHD-OPT-12, A-16: authors by reference; sourcePatientInfo may be missing."""
    sent = submission(level="uncontained", author=[{"reference": "https://directory.example/fhir/Practitioner/5"}])
    resource = sent["entry"][1]["resource"]
    del resource["contained"], resource["context"]["sourcePatientInfo"]

    assert (await publish(sent)).status_code == 200


async def test_nothing_is_visible_before_everything_is(client: httpx.AsyncClient, publish: Publish) -> None:
    """MHD-65-20, MHD-65-21: whoever finds the DocumentReference can fetch its document."""
    import asyncio

    async def publish_all() -> None:
        for _ in range(10):
            assert (await publish(submission())).status_code == 200

    publishing = asyncio.ensure_future(publish_all())
    seen = 0
    while not publishing.done():
        for one in (await read(client, "DocumentReference?patient=p1&status=current")).get("entry", []):
            seen += 1
            assert (await client.get(one["resource"]["content"][0]["attachment"]["url"])).status_code == 200
    await publishing
    assert seen


async def test_large_document_comes_back(client: httpx.AsyncClient, publish: Publish, counts: Count) -> None:
    """MHD-65-55, MHD-68-01: 3 MB lie in chunk records, and come back byte for byte."""
    document = bytes(range(251)) * 12_600

    stored = locations(await publish(submission(document, content_type="application/pdf")))[2]

    response = await client.get(stored)
    assert response.content == document
    assert response.headers["content-length"] == str(len(document))
    assert (await counts())["content_chunk"] == 4
