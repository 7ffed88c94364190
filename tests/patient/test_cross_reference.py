"""Persons from feeds: pixm.md section 6 and matching.md section 6, through the feed and the administrator's commands."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Awaitable, Callable
from typing import Any

import httpx
import pytest
from fastapi import FastAPI

from app.fhir.outcome import FhirError
from app.patient.cluster import LARGEST_COMPONENT
from app.patient.commands import rebuild_keys
from app.patient.persons import everybody
from app.patient.review import cases, decide, decisions_of, explain, undo
from app.store.facts import Facts
from app.transaction import Context
from tests.patients import EAST, LAB, NATIONAL, NORTH, SOUTH, also, fed, feed, identifiers, person, pix

MIRO = {"name": [{"family": "Kováč", "given": ["Miroslav"]}], "gender": "male", "birthDate": "1966-04-09"}
DOMAINS = (NORTH, SOUTH, EAST, LAB)


@pytest.fixture
def context(index_app: FastAPI) -> Context:
    """What handlers reach."""
    found: Context = index_app.state.context
    return found


@pytest.fixture
def facts(context: Context) -> Facts:
    """What is known beside resources."""
    return context.store.facts


async def persons(facts: Facts) -> list[list[str]]:
    """Every person of more than one record."""
    found = await facts.after("person", "", 10_000)
    return sorted(one["members"] for one in found if one["members"])


async def test_equal_trusted_number_links(index: httpx.AsyncClient, facts: Facts) -> None:
    """PIXM-XREF-01: an equal national number and agreeing demographics."""
    north = await fed(index, person(NORTH, "1", identifier=also(NORTH, "1", (NATIONAL, "6604091234")), **MIRO))
    other = MIRO | {"name": [{"family": "Kovac", "given": ["Miro"]}]}
    south = await fed(index, person(SOUTH, "1", identifier=also(SOUTH, "1", (NATIONAL, "6604091234")), **other))
    assert await persons(facts) == [sorted([north, south])]


async def test_conflict_of_trusted_numbers_never_links(index: httpx.AsyncClient, facts: Facts) -> None:
    """PIXM-XREF-03, MAT-64: equal in everything, and two valid numbers: somebody has to look."""
    home = {"address": [{"line": ["Dlhá 1"], "city": "Nitra", "postalCode": "94901"}]}
    first = person(NORTH, "1", identifier=also(NORTH, "1", (NATIONAL, "6604091234")), **MIRO, **home)
    second = person(SOUTH, "1", identifier=also(SOUTH, "1", (NATIONAL, "7751232345")), **MIRO, **home)
    await fed(index, first)
    await fed(index, second)
    assert await persons(facts) == []
    assert [one.kind for one in await cases(facts)] == ["conflict"]


async def test_near_match_is_reviewed_and_not_linked(index: httpx.AsyncClient, facts: Facts) -> None:
    """PIXM-XREF-02, MAT-51, MAT-64: probable opens a case, that the decision closes for good."""
    married = [{"family": "Malá", "given": ["Eva"]}], [{"family": "Kováčová", "given": ["Eva"]}]
    ids = [
        await fed(index, person(system, "1", name=name, birthDate="1980-08-08"))
        for system, name in zip((NORTH, SOUTH), married, strict=True)
    ]
    (case,) = await cases(facts)
    assert (case.grade, case.kind, {case.a, case.b}) == ("probable", "cross-domain", set(ids))
    assert await persons(facts) == []


async def test_decision_outweighs_evidence_and_is_undone(
    index: httpx.AsyncClient, context: Context, facts: Facts
) -> None:
    """PIXM-XREF-01, MAT-62, MAT-63, MAT-64: unlinked, fed again, undone: as before, also after later feeds."""
    a = await fed(index, person(NORTH, "1", **MIRO))
    b = await fed(index, person(SOUTH, "1", **MIRO))
    before = await facts.after("person", "", 10)
    assert await persons(facts) == [sorted([a, b])]
    decided = await decide((a, b), "different", "admin", "father and son", context)
    assert await persons(facts) == []
    await fed(index, person(SOUTH, "1", telecom=[{"system": "phone", "value": "+421905000111"}], **MIRO))
    c = await fed(index, person(EAST, "1", **MIRO))
    assert await persons(facts) in ([sorted([a, c])], [sorted([b, c])])
    await undo(decided.id, "admin", "it was one person after all", context)
    assert await persons(facts) == [sorted([a, b, c])]
    await index.delete("/Patient", params={"identifier": f"{EAST}|1"})
    after = await facts.after("person", "", 10)
    assert [(one["_id"], one["members"]) for one in after] == [(one["_id"], one["members"]) for one in before]
    (kept,) = await decisions_of(facts, [a])
    assert (kept.author, kept.reason, (kept.undone or {})["reason"]) == (
        "admin",
        "father and son",
        "it was one person after all",
    )
    with pytest.raises(FhirError, match="undone already"):
        await undo(decided.id, "admin", "again", context)


async def test_same_decision_links_strangers_and_survives(
    index: httpx.AsyncClient, context: Context, facts: Facts
) -> None:
    """PIXM-XREF-01, PIXM-83-20, MAT-64: linked by hand; both numbers of one domain are told; a re-feed changes nothing."""
    source = await fed(index, person(NORTH, "1", **MIRO))
    others = [
        await fed(index, person(SOUTH, f"S-{year}", name=[{"family": f"Other{year}"}], birthDate=f"{year}-01-02"))
        for year in (1931, 1942)
    ]
    made = [await decide((source, other), "same", "admin", "seen the papers", context) for other in others]
    await fed(index, person(NORTH, "1", telecom=[{"system": "phone", "value": "+421905000111"}], **MIRO))
    assert identifiers(await pix(index, f"{NORTH}|1", SOUTH)) == {f"{SOUTH}|S-1931", f"{SOUTH}|S-1942"}
    told = await explain((source, others[0]), context)
    assert (told["same_person"], [one.verdict for one in told["decisions"]]) == (True, ["same"])
    assert abs(sum(part["bits"] for part in told["parts"]) - told["weight"]) < 0.001
    for one in made:
        await undo(one.id, "admin", "wrong papers", context)
    assert await persons(facts) == []


async def test_decisions_need_reasons(index: httpx.AsyncClient, context: Context) -> None:
    """MAT-64: an author, a reason, two records that exist."""
    a = await fed(index, person(NORTH, "1", **MIRO))
    for pair, author, reason, code in (
        ((a, a), "admin", "x", "invalid"),
        ((a, "nobody"), "admin", "x", "not-found"),
        ((a, "nobody"), "", "x", "required"),
        ((a, "nobody"), "admin", " ", "required"),
    ):
        with pytest.raises(FhirError) as raised:
            await decide(pair, "same", author, reason, context)
        assert raised.value.issues[0].code == code


async def test_duplicate_in_one_domain_is_flagged(index: httpx.AsyncClient, facts: Facts) -> None:
    """PIXM-XREF-06: two active records of one domain; linked, since certain, and somebody should look."""
    ids = [await fed(index, person(NORTH, number, **MIRO)) for number in ("1", "2")]
    assert [(one.kind, one.grade) for one in await cases(facts)] == [("duplicate", "certain")]
    assert await persons(facts) == [sorted(ids)]


async def test_twins_stay_apart_whoever_joins(index: httpx.AsyncClient, facts: Facts) -> None:
    """PIXM-XREF-04: a link must hold against every member; one that is certainly not the same vetoes."""
    home = {"address": [{"line": ["Dlhá 1"], "city": "Nitra", "postalCode": "94901"}], "birthDate": "2015-05-20"}
    twins = {
        given: [
            await fed(index, person(system, f"{given}", name=[{"family": "Horváthová", "given": [given]}], **home))
            for system in (NORTH, SOUTH)
        ]
        for given in ("Anna", "Hana")
    }
    assert await persons(facts) == sorted(sorted(ids) for ids in twins.values())


async def test_revision_joins_and_leaves(index: httpx.AsyncClient, facts: Facts) -> None:
    """PIXM-XREF-05: a wrong birth date, corrected, and the other way round."""
    wrong = MIRO | {"birthDate": "1931-12-24"}
    a, b = await fed(index, person(NORTH, "1", **MIRO)), await fed(index, person(SOUTH, "1", **wrong))
    assert await persons(facts) == []
    await fed(index, person(SOUTH, "1", **MIRO))
    assert await persons(facts) == [sorted([a, b])]
    await fed(index, person(SOUTH, "1", **wrong))
    assert await persons(facts) == []


async def test_removed_bridge(index: httpx.AsyncClient, facts: Facts) -> None:
    """PIXM-104-57: A and C are together only through B; B is removed."""
    number = (NATIONAL, "6604091234")
    a = person(NORTH, "A", name=MIRO["name"], birthDate="1966-04-09", gender="male")
    b = person(SOUTH, "B", identifier=also(SOUTH, "B", number), **MIRO)
    c_name = [{"family": "Kováč", "given": ["Miroslav"]}]
    c = person(EAST, "C", identifier=also(EAST, "C", number), name=c_name, birthDate=None, gender=None)
    ids = [await fed(index, one) for one in (a, b, c)]
    assert await persons(facts) == [sorted(ids)]
    await index.delete("/Patient", params={"identifier": f"{SOUTH}|B"})
    assert await persons(facts) == []


async def test_order_of_feeds_does_not_matter(
    index: httpx.AsyncClient, facts: Facts, wiped: Callable[[], Awaitable[None]]
) -> None:
    """PIXM-XREF-07: the same records in three orders give the same persons."""
    people = households(random.Random(7), 12)
    results = []
    for seed in range(3):
        await wiped()
        order = list(people)
        random.Random(seed).shuffle(order)
        names = {
            await fed(index, one): f"{one['identifier'][0]['system']}|{one['identifier'][0]['value']}" for one in order
        }
        results.append(sorted(sorted(names[each] for each in group) for group in await persons(facts)))
    assert results[0] == results[1] == results[2]
    assert len(results[0]) > 8


@pytest.fixture
def wiped(context: Context) -> Callable[[], Awaitable[None]]:
    """Removes everything."""

    async def wipe() -> None:
        database = context.store._database
        for name in await database.list_collection_names():
            await database[name].delete_many({})

    return wipe


SURNAMES = [
    "Hruška",
    "Bielik",
    "Dvorský",
    "Zemko",
    "Oravec",
    "Gregor",
    "Petráš",
    "Vlček",
    "Juhász",
    "Tóth",
    "Šimko",
    "Malý",
]


def households(chance: random.Random, count: int) -> list[dict[str, Any]]:
    """Records of `count` families: a parent and twins each, in up to three domains, with slips of the pen."""
    made = []
    for family in range(count):
        surname, street = SURNAMES[family], f"{SURNAMES[-family - 1]} {family}"
        first, second = (
            f"{year}-{1 + family % 12:02}-{1 + 2 * family:02}" for year in (1950 + 3 * family, 1999 + family)
        )
        members = (("Martin", first), ("Anna", second), ("Zuzana", second))
        for number, (given, born) in enumerate(members):
            for system in chance.sample((NORTH, SOUTH, EAST), chance.randint(1, 3)):
                written = surname if chance.random() < 0.8 else surname[:-1]
                made.append(
                    person(
                        system,
                        f"{family}-{number}",
                        name=[{"family": written, "given": [given]}],
                        birthDate=born,
                        gender="male" if given == "Martin" else "female",
                        address=[{"line": [street], "city": "Nitra", "postalCode": f"9490{family % 10}"}],
                    )
                )
    return made


async def test_parallel_feeds_of_one_family(index: httpx.AsyncClient, facts: Facts) -> None:
    """MAT-65: 30 records of three people at once: each record in one person, everybody complete."""
    people = [
        person(
            (NORTH, SOUTH, EAST)[number % 3],
            f"{given}-{number}",
            name=[{"family": "Parallelová", "given": [given]}],
            birthDate=born,
        )
        for given, born in (("Alžbeta", "1950-02-03"), ("Barbora", "1978-11-12"), ("Cecília", "2004-06-30"))
        for number in range(10)
    ]
    answers = await asyncio.gather(*(feed(index, one) for one in people))
    assert {one.status_code for one in answers} == {201}
    found = await persons(facts)
    assert [len(one) for one in found] == [10, 10, 10]
    for group in found:
        names = {next(a.json()["name"][0]["given"][0] for a in answers if a.json()["id"] == each) for each in group}
        assert len(names) == 1


async def test_shared_dummy_number_is_left_alone(index: httpx.AsyncClient, facts: Facts) -> None:
    """MAT-61: a component that is too large is not rebuilt."""
    count = LARGEST_COMPONENT + 3
    for number in range(count):
        await fed(index, person(NORTH, f"{number}", **MIRO))
    sizes = [len(one) for one in await persons(facts)]
    assert sum(sizes) <= count
    assert max(sizes) <= LARGEST_COMPONENT


async def test_rebuilding_gives_the_same(index: httpx.AsyncClient, context: Context, facts: Facts) -> None:
    """MAT-10, MAT-66: keys and persons computed anew are those that single feeds gave."""
    for one in households(random.Random(3), 5):
        await fed(index, one)
    before = await persons(facts)
    await facts.forget("person", [one["_id"] for one in await facts.after("person", "", 1000)])
    lines = [line async for line in rebuild_keys(context)]
    assert await persons(facts) == before
    assert lines[-1].startswith("compared: ")


async def test_everybody_of_a_person(index: httpx.AsyncClient, facts: Facts) -> None:
    """PIXM-104-31, PIXM-104-34: chains of merges lead to the end, and back to everybody."""
    ids = {
        number: await fed(
            index, person(NORTH, number, name=[{"family": f"Chain{number}"}], birthDate=f"19{number}0-01-02")
        )
        for number in ("3", "5", "7")
    }
    for lost, kept in (("3", "5"), ("5", "7")):
        link = {"other": {"identifier": {"system": NORTH, "value": kept}}, "type": "replaced-by"}
        await fed(index, person(NORTH, lost, name=[{"family": f"Chain{lost}"}], link=[link]))
    for each in ids.values():
        assert set(await everybody(facts, [each])) == set(ids.values())
