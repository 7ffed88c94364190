"""The store's promises: all or nothing, versions, unique keys, reads.

FHIR R4 http.html; IHE ITI TF-2:3.65.4.1.3; mhd.md section 21.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from datetime import UTC, datetime, timedelta

import orjson
import pytest

from app.fhir.outcome import FhirError
from app.search.definitions import Definitions
from app.store.change import Change, Create, Delete, KeyTaken, Require, Update, VersionConflict
from app.store.driver import Connection, Driver, connect
from app.store.resources import Kept, Store
from tests.builders import binary, document_reference, patient

NOW = datetime(2025, 3, 4, 10, 0, 0, 123_456, tzinfo=UTC)
MB = 1024 * 1024


async def bytes_of(data: bytes) -> AsyncIterator[bytes]:
    yield data


async def counts(database: Connection) -> dict[str, int]:
    """Return the number of records of every collection that has some."""
    names = sorted(await database.database.list_collection_names())
    found = {name: await database.database[name].count_documents({}) for name in names}
    return {name: count for name, count in found.items() if count}


async def outcome_of_read(store: Store, resource_type: str, id: str) -> tuple[int, str]:
    with pytest.raises(FhirError) as error:
        await store.read(resource_type, id)
    return error.value.status, error.value.issues[0].code


async def test_create_and_read(store: Store) -> None:
    """FHIR R4 http.html#create: the first version is 1, and what is read is what was acknowledged."""
    (created,) = await store.commit([Create(patient("p1"))], NOW)
    assert await store.read("Patient", "p1") == created
    assert (created.version, created.updated) == (1, NOW.replace(microsecond=123_000))
    assert orjson.loads(created.json) == {
        **patient("p1"),
        "meta": {"versionId": "1", "lastUpdated": "2025-03-04T10:00:00.123Z"},
    }


async def test_read_of_what_never_was(store: Store) -> None:
    """FHIR R4 http.html#read: 404 for an unknown id."""
    assert await outcome_of_read(store, "Patient", "p1") == (404, "not-found")


async def test_update_keeps_the_old_version(store: Store) -> None:
    """FHIR R4 http.html#vread: each version stays readable."""
    (first,) = await store.commit([Create(patient("p1"))], NOW)
    (second,) = await store.commit([Update(patient("p1", active=True))], NOW + timedelta(seconds=1))
    assert second.version == 2
    assert await store.read("Patient", "p1") == second
    assert [await store.vread("Patient", "p1", version) for version in (1, 2)] == [first, second]


async def test_vread_of_unknown_version(store: Store) -> None:
    """FHIR R4 http.html#vread: 404 for a version that never was."""
    await store.commit([Create(patient("p1"))], NOW)
    with pytest.raises(FhirError) as error:
        await store.vread("Patient", "p1", 2)
    assert error.value.status == 404


async def test_update_creates_what_is_not_there(store: Store) -> None:
    """FHIR R4 http.html#upsert: an update of an unknown id is its first version."""
    (kept,) = await store.commit([Update(patient("p1"))], NOW)
    assert kept.version == 1
    assert await store.read("Patient", "p1") == kept


async def test_time_of_change_never_goes_back(store: Store) -> None:
    """FHIR R4 resource.html#Meta: lastUpdated of a later version is not earlier, whatever a worker's clock says."""
    await store.commit([Create(patient("p1"))], NOW)
    (second,) = await store.commit([Update(patient("p1"))], NOW - timedelta(hours=1))
    assert second.updated == NOW.replace(microsecond=123_000)


async def test_deleted_record_is_gone_and_its_versions_are_not(store: Store) -> None:
    """FHIR R4 http.html#delete: 410 after a deletion; history stays readable, the deletion is a version of its own."""
    (first,) = await store.commit([Create(patient("p1"))], NOW)
    (deletion,) = await store.commit([Delete("Patient", "p1")], NOW)
    assert (deletion.version, deletion.json) == (2, b"")
    assert await outcome_of_read(store, "Patient", "p1") == (410, "deleted")
    assert await store.vread("Patient", "p1", 1) == first
    with pytest.raises(FhirError) as error:
        await store.vread("Patient", "p1", 2)
    assert error.value.status == 410


