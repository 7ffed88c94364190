"""Patient Demographics Match [ITI-119]: 2:3.119, pdqm.md section 3."""

from __future__ import annotations

from typing import Any

import httpx
import pytest
from fastapi import FastAPI

from app.store.change import Create
from tests.patients import BASE, JSON, KATARINA, KATARINA_SOUTH, NATIONAL, NORTH, PETER, SOUTH, also, code, fed, person

GRADE = "http://hl7.org/fhir/StructureDefinition/match-grade"
MAIDEN = "http://hl7.org/fhir/StructureDefinition/patient-mothersMaidenName"

# A typing error in the surname, day and month exchanged: exchange 9.
MISTYPED: dict[str, Any] = {
    "resourceType": "Patient",
    "name": [{"family": "Novkova", "given": ["Katarina"]}],
    "gender": "female",
    "birthDate": "1984-07-03",
    "address": [{"city": "Zilina", "postalCode": "01001"}],
}
CERTAIN: dict[str, Any] = {
    "resourceType": "Patient",
    "identifier": also(NATIONAL, "8453070123"),
    "name": [{"family": "Nováková", "given": ["Katarína"]}],
    "birthDate": "1984-03-07",
}
TWINS: dict[str, Any] = {"resourceType": "Patient", "name": [{"family": "Horváthová"}], "birthDate": "2015-05-20"}

Ids = dict[str, str]


@pytest.fixture
async def ids(index: httpx.AsyncClient) -> Ids:
    """Katarina in North and South, Peter, the twins Anna and Hana."""
    people = {
        "north": KATARINA,
        "south": KATARINA_SOUTH,
        "peter": PETER,
        "anna": person(NORTH, "N-3001", name=[{"family": "Horváthová", "given": ["Anna"]}], birthDate="2015-05-20"),
        "hana": person(NORTH, "N-3002", name=[{"family": "Horváthová", "given": ["Hana"]}], birthDate="2015-05-20"),
    }
    return {name: await fed(index, one) for name, one in people.items()}


def parameters(patient: dict[str, Any], **more: Any) -> dict[str, Any]:
    """A Parameters resource; `count` and `onlyCertainMatches` as keywords."""
    types = {"count": "valueInteger", "onlyCertainMatches": "valueBoolean"}
    others = [{"name": name, types[name]: value} for name, value in more.items()]
    return {"resourceType": "Parameters", "parameter": [{"name": "resource", "resource": patient}, *others]}


async def ask(index: httpx.AsyncClient, body: dict[str, Any], **headers: str) -> httpx.Response:
    return await index.post("/Patient/$match", json=body, headers=JSON | headers)


def matches(answer: httpx.Response) -> list[tuple[str, str]]:
    """Pairs of record id and grade, best first; what every entry must have is checked on the way."""
    assert answer.status_code == 200, answer.text
    bundle = answer.json()
    assert (bundle["resourceType"], bundle["type"]) == ("Bundle", "searchset")
    assert [one["relation"] for one in bundle["link"]] == ["self"]
    found, scores = [], []
    for entry in bundle.get("entry", ()):
        assert not {"request", "response"} & set(entry)
        if entry["resource"]["resourceType"] == "OperationOutcome":
            assert entry["search"]["mode"] == "outcome"
            assert entry["fullUrl"].startswith("urn:uuid:")
            assert all(one["severity"] in ("warning", "information") for one in entry["resource"]["issue"])
            continue
        (grade,) = [one["valueCode"] for one in entry["search"]["extension"] if one["url"] == GRADE]
        assert grade in ("certain", "probable", "possible")
        assert entry["fullUrl"] == f"{BASE}/Patient/{entry['resource']['id']}"
        assert entry["search"]["mode"] == "match"
        scores.append(entry["search"]["score"])
        found.append((entry["resource"]["id"], grade))
    assert scores == sorted(scores, reverse=True)
    assert all(0 <= score <= 1 for score in scores)
    return found


def outcomes(answer: httpx.Response) -> list[dict[str, Any]]:
    entries = [one for one in answer.json().get("entry", ()) if one["search"]["mode"] == "outcome"]
    return [issue for one in entries for issue in one["resource"]["issue"]]


