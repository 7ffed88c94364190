"""ITI-65, Folders: new ones, documents that are added to stored ones, and what a replacement does to them.

Sections: ITI TF-2:3.65.4.1.2, 2:3.65.4.1.3; ITI TF-3:4.2.1.3.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import pytest

from app.fhir.resource import Resource
from tests.mhd.conftest import Count, Publish, details, issue, locations, served
from tests.submissions import (
    ENTRY_UUID,
    MHD,
    SD,
    UNIQUE_ID,
    bundle,
    changed,
    concept,
    entry,
    identifier,
    oid,
    submission,
    submission_set,
    urn,
)

SNOMED = "http://snomed.info/sct"
FHIR_JSON = {"content-type": "application/fhir+json"}
LONG_AGO = "2001-01-01T00:00:00Z"


def folder(*members: str, **elements: Any) -> Resource:
    """Return a Folder that is valid at every level; keywords replace elements, None removes one."""
    resource: Resource = {
        "resourceType": "List",
        "extension": [
            {"url": f"{SD}/ihe-designationType", "valueCodeableConcept": concept(SNOMED, "84114007")},
        ],
        "identifier": [identifier(UNIQUE_ID, oid())],
        "status": "current",
        "mode": "working",
        "title": "An invented programme",
        "code": concept(f"{MHD}/CodeSystem/MHDlistTypes", "folder"),
        "subject": {"reference": "Patient/p1"},
        "date": LONG_AGO,
        "entry": [{"item": {"reference": member}} for member in members] or None,
    } | elements
    return {name: value for name, value in resource.items() if value is not None}


def creating(made: Resource, **subject: str) -> Resource:
    """Return a submission that creates the Folder `made`, and no document."""
    full_url = urn()
    return bundle(entry(submission_set(full_url, **subject)), entry(made, full_url))


def updating(made: Resource, url: str, full_url: str = "", **subject: str) -> Resource:
    """Return a submission that puts the Folder `made` to `url`, and no document."""
    return bundle(entry(submission_set(entry=None, **subject)), entry(made, full_url, "PUT", url))


def name_of(location: str) -> str:
    """Return `Type/id` of a location."""
    return "/".join(location.rsplit("/", 2)[1:])


def members_of(resource: Resource) -> list[str]:
    return [one["item"]["reference"] for one in resource.get("entry", ())]


async def read(client: httpx.AsyncClient, name: str) -> Resource:
    response = await client.get(name)
    assert response.status_code == 200, response.text
    found: Resource = response.json()
    return found


async def published(publish: Publish, **how: Any) -> str:
    """Publish a document and return its name."""
    return name_of(locations(await publish(submission(**how)))[1])


def is_now(date: str) -> bool:
    return abs(datetime.now(UTC) - datetime.fromisoformat(date)) < timedelta(minutes=1)


@pytest.fixture
async def document(publish: Publish) -> str:
    """The name of a stored document of `Patient/p1`."""
    return await published(publish)


@pytest.fixture
async def stored(client: httpx.AsyncClient, publish: Publish, document: str) -> Resource:
    """A stored Folder with `document` in it."""
    return await read(client, locations(await publish(creating(folder(document))))[1])


async def test_folder_for_stored_documents(client: httpx.AsyncClient, publish: Publish, document: str) -> None:
    """MHD-65-12, MHD-65-90, MHD-65-96, A-03: a Folder without a new document; its date is when it was stored."""
    response = await publish(creating(folder(document)))

    assert [one["response"]["status"] for one in response.json()["entry"]] == ["201 Created", "201 Created"]
    submitted, made = [await read(client, one) for one in locations(response)]
    assert members_of(submitted) == [f"List/{made['id']}"]
    assert members_of(made) == [document]
    assert is_now(made["date"])
    assert is_now((await read(client, f"List/{made['id']}/_history/1"))["date"])


async def test_folder_and_document_together(client: httpx.AsyncClient, publish: Publish) -> None:
    """MHD-65-90, MHD-65-24, MHD-65-08: a Folder may hold a document of the same Bundle."""
    made, full_url = submission(), urn()
    made["entry"].insert(0, entry(folder(made["entry"][1]["fullUrl"]), full_url))
    made["entry"][1]["resource"]["entry"].append({"item": {"reference": full_url}})

    filed, submitted, described, _ = locations(await publish(made))

    assert members_of(await read(client, filed)) == [name_of(described)]
    assert members_of(await read(client, submitted)) == [name_of(described), name_of(filed)]


async def test_folder_gets_its_identifiers(client: httpx.AsyncClient, publish: Publish, document: str) -> None:
    """MHD-65-115, MHD-65-116: uniqueId and entryUUID are assigned where the source sends none."""
    made = await read(client, locations(await publish(creating(folder(document, identifier=None))))[1])

    by_kind = {one["type"]["coding"][0]["code"]: one["value"] for one in made["identifier"]}
    assert by_kind[UNIQUE_ID].startswith("urn:")
    assert by_kind[ENTRY_UUID].startswith("urn:uuid:")


async def test_unique_id_of_a_folder_is_used_once(publish: Publish, stored: Resource, counts: Count) -> None:
    """MHD-65-114: a new Folder with the uniqueId of a stored one."""
    before = await counts()
    taken = [one for one in stored["identifier"] if one["type"]["coding"][0]["code"] == UNIQUE_ID]

    response = await publish(creating(folder(*members_of(stored), identifier=taken)))

    assert (response.status_code, details(issue(response))) == (409, "XDSDuplicateUniqueIdInRegistry")
    assert await counts() == before


@pytest.mark.parametrize("element", ["title", "extension", "subject"])
async def test_new_folder_meets_its_level(publish: Publish, counts: Count, document: str, element: str) -> None:
    """MHD-PR-21, A-12: at the comprehensive levels a new Folder is comprehensive."""
    before = await counts()

    response = await publish(creating(folder(document, **{element: None})))

    assert response.status_code in (400, 422), response.text
    assert issue(response)["expression"][0].startswith("Bundle.entry[1].resource")
    assert await counts() == before


async def test_minimal_folder_at_the_minimal_level(publish: Publish, document: str) -> None:
    """MHD-PR-21, MHD-GEN-11: title and designationType may be missing."""
    made = creating(folder(document, title=None, extension=None))

    assert (await publish(changed(made, "meta.profile.0", f"{SD}/IHE.MHD.Minimal.ProvideBundle"))).status_code == 200


async def test_document_is_added(client: httpx.AsyncClient, publish: Publish, stored: Resource, document: str) -> None:
    """MHD-65-90, MHD-65-91, MHD-65-96, MHD-65-123, MHD-XDS-06: PUT to `List/id` with a new document of the Bundle."""
    made = submission()
    grown = folder(document, made["entry"][1]["fullUrl"], identifier=stored["identifier"], date=LONG_AGO)
    made["entry"].append(entry(grown, "", "PUT", f"List/{stored['id']}"))

    response = await publish(made)

    told = response.json()["entry"][3]["response"]
    assert (told["status"], told["etag"]) == ("200 OK", 'W/"2"')
    assert told["location"].endswith(f"/List/{stored['id']}/_history/2")
    found = await read(client, f"List/{stored['id']}")
    assert members_of(found) == [document, name_of(locations(response)[1])]
    assert found["identifier"] == stored["identifier"]
    assert is_now(found["date"])
    assert found["date"] > stored["date"]


async def added_by(publish: Publish, how: str, stored: Resource) -> httpx.Response:
    """Put a document more into `stored`, which is named in the way `how`."""
    second = await published(publish)
    own = next(one for one in stored["identifier"] if one["type"]["coding"][0]["code"] == UNIQUE_ID)
    made = folder(*members_of(stored), second, identifier=[own])
    base = "http://test.example.org/fhir"
    match how:
        case "id":
            return await publish(updating(made | {"id": stored["id"]}, "List"))
        case "fullUrl":
            return await publish(updating(made, "List", f"{base}/List/{stored['id']}"))
        case "absolute":
            return await publish(updating(made, f"{base}/List/{stored['id']}"))
    return await publish(updating(made, "List"))


@pytest.mark.parametrize("how", ["absolute", "id", "fullUrl", "identifier"])
async def test_folder_is_found_by(client: httpx.AsyncClient, publish: Publish, stored: Resource, how: str) -> None:
    """MHD-65-91, D-02: `request.url` is `List`, and the resource's id, its fullUrl or its identifier tells which."""
    response = await added_by(publish, how, stored)

    assert response.status_code == 200, response.text
    assert response.json()["entry"][1]["response"]["location"].endswith(f"/List/{stored['id']}/_history/2")
    assert len(members_of(await read(client, f"List/{stored['id']}"))) == 2


