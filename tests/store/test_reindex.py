"""Terms of existing records are found anew: batch by batch, beside a server, as often as one likes.

Spec: national.md NAT-02.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

from app.search.definitions import Definitions
from app.store.change import Create, Update
from app.store.driver import Connection
from app.store.record import Recording
from app.store.reindex import Progress, reindex
from app.store.resources import Store
from tests.builders import patient

NOW = datetime(2025, 3, 4, 10, 0, tzinfo=UTC)


@pytest.fixture
async def outdated(store: Store, database: Connection) -> Any:
    """Five patients, as they were indexed before anybody thought of birth dates; the fifth has none."""
    people = [patient(f"p{number}", birthDate=f"197{number}-01-01") for number in range(4)]
    await store.commit([Create(each) for each in (*people, patient("p4"))], NOW)
    records = database.database["Patient"]
    await records.update_many({}, {"$unset": {"index.birthdate": ""}})
    return records


async def years(records: Any) -> list[int]:
    found = await records.find({"index.birthdate": {"$exists": True}}).sort("_id", 1).to_list(None)
    return [each["index"]["birthdate"][0]["start"].year for each in found]


async def test_every_record_is_looked_at_once(outdated: Any, definitions: Definitions) -> None:
    """NAT-02: in order of id, in batches; who has the right terms is left alone."""
    recording = Recording(definitions)
    told = [each async for each in reindex(outdated, "Patient", recording, 2)]
    assert told == [Progress("Patient", 2, 2), Progress("Patient", 4, 4), Progress("Patient", 5, 4)]
    assert await years(outdated) == [1970, 1971, 1972, 1973]


async def test_a_second_run_changes_nothing(outdated: Any, store: Store) -> None:
    """NAT-02: idempotent."""
    first = [each async for each in store.reindex(["Patient", "List"])]
    second = [each async for each in store.reindex(["Patient", "List"])]
    assert (first, second) == ([Progress("Patient", 5, 4)], [Progress("Patient", 5, 0)])


async def test_nothing_else_of_a_record_changes(outdated: Any, store: Store) -> None:
    """NAT-02: neither version nor time nor what is served."""
    kept = dict.fromkeys(("version", "updated", "json"), 1)
    before = await outdated.find({}, kept).sort("_id", 1).to_list(None)
    assert [each async for each in store.reindex(["Patient"])]
    assert await outdated.find({}, kept).sort("_id", 1).to_list(None) == before


async def test_a_record_that_changes_meanwhile_keeps_its_new_terms(
    outdated: Any, store: Store, definitions: Definitions
) -> None:
    """NAT-02: the server may run meanwhile; terms are those of the version that is there."""

    class Overtaken:
        """A collection in which somebody else writes between the find and the write."""

        find = outdated.find

        async def bulk_write(self, updates: Any, **more: Any) -> Any:
            await store.commit([Update(patient("p1", birthDate="2001-01-01"))], NOW)
            return await outdated.bulk_write(updates, **more)

    told = [each async for each in reindex(Overtaken(), "Patient", Recording(definitions))]
    assert told == [Progress("Patient", 5, 3)]
    assert await years(outdated) == [1970, 2001, 1972, 1973]
