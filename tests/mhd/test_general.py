"""What holds for every transaction of MHD: formats, parameters, versions, refusals (ITI TF-2 Appendix Z; FHIR R4 http.html).

The pieces behind it are tested by themselves in `tests/rest`, `tests/fhir` and `tests/search`.
"""

from __future__ import annotations

import copy
import json
import socket
from typing import Any

import httpx
import pytest

from app.fhir.packages import Packages
from app.fhir.resource import Resource, parse_json
from app.fhir.xml import from_xml, to_xml
from app.store.change import Delete
from app.store.resources import Store
from tests.mhd.conftest import Count, Publish, details, issue, locations
from tests.mhd.test_folders import creating, folder
from tests.submissions import SD, UNIQUE_ID, changed, concept, identifier, minimal, oid, submission

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


@pytest.mark.parametrize("url", ["Patient/p1", "DocumentReference?patient=p1", "metadata"])
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


@pytest.mark.parametrize("method", ["PUT", "PATCH", "DELETE"])
@pytest.mark.parametrize("name", ["document", "list", "binary"])
async def test_nothing_is_changed_directly(
    client: httpx.AsyncClient, publish: Publish, counts: Count, method: str, name: str
) -> None:
    """MHD-GEN-10, MHD-XDS-08: what was published changes by ITI-65 only; `Allow` says what there is."""
    found = dict(zip(("list", "document", "binary"), locations(await publish(submission())), strict=True))
    before = await counts()

    response = await client.request(method, found[name], headers={"content-type": JSON}, content=b"{}")

    assert (response.status_code, issue(response)["code"]) == (405, "not-supported")
    assert set(response.headers["allow"].split(", ")) == {"GET", "HEAD"}
    assert await counts() == before


@pytest.mark.parametrize("path", ["DocumentReference", "List", "Binary", "Patient"])
async def test_nothing_is_created_directly(client: httpx.AsyncClient, patients: None, counts: Count, path: str) -> None:
    """MHD-OPT-22, MHD-GEN-10: Simplified Publish is not offered, and a POST to a type stores nothing."""
    before = await counts()
    sent = submission()["entry"][1]["resource"]

    response = await client.post(path, json=sent, headers={"content-type": JSON})

    assert response.status_code in (404, 405)
    assert issue(response)["severity"] == "error"
    assert await counts() == before


async def test_generate_metadata_is_not_offered(client: httpx.AsyncClient, counts: Count) -> None:
    """MHD-OPT-22: an option that is off answers with an OperationOutcome."""
    response = await client.post("DocumentReference/$generate-metadata", json={}, headers={"content-type": JSON})

    assert response.status_code in (404, 405)
    assert issue(response)["severity"] == "error"


# Elements that the Minimal level leaves open, with a value each.
OPTIONAL: dict[str, Any] = {
    "type": concept("http://loinc.org", "18842-5"),
    "category": [concept("http://snomed.info/sct", "373942005")],
    "author": [{"display": "An invented author"}],
    "securityLabel": [concept("http://terminology.hl7.org/CodeSystem/v3-Confidentiality", "N")],
    "date": "2025-03-14T16:05:00+01:00",
    "description": "a word",
    "custodian": {"display": "An invented archive"},
    "authenticator": {"display": "An invented signatory"},
    "context": {"period": {"start": "2025-03-08"}, "encounter": [{"display": "a stay"}]},
    "language": "en",
    "text": {"status": "generated", "div": '<div xmlns="http://www.w3.org/1999/xhtml">a word</div>'},
}


async def test_optional_elements_may_be_there_or_not(client: httpx.AsyncClient, publish: Publish) -> None:
    """MHD-GEN-11: none of them, each of them alone, and all of them."""
    variants = [{}, *({name: value} for name, value in OPTIONAL.items()), OPTIONAL]
    for elements in variants:
        response = await publish(minimal(**elements))
        assert response.status_code == 200, (elements, response.text)
        stored = (await client.get(locations(response)[1])).json()
        assert {name: stored[name] for name in elements} == elements


@pytest.mark.parametrize("position", [0, 1])
@pytest.mark.parametrize("level", ["minimal", "uncontained", "comprehensive"])
async def test_modifier_extension_is_refused(publish: Publish, counts: Count, level: str, position: int) -> None:
    """MHD-GEN-12: on the root of a SubmissionSet and of a DocumentReference, at every level."""
    extension = [{"url": "http://example.org/not", "valueBoolean": True}]
    made = changed(submission(level=level), f"entry.{position}.resource.modifierExtension", extension)
    before = await counts()

    response = await publish(made)

    assert response.status_code in (400, 422)
    assert any(
        one["expression"] == [f"Bundle.entry[{position}].resource.modifierExtension"]
        for one in response.json()["issue"]
    )
    assert await counts() == before