@pytest.mark.parametrize("url", ["List/new-id", "List", "List?identifier=urn:oid:2.999.1|none"])
async def test_put_creates_no_folder(publish: Publish, counts: Count, document: str, url: str) -> None:
    """MHD-65-78, MHD-65-91, MHD-65-92: a PUT that names no stored Folder."""
    before = await counts()

    response = await publish(updating(folder(document), url))

    assert (response.status_code, issue(response)["code"]) in ((400, "not-found"), (404, "not-found"))
    assert issue(response)["expression"] == ["Bundle.entry[1].request.url"]
    assert await counts() == before


CHANGES: dict[str, dict[str, Any]] = {
    "MHD-65-93 a member less": {"entry": None},
    "MHD-65-93 another patient": {"subject": {"reference": "Patient/p2"}},
    "MHD-65-93 another identifier": {"identifier": [identifier(UNIQUE_ID, oid())]},
    "MHD-XDS-07 retired": {"status": "retired"},
    "MHD-XDS-07 entered in error": {"status": "entered-in-error"},
}


@pytest.mark.parametrize("name", CHANGES)
async def test_other_change_is_refused(publish: Publish, counts: Count, stored: Resource, name: str) -> None:
    """MHD-65-93, MHD-XDS-07: an update adds members; the Folder stays what and whose it is, and current."""
    subject = CHANGES[name].get("subject") or {"reference": "Patient/p1"}
    grown = folder(*members_of(stored), **({"identifier": stored["identifier"]} | CHANGES[name]))
    before = await counts()

    response = await publish(updating(grown, f"List/{stored['id']}", subject=subject))

    assert (response.status_code, issue(response)["code"]) == (422, "business-rule"), response.text
    assert issue(response)["expression"][0].startswith("Bundle.entry[1].resource.")
    assert await counts() == before


