"""Criteria that are answered in memory: as MongoDB answers them of the same records; and whom a search names.

Spec: MHD-GEN-20 to MHD-GEN-25; EHDS-20, EHDS-21.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from app.search.criteria import NOTHING, Interval, Linked, Terms
from app.search.definitions import Definitions
from app.search.index import index
from app.search.meeting import meets, with_record
from app.search.named import named
from app.search.query import parse
from app.store.change import Create
from app.store.links import resolve_links
from app.store.resources import Store
from tests.mhd.search_samples import Documents, Lists
from tests.store.sample import BASE_URL

NOW = datetime(2025, 3, 4, 10, 0, 0, 250_000, tzinfo=UTC)
QUESTIONS = 400  # of each type


@pytest.mark.parametrize("kind", [Documents, Lists])
async def test_memory_and_store_agree(store: Store, definitions: Definitions, kind: type[Documents]) -> None:
    """EHDS-21, MHD-GEN-20 to MHD-GEN-25: each parameter, prefix, modifier and chain, alone and together."""
    sample = kind(20260304)
    await store.ensure(("DocumentReference", "List", "Patient", "Practitioner", "PractitionerRole"))
    await store.commit([Create(each) for each in sample.stored.values()], NOW)
    terms = {each["id"]: with_record(index(definitions, each), each["id"], NOW) for each in sample.resources}
    hits = 0
    for _ in range(QUESTIONS):
        pairs = [sample.question() for _ in range(sample.random.choice((1, 2)))]
        query = parse(definitions, sample.resource_type, pairs, base_url=BASE_URL, strict=True)
        criterion = await resolve_links(query.criterion, store.find_ids)

        in_memory = {name for name, each in terms.items() if meets(criterion, each)}

        assert in_memory == set(await store.find_ids(sample.resource_type, query.criterion, 1_000)), pairs
        hits += bool(in_memory)
    assert hits > QUESTIONS / 3


@pytest.mark.parametrize("operator", ["eq", "ne", "gt", "lt", "ge", "le", "sa", "eb", "ap"])
@pytest.mark.parametrize("shift_ms", [-1, 0, 1])
async def test_time_of_the_change(store: Store, operator: str, shift_ms: int) -> None:
    """MHD-GEN-22: `_lastUpdated` is a moment; both agree on its borders."""
    await store.commit([Create({"resourceType": "List", "id": "a"})], NOW)
    start = NOW + timedelta(milliseconds=shift_ms)
    for end in (start + timedelta(milliseconds=1), start + timedelta(seconds=1)):
        criterion = Interval("_lastUpdated", operator, start, end)

        assert meets(criterion, with_record({}, "a", NOW)) == bool(await store.find_ids("List", criterion, 1))


def test_links_are_resolved_before() -> None:
    """MHD-GEN-25: a link cannot be answered from the record alone."""
    with pytest.raises(TypeError):
        meets(Linked("patient", "Patient", NOTHING), {})


@pytest.mark.parametrize(
    ("pairs", "names"),
    [
        ([("patient", "1")], [("Patient/1",)]),
        ([("patient", "1"), ("status", "current")], [("Patient/1",)]),
        ([("patient", "1,Patient/2")], [("Patient/1", "Patient/2")]),
        ([("patient", "1"), ("patient", "2")], [("Patient/1",), ("Patient/2",)]),
        ([("patient", f"{BASE_URL}/Patient/1")], [("Patient/1",)]),
        ([("patient:identifier", "urn:oid:2.999|1")], [()]),
        ([("patient.identifier", "urn:oid:2.999|1")], [()]),
        ([("patient:missing", "false")], []),
        ([("author", "Patient/1")], []),
        ([("status", "current")], []),
        ([], []),
    ],
)
async def test_whom_a_search_names(
    definitions: Definitions, pairs: list[tuple[str, str]], names: list[tuple[str, ...]]
) -> None:
    """EHDS-20, IUA-32: explicit questions about a patient."""

    async def nobody(resource_type: str, criterion: object, limit: int) -> tuple[str, ...]:
        return ()

    query = parse(definitions, "DocumentReference", pairs, base_url=BASE_URL)

    assert named(await resolve_links(query.criterion, nobody), "patient") == names


def test_terms_of_another_parameter_name_nobody() -> None:
    """EHDS-20: only the reference to the patient is looked at."""
    assert named(Terms("subject", ("Patient/1",)), "patient") == []
