"""HTTP as PIXm and PDQm want it of every exchange: pixm.md section 3, and the randomised check of PDQM-78-31."""

from __future__ import annotations

import random
from typing import Any

import httpx
import pytest

from tests.patients import NORTH, SOUTH, code, fed, issue, person, pix

URL = f"/Patient/$ihe-pix?sourceIdentifier={NORTH}|N-1"


@pytest.fixture(autouse=True)
async def somebody(index: httpx.AsyncClient) -> None:
    """One known patient; nobody needs a token."""
    await fed(index, person(NORTH, "N-1"))


@pytest.mark.parametrize(
    ("asked", "expected"),
    [
        ("json", "json"),
        ("xml", "xml"),
        ("application/json", "json"),
        ("application/xml", "xml"),
        ("text/json", "json"),
        ("text/xml", "xml"),
        ("application/fhir+json", "json"),
        ("application/fhir+xml", "xml"),
        ("application/fhir%2Bxml", "xml"),
    ],
)
async def test_spellings_of_format(index: httpx.AsyncClient, asked: str, expected: str) -> None:
    """PIXM-HTTP-03, PIXM-HTTP-10, PIXM-83-06: every spelling, a blank for the plus too; the type with its charset."""
    answer = await index.get(f"{URL}&_format={asked}")
    assert answer.headers["content-type"] == f"application/fhir+{expected}; charset=utf-8"


@pytest.mark.parametrize("accept", ["", "*/*", "text/html"])
async def test_json_when_nothing_is_asked(index: httpx.AsyncClient, accept: str) -> None:
    """PIXM-HTTP-04, PIXM-ACT-03: no Accept, anything, a browser; and no token."""
    answer = await index.get(URL, headers={"Accept": accept})
    assert answer.headers["content-type"] == "application/fhir+json; charset=utf-8"


async def test_fhir_version(index: httpx.AsyncClient) -> None:
    """PIXM-HTTP-07: 4.0 is served; another is 406 in Accept and 415 in Content-Type."""
    for version, status in (("4.0", 200), ("5.0", 406)):
        answer = await index.get(URL, headers={"Accept": f"application/fhir+json; fhirVersion={version}"})
        assert answer.status_code == status
    sent = {"Content-Type": "application/fhir+json; fhirVersion=5.0"}
    refused = await index.put(f"/Patient?identifier={NORTH}|N-1", json=person(NORTH, "N-1"), headers=sent)
    assert code(refused) == (415, "not-supported")


async def test_nothing_is_kept_on_the_way(index: httpx.AsyncClient) -> None:
    """PIXM-HTTP-13: whatever carries a patient's data says so."""
    record = await fed(index, person(NORTH, "N-1"))
    answers = [await index.get(url) for url in (URL, f"/Patient/{record}", "/Patient?family=example")]
    match = await index.post("/Patient/$match", json=person(NORTH, "N-1"), headers={"Content-Type": "application/json"})
    assert {one.headers["cache-control"] for one in (*answers, match)} == {"no-store"}


async def test_outcome_in_xml(index: httpx.AsyncClient) -> None:
    """PIXM-HTTP-01, PIXM-HTTP-08: errors in the format that was asked for."""
    answer = await index.get("/Patient/$ihe-pix", headers={"Accept": "application/fhir+xml"})
    assert (answer.status_code, "<OperationOutcome" in answer.text) == (400, True)
    assert issue(await pix(index, "x"))["severity"] == "error"


async def test_gender_extensions(index: httpx.AsyncClient) -> None:
    """PDQM-ACT-04, PDQM-ACT-05, PDQM-DAT-04, PIXM-DAT-02: carried in their R4 forms, and read back."""
    concept = {"coding": [{"system": "http://snomed.info/sct", "code": "446141000124107"}]}
    base = "http://hl7.org/fhir/StructureDefinition/individual"
    extension = [
        {"url": f"{base}-genderIdentity", "extension": [{"url": "value", "valueCodeableConcept": concept}]},
        {"url": f"{base}-pronouns", "extension": [{"url": "value", "valueCodeableConcept": {"text": "they"}}]},
    ]
    record = await fed(index, person(SOUTH, "S-1", extension=extension))
    assert (await index.get(f"/Patient/{record}")).json()["extension"] == extension


async def test_random_searches(index: httpx.AsyncClient) -> None:
    """PDQM-78-31: every match meets all criteria, and nothing that does is missing; against a plain filter."""
    chance = random.Random(5)
    families, given, cities = ("Hruška", "Bielik", "Zemko"), ("Anna", "Boris", "Cyril"), ("Nitra", "Martin")
    people: dict[str, dict[str, Any]] = {}
    for number in range(40):
        one = person(
            NORTH,
            f"R-{number}",
            name=[{"family": chance.choice(families), "given": [chance.choice(given)]}],
            gender=chance.choice(("male", "female")),
            birthDate=f"{chance.randrange(1950, 1954)}-01-0{chance.randrange(1, 9)}",
            address=[{"city": chance.choice(cities)}],
        )
        people[await fed(index, one)] = one
    for _ in range(25):
        family, city, year = chance.choice(families), chance.choice(cities), str(chance.randrange(1950, 1954))
        gender = chance.choice(("male", "female"))
        asked = {"family": family.lower(), "address-city": city.upper(), "gender": gender, "birthdate": year}
        chosen = dict(chance.sample(list(asked.items()), chance.randint(1, 4)))
        answer = await index.get("/Patient", params=chosen | {"_count": "200", "identifier": f"{NORTH}|"})
        found = {one["resource"]["id"] for one in answer.json().get("entry", ())} & people.keys()
        assert found == {
            name
            for name, one in people.items()
            if ("family" not in chosen or one["name"][0]["family"] == family)
            and ("address-city" not in chosen or one["address"][0]["city"] == city)
            and ("gender" not in chosen or one["gender"] == gender)
            and ("birthdate" not in chosen or one["birthDate"].startswith(year))
        }