async def test_delete_again(store: Store) -> None:
    """FHIR R4 http.html#delete: deleting what is deleted changes nothing."""
    await store.commit([Create(patient("p1"))], NOW)
    first = await store.commit([Delete("Patient", "p1")], NOW)
    assert await store.commit([Delete("Patient", "p1")], NOW + timedelta(days=1)) == first


async def test_delete_of_what_never_was(store: Store) -> None:
    """FHIR R4 http.html#delete: 404."""
    with pytest.raises(FhirError) as error:
        await store.commit([Delete("Patient", "p1")], NOW)
    assert error.value.status == 404


async def test_update_after_delete_goes_on_counting(store: Store) -> None:
    """FHIR R4 http.html#delete: a deleted resource may be brought back, its version ids stay unique."""
    await store.commit([Create(patient("p1"))], NOW)
    await store.commit([Delete("Patient", "p1")], NOW)
    (revived,) = await store.commit([Update(patient("p1"))], NOW)
    assert revived.version == 3
    assert await store.read("Patient", "p1") == revived


FAILING: list[tuple[Change, type[Exception]]] = [
    (Create(patient("taken")), KeyTaken),
    (Create(patient("new"), unique=("urn:oid:1.2.3",)), KeyTaken),
    (Update(patient("taken"), if_version=7), VersionConflict),
    (Update(patient("unknown"), if_version=1), VersionConflict),
    (Update(patient("taken"), if_version=0), VersionConflict),
    (Require("Patient", "taken", 2), VersionConflict),
    (Require("Patient", "unknown", 1), VersionConflict),
    (Delete("Patient", "unknown"), FhirError),
    (Create(patient("huge", photo=[{"data": "A" * 17 * MB}])), FhirError),
]


@pytest.mark.parametrize(("failing", "error"), FAILING)
@pytest.mark.parametrize("place", [0, 2, 4])
async def test_all_or_nothing(
    store: Store, database: Connection, failing: Change, error: type[Exception], place: int
) -> None:
    """3.65.4.1.3: a submission that fails in one place leaves every collection as it was."""
    await store.commit([Create(patient("taken"), unique=("urn:oid:1.2.3",)), Create(patient("old"))], NOW)
    before = await counts(database)
    content = await store.content.stage(bytes_of(b"x" * 2 * MB))
    changes: list[Change] = [
        Create(binary("b1"), content),
        Create(document_reference("d1"), unique=("urn:oid:4.5.6",)),
        Update(patient("old")),
        Delete("Patient", "old"),
    ]
    changes.insert(place, failing)
    with pytest.raises(error):
        await store.commit(changes, NOW)
    await store.content.discard(content)
    assert await counts(database) == before


async def test_five_changes_together(store: Store, database: Connection) -> None:
    """3.65.4.1.3: all resources of a submission are kept, and the answers come in the order of the changes."""
    await store.commit([Create(patient("p1")), Create(patient("p2")), Create(patient("p3"))], NOW)
    content = await store.content.stage(bytes_of(b"x" * 2 * MB))
    changes: Sequence[Change] = (
        Update(patient("p1", active=False), if_version=1),
        Create(binary("b1"), content),
        Delete("Patient", "p2"),
        Create(document_reference("d1"), unique=("urn:oid:1.2.3", "urn:uuid:1")),
        Require("Patient", "p3", 1),
    )
    kept = await store.commit(changes, NOW)
    assert [(each.resource_type, each.id, each.version) for each in kept] == [
        ("Patient", "p1", 2),
        ("Binary", "b1", 1),
        ("Patient", "p2", 2),
        ("DocumentReference", "d1", 1),
        ("Patient", "p3", 1),
    ]
    assert await counts(database) == {
        "Binary": 1,
        "DocumentReference": 1,
        "Patient": 2,
        "content_chunk": 2,
        "deleted": 1,
        "history": 3,
        "unique_key": 2,
    }