async def test_parameters_and_bare_patient(index: httpx.AsyncClient, ids: Ids) -> None:
    """PDQM-119-01, PDQM-119-02, PDQM-119-20..26, PDQM-119-30, PDQM-119-38: exchanges 9 and 10, the same answer."""
    answer = await ask(index, parameters(MISTYPED))
    found = matches(answer)
    assert {one for one, _ in found} == {ids["north"], ids["south"]}
    assert found[0][0] == ids["north"]
    assert answer.json()["total"] == 2
    assert (await ask(index, MISTYPED)).json() == answer.json()
    assert answer.json()["entry"][0]["resource"]["link"] == [
        {"other": {"reference": f"Patient/{ids['south']}"}, "type": "seealso"}
    ]


async def test_as_xml(index: httpx.AsyncClient, ids: Ids) -> None:
    """PDQM-119-09: XML in and out."""
    body = (
        '<Patient xmlns="http://hl7.org/fhir"><name><family value="Novkova"/><given value="Katarina"/></name>'
        '<gender value="female"/><birthDate value="1984-07-03"/></Patient>'
    )
    answer = await index.post("/Patient/$match", content=body, headers={"Content-Type": "application/fhir+xml"})
    assert answer.headers["content-type"].startswith("application/fhir+xml")
    assert f'<id value="{ids["north"]}"' in answer.text


async def test_count(index: httpx.AsyncClient, ids: Ids) -> None:
    """PDQM-119-10, PDQM-119-26, PDQM-119-31: exchange 11; 0 gives none, a negative one is refused, a large one is lowered."""
    one = await ask(index, parameters(MISTYPED, count=1))
    assert (matches(one)[0][0], len(matches(one)), one.json()["total"]) == (ids["north"], 1, 1)
    assert matches(await ask(index, parameters(MISTYPED, count=0))) == []
    assert len(matches(await ask(index, parameters(MISTYPED, count=100_000)))) == 2
    assert code(await ask(index, parameters(MISTYPED, count=-1))) == (400, "value")


async def test_only_certain(index: httpx.AsyncClient, ids: Ids) -> None:
    """PDQM-119-27, PDQM-119-29: exchange 12; several certain records of one person are all returned."""
    answer = await ask(index, parameters(CERTAIN, onlyCertainMatches=True))
    assert dict(matches(answer)) == {ids["north"]: "certain", ids["south"]: "certain"}


async def test_only_certain_and_twins(index: httpx.AsyncClient, ids: Ids) -> None:
    """PDQM-119-29, PDQM-119-32: exchange 12b; two persons, so none."""
    answer = await ask(index, parameters(TWINS, onlyCertainMatches=True))
    assert (matches(answer), answer.json()["total"]) == ([], 0)
    (told,) = outcomes(answer)
    assert (told["severity"], told["code"]) == ("information", "multiple-matches")
    assert told["diagnostics"] == "no single certain person"


async def test_only_certain_and_a_weak_hit(index: httpx.AsyncClient, ids: Ids) -> None:
    """PDQM-119-28: one hit that is not certain: 200 and nothing."""
    weak = {"resourceType": "Patient", "name": [{"family": "Kral", "given": ["Petr"]}], "birthDate": "1951-11"}
    answer = await ask(index, parameters(weak, onlyCertainMatches=True))
    assert (matches(answer), answer.json()["total"]) == ([], 0)


@pytest.mark.parametrize(
    "patient",
    [
        {"gender": "female"},
        {"name": [{"family": "Novak"}]},
        {"birthDate": "1984-03-07"},
        {"identifier": [{"value": "N-1001"}]},
        {"telecom": [{"system": "phone", "value": "0905111222"}]},
    ],
)
async def test_too_little(index: httpx.AsyncClient, patient: dict[str, Any]) -> None:
    """PDQM-119-15: exchange 13."""
    answer = await ask(index, {"resourceType": "Patient"} | patient)
    assert code(answer) == (400, "required")
    assert answer.json()["issue"][0]["diagnostics"] == (
        "not enough demographics: give an identifier with system and value, or a family name and a birth date"
    )