async def test_modifier_extension_of_a_folder_is_refused(publish: Publish) -> None:
    """MHD-GEN-12: on the root of a Folder."""
    document = locations(await publish(submission()))[1]
    extension = [{"url": "http://example.org/not", "valueBoolean": True}]

    response = await publish(creating(folder(document, modifierExtension=extension)))

    assert response.status_code in (400, 422)
    assert any(one["expression"][0].endswith(".modifierExtension") for one in response.json()["issue"])


# What base R4 forbids -> path of the element, its value, the expression of the issue.
INVALID: dict[str, tuple[str, Any, str]] = {
    "unknown element": ("staus", "current", "staus"),
    "unknown element below": ("content.0.attachment.uri", "urn:x:1", "content[0].attachment.uri"),
    "code outside a required value set": ("status", "active", "status"),
    "object where text is asked for": ("description", {"text": "x"}, "description"),
    "one where several may be": ("category", concept("http://loinc.org", "1"), "category"),
    "several where one may be": ("type", [concept("http://loinc.org", "1")], "type"),
    "text where a number is asked for": ("content.0.attachment.size", "11", "content[0].attachment.size"),
    "date that is none": ("date", "yesterday", "date"),
    "broken invariant: empty element": ("type", {}, "type"),
    "two values of one choice": ("extension", [{"url": "http://e.org", "valueCode": "a", "valueString": "a"}], "extension[0]"),
}  # fmt: skip


@pytest.mark.parametrize("name", INVALID)
async def test_invalid_fhir_is_refused(publish: Publish, counts: Count, name: str) -> None:
    """MHD-GEN-15: FHIR R4 itself forbids it, and the issue names the element."""
    path, value, expression = INVALID[name]
    before = await counts()

    response = await publish(changed(submission(), f"entry.1.resource.{path}", value))

    assert response.status_code in (400, 422)
    assert any(
        one.get("expression", [""])[0].startswith(f"Bundle.entry[1].resource.{expression}")
        for one in response.json()["issue"]
    ), response.text
    assert await counts() == before


async def test_every_form_of_a_parameter_is_read(client: httpx.AsyncClient, publish: Publish) -> None:
    """MHD-GEN-14: `|` and `:` raw or escaped, decoded once; `+` in a form body is a space."""
    await publish(submission(description="x"))
    form = {"content-type": "application/x-www-form-urlencoded"}
    for value, total in (
        ("http://loinc.org|18842-5", 1),
        ("http%3A%2F%2Floinc.org%7C18842-5", 1),
        ("http:%2f%2floinc.org%7c18842-5", 1),
        ("http%253A%252F%252Floinc.org%257C18842-5", 0),
    ):
        assert (await client.get(f"DocumentReference?patient=p1&type={value}")).json()["total"] == total
        posted_form = await client.post("DocumentReference/_search", content=f"patient=p1&type={value}", headers=form)
        assert posted_form.json()["total"] == total
    sent = await client.post("DocumentReference/_search", content="author.family=Bei+spiel", headers=form)
    [link] = [one["url"] for one in sent.json()["link"] if one["relation"] == "self"]
    assert link.endswith(("=Bei+spiel", "=Bei%20spiel"))


async def test_uri_is_compared_as_it_is(client: httpx.AsyncClient, publish: Publish) -> None:
    """MHD-GEN-24: a parameter of type uri: whole, and with its case; MHD-PR-35: so is the URL of its extension."""
    right = {"url": f"{SD}/ihe-HomeCommunityId", "valueOid": "urn:oid:2.999.10"}
    wrong = {"url": f"{SD}/ihe-homeCommunityId", "valueOid": "urn:oid:2.999.10"}
    found = locations(await publish(submission(extension=[right])))[1]
    await publish(submission(extension=[wrong]))

    for value, expected in (("urn:oid:2.999.10", [found]), ("URN:OID:2.999.10", []), ("urn:oid:2.999.1", [])):
        body = (await client.get(f"DocumentReference?targetCommunityIdList={value}")).json()
        assert [one["fullUrl"] for one in body.get("entry", [])] == expected


