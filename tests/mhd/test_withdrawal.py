"""Documents that the operator takes back: `app.document.withdrawal`, and what Consumers see of it over HTTP."""

from __future__ import annotations

import random

import httpx
import pytest
from fastapi import FastAPI

from app.document.withdrawal import withdraw
from app.fhir.outcome import FhirError
from app.store.content import CHUNK_BYTES
from app.store.driver import Connection
from app.transaction import Context
from tests.mhd.conftest import Count, Publish, issue, locations
from tests.mhd.test_folders import folder
from tests.submissions import HELLO, UNIQUE_ID, entry, identifier, oid, submission, urn

LARGE = random.Random(1).randbytes(2 * CHUNK_BYTES + 5)


@pytest.fixture
def context(app: FastAPI, client: httpx.AsyncClient) -> Context:
    """What the handlers of the running server reach."""
    found: Context = app.state.context
    return found


def name_of(location: str) -> str:
    """Return `Type/id` of a location."""
    return "/".join(location.rsplit("/", 2)[1:])


async def test_withdrawn(client: httpx.AsyncClient, publish: Publish, context: Context, counts: Count) -> None:
    """MHD-68-11: the document is gone, 410; the DocumentReference says so, and is current no more; nothing else changes."""
    list_, document, content = locations(await publish(submission(LARGE)))

    [done] = await withdraw(name_of(document), context)

    gone = await client.get(content)
    assert (gone.status_code, issue(gone)["code"]) == (410, "deleted")
    assert (await client.get(f"{content}/_history/1")).status_code == 410
    assert (await client.get(f"{content}?_format=json")).status_code == 410
    found = (await client.get(document)).json()
    assert (found["status"], found["meta"]["versionId"]) == ("entered-in-error", "2")
    assert (await client.get("DocumentReference?patient=p1&status=current")).json()["total"] == 0
    assert (await client.get("DocumentReference?patient=p1&status=entered-in-error")).json()["total"] == 1
    assert len((await client.get(list_)).json()["entry"]) == 1
    assert (done.name, done.purged, done.changed, done.related) == (name_of(document), (name_of(content),), (), ())


async def test_nothing_of_the_bytes_is_left(
    publish: Publish, context: Context, database: Connection, counts: Count
) -> None:
    """MHD-68-11: neither chunks nor versions hold the document, whether it lay in chunks or in its record."""
    for document in (LARGE, b"a secret that was short"):
        name = name_of(locations(await publish(submission(document)))[1])
        await withdraw(name, context)

    left = await counts()
    assert (left["content_chunk"], left["staged_content"], left["Binary"]) == (0, 0, 0)
    async for one in database.database["history"].find({"_id": {"$regex": "^Binary/"}}):
        assert (one["json"], one.get("content"), one["deleted"]) == (b"", None, True)


async def test_deleted(client: httpx.AsyncClient, publish: Publish, context: Context, database: Connection) -> None:
    """MHD-68-11: DocumentReference, its versions and its document answer 410; no List leads to it."""
    made = submission(HELLO)
    made["entry"].append(entry(folder(made["entry"][1]["fullUrl"]), full_url := urn()))
    made["entry"][0]["resource"]["entry"].append({"item": {"reference": full_url}})
    list_, document, content, folder_ = locations(await publish(made))

    [done] = await withdraw(name_of(document), context, is_deleted=True)

    for url in (document, f"{document}/_history/1", content, f"{content}/_history/1"):
        assert (await client.get(url)).status_code == 410, url
    assert (await client.get(f"{document}/_history/9")).status_code == 404
    assert (await client.get("DocumentReference?patient=p1")).json()["total"] == 0
    items = [one["item"]["reference"] for one in (await client.get(list_)).json()["entry"]]
    assert items == [name_of(folder_)]
    assert "entry" not in (await client.get(folder_)).json()
    assert set(done.changed) == {name_of(list_), name_of(folder_)}
    kept = [one["_id"] async for one in database.database["history"].find({"json": {"$ne": b""}})]
    assert {one.partition("/")[0] for one in kept} == {"List"}


