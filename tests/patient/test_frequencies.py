"""How often names are borne, counted in the running index: MAT-32, MAT-36."""

from __future__ import annotations

import asyncio
from datetime import timedelta

import httpx
import pytest
from fastapi import FastAPI

from app.patient.bulk.load import load
from app.patient.frequencies import NameCount, count, current, keep, of_version
from app.patient.match import MatchRequest, match
from app.patient.matching import score
from app.patient.parameters import NameFrequencies, frequencies_of
from app.patient.parameters import load as load_set
from app.patient.vector import from_document
from app.patient.weighing import forget, parameters_now, sized
from app.transaction import Context
from tests.patient.people import vector
from tests.patients import KATARINA, KATARINA_SOUTH, fed

HUNDRED = [vector("Anna", "Malá")] * 90 + [vector("Zora", "Kvapka")] * 10


@pytest.fixture
def context(index_app: FastAPI, index: httpx.AsyncClient) -> Context:
    """What handlers reach, over an empty index."""
    found: Context = index_app.state.context
    forget(found.store.facts)
    return found


def counted(vectors: list[object]) -> NameFrequencies:
    """The shares of names among `vectors`."""
    names = NameCount()
    for one in vectors:
        names.add(one)  # type: ignore[arg-type]
    return names.frequencies(load_set())


def test_shares_and_their_version() -> None:
    """MAT-32, MAT-36: the same names have the same version, others another one; the rarest are left out."""
    found = counted(list(HUNDRED))
    assert found.given == frequencies_of(HUNDRED).given
    assert found.version == counted(list(reversed(HUNDRED))).version != counted(list(HUNDRED[1:])).version
    rare = counted([*[vector("Anna", "Malá")] * 9_999, vector("Zora", "Kvapka")])
    assert set(rare.given) == {"anna"}
    assert "kvapka" in rare.family  # one in ten thousand: a surname that people bear, by its share


async def test_a_count_is_kept_under_its_version(context: Context) -> None:
    """MAT-36: what a decision was taken with can be read later, when names were counted again."""
    facts = context.store.facts
    first, second = counted(list(HUNDRED)), counted(list(HUNDRED[5:]))
    assert await current(facts) is None
    for one in (first, second):
        await keep(facts, one, 100)
    pointer = await current(facts)
    assert pointer is not None
    assert (pointer.version, pointer.records) == (second.version, 100)
    assert await of_version(facts, first.version) == first
    assert await of_version(facts, "") == NameFrequencies()
    with pytest.raises(ValueError, match="no count of names"):
        await of_version(facts, "nothing")


async def test_counting_in_the_background(context: Context) -> None:
    """MAT-32: active records are counted, in batches, leaving most of the time to others."""
    await load(450, 3, 1, context)
    facts = context.store.facts
    found = await count(facts, load_set(), duty=1.0)
    records = await facts.after("Patient", "", 1000, fields=("derived.mv",))
    vectors = [from_document(one["derived"]["mv"]) for one in records]
    expected = frequencies_of(vectors)
    assert found.given == {name: pytest.approx(share, abs=1e-6) for name, share in expected.given.items()}
    pointer = await current(facts)
    assert pointer is not None
    assert (pointer.version, pointer.records) == (found.version, 450)


async def test_small_indexes_are_not_corrected(index: httpx.AsyncClient, context: Context) -> None:
    """MAT-32, MAT-35: names of a few people tell nothing about names."""
    await keep(context.store.facts, counted(list(HUNDRED)), 100)
    await fed(index, KATARINA)
    forget(context.store.facts)
    assert (await parameters_now(context.store.facts)).frequencies == NameFrequencies()


async def test_decisions_keep_their_count(index: httpx.AsyncClient, context: Context) -> None:
    """MAT-32, MAT-36, MAT-63: an explanation names the count, and the weight can be found again from what it names."""
    facts = context.store.facts
    known = counted([*HUNDRED, *[vector("Katarína", "Nováková")] * 100])
    await keep(facts, known, 200)
    for one in (KATARINA, KATARINA_SOUTH):
        await fed(index, one)
    (edge,) = await facts.after("match_edge", "", 10)
    assert edge["explanation"]["frequencies"] == ""
    records = await facts.after("Patient", "", 10, fields=("derived.mv",))
    a, b = (from_document(one["derived"]["mv"]) for one in records)
    scored = score(a, b, sized(load_set(), 20_000, known)).explanation()
    assert scored["frequencies"] == known.version
    assert [part for part in scored["parts"] if part["level"] == "frequency"]
    again = load_set(scored["parameters"]).for_population(
        scored["population"], await of_version(facts, scored["frequencies"])
    )
    assert score(a, b, again).weight == scored["weight"]


@pytest.mark.slow
async def test_a_large_index_counts_by_itself(context: Context) -> None:
    """MAT-32: from ten thousand records on the first question has the names counted, beside the requests; once a day."""
    await load(10_500, 3, 2, context)
    facts = context.store.facts
    assert (await parameters_now(facts)).frequencies == NameFrequencies()
    for _ in range(600):
        if pointer := await current(facts):
            break
        await asyncio.sleep(0.1)
    assert pointer is not None
    forget(facts)
    parameters = await parameters_now(facts)
    assert (parameters.frequencies.version, parameters.population) == (pointer.version, 16_384)
    assert parameters.frequencies.family
    found = await match(
        MatchRequest({"name": [{"family": "Malá", "given": ["Anna"]}], "birthDate": "1980-01-01"}), context
    )
    assert all(one.scored.parameters.frequencies.version == pointer.version for one in found.matches)
    assert context.now() - pointer.at < timedelta(hours=1)