async def test_chain_reaches_contained_and_stored_targets(client: httpx.AsyncClient, publish: Publish) -> None:
    """MHD-GEN-25: contained authors, stored patients; contained resources are no results; other chains by handling."""
    found = locations(await publish(submission()))[1]

    for asked in ("author.family=Beispiel", "patient.identifier=urn:oid:2.999.40.1|4711", "patient.family=Example"):
        body = (await client.get(f"DocumentReference?{asked}")).json()
        assert [one["fullUrl"] for one in body["entry"]] == [found], asked
    ignored = (await client.get("DocumentReference?patient=p1&author.shoesize=44")).json()
    assert ignored["total"] == 1
    assert "shoesize" not in ignored["link"][0]["url"]
    strict = {"prefer": "handling=strict"}
    assert (await client.get("DocumentReference?patient=p1&author.shoesize=44", headers=strict)).status_code == 400
    assert (await client.get("Practitioner?family=Beispiel")).status_code == 404
    everybody = (await client.get("Patient?identifier=https://ward.example/numbers|W-77")).json()
    assert everybody["total"] == 0


async def test_deleted_resources_are_gone(client: httpx.AsyncClient, publish: Publish, store: Store) -> None:
    """MHD-GEN-26, MHD-66-36, MHD-68-11: 410, and no search finds them."""
    from datetime import UTC, datetime

    listed, described, stored = locations(await publish(submission()))
    removed = [Delete(*one.rsplit("/", 2)[1:]) for one in (listed, described, stored)]
    await store.commit(removed, datetime.now(UTC))

    for name in (listed, described, stored):
        response = await client.get(name)
        assert (response.status_code, issue(response)["code"]) == (410, "deleted")
    for url in ("DocumentReference?patient=p1", "List?patient=p1&code=submissionset"):
        assert (await client.get(url)).json()["total"] == 0


async def test_empty_parameter_is_ignored(client: httpx.AsyncClient, publish: Publish) -> None:
    """MHD-GEN-27, MHD-GEN-26: as if it had not been sent; the self link says what was applied."""
    await publish(submission())

    body = (await client.get("DocumentReference?type=&patient=p1&status=current")).json()

    assert body["total"] == 1
    assert body["link"][0]["url"].endswith("DocumentReference?patient=p1&status=current")


async def test_urls_have_the_public_base(client: httpx.AsyncClient, publish: Publish) -> None:
    """MHD-67-41, MHD-67-40: whatever name the request came to, the answer's URLs begin with the configured base."""
    await publish(submission())

    internal = await client.get(
        "http://10.0.0.5:8080/fhir/DocumentReference?patient=p1", headers={"host": "10.0.0.5:8080"}
    )

    body = internal.json()
    base = str(client.base_url)
    [one] = body["entry"]
    assert one["fullUrl"].startswith(base)
    assert one["resource"]["content"][0]["attachment"]["url"].startswith(f"{base}Binary/")
    assert body["link"][0]["url"].startswith(base)
    assert "10.0.0.5" not in internal.text


async def test_urls_say_nothing_of_a_person(client: httpx.AsyncClient, publish: Publish) -> None:
    """MHD-SEC-06: ids are opaque: no part of a name or an identifier, and no counter (authorisation is not here yet)."""
    names = [one for _ in range(3) for one in locations(await publish(submission()))]

    ids = [name.rpartition("/")[2] for name in names]
    assert len(set(ids)) == len(ids)
    for one in ids:
        assert len(one) >= 32
        assert not any(word in one.lower() for word in ("4711", "p1", "example", "beispiel"))
    tails = [int(one[-16:], 16) for one in ids]
    assert min(abs(a - b) for a in tails for b in tails if a != b) > 1_000_000


async def test_no_address_in_a_submission_is_asked(
    client: httpx.AsyncClient, publish: Publish, monkeypatch: pytest.MonkeyPatch
) -> None:
    """MHD-65-45, MHD-65-63, MHD-SEC-09: neither authors nor patients nor documents elsewhere are fetched."""
    asked: list[object] = []
    known = socket.getaddrinfo

    def noted(host: Any, *rest: Any, **more: Any) -> Any:
        asked.append(host)
        return known(host, *rest, **more)

    connected: list[object] = []
    monkeypatch.setattr(socket, "getaddrinfo", noted)
    monkeypatch.setattr(socket.socket, "connect", lambda _, address: connected.append(address))
    author = [{"reference": "http://169.254.169.254/latest/Practitioner/1"}]
    made = submission(
        level="uncontained", author=author, contained=submission()["entry"][1]["resource"]["contained"][1:]
    )
    document = "http://169.254.169.254/latest/meta-data"

    assert (await publish(made)).status_code == 200
    elsewhere = changed(submission(), "entry.1.resource.content.0.attachment.url", document)
    assert (await publish(elsewhere)).status_code == 400
    assert (await publish(submission(subject="http://169.254.169.254/fhir/Patient/1"))).status_code == 400
    assert "169.254.169.254" not in asked
    assert not [one for one in connected if isinstance(one, tuple) and one[0] == "169.254.169.254"]