async def test_key_is_held_once(store: Store) -> None:
    """Section 21 item 4: a uniqueId belongs to one resource; who holds it can be asked."""
    await store.commit([Create(document_reference("d1"), unique=("urn:oid:1.2.3",))], NOW)
    with pytest.raises(KeyTaken) as taken:
        await store.commit([Create(document_reference("d2"), unique=("urn:oid:9", "urn:oid:1.2.3"))], NOW)
    assert taken.value.key == "urn:oid:1.2.3"
    assert await store.holders(["urn:oid:1.2.3", "urn:oid:9"]) == {"urn:oid:1.2.3": "DocumentReference/d1"}


async def test_key_twice_in_one_submission(store: Store) -> None:
    """Section 21 item 4: two resources of one submission cannot share a uniqueId."""
    with pytest.raises(KeyTaken):
        await store.commit([Create(document_reference(name), unique=("urn:oid:1",)) for name in ("d1", "d2")], NOW)


async def test_holder_may_claim_its_key_again(store: Store) -> None:
    """Section 21 item 4: an update names the keys that its record holds already, and new ones."""
    await store.commit([Create(document_reference("d1"), unique=("urn:oid:1",))], NOW)
    await store.commit([Update(document_reference("d1"), unique=("urn:oid:1", "urn:oid:2"))], NOW)
    assert set(await store.holders(["urn:oid:1", "urn:oid:2"])) == {"urn:oid:1", "urn:oid:2"}
    with pytest.raises(KeyTaken):
        await store.commit([Update(document_reference("d2"), unique=("urn:oid:2",))], NOW)


async def test_deletion_frees_keys(store: Store) -> None:
    """Section 21 item 4: the keys of what is no more can be claimed again."""
    await store.commit([Create(document_reference("d1"), unique=("urn:oid:1",))], NOW)
    await store.commit([Delete("DocumentReference", "d1")], NOW)
    await store.commit([Create(document_reference("d2"), unique=("urn:oid:1",))], NOW)
    assert await store.holders(["urn:oid:1"]) == {"urn:oid:1": "DocumentReference/d2"}


async def race(*commits: Sequence[Change], store: Store) -> list[BaseException | tuple[Kept, ...]]:
    return await asyncio.gather(*(store.commit(changes, NOW) for changes in commits), return_exceptions=True)


async def test_one_of_many_concurrent_updates_wins(store: Store) -> None:
    """Section 21 item 5: of concurrent updates of one version exactly one succeeds."""
    await store.commit([Create(patient("p1"))], NOW)
    done = await race(*([Update(patient("p1"), if_version=1)] for _ in range(12)), store=store)
    assert sorted(type(each).__name__ for each in done) == ["VersionConflict"] * 11 + ["tuple"]
    assert (await store.read("Patient", "p1")).version == 2


async def test_unconditional_concurrent_updates_all_happen(store: Store) -> None:
    """FHIR R4 http.html#update: updates without a condition follow each other, none is lost."""
    await store.commit([Create(patient("p1"))], NOW)
    done = await race(*([Update(patient("p1"))] for _ in range(12)), store=store)
    assert sorted(each[0].version for each in done if isinstance(each, tuple)) == list(range(2, 14))


async def test_one_of_many_concurrent_claims_wins(store: Store, database: Connection) -> None:
    """Section 21 item 4: concurrent identical submissions cannot both win."""
    done = await race(
        *([Create(document_reference(f"d{n}"), unique=("urn:oid:1",)), Create(patient(f"p{n}"))] for n in range(12)),
        store=store,
    )
    assert sorted(type(each).__name__ for each in done) == ["KeyTaken"] * 11 + ["tuple"]
    assert await counts(database) == {"DocumentReference": 1, "Patient": 1, "unique_key": 1}


async def test_requirement_meets_a_concurrent_update(store: Store) -> None:
    """Section 21 item 5: what a commit requires cannot change while it happens, although it only looks at it."""
    for n in range(5):
        await store.commit([Create(patient(f"p{n}")), Create(patient(f"q{n}"))], NOW)
        done = await race(
            [Require("Patient", f"p{n}", 1), Update(patient(f"q{n}"))],
            [Require("Patient", f"q{n}", 1), Update(patient(f"p{n}"))],
            store=store,
        )
        assert sorted(type(each).__name__ for each in done) == ["VersionConflict", "tuple"]


