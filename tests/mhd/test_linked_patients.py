"""Documents follow their patients: found under any linked number, after a merge and after its undoing."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import TYPE_CHECKING

import httpx
import pytest

from tests.patients import (
    JSON,
    KATARINA,
    KATARINA_SOUTH,
    NATIONAL,
    NORTH,
    PETER,
    SOUTH,
    client_of,
    fed,
    feed,
    person,
    running_app,
    settings_of,
)
from tests.submissions import entry, submission

if TYPE_CHECKING:
    from app.store.driver import Connection

N_1001, N_1002, S_77, NUMBER = f"{NORTH}|N-1001", f"{NORTH}|N-1002", f"{SOUTH}|S-77", f"{NATIONAL}|8453070123"


@pytest.fixture
async def index(mongodb_url: str, database_name: str, database: Connection) -> AsyncIterator[httpx.AsyncClient]:
    """An index that lets a source undo its merges."""
    settings = settings_of(mongodb_url, database_name, allow_unmerge=True)
    async with running_app(settings) as app, client_of(app) as client:
        yield client


async def published(index: httpx.AsyncClient, patient: str) -> str:
    """Publish a document of the record `patient`; return the id of its DocumentReference."""
    answer = await index.post("", json=submission(subject=f"Patient/{patient}"), headers=JSON)
    assert answer.status_code == 200, answer.text
    locations = [one["response"]["location"] for one in answer.json()["entry"]]
    return next(one.split("/")[-3] for one in locations if "/DocumentReference/" in one)


async def documents(index: httpx.AsyncClient, **asked: str) -> set[str]:
    """The ids of the current documents that a Document Consumer finds."""
    pairs = {name.replace("_", ".") if name != "patient" else name: value for name, value in asked.items()}
    answer = await index.get("/DocumentReference", params=pairs | {"status": "current"})
    assert answer.status_code == 200, answer.text
    return {one["resource"]["id"] for one in answer.json().get("entry", ())}


async def test_documents_under_every_linked_number(index: httpx.AsyncClient) -> None:
    """ITI-67 follows cross-references: North's, South's and the national number find the same documents."""
    north, south, peter = await fed(index, KATARINA), await fed(index, KATARINA_SOUTH), await fed(index, PETER)
    mine = {await published(index, north), await published(index, south)}
    other = await published(index, peter)
    for number in (N_1001, S_77, NUMBER):
        assert await documents(index, patient_identifier=number) == mine
    assert await documents(index, patient_identifier=f"{NORTH}|N-2044") == {other}
    lists = await index.get("/List", params={"patient.identifier": S_77, "code": "submissionset", "status": "current"})
    assert lists.json()["total"] == 2


async def test_merge_moves_nothing_and_loses_nothing(index: httpx.AsyncClient) -> None:
    """PIXM-104-31, PIXM-104-36: after a merge, and after its undoing, each document is filed as it was, and found as it should."""
    north, south = await fed(index, KATARINA), await fed(index, KATARINA_SOUTH)
    loser = person(NORTH, "N-1002", name=[{"family": "Dvorska", "given": ["Zita"]}], birthDate="1930-11-12")
    lost = await fed(index, loser)
    filed = {each: await published(index, each) for each in (north, south, lost)}
    before = {each: (await index.get(f"/DocumentReference/{name}")).content for each, name in filed.items()}

    link = {"other": {"identifier": {"system": NORTH, "value": "N-1001"}}, "type": "replaced-by"}
    assert (await feed(index, loser | {"active": False, "link": [link]})).status_code == 200
    for number in (N_1001, N_1002, S_77, NUMBER):
        assert await documents(index, patient_identifier=number) == set(filed.values())
    assert await documents(index, patient=f"Patient/{lost}") == {filed[lost]}

    assert (await feed(index, loser)).status_code == 200
    for number in (N_1001, S_77, NUMBER):
        assert await documents(index, patient_identifier=number) == {filed[north], filed[south]}
    assert await documents(index, patient_identifier=N_1002) == {filed[lost]}
    after = {each: (await index.get(f"/DocumentReference/{name}")).content for each, name in filed.items()}
    assert after == before


async def test_removed_number_leads_nowhere(index: httpx.AsyncClient) -> None:
    """PIXM-104-54: the documents of others stay findable under their own numbers."""
    north, south = await fed(index, KATARINA), await fed(index, KATARINA_SOUTH)
    filed = await published(index, north)
    await published(index, south)
    assert (await index.delete("/Patient", params={"identifier": S_77})).status_code == 204
    assert await documents(index, patient_identifier=N_1001) == {filed}
    assert await documents(index, patient_identifier=S_77) == set()


async def test_submission_names_the_owner_of_a_number(index: httpx.AsyncClient) -> None:
    """MHD-65-45, PIXM-DOM-06: a record that only mentions a number does not make it ambiguous."""
    north = await fed(index, person(NORTH, "N-1"))
    mentioning = person(SOUTH, "S-1", name=[{"family": "Unrelated"}], birthDate="1999-09-09")
    mentioning["identifier"].append({"system": NORTH, "value": "N-1"})
    await fed(index, mentioning)
    made = submission(subject=None)
    for one in made["entry"][:2]:
        one["resource"]["subject"] = {"identifier": {"system": NORTH, "value": "N-1"}}
    answer = await index.post("", json=made, headers=JSON)
    assert answer.status_code == 200, answer.text
    assert len(await documents(index, patient=f"Patient/{north}")) == 1


async def test_submission_does_not_overwrite_a_fed_patient(index: httpx.AsyncClient) -> None:
    """MHD-65-46, PIXM-DOM-02: a Patient that an identity source feeds is revised by that source alone."""
    north = await fed(index, KATARINA)
    made = submission(subject=f"Patient/{north}")
    changed = {"resourceType": "Patient", "id": north, "name": [{"family": "Somebody else"}]}
    made["entry"].append(entry(changed, method="PUT", url=f"Patient/{north}"))

    answer = await index.post("", json=made, headers=JSON)

    assert (answer.status_code, answer.json()["issue"][0]["code"]) == (422, "business-rule"), answer.text
    assert (await index.get(f"/Patient/{north}")).json()["meta"]["versionId"] == "1"
    assert await documents(index, patient=north) == set()