@pytest.mark.parametrize(
    "patient",
    [
        {"identifier": also("urn:oid:2.999.77", "1")},
        {"name": [{"family": "Novak"}], "birthDate": "1984"},
        {"name": [{"text": "Eva Novak"}], "birthDate": "1984-03"},
        {"name": [{"family": "Novak", "given": ["Eva"]}], "gender": "female"},
        {"name": [{"family": "Novak"}], "telecom": [{"system": "phone", "value": "0905111222"}]},
    ],
)
async def test_enough(index: httpx.AsyncClient, patient: dict[str, Any]) -> None:
    """PDQM-119-15, PDQM-119-32, PDQM-119-39: any of these will do; an identifier of an unknown domain too; nobody is found."""
    assert matches(await ask(index, {"resourceType": "Patient"} | patient)) == []


async def test_modifier_extension(index: httpx.AsyncClient, ids: Ids) -> None:
    """PDQM-119-04, PDQM-119-05: exchange 14; no Patient in the answer."""
    url = "https://example.org/not-a-real-person"
    answer = await ask(index, MISTYPED | {"modifierExtension": [{"url": url, "valueBoolean": True}]})
    assert code(answer) == (400, "extension")
    found = answer.json()["issue"][0]
    assert found["diagnostics"] == f"modifierExtension {url} is not understood"
    assert found["expression"] == ["Patient.modifierExtension[0]"]
    assert code(await ask(index, MISTYPED | {"implicitRules": "http://example.org/rules"})) == (400, "invalid")


async def test_unknown_extension_is_no_reason(index: httpx.AsyncClient, ids: Ids) -> None:
    """PDQM-119-06: an ordinary one never makes the request fail."""
    extended = MISTYPED | {"extension": [{"url": "https://example.org/shoe-size", "valueInteger": 43}]}
    assert matches(await ask(index, extended)) == matches(await ask(index, MISTYPED))


async def test_what_cannot_be_read_is_dropped(index: httpx.AsyncClient, ids: Ids) -> None:
    """PDQM-119-07, PDQM-119-34: 200 with a warning; missing parts are tolerated."""
    sloppy = MISTYPED | {"birthDate": "1984-3-7", "identifier": [{"value": "x"}]}
    answer = await ask(index, sloppy)
    assert answer.status_code == 200
    assert [(one["severity"], one["code"]) for one in outcomes(answer)] == [("warning", "value")]


@pytest.mark.parametrize(
    "slip",
    [
        {"name": [{"family": "Novkova", "given": 5}]},
        {"name": [7, {"family": "Novkova", "given": [None, "Katarina"], "use": ["old"]}, "x"]},
        {"name": "Novkova"},
        {"birthDate": 1984, "gender": ["female"]},
        {"address": {"city": "Zilina"}},
        {"address": [{"line": "x", "city": [], "postalCode": {}}], "telecom": [{"system": 1, "value": [2]}]},
        {"identifier": [{"system": 5, "value": {"a": 1}}], "multipleBirthInteger": "2"},
    ],
)
async def test_what_has_no_shape_is_dropped(index: httpx.AsyncClient, ids: Ids, slip: dict[str, Any]) -> None:
    """PDQM-119-07: a value of another type is a value that cannot be read; what stands beside it counts."""
    answer = await ask(index, CERTAIN | slip)
    assert answer.status_code == 200
    assert {one["severity"] for one in outcomes(answer)} == {"warning"}


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        ({"resourceType": "Parameters"}, "required"),
        ({"resourceType": "Parameters", "parameter": [{"name": "count", "valueInteger": 1}]}, "required"),
        (parameters(MISTYPED) | {"parameter": [*parameters(MISTYPED)["parameter"] * 2]}, "invalid"),
        ({"resourceType": "Parameters", "parameter": [{"name": "other", "valueString": "x"}]}, "invalid"),
        ({"resourceType": "Parameters", "parameter": [{"name": "count", "valueString": "1"}]}, "invalid"),
        ({"resourceType": "Parameters", "parameter": [{"name": "resource", "valueString": "x"}]}, "invalid"),
        ({"resourceType": "Parameters", "parameter": {"name": "count"}}, "structure"),
        ({"resourceType": "Parameters", "parameter": [None]}, "structure"),
        ({"resourceType": "Practitioner"}, "invalid"),
    ],
)
async def test_wrong_parameters(index: httpx.AsyncClient, body: dict[str, Any], expected: str) -> None:
    """PDQM-119-03, PDQM-119-35: refused with one OperationOutcome."""
    assert code(await ask(index, body)) == (400, expected)