@pytest.mark.parametrize("size", [0, 5, MB, MB + 1])
async def test_binary_owns_its_document(store: Store, database: Connection, size: int) -> None:
    """Section 21 item 1: a committed document is read with its Binary, also a former version, and is never swept."""
    data = b"x" * size
    await store.commit([Create(binary("b1"), await store.content.stage(bytes_of(data)))], NOW)
    await store.commit([Update(binary("b1", "text/csv"))], NOW)
    await store.commit([Update(binary("b1"), content=await store.content.stage(bytes_of(b"new")))], NOW)
    assert await store.content.sweep(timedelta(0)) == 0
    for version, expected in ((1, data), (2, data), (3, b"new")):
        kept = await store.vread("Binary", "b1", version)
        assert kept.content
        assert b"".join([chunk async for chunk in store.content.open(kept.content)]) == expected
    assert (await counts(database))["history"] == 2


async def test_swept_document_cannot_be_committed(store: Store, database: Connection) -> None:
    """Section 21 item 1: a dangling reference to a document is never written."""
    content = await store.content.stage(bytes_of(b"x" * 2 * MB))
    await store.content.sweep(timedelta(0))
    with pytest.raises(FhirError) as error:
        await store.commit([Create(binary("b1"), content)], NOW)
    assert (error.value.status, await counts(database)) == (503, {})


async def test_sweep_beside_commits(store: Store, database: Connection) -> None:
    """Section 21 item 1: a sweep in the middle of commits takes whole documents or none."""
    staged = [await store.content.stage(bytes_of(b"x" * 2 * MB)) for _ in range(8)]

    async def sweep() -> tuple[Kept, ...]:
        await store.content.sweep(timedelta(0))
        return ()

    commits = (store.commit([Create(binary(f"b{n}"), each)], NOW) for n, each in enumerate(staged))
    await asyncio.gather(*commits, sweep(), return_exceptions=True)
    kept = (await counts(database)).get("Binary", 0)
    assert (await counts(database)).get("content_chunk", 0) == 2 * kept


async def test_two_workers_ensure_at_once(mongodb_url: str, database: Connection, definitions: Definitions) -> None:
    """Architecture 22: workers that start together meet no error."""
    other = connect(mongodb_url, "pymongo", database.database.name)
    await database.database.drop_collection("List")
    await asyncio.gather(*(Store(each, definitions).ensure(["List", "Patient"]) for each in (database, other)))
    await other.close()
    assert "List" in await database.database.list_collection_names()


async def test_unreachable_database(driver: Driver, definitions: Definitions) -> None:
    """While the database is away, each request is answered 503 and says so."""
    url = "mongodb://127.0.0.1:9/?serverSelectionTimeoutMS=50"
    store = Store(connect(url, driver), definitions)
    assert await outcome_of_read(store, "Patient", "p1") == (503, "transient")
    for work in (store.ping(), store.commit([Create(patient("p1"), unique=("k",))], NOW), store.holders(["k"])):
        with pytest.raises(FhirError) as error:
            await work
        assert error.value.status == 503
    await store.close()


async def test_shared_key_is_for_who_means_the_same(store: Store) -> None:
    """Section 21 item 4: documents of one uniqueId and the same bytes share it; other bytes find it taken."""
    for name in ("d1", "d2"):
        await store.commit([Create(document_reference(name), shared=(("urn:oid:1", "hash a"),))], NOW)
    with pytest.raises(KeyTaken):
        await store.commit([Create(document_reference("d3"), shared=(("urn:oid:1", "hash b"),))], NOW)
    await store.commit([Delete("DocumentReference", "d1")], NOW)
    assert await store.holders(["urn:oid:1"]) == {"urn:oid:1": "DocumentReference/d2"}
    await store.commit([Delete("DocumentReference", "d2")], NOW)
    assert await store.holders(["urn:oid:1"]) == {}


async def test_concurrent_claims_of_a_shared_key(store: Store) -> None:
    """Section 21 item 4: of concurrent submissions only those that mean the same get the key."""
    done = await race(
        *([Create(document_reference(f"d{n}"), shared=(("urn:oid:1", f"hash {n % 2}"),))] for n in range(12)),
        store=store,
    )
    assert sorted(type(each).__name__ for each in done) == ["KeyTaken"] * 6 + ["tuple"] * 6
