"""Criteria as MongoDB filters, sort orders and indexes, against a slow and obvious referee on a real MongoDB.

MHD-GEN-20 to MHD-GEN-26, MHD-66-19, MHD-67-20; architecture, decisions 16 and 18.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest

from app.fhir.outcome import FhirError
from app.search.criteria import NOTHING, All, Criterion, Embedded, Linked, Not, Terms
from app.search.criteria import Any as AnyOf
from app.search.definitions import Definitions
from app.search.page import Position
from app.search.query import Query, Sort, parse
from app.store.change import Create
from app.store.driver import Connection, Driver
from app.store.filter import to_filter
from app.store.indexes import ensure_indexes
from app.store.links import MAX_LINKED, resolve_links
from app.store.order import after, page_filter, sort_keys
from app.store.resources import Store
from tests.store.plain_search import meets, ordered, targets
from tests.store.sample import BASE_URL, Sample

NOW = datetime(2025, 3, 4, 10, 0, tzinfo=UTC)
SEED = 20250304
QUERIES = 2_000


@pytest.fixture(scope="module")
def driver() -> Driver:
    """One driver is enough here: filters are the same for both."""
    return "pymongo"


@pytest.fixture
async def sample(store: Store, database: Connection, definitions: Definitions) -> Sample:
    """A few random people and 150 random documents, stored."""
    made = Sample(SEED)
    types = ("DocumentReference", "Patient", "Practitioner", "PractitionerRole")
    await ensure_indexes(database.database, definitions, types)
    await store.commit([Create(each) for each in made.stored.values()], NOW)
    return made


async def _found(store: Store, query: Query) -> list[str]:
    """Return the ids of all pages."""
    page = await store.search(query)
    found = [each.id for each in page.entries]
    while page.next:
        page = await store.search(replace(query, after=page.next))
        found += [each.id for each in page.entries]
    return found


async def test_random_queries_find_what_the_referee_finds(
    store: Store, sample: Sample, definitions: Definitions
) -> None:
    """MHD-GEN-20 to MHD-GEN-25, MHD-66-19, MHD-67-20: 2,000 random queries, parameters freely combined."""
    hits = 0
    for _ in range(QUERIES):
        pairs = [sample.question() for _ in range(sample.random.choice((1, 1, 2, 3)))]
        if len({name.partition(".")[0] for name, _ in pairs}) < len(pairs):
            continue  # two questions about one author: see the next test
        query = parse(definitions, "DocumentReference", pairs, base_url=BASE_URL, strict=True)
        expected = {each["id"] for each in sample.documents if all(meets(each, *pair, sample.stored) for pair in pairs)}
        found = await _found(store, replace(query, count=1_000))
        assert set(found) == expected, pairs
        assert len(found) == len(expected)
        hits += bool(expected)
    assert hits > QUERIES / 3  # else the questions prove little


async def test_two_names_are_one_authors(store: Store, sample: Sample, definitions: Definitions) -> None:
    """MHD-67-10: given and family name are asked of the same author, contained or stored."""
    for family in ("mu", "novotny", "maria", "s"):
        for given in ("maria", "anna", "mu"):
            pairs = [("author.family", family), ("author.given", given)]
            query = parse(definitions, "DocumentReference", pairs, base_url=BASE_URL)
            expected = {
                each["id"]
                for each in sample.documents
                if any(
                    all(meets(author, name.partition(".")[2], text, {}) for name, text in pairs)
                    for author, _ in targets(each, "author", sample.stored)
                    if "name" in author
                )
            }
            assert set(await _found(store, replace(query, count=1_000))) == expected


@pytest.mark.parametrize(
    "key", ["date", "-date", "status", "-status", "period", "-period", "_id", "-_id", "author", "x"]
)
@pytest.mark.parametrize("count", [7, 150])
async def test_pages_follow_the_order(
    store: Store, sample: Sample, definitions: Definitions, key: str, count: int
) -> None:
    """MHD-66-22, MHD-67-21: page by page, every result comes once, in the order asked for; none before some."""
    pairs = [("status:not", "entered-in-error"), ("_sort", key), ("_count", str(count))]
    query = parse(definitions, "DocumentReference", pairs, base_url=BASE_URL)
    asked = [each for each in sample.documents if each["status"] != "entered-in-error"]
    found = await _found(store, query)
    if key == "author":
        assert sorted(found) == sorted(each["id"] for each in asked)
    else:
        assert found == ordered(asked, "-_id" if key == "x" else key)


async def test_last_updated(store: Store, sample: Sample, definitions: Definitions) -> None:
    """MHD-66-21: `_lastUpdated` is the record's own time, to the millisecond."""
    later = NOW.replace(hour=11, microsecond=250_000)
    await store.commit([Create(sample.documents[0] | {"id": "late"})], later)
    total = len(sample.documents)
    counts = {
        "2025-03-04": total + 1, "ne2025-03-04": 0, "2025-03-04T11:00:00.250Z": 1, "2025-03-04T11:00": 1,
        "gt2025-03-04T10:00:00Z": 1, "lt2025-03-04T11:00:00Z": total, "ge2025-03-04T10:00:00Z": total + 1,
        "le2025-03-04T10:00:00Z": total, "sa2025-03-04T10:00:00Z": 1, "eb2025-03-04T10:00:01Z": total,
        "ap2025-03-04T11:00:00.250Z": 1,
    }  # fmt: skip
    for text, count in counts.items():
        query = parse(definitions, "DocumentReference", [("_lastUpdated", text), ("_count", "1000")], base_url="")
        assert len((await store.search(query)).entries) == count, text