async def test_document_is_never_rewritten(client: httpx.AsyncClient, publish: Publish) -> None:
    """MHD-65-25, MHD-65-55: links inside a document stay, even when they equal the fullUrl of an entry."""
    made = submission(content_type="application/fhir+json")
    inner = {"resourceType": "Bundle", "type": "document", "entry": [{"fullUrl": made["entry"][1]["fullUrl"]}]}
    document = json.dumps(inner, indent=1).encode()
    import base64

    made["entry"][2]["resource"]["data"] = base64.b64encode(document).decode()

    stored = locations(await publish(made))[2]

    assert (await client.get(stored)).content == document


async def test_fhir_document_as_an_entry_is_refused_by_name(publish: Publish, counts: Count) -> None:
    """MHD-OPT-31: without the option FHIR Documents Publish."""
    made = submission()
    made["entry"][2]["resource"] = {
        "resourceType": "Bundle",
        "type": "document",
        "identifier": {"system": "urn:ietf:rfc:3986", "value": oid()},
        "timestamp": "2025-03-14T16:05:00Z",
        "entry": [
            {
                "fullUrl": "urn:uuid:5d0c77a1-0000-4000-8000-000000000001",
                "resource": {
                    "resourceType": "Composition",
                    "status": "final",
                    "type": concept("http://loinc.org", "18842-5"),
                    "date": "2025-03-14",
                    "author": [{"display": "An invented author"}],
                    "title": "An invented letter",
                },
            }
        ],
    }
    made["entry"][2]["request"]["url"] = "Bundle"
    before = await counts()

    response = await publish(made)

    assert response.status_code in (400, 422), response.text
    assert [details(one) for one in response.json()["issue"]] == ["FHIRDocumentNotSupported"]
    assert issue(response)["expression"] == ["Bundle.entry[2].resource"]
    assert await counts() == before


async def test_codes_are_not_checked_against_lists_nobody_configured(publish: Publish) -> None:
    """MHD-PR-12: preferred and example bindings bind nobody, and a display is never compared."""
    national = {"coding": [{"system": "https://national.example/codes", "code": "LETTER", "display": "Whatever"}]}
    made = submission(type=national, category=[national])
    made["entry"][1]["resource"]["content"][0]["format"] = national["coding"][0]
    made["entry"][1]["resource"]["context"] |= {"facilityType": national, "practiceSetting": national}

    assert (await publish(made)).status_code == 200


async def test_submission_without_identifier_keeps_its_warning_to_itself(publish: Publish) -> None:
    """MHD-ERR-03: an accepted submission never carries an issue of severity error."""
    for made in (submission(), minimal(subject=None)):
        answer = (await publish(made)).json()
        told = [one for entry in answer["entry"] for one in entry["response"].get("outcome", {}).get("issue", [])]
        assert all(one["severity"] in ("warning", "information") for one in told)


async def test_representation_is_sent_back_when_asked_for(client: httpx.AsyncClient, publish: Publish) -> None:
    """MHD-65-128: `Prefer: return=representation`; else, and with `return=minimal`, no resources."""
    shown = (await publish(submission(), prefer="return=representation")).json()["entry"]

    assert [one["resource"]["resourceType"] for one in shown] == ["List", "DocumentReference", "Binary"]
    for one in shown:
        assert (await client.get(one["response"]["location"], headers={"accept": JSON})).json()["id"] == one[
            "resource"
        ]["id"]
    assert shown[1]["resource"]["content"][0]["attachment"]["url"].startswith(f"{client.base_url}Binary/")
    assert "data" not in shown[2]["resource"]
    for prefer in ("return=minimal", ""):
        assert all("resource" not in one for one in (await publish(submission(), prefer=prefer)).json()["entry"])


@pytest.mark.parametrize(("version", "status"), [('W/"1"', 200), ('W/"7"', 412)])
async def test_if_match_of_an_entry(
    client: httpx.AsyncClient, publish: Publish, counts: Count, version: str, status: int
) -> None:
    """MHD-65-32: a PATCH that names the version it knows; another version ends the transaction."""
    old = "/".join(locations(await publish(submission()))[1].rsplit("/", 2)[1:])
    from tests.mhd.test_relations import patch, related

    made, patching = related("replaces", old), patch(old)
    patching["request"]["ifMatch"] = version
    made["entry"].append(patching)
    before = await counts()

    response = await publish(made)

    assert response.status_code == status, response.text
    assert (await client.get(old)).json()["meta"]["versionId"] == ("2" if status == 200 else "1")
    assert (await counts() == before) == (status == 412)