async def test_update_without_identifier_keeps_the_old_ones(
    client: httpx.AsyncClient, publish: Publish, stored: Resource
) -> None:
    """MHD-65-93, MHD-XDS-06: what the source leaves out does not vanish."""
    grown = folder(*members_of(stored), identifier=None)

    assert (await publish(updating(grown, f"List/{stored['id']}"))).status_code == 200
    assert (await read(client, f"List/{stored['id']}"))["identifier"] == stored["identifier"]


@pytest.fixture
async def free_hand(publish: Publish, mongodb_url: str, database_name: str) -> AsyncIterator[httpx.AsyncClient]:
    """A client of a server on which an update of a Folder may take members away."""
    async with served(mongodb_url, database_name, folder_additive_only=False) as client:
        yield client


async def test_members_may_go_where_the_switch_allows(
    free_hand: httpx.AsyncClient, publish: Publish, stored: Resource
) -> None:
    """MHD-65-93: with `folder_additive_only` off."""
    second = await published(publish)
    made = updating(folder(second, identifier=stored["identifier"]), f"List/{stored['id']}")

    assert (await free_hand.post("", json=made, headers=FHIR_JSON)).status_code == 200
    assert members_of(await read(free_hand, f"List/{stored['id']}")) == [second]


@pytest.mark.parametrize("method", ["POST", "PUT"])
async def test_folder_holds_documents_only(
    publish: Publish, counts: Count, stored: Resource, document: str, method: str
) -> None:
    """MHD-65-94: neither Folders nor SubmissionSets are members of one."""
    wrong = folder(document, f"List/{stored['id']}", identifier=None if method == "POST" else stored["identifier"])
    before = await counts()

    response = await publish(creating(wrong) if method == "POST" else updating(wrong, f"List/{stored['id']}"))

    assert response.status_code == 400, response.text
    assert issue(response)["expression"][0].startswith("Bundle.entry[1].resource.entry[1]")
    assert await counts() == before