STAGES = {"COLLSCAN", "SORT"}

ITI67 = [
    [("patient", "p1"), ("status", "current")],
    [("patient", f"{BASE_URL}/Patient/p1"), ("status", "current,superseded"), ("type", "http://a.example|x")],
    [
        ("patient", "p1"),
        ("status", "current"),
        ("period", "ge2025-01-01"),
        ("period", "le2025-01-31"),
        ("setting", "x"),
    ],
    [("patient", "p1"), ("status", "current"), ("author.family", "mu"), ("security-label", "N"), ("date", "ge2024")],
    [("patient.identifier", "urn:oid:2.999.1|1"), ("status", "current")],
    [("identifier", "urn:oid:2.25.8"), ("status", "current")],
    [("related:identifier", "urn:oid:2.999.1|1"), ("status", "current")],
    [("related", "Encounter/1"), ("status", "current")],
    [("related", "Encounter/1,Patient/p1"), ("status", "current")],
]


@pytest.mark.parametrize("pairs", ITI67)
@pytest.mark.parametrize("is_next_page", [False, True])
async def test_iti67_reads_an_index_in_order(
    store: Store, sample: Sample, database: Connection, definitions: Definitions, pairs: list[Any], is_next_page: bool
) -> None:
    """MHD-67-20, architecture 16: a Find Document References scans an index, not the collection, and sorts nothing."""
    query = parse(definitions, "DocumentReference", pairs, base_url=BASE_URL, strict=True)
    criterion = await resolve_links(query.criterion, store.find_ids)
    start = Position((), "8") if is_next_page else None
    documents = database.database["DocumentReference"]
    asked = documents.find(page_filter(criterion, query.sort, start)).sort(sort_keys(query.sort)).limit(20)
    plan = (await asked.explain())["queryPlanner"]["winningPlan"]
    stages = set(_stages(plan))
    assert "IXSCAN" in stages
    assert not stages & STAGES, stages


def _stages(plan: dict[str, Any]) -> list[str]:
    below = [*plan.get("inputStages", ()), *([plan["inputStage"]] if "inputStage" in plan else ())]
    below += [plan["queryPlan"]] if "queryPlan" in plan else []
    return [plan.get("stage", ""), *(stage for each in below for stage in _stages(each))]


async def test_everything_newest_first_reads_an_index(sample: Sample, database: Connection) -> None:
    """Architecture 16: the order of changes is an index too, also behind the first page."""
    sort = (Sort("_lastUpdated", "date", descending=True),)
    start = Position((NOW,), "8")
    for each in (page_filter(All(()), sort, None), page_filter(All(()), sort, start)):
        asked = database.database["DocumentReference"].find(each).sort(sort_keys(sort)).limit(20)
        stages = set(_stages((await asked.explain())["queryPlanner"]["winningPlan"]))
        assert not stages & STAGES, stages


async def _ids(resource_type: str, criterion: Criterion, limit: int) -> tuple[str, ...]:
    return tuple(str(n) for n in range(limit if resource_type == "Practitioner" else 0))


async def test_a_link_without_targets_asks_no_further() -> None:
    """MHD-GEN-25: a chain that finds nobody finds nothing, whatever stands around it."""
    nobody = Linked("author", "Patient", Terms("family", ("x",)))
    some = Terms("status", ("current",))
    assert await resolve_links(All((some, nobody)), _ids) == NOTHING
    assert await resolve_links(AnyOf((some, nobody)), _ids) == some
    assert await resolve_links(Linked("list", "Practitioner", nobody), _ids) == NOTHING
    assert await resolve_links(Embedded("author", nobody), _ids) == NOTHING
    assert to_filter(Not(await resolve_links(nobody, _ids))) == {"$nor": [{"_id": {"$in": []}}]}


async def test_a_link_with_too_many_targets_is_refused() -> None:
    """MHD-GEN-25: a chain that would cost too much is 400, and its value is not repeated."""
    with pytest.raises(FhirError, match=f"More than {MAX_LINKED}") as caught:
        await resolve_links(Linked("author", "Practitioner", Terms("family", ("x",))), _ids)
    assert caught.value.issues[0].code == "too-costly"


def test_behind_a_missing_value_descending_are_only_smaller_ids() -> None:
    """MHD-66-22: what lacks the sort value comes last when descending; nothing but lower ids is behind it."""
    sort = (Sort("date", "date", descending=True),)
    assert after(sort, Position((None,), "5")) == {"index.date.0.start": {"$exists": False}, "_id": {"$lt": "5"}}


@pytest.mark.parametrize("name", ["patient._id", "author._id"])
async def test_an_id_below_a_reference_is_the_targets(
    store: Store, sample: Sample, definitions: Definitions, name: str
) -> None:
    """MHD-GEN-25: a chained `_id` never means the id of the resource that refers."""
    own = sample.documents[0]["id"]
    for record_id in (own, "p2"):
        query = parse(definitions, "DocumentReference", [(name, record_id)], base_url=BASE_URL)
        field = "subject" if name.startswith("patient") else "author"
        expected = [each["id"] for each in sample.documents if f"Patient/{record_id}" in str(each.get(field))]
        assert sorted(await _found(store, replace(query, count=1_000))) == sorted(expected)
