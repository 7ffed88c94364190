"""Documents of patients who were merged: found under the survivor, and related to new documents of the survivor."""

from __future__ import annotations

from asyncio import gather
from collections.abc import AsyncIterator
from typing import TYPE_CHECKING, Any

import httpx
import pytest

from app.fhir.resource import Resource
from tests.mhd.conftest import details, issue, locations
from tests.mhd.test_folders import creating, folder, updating
from tests.patients import JSON, NORTH, client_of, fed, feed, person, running_app, settings_of
from tests.submissions import bundle, entry, submission, submission_set

if TYPE_CHECKING:
    from fastapi import FastAPI

    from app.store.driver import Connection

BIRTHDAYS = {"A": "1930-11-12", "B": "1951-02-03", "C": "1972-07-08"}


@pytest.fixture
async def running(mongodb_url: str, database_name: str, database: Connection) -> AsyncIterator[FastAPI]:
    """An index that lets a source undo its merges."""
    async with running_app(settings_of(mongodb_url, database_name, allow_unmerge=True)) as app:
        yield app


@pytest.fixture
async def index(running: FastAPI) -> AsyncIterator[httpx.AsyncClient]:
    async with client_of(running) as client:
        yield client


def somebody(number: str) -> Resource:
    return person(NORTH, f"N-{number}", name=[{"family": f"Person {number}"}], birthDate=BIRTHDAYS[number])


def merged(number: str, survivor: str) -> Resource:
    link = {"other": {"identifier": {"system": NORTH, "value": f"N-{survivor}"}}, "type": "replaced-by"}
    return somebody(number) | {"active": False, "link": [link]}


async def merge(index: httpx.AsyncClient, number: str, survivor: str) -> None:
    answer = await feed(index, merged(number, survivor))
    assert answer.status_code == 200, answer.text


async def post(index: httpx.AsyncClient, made: Resource) -> httpx.Response:
    return await index.post("", json=made, headers=JSON)


async def published(index: httpx.AsyncClient, patient: str, **elements: Any) -> str:
    """Publish a document of the record `patient`; return its name."""
    names = locations(await post(index, submission(subject=f"Patient/{patient}", **elements)))
    return next(f"DocumentReference/{one.rsplit('/', 1)[1]}" for one in names if "/DocumentReference/" in one)


async def documents(index: httpx.AsyncClient, patient: str, resource_type: str = "DocumentReference") -> set[str]:
    answer = await index.get(f"/{resource_type}", params={"patient": f"Patient/{patient}"})
    assert answer.status_code == 200, answer.text
    return {f"{resource_type}/{one['resource']['id']}" for one in answer.json().get("entry", ())}


async def test_found_under_the_survivor(index: httpx.AsyncClient) -> None:
    """MHD-MHDS-05, PIXM-104-31: DocumentReferences and Lists are found under the survivor, and still under their own."""
    a, b = await fed(index, somebody("A")), await fed(index, somebody("B"))
    of_a, of_b = await published(index, a), await published(index, b)
    lists = await documents(index, a, "List"), await documents(index, b, "List")
    before = (await index.get(of_a)).content

    await merge(index, "A", "B")

    assert await documents(index, b) == {of_a, of_b}
    assert await documents(index, a) == {of_a}
    assert await documents(index, b, "List") == lists[0] | lists[1]
    compartment = await index.get(f"/Patient/{b}/DocumentReference")
    assert compartment.json()["total"] == 2
    assert (await index.get(of_a)).content == before

    assert (await feed(index, somebody("A"))).status_code == 200
    assert await documents(index, b) == {of_b}
    assert await documents(index, a) == {of_a}


async def test_chain_of_merges(index: httpx.AsyncClient) -> None:
    """MHD-MHDS-05, PIXM-104-34: A into B, B into C; and when B's merge is undone, A stays with B."""
    a, b, c = [await fed(index, somebody(each)) for each in "ABC"]
    of_a, of_b, of_c = [await published(index, each) for each in (a, b, c)]
    await merge(index, "A", "B")
    await merge(index, "B", "C")
    assert await documents(index, c) == {of_a, of_b, of_c}
    assert await documents(index, b) == {of_a, of_b}

    assert (await feed(index, somebody("B"))).status_code == 200

    assert await documents(index, c) == {of_c}
    assert await documents(index, b) == {of_a, of_b}