async def wrong_member(publish: Publish, kind: str) -> str:
    if kind == "unknown":
        return "DocumentReference/nope"
    if kind == "other patient":
        return await published(publish, subject="Patient/p2")
    old = await published(publish)
    await published(publish, relatesTo=[{"code": "replaces", "target": {"reference": old}}])
    return old


MEMBERS = {
    "unknown": (400, "UnresolvedReferenceException"),
    "other patient": (422, "XDSPatientIdDoesNotMatch"),
    "superseded": (422, "XDSRegistryDeprecatedDocumentError"),
}


@pytest.mark.parametrize("method", ["POST", "PUT"])
@pytest.mark.parametrize("kind", MEMBERS)
async def test_new_member_is_current_and_of_the_same_patient(
    publish: Publish, counts: Count, stored: Resource, document: str, kind: str, method: str
) -> None:
    """MHD-65-95, MHD-XDS-05: a document that is unknown, another patient's, or superseded."""
    wrong = folder(document, await wrong_member(publish, kind), identifier=None)
    before = await counts()

    response = await publish(creating(wrong) if method == "POST" else updating(wrong, f"List/{stored['id']}"))

    assert (response.status_code, details(issue(response))) == MEMBERS[kind], response.text
    assert issue(response)["expression"] == ["Bundle.entry[1].resource.entry[1].item"]
    assert await counts() == before


async def test_folder_of_another_patient_than_the_submission(publish: Publish, counts: Count, document: str) -> None:
    """MHD-65-41, MHD-65-95: the Folder's patient is that of the SubmissionSet."""
    before = await counts()

    response = await publish(creating(folder(document, subject={"reference": "Patient/p2"})))

    assert (response.status_code, details(issue(response))) == (422, "XDSPatientIdDoesNotMatch")
    assert await counts() == before


async def test_new_folder_is_listed(publish: Publish, counts: Count, document: str) -> None:
    """MHD-65-97: a new Folder that its SubmissionSet does not list."""
    made = bundle(entry(submission_set(entry=None)), entry(folder(document)))
    before = await counts()

    response = await publish(made)

    assert (response.status_code, issue(response)["code"]) == (422, "business-rule")
    assert issue(response)["expression"] == ["Bundle.entry[0].resource.entry"]
    assert await counts() == before


async def test_updated_folder_may_be_listed(client: httpx.AsyncClient, publish: Publish, stored: Resource) -> None:
    """MHD-65-97, MHD-65-101: the SubmissionSet may list a Folder that it updates."""
    grown = folder(*members_of(stored), identifier=None)
    made = bundle(
        entry(submission_set(f"List/{stored['id']}")),
        entry(grown, f"{client.base_url}List/{stored['id']}", "PUT", f"List/{stored['id']}"),
    )

    submitted = locations(await publish(made))[0]

    assert members_of(await read(client, submitted)) == [f"List/{stored['id']}"]