async def test_by_unique_id(client: httpx.AsyncClient, publish: Publish, context: Context) -> None:
    """MHD-65-112: the uniqueId means all DocumentReferences of the document."""
    unique = oid()
    found = [
        locations(await publish(submission(HELLO, masterIdentifier=identifier(UNIQUE_ID, unique))))[1] for _ in range(2)
    ]

    done = await withdraw(unique, context)

    assert {one.name for one in done} == {name_of(one) for one in found}
    for url in found:
        assert (await client.get(url)).json()["status"] == "entered-in-error"


async def test_a_deleted_unique_id_is_free(publish: Publish, context: Context) -> None:
    """MHD-65-112: what was published by mistake can be published again, with other bytes, once it is deleted."""
    unique = identifier(UNIQUE_ID, oid())
    name = name_of(locations(await publish(submission(HELLO, masterIdentifier=unique)))[1])
    assert (await publish(submission(b"other", masterIdentifier=unique))).status_code == 409

    await withdraw(name, context, is_deleted=True)

    assert (await publish(submission(b"other", masterIdentifier=unique))).status_code == 200


async def test_what_refers_to_it(client: httpx.AsyncClient, publish: Publish, context: Context) -> None:
    """MHD-67-34: who refers to a withdrawn document is told; one that others refer to is not deleted."""
    first = name_of(locations(await publish(submission(HELLO)))[1])
    relation = [{"code": "transforms", "target": {"reference": first}}]
    second = name_of(locations(await publish(submission(b"transformed", relatesTo=relation)))[1])

    with pytest.raises(FhirError, match=second):
        await withdraw(first, context, is_deleted=True)
    assert (await client.get(first)).json()["status"] == "current"
    [done] = await withdraw(first, context)

    assert done.related == (second,)
    target = (await client.get(second)).json()["relatesTo"][0]["target"]["reference"]
    assert (await client.get(target)).status_code == 200


async def test_withdrawn_documents_are_not_replaced(publish: Publish, context: Context) -> None:
    """MHD-65-73: a document that is entered-in-error is no target of a relation any more."""
    name = name_of(locations(await publish(submission(HELLO)))[1])
    await withdraw(name, context)

    relation = [{"code": "replaces", "target": {"reference": name}}]
    assert (await publish(submission(b"new", relatesTo=relation))).status_code == 422


async def test_withdrawn_twice(client: httpx.AsyncClient, publish: Publish, context: Context) -> None:
    """MHD-68-11: a second time changes nothing that anybody could see but the version; deleting still works."""
    _, document, content = locations(await publish(submission(HELLO)))

    for is_deleted in (False, False, True):
        await withdraw(name_of(document), context, is_deleted=is_deleted)

    for url in (document, content):
        assert (await client.get(url)).status_code == 410


@pytest.mark.parametrize("named", ["DocumentReference/nope", "nope", "urn:oid:2.25.1", "List/1", ""])
async def test_unknown(context: Context, patients: None, named: str) -> None:
    """MHD-68-09: what is not there cannot be withdrawn; 404."""
    with pytest.raises(FhirError) as caught:
        await withdraw(named, context)
    assert caught.value.status == 404


@pytest.mark.parametrize("method", ["PUT", "PATCH", "DELETE"])
async def test_the_door_is_closed_over_http(client: httpx.AsyncClient, publish: Publish, method: str) -> None:
    """MHD-GEN-10: no metadata update, no delete: 405 for each resource that was published, which stays as it is."""
    for url in locations(await publish(submission(HELLO))):
        before = (await client.get(url)).content
        response = await client.request(method, url, json={}, headers={"content-type": "application/fhir+json"})
        assert (response.status_code, issue(response)["code"]) == (405, "not-supported")
        assert (await client.get(url)).content == before
