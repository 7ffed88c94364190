"""Searches over stored records: pages, totals, chains. FHIR R4 search.html; architecture 16 and 17."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import orjson
import pytest

from app.fhir.outcome import FhirError
from app.search.definitions import Definitions
from app.search.query import Query, parse
from app.store.change import Create, Delete, Update
from app.store.driver import Connection
from app.store.resources import MAX_COUNTED, Found, Match, Store
from tests.builders import binary, document_reference, patient

NOW = datetime(2025, 3, 4, 10, 0, tzinfo=UTC)


@pytest.fixture
def ask(definitions: Definitions) -> Asker:
    return Asker(definitions)


class Asker:
    """Makes queries of query strings."""

    def __init__(self, definitions: Definitions) -> None:
        self._definitions = definitions

    def __call__(self, resource_type: str, **asked: str) -> Query:
        pairs = [(name.replace("__", ".").replace("_minus", "-"), value) for name, value in asked.items()]
        return parse(self._definitions, resource_type, pairs, base_url="http://example.org/fhir", strict=True)


async def publish(store: Store, numbers: Sequence[int], **elements: Any) -> None:
    for number in numbers:
        reference = document_reference(f"d{number:03}", date=f"2025-01-{1 + number % 5:02}T00:00:00Z", **elements)
        await store.commit([Create(reference)], NOW + timedelta(seconds=number))


async def all_pages(store: Store, query: Query) -> list[Found]:
    pages = [await store.search(query)]
    while pages[-1].next:
        assert len(pages) < 50, "the pages come to no end"
        pages.append(await store.search(replace(query, after=pages[-1].next)))
    return pages


def ids(pages: Sequence[Found]) -> list[str]:
    return [entry.id for page in pages for entry in page.entries]


MANY_SORTS = ("type,-date", "-type,date", "status,-date,type", "-identifier,type,-_lastUpdated", "date,-date,type,date")


@pytest.mark.parametrize("sort", MANY_SORTS)
@pytest.mark.parametrize("count", [1, 5, 50])
async def test_order_by_several_parameters(store: Store, ask: Asker, sort: str, count: int) -> None:
    """FHIR R4 search.html#sort: `_sort=status,-date,category`: the keys one after the other, page by page."""
    codes = ("c", "a", "", "b")
    for number in range(12):
        elements: dict[str, Any] = {"identifier": [{"value": f"i{number % 3}"}]}
        if code := codes[number % 4]:
            elements["type"] = {"coding": [{"code": code}, {"code": "z"}]}
        await publish(store, [number], **elements)

    def key(number: int) -> list[tuple[str, ...]]:
        values = {
            "type": codes[number % 4],
            "date": str(number % 5),
            "status": "current",
            "identifier": str(number % 3),
            "_lastUpdated": f"{number:02}",
        }
        return [(values[name.lstrip("-")],) for name in sort.split(",")]

    expected = sorted(range(12), reverse=True)
    for place, name in reversed(list(enumerate(sort.split(",")))):
        expected.sort(key=lambda number, place=place: key(number)[place], reverse=name.startswith("-"))

    pages = await all_pages(store, ask("DocumentReference", _sort=sort, _count=str(count)))

    assert ids(pages) == [f"d{number:03}" for number in expected]
    if len(pages) > 1:
        first = ask("DocumentReference", _sort=sort, _count=str(count))
        back = await store.search(replace(first, before=pages[1].previous))
        assert ids([back]) == ids(pages[:1])


async def test_found_is_what_was_committed(store: Store, ask: Asker) -> None:
    """FHIR R4 search.html: what a search returns is the current version, byte for byte."""
    await store.commit([Create(document_reference("d1"))], NOW)
    (kept,) = await store.commit([Update(document_reference("d1", docStatus="final"))], NOW)
    found = await store.search(ask("DocumentReference", patient="Patient/p1"))
    assert found == Found((Match("DocumentReference", "d1", kept.json),), 1, None)


async def test_deleted_is_not_found(store: Store, ask: Asker) -> None:
    """FHIR R4 http.html#delete: a deleted resource is in no search result."""
    await publish(store, range(2))
    await store.commit([Delete("DocumentReference", "d000")], NOW)
    for query in (ask("DocumentReference"), ask("DocumentReference", **{"type:missing": "true"})):
        assert ids([await store.search(query)]) == ["d001"]


async def test_nothing_found(store: Store, ask: Asker) -> None:
    """FHIR R4 search.html: a search without a match is an empty page with total 0."""
    assert await store.search(ask("DocumentReference", patient="Patient/nobody")) == Found((), 0, None)