async def test_merges_of_one_chain_at_once(index: httpx.AsyncClient) -> None:
    """MHD-MHDS-05: whichever of two merges comes first, the end of the chain has all documents, or the second is refused."""
    for _ in range(5):
        a, b, c = [await fed(index, somebody(each)) for each in "ABC"]
        filed = {await published(index, each) for each in (a, b, c)}
        answers = await gather(feed(index, merged("A", "B")), feed(index, merged("B", "C")))
        if {one.status_code for one in answers} == {200}:
            assert filed <= await documents(index, c)
        else:  # B was no longer active when A was to be merged into it
            assert sorted(one.status_code for one in answers) == [200, 422]
        for each in "BA":
            assert (await feed(index, somebody(each))).status_code == 200


async def test_new_version_and_reindex_keep_the_survivor(running: FastAPI, index: httpx.AsyncClient) -> None:
    """MHD-MHDS-05: a document that is superseded later, and terms that are found anew, stay with the survivor."""
    a, b = await fed(index, somebody("A")), await fed(index, somebody("B"))
    old = await published(index, a)
    await merge(index, "A", "B")

    new = await published(index, b, relatesTo=[{"code": "replaces", "target": {"reference": old}}])

    assert (await index.get(old)).json()["status"] == "superseded"
    assert await documents(index, b) == {old, new}
    async for progress in running.state.context.store.reindex(["DocumentReference", "List"]):
        assert progress.changed == 0
    assert await documents(index, b) == {old, new}


@pytest.mark.parametrize("code", ["appends", "transforms", "replaces", "signs"])
async def test_relation_across_a_merge(index: httpx.AsyncClient, code: str) -> None:
    """MHD-XDS-04: after a merge a document of the survivor relates to one that was published under the old id."""
    a, b = await fed(index, somebody("A")), await fed(index, somebody("B"))
    old = await published(index, a)
    relation = [{"code": code, "target": {"reference": old}}]

    response = await post(index, submission(subject=f"Patient/{b}", relatesTo=relation))
    assert details(issue(response)) == "XDSPatientIdDoesNotMatch"
    await merge(index, "A", "B")

    response = await post(index, submission(subject=f"Patient/{b}", relatesTo=relation))
    assert response.status_code == 200, response.text


async def test_folder_across_a_merge(index: httpx.AsyncClient) -> None:
    """MHD-XDS-04: a Folder takes documents of both, and stays filed as it was."""
    a, b = await fed(index, somebody("A")), await fed(index, somebody("B"))
    old, about = await published(index, a), {"reference": f"Patient/{b}"}
    answered = await post(
        index, creating(folder(subject={"reference": f"Patient/{a}"}), subject={"reference": f"Patient/{a}"})
    )
    name = "/".join(locations(answered)[1].rsplit("/", 2)[1:])
    of_both = folder(old, subject=about)
    assert details(issue(await post(index, creating(of_both, subject=about)))) == "XDSPatientIdDoesNotMatch"
    await merge(index, "A", "B")
    new = await published(index, b)

    created = await post(index, creating(of_both, subject=about))
    kept = (await index.get(name)).json()
    changed = folder(old, new, subject=about, identifier=kept["identifier"])
    updated = await post(index, updating(changed, name, subject=about))

    assert (created.status_code, updated.status_code) == (200, 200), created.text + updated.text
    now = (await index.get(name)).json()
    assert {one["item"]["reference"].split("/fhir/")[-1] for one in now["entry"]} == {old, new}
    assert now["subject"] == kept["subject"]
    assert name in await documents(index, b, "List")


async def test_nothing_new_for_who_was_merged(index: httpx.AsyncClient) -> None:
    """MHD-65-43, MHD-XDS-04: new documents name the survivor."""
    a, b = await fed(index, somebody("A")), await fed(index, somebody("B"))
    await merge(index, "A", "B")
    response = await post(index, submission(subject=f"Patient/{a}"))
    assert details(issue(response)) == "XDSUnknownPatientId"
    mixed = bundle(*submission(subject=f"Patient/{b}")["entry"])
    mixed["entry"][0] = entry(
        submission_set(mixed["entry"][1]["fullUrl"], subject={"reference": f"Patient/{a}"}),
        mixed["entry"][0]["fullUrl"],
    )
    assert (await post(index, mixed)).status_code in (400, 422)
