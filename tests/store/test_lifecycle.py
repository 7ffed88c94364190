"""What ends in the store, and what must not be missed when something ends: `Purge`, `Require`."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta

import pytest

from app.fhir.outcome import FhirError
from app.store.change import Create, Delete, Purge, Require, Update, VersionConflict
from app.store.content import CHUNK_BYTES
from app.store.driver import Connection
from app.store.resources import Store
from tests.builders import binary, document_reference, patient

NOW = datetime(2025, 3, 4, 10, 0, tzinfo=UTC)
LARGE = bytes(range(256)) * (CHUNK_BYTES // 128)


async def pieces(content: bytes) -> AsyncIterator[bytes]:
    for start in range(0, len(content), 100_000):
        yield content[start : start + 100_000]


async def test_purged_with_all_versions_and_documents(store: Store, database: Connection) -> None:
    """MHD-68-11: the record, its versions and the documents of all of them; the next sweep takes the chunks."""
    await store.commit([Create(binary("b"), await store.content.stage(pieces(LARGE)))], NOW)
    await store.commit([Update(binary("b"), content=await store.content.stage(pieces(LARGE[1:])))], NOW)

    (kept,) = await store.commit([Purge("Binary", "b")], NOW)

    assert (kept.version, kept.json) == (3, b"")
    assert await store.content.sweep(timedelta(days=1)) == 2
    assert await database.database["content_chunk"].count_documents({}) == 0
    for version in (None, 1, 2, 3):
        with pytest.raises(FhirError) as caught:
            await (store.vread("Binary", "b", version) if version else store.read("Binary", "b"))
        assert caught.value.status == 410
    with pytest.raises(FhirError) as caught:
        await store.vread("Binary", "b", 9)
    assert caught.value.status == 404


async def test_a_neighbour_stays(store: Store) -> None:
    """MHD-68-11: names that begin alike are not purged along."""
    for name in ("b", "b1", "b.", "bb"):
        await store.commit([Create(patient(name))], NOW)
        await store.commit([Update(patient(name, active=True))], NOW)

    await store.commit([Purge("Patient", "b")], NOW)

    for name in ("b1", "b.", "bb"):
        assert (await store.vread("Patient", name, 1)).version == 1


async def test_what_was_deleted_can_be_purged(store: Store, database: Connection) -> None:
    """MHD-68-11: versions that a deletion left are removed later."""
    await store.commit([Create(patient("p"), unique=("key",))], NOW)
    await store.commit([Delete("Patient", "p")], NOW)
    assert (await store.vread("Patient", "p", 1)).version == 1

    await store.commit([Purge("Patient", "p")], NOW)

    with pytest.raises(FhirError):
        await store.vread("Patient", "p", 1)
    assert await store.holders(["key"]) == {}
    with pytest.raises(FhirError) as caught:
        await store.commit([Purge("Patient", "nobody")], NOW)
    assert caught.value.status == 404


async def test_a_purged_record_may_come_again(store: Store) -> None:
    """FHIR R4 http.html#update: with a higher version than before."""
    await store.commit([Create(patient("p"))], NOW)
    await store.commit([Purge("Patient", "p")], NOW)

    (kept,) = await store.commit([Update(patient("p"))], NOW)

    assert kept.version == 3
    assert (await store.read("Patient", "p")).version == 3


async def test_who_required_a_record_is_not_overlooked(store: Store) -> None:
    """MHD-65-79, section 21 item 5: who supersedes a document with all that appends to it must know of all that do."""
    (read,) = await store.commit([Create(document_reference("d"))], NOW)
    await store.commit([Require("DocumentReference", "d", 1), Create(document_reference("appendix"))], NOW)
    superseded = document_reference("d", status="superseded")

    with pytest.raises(VersionConflict):
        await store.commit([Update(superseded, 1, read.required)], NOW)
    again = await store.read("DocumentReference", "d")
    (kept,) = await store.commit([Update(superseded, again.version, again.required)], NOW)

    assert (read.required, again.required, kept.version) == (0, 1, 2)