async def test_get_is_not_offered(index: httpx.AsyncClient) -> None:
    """PDQM-119-01: 405."""
    assert (await index.get("/Patient/$match")).status_code == 405


async def test_merged_record_counts_for_its_survivor(index: httpx.AsyncClient, ids: Ids) -> None:
    """PDQM-119-33: the loser's data return the survivor."""
    loser = person(NORTH, "N-1002", name=[{"family": "Dvorsky", "given": ["Zita"]}], birthDate="1930-11-12")
    other = {"identifier": {"system": NORTH, "value": "N-1001"}}
    await fed(index, loser | {"link": [{"other": other, "type": "replaced-by"}]})
    asked = {"resourceType": "Patient", "name": loser["name"], "birthDate": "1930-11-12", "gender": "female"}
    assert matches(await ask(index, asked)) == [(ids["north"], "certain")]


async def test_mothers_maiden_name(index: httpx.AsyncClient, ids: Ids) -> None:
    """PDQM-119-08, PDQM-119-36: it tells namesakes apart, and is returned."""
    named = {"name": [{"family": "Same", "given": ["Eva"]}], "birthDate": "2001-01-01"}
    maiden = {name: [{"url": MAIDEN, "valueString": name}] for name in ("Benková", "Zlatá")}
    first = await fed(index, person(NORTH, "N-1", extension=maiden["Benková"], **named))
    await fed(index, person(NORTH, "N-2", extension=maiden["Zlatá"], **named))
    answer = await ask(index, {"resourceType": "Patient", "extension": maiden["Benková"]} | named)
    best = answer.json()["entry"][0]
    assert (best["resource"]["id"], best["resource"]["extension"]) == (first, maiden["Benková"])
    assert best["search"]["score"] > answer.json()["entry"][1]["search"]["score"]


async def test_changes_nothing_and_repeats_itself(index: httpx.AsyncClient, ids: Ids) -> None:
    """PDQM-119-11, PDQM-119-37, PIXM-104-20: the same answer each time, and no link comes of it."""
    answers = [(await ask(index, MISTYPED)).content for _ in range(5)]
    assert len(set(answers)) == 1
    source = {"sourceIdentifier": f"{NORTH}|N-3001"}
    assert (await index.get("/Patient/$ihe-pix", params=source)).json() == {"resourceType": "Parameters"}
    assert (await index.get(f"/Patient/{ids['north']}")).headers["etag"] == 'W/"1"'


async def test_explanation(index: httpx.AsyncClient, ids: Ids) -> None:
    """MAT-63: on request; the bits of all parts sum up to the weight."""
    answer = await ask(index, MISTYPED, Prefer="explain")
    (told,) = [one for one in answer.json()["entry"][0]["search"]["extension"] if one["url"] != GRADE]
    by_url: dict[str, list[dict[str, Any]]] = {}
    for one in told["extension"]:
        by_url.setdefault(one["url"], []).append(one)
    parts = [{each["url"]: each for each in one["extension"]} for one in by_url["part"]]
    bits = [float(one["bits"]["valueDecimal"]) for one in parts]
    assert abs(sum(bits) - float(by_url["weight"][0]["valueDecimal"])) < 0.1
    assert {"prior", "family", "birthDate"} <= {one["field"]["valueCode"] for one in parts}


async def test_many_candidates(index_app: FastAPI, index: httpx.AsyncClient) -> None:
    """PDQM-119-16, MAT-22: keys that more records have than the cap are left out, and that is told."""
    context = index_app.state.context
    people = [person(SOUTH, f"S-{number}", birthDate=f"{1900 + number % 90}-06-07") for number in range(2_050)]
    made = [Create(one | {"id": context.new_id()}) for one in people]
    await context.store.commit(made, context.now())
    answer = await ask(index, person(birthDate="1960-06-07", identifier=None))
    assert [(one["severity"], one["code"]) for one in outcomes(answer)] == [("warning", "too-costly")]
    assert matches(answer)