@pytest.mark.parametrize("disguise", [False, True])
async def test_submission_set_is_final(
    client: httpx.AsyncClient, publish: Publish, counts: Count, disguise: bool
) -> None:
    """MHD-65-98, MHD-XDS-08: a PUT of a SubmissionSet, also one that calls itself a Folder."""
    response = await publish(submission())
    submitted, document = [name_of(one) for one in locations(response)[:2]]
    known = await read(client, submitted)
    sent = folder(document, identifier=None) if disguise else submission_set(document, identifier=known["identifier"])
    before = await counts()

    response = await publish(updating(sent, submitted))

    assert response.status_code in (400, 422), response.text
    assert await counts() == before
    assert await read(client, submitted) == known


async def test_folder_is_put_once(publish: Publish, counts: Count, stored: Resource) -> None:
    """MHD-65-22: two entries for one Folder."""
    second, third = await published(publish), await published(publish)
    entries = [
        entry(folder(*members_of(stored), one, identifier=None), "", "PUT", f"List/{stored['id']}")
        for one in (second, third)
    ]
    before = await counts()

    response = await publish(bundle(entry(submission_set(entry=None)), *entries))

    assert response.status_code in (400, 409), response.text
    assert issue(response)["expression"] == ["Bundle.entry[2].request.url"]
    assert await counts() == before


async def test_replacement_joins_the_folders(
    client: httpx.AsyncClient, publish: Publish, stored: Resource, document: str
) -> None:
    """MHD-65-80, MHD-65-96, A-25: the replacement becomes a member, what it replaces stays one, and the date is new."""
    relation = {"code": "replaces", "target": {"reference": document}}

    successor = await published(publish, relatesTo=[relation])

    found = await read(client, f"List/{stored['id']}")
    assert members_of(found) == [document, successor]
    assert found["meta"]["versionId"] == "2"
    assert found["date"] > stored["date"]


async def test_other_relations_do_not_join_the_folders(
    client: httpx.AsyncClient, publish: Publish, stored: Resource, document: str
) -> None:
    """MHD-65-80, MHD-65-81: an addendum does not become a member."""
    await published(publish, relatesTo=[{"code": "appends", "target": {"reference": document}}])

    assert (await read(client, f"List/{stored['id']}"))["meta"]["versionId"] == "1"


async def test_replacement_and_update_in_one_submission(
    client: httpx.AsyncClient, publish: Publish, stored: Resource, document: str
) -> None:
    """MHD-65-80, MHD-65-22: both add their members, and the Folder has one new version."""
    third = await published(publish)
    made = submission(relatesTo=[{"code": "replaces", "target": {"reference": document}}])
    grown = folder(document, third, identifier=None, title="A new title")
    made["entry"].append(entry(grown, "", "PUT", f"List/{stored['id']}"))

    response = await publish(made)

    found = await read(client, f"List/{stored['id']}")
    assert set(members_of(found)) == {document, third, name_of(locations(response)[1])}
    assert len(members_of(found)) == 3
    assert (found["title"], found["meta"]["versionId"]) == ("A new title", "2")


async def test_conditional_member_is_held_to_the_rules(publish: Publish, counts: Count) -> None:
    """MHD-65-30, MHD-65-95: a member that is named by a condition is of the Folder's own patient."""
    value = oid()
    await publish(submission(subject="Patient/p2", masterIdentifier=identifier(UNIQUE_ID, value)))
    before = await counts()

    response = await publish(creating(folder(f"DocumentReference?identifier=urn:ietf:rfc:3986|{value}")))

    assert (response.status_code, details(issue(response))) == (422, "XDSPatientIdDoesNotMatch"), response.text
    assert await counts() == before


async def test_folder_is_no_member_of_a_folder(publish: Publish, document: str) -> None:
    """MHD-65-94: nor is a new one of the same Bundle."""
    made = creating(folder(document))
    outer = entry(folder(made["entry"][1]["fullUrl"]))
    made["entry"].append(outer)
    made["entry"][0]["resource"]["entry"].append({"item": {"reference": outer["fullUrl"]}})

    assert (await publish(made)).status_code in (400, 422)