@pytest.mark.parametrize("sort", ["", "date", "-date", "_lastUpdated", "-_lastUpdated", "-date,_id", "type,-date"])
@pytest.mark.parametrize("count", [1, 4, 6, 12, 50])
async def test_pages_hold_each_record_once(store: Store, ask: Asker, sort: str, count: int) -> None:
    """MHD-67-21: all pages together are the whole result, in order, each with the same total."""
    await publish(store, range(12))
    asked = {"patient": "Patient/p1", "_count": str(count), **({"_sort": sort} if sort else {})}
    pages = await all_pages(store, ask("DocumentReference", **asked))
    whole = ids(await all_pages(store, ask("DocumentReference", **(asked | {"_count": "50"}))))
    assert ids(pages) == whole
    assert sorted(whole) == [f"d{number:03}" for number in range(12)]
    assert [len(page.entries) for page in pages] == [count] * (12 // count) + ([12 % count] if 12 % count else [])
    assert {page.total for page in pages} == {12}


async def test_order_is_what_was_asked(store: Store, ask: Asker) -> None:
    """FHIR R4 search.html#sort: by date, newest first."""
    await publish(store, range(12))
    (page,) = await all_pages(store, ask("DocumentReference", _sort="-date"))
    dates = [orjson.loads(entry.json)["date"] for entry in page.entries]
    assert dates == sorted(dates, reverse=True)


async def test_pages_are_stable_while_others_write(store: Store, ask: Asker) -> None:
    """Architecture 16: what is added, changed or deleted meanwhile neither repeats nor hides another record."""
    await publish(store, range(20))
    query = ask("DocumentReference", patient="Patient/p1", _count="5")
    seen = ids([page := await store.search(query)])
    added = 100
    while page.next:
        assert added < 150, "the pages come to no end"
        await publish(store, [added])
        await store.commit([Update(document_reference(seen[0])), Delete("DocumentReference", seen[-1])], NOW)
        page = await store.search(replace(query, after=page.next))
        seen += ids([page])
        added += 1
    assert len(seen) == len(set(seen))
    assert {f"d{number:03}" for number in range(20)} <= set(seen)


async def test_total_alone(store: Store, ask: Asker) -> None:
    """FHIR R4 search.html#count: `_count=0` and `_summary=count` ask for the total."""
    await publish(store, range(3))
    for asked in ({"_count": "0"}, {"_summary": "count"}, {"_count": "0", "_total": "accurate"}):
        assert await store.search(ask("DocumentReference", patient="Patient/p1", **asked)) == Found((), 3, None)


async def test_total_is_not_counted_when_nobody_wants_it(store: Store, ask: Asker) -> None:
    """FHIR R4 search.html#total: `_total=none`."""
    await publish(store, range(3))
    assert (await store.search(ask("DocumentReference", _total="none", _count="2"))).total is None


async def test_total_is_capped_unless_asked_for(store: Store, database: Connection, ask: Asker) -> None:
    """Architecture 17: exact up to the cap; above it only with `_total=accurate`."""
    await publish(store, [1])
    (record,) = await database.database["DocumentReference"].find({}).to_list(None)
    copies = [{**record, "_id": f"copy{number}"} for number in range(MAX_COUNTED + 20)]
    await database.database["DocumentReference"].insert_many(copies)
    query = ask("DocumentReference", patient="Patient/p1", _count="2")
    assert (await store.search(query)).total == MAX_COUNTED
    assert (await store.search(replace(query, total="accurate"))).total == MAX_COUNTED + 21
    assert (await store.search(ask("DocumentReference", _count="2"))).total == MAX_COUNTED + 21


async def test_chain_to_a_stored_patient(store: Store, ask: Asker) -> None:
    """MHD-67-10: documents are found by a property of the patient they are about."""
    identifier = {"system": "urn:oid:1.2.3", "value": "9876"}
    await store.commit([Create(patient("p1", identifier=[identifier])), Create(patient("p2"))], NOW)
    await store.commit([Create(document_reference("d1", "p1")), Create(document_reference("d2", "p2"))], NOW)
    for value, expected in (("urn:oid:1.2.3|9876", ["d1"]), ("urn:oid:1.2.3|1", [])):
        query = ask("DocumentReference", patient__identifier=value)
        assert ids([await store.search(query)]) == expected


async def test_find_ids(store: Store, ask: Asker) -> None:
    """Section 21 item 3: ids by criterion, at most as many as asked for."""
    await publish(store, range(3))
    criterion = ask("DocumentReference", patient="Patient/p1").criterion
    assert len(await store.find_ids("DocumentReference", criterion, 2)) == 2
    assert sorted(await store.find_ids("DocumentReference", criterion, 9)) == ["d000", "d001", "d002"]


async def test_document_is_not_read_by_a_search(store: Store, ask: Asker) -> None:
    """Architecture 2: a search returns the bytes that are served, and no document."""

    async def chunks() -> AsyncIterator[bytes]:
        yield b"abc"

    await store.commit([Create(binary("b1"), await store.content.stage(chunks()))], NOW)
    (entry,) = (await store.search(ask("Binary"))).entries
    assert entry == ("Binary", "b1", (await store.read("Binary", "b1")).json)


async def test_too_many_targets(store: Store, database: Connection, ask: Asker) -> None:
    """FHIR R4 search.html#errors: a chain that would compare everything with everything is refused, and says so."""
    await store.commit([Create(patient("p"))], NOW)
    (record,) = await database.database["Patient"].find({}).to_list(None)
    await database.database["Patient"].insert_many([{**record, "_id": f"p{number}"} for number in range(1_001)])
    with pytest.raises(FhirError) as error:
        await store.search(ask("DocumentReference", patient__family="Example"))
    assert error.value.issues[0].code == "too-costly"
