"""What holds for every transaction of MHD but formats: parameters, changes, refusals (ITI TF-2 Appendix Z; R4 http.html).

The pieces behind it are tested by themselves in `tests/rest`, `tests/fhir` and `tests/search`; formats in `test_formats.py`.
"""

from __future__ import annotations

import json
import socket
from typing import Any

import httpx
import pytest

from app.fhir.packages import Packages
from app.fhir.resource import parse_json
from app.store.change import Delete
from app.store.resources import Store
from app.validation.validator import Validator
from tests.mhd.conftest import Count, Publish, Server, issue, locations
from tests.mhd.test_folders import creating, folder
from tests.submissions import SD, changed, concept, minimal, submission

JSON = "application/fhir+json"


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


async def test_uri_is_compared_as_it_is(server: Server, publish: Publish) -> None:
    """MHD-GEN-24: a parameter of type uri: whole, and with its case; MHD-PR-35: so is the URL of its extension."""
    client = await server(target_communities=True, known_communities=("urn:oid:2.999.10", "urn:oid:2.999.1"))
    right = {"url": f"{SD}/ihe-HomeCommunityId", "valueOid": "urn:oid:2.999.10"}
    wrong = {"url": f"{SD}/ihe-homeCommunityId", "valueOid": "urn:oid:2.999.10"}
    found = locations(await publish(submission(extension=[right], meta={"source": "urn:oid:2.999.10"})))[1]
    await publish(submission(extension=[wrong]))

    for asked, expected in (
        ("targetCommunityIdList=urn:oid:2.999.10", [found]),
        ("targetCommunityIdList=urn:oid:2.999.1", []),
        ("_source=urn:oid:2.999.10", [found]),
        ("_source=URN:OID:2.999.10", []),
        ("_source=urn:oid:2.999.1", []),
    ):
        body = (await client.get(f"DocumentReference?{asked}")).json()
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


@pytest.mark.parametrize("version", ["0", "2", "x", "1.0", "9" * 19, "9" * 64])
async def test_version_that_there_is_not(client: httpx.AsyncClient, publish: Publish, version: str) -> None:
    """MHD-GEN-08: vread of any other version is 404, numbers that no database can hold included."""
    for location in locations(await publish(submission())):
        response = await client.get(location.rpartition("/")[0] + f"/{version}")
        assert (response.status_code, issue(response)["code"]) == (404, "not-found")


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


async def test_answers_meet_their_profiles(client: httpx.AsyncClient, publish: Publish, packages: Packages) -> None:
    """MHD-PR-31, MHD-PR-32, MHD-65-124: the informative profiles of the answers to ITI-65, ITI-66 and ITI-67."""
    answers = {
        "ProvideDocumentBundleResponse": await publish(submission()),
        "FindDocumentReferencesResponseMessage": await client.get("DocumentReference?patient=p1&status=current"),
        "FindDocumentReferencesComprehensiveResponseMessage": await client.get("DocumentReference?patient=p1"),
        "FindDocumentListsResponseMessage": await client.get("List?patient=p1&code=submissionset&status=current"),
    }
    validator = Validator(packages)

    for name, answer in answers.items():
        assert answer.json()["entry"]
        found = validator.validate(parse_json(answer.content), f"{SD}/IHE.MHD.{name}")
        assert [one for one in found if one.is_error] == [], name


@pytest.mark.parametrize(
    "asked", ["date=never", "patient:foo=1", "_count=x", "identifier=|", "_total=all", "_include=x"]
)
@pytest.mark.parametrize("path", ["DocumentReference", "List", "Patient/p1/List"])
async def test_bad_search_is_invalid(client: httpx.AsyncClient, path: str, asked: str) -> None:
    """MHD-GEN-20, MHD-GEN-25, MHD-ERR-01: the table of errors has one code for a bad value and a bad modifier."""
    response = await client.get(f"/{path}?{asked}")
    assert (response.status_code, issue(response)["code"]) == (400, "invalid"), response.text
