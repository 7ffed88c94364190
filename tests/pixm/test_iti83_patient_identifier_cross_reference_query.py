"""Patient Identifier Cross-reference Query [ITI-83]: 2:3.83, pixm.md section 4, requirement by requirement."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import httpx
import pytest

from app.fhir.packages import Packages
from app.validation.validator import Validator
from tests.conftest import Serve
from tests.patients import (
    BASE,
    DOMAINS,
    JSON,
    KATARINA,
    KATARINA_LAB,
    KATARINA_SOUTH,
    LAB,
    NATIONAL,
    NORTH,
    PETER,
    SOUTH,
    also,
    code,
    fed,
    feed,
    identifiers,
    issue,
    person,
    pix,
    references,
)

N_1001, S_77 = f"{NORTH}|N-1001", f"{SOUTH}|S-77"
OUT = "https://profiles.ihe.net/ITI/PIXm/StructureDefinition/IHE.PIXm.Query.Parameters.Out"


@pytest.fixture
async def ids(index: httpx.AsyncClient) -> dict[str, str]:
    """North's, South's and the laboratory's record of one person."""
    people = {"north": KATARINA, "south": KATARINA_SOUTH, "lab": KATARINA_LAB}
    return {name: await fed(index, one) for name, one in people.items()}


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("", (400, "required")),
        (f"sourceIdentifier={N_1001}&sourceIdentifier={S_77}", (400, "invalid")),
        ("sourceIdentifier=N-1001", (400, "invalid")),
        ("sourceIdentifier=|N-1001", (400, "invalid")),
        (f"sourceIdentifier={NORTH}|", (400, "invalid")),
        (f"sourceIdentifier={NORTH}|a|b", (400, "invalid")),
        ("sourceIdentifier=2.999.10.1|N-1001", (400, "code-invalid")),
        (f"sourceIdentifier={NORTH}|n-1001", (404, "not-found")),
        (f"sourceIdentifier={NORTH}|N-1001,N-1002", (404, "not-found")),
        (f"sourceIdentifier={BASE}|Patient/nobody", (404, "not-found")),
        (f"sourceIdentifier={BASE}|nobody", (404, "not-found")),
    ],
)
async def test_sources(index: httpx.AsyncClient, ids: dict[str, str], query: str, expected: tuple[int, str]) -> None:
    """PIXM-83-02, PIXM-83-03, PIXM-DOM-03, PIXM-DOM-07: form, domain, value; a comma belongs to the value, and case matters."""
    assert code(await index.get(f"/Patient/$ihe-pix?{query}")) == expected


@pytest.mark.parametrize(
    ("source", "target", "expected"),
    [
        ("urn:oid:2.999.404|1", "urn:oid:2.999.404", (400, "code-invalid")),
        (f"{NORTH}|N-9999", "urn:oid:2.999.404", (403, "code-invalid")),
        (N_1001, f"{SOUTH},{NATIONAL}", (403, "code-invalid")),
    ],
)
async def test_which_refusal_wins(
    index: httpx.AsyncClient, ids: dict[str, str], source: str, target: str, expected: tuple[int, str]
) -> None:
    """PIXM-83-05, PIXM-83-33, PIXM-HTTP-17: 400 before 403 before 404; a comma does not separate targets."""
    assert code(await pix(index, source, target)) == expected


async def test_format_comes_first(index: httpx.AsyncClient) -> None:
    """PIXM-HTTP-02, PIXM-HTTP-05, PIXM-HTTP-17: a format that is not available, before anything else."""
    url = "/Patient/$ihe-pix?sourceIdentifier=urn:oid:2.999.404|1"
    assert code(await index.get(url, headers={"Accept": "text/turtle"})) == (406, "not-supported")
    xml = await index.get(f"{url}&_format=application/fhir+xml", headers={"Accept": "application/fhir+json"})
    assert (xml.status_code, xml.headers["content-type"]) == (400, "application/fhir+xml; charset=utf-8")


async def test_escaped_urls_and_values(index: httpx.AsyncClient) -> None:
    r"""PIXM-HTTP-11, PIXM-HTTP-12: percent-encoded names, `\,` and `\|` in values."""
    await fed(index, person(NORTH, "a,b|c"), NORTH, r"a\,b\|c")
    encoded = "/Patient/%24ihe-pix?sourceIdentifier=urn%3Aoid%3A2.999.10.1%7Ca%5C%2Cb%5C%7Cc"
    assert (await index.get(encoded)).status_code == 200


async def test_several_targets(index: httpx.AsyncClient, ids: dict[str, str]) -> None:
    """PIXM-83-05, PIXM-83-14, PIXM-83-15: every requested domain with a value is represented, and its records."""
    answer = await pix(index, N_1001, SOUTH, NATIONAL)
    assert identifiers(answer) == {S_77, f"{NATIONAL}|8453070123"}
    assert references(answer) == {f"{BASE}/Patient/{ids['south']}"}
    assert references(await pix(index, N_1001, LAB)) == {f"{BASE}/Patient/{ids['lab']}", f"{LAB}/Patient/9f2"}


async def test_own_address_as_source(index: httpx.AsyncClient, ids: dict[str, str]) -> None:
    """PIXM-83-04, PIXM-83-13, PIXM-83-15: by our own id; the record itself is not among the answers."""
    answer = await pix(index, f"{BASE}|Patient/{ids['north']}")
    assert N_1001 in identifiers(answer)
    assert f"{BASE}/Patient/{ids['north']}" not in references(answer)
    everybody = await pix(index, f"{BASE}|Patient/{ids['north']}", BASE)
    assert references(everybody) == {f"{BASE}/Patient/{ids['south']}", f"{BASE}/Patient/{ids['lab']}"}


async def test_number_that_several_records_have(index: httpx.AsyncClient, ids: dict[str, str]) -> None:
    """PIXM-83-04, PIXM-83-13: a national number belongs to the person; nobody owns it, so everybody is told."""
    answer = await pix(index, f"{NATIONAL}|8453070123")
    assert identifiers(answer) == {N_1001, S_77}
    assert len(references(answer)) == 4


async def test_what_is_told_of_an_identifier(index: httpx.AsyncClient) -> None:
    """PIXM-83-18, PIXM-83-19: use, type and period as stored; the assigner is the domain's name."""
    kept = {"use": "usual", "type": {"text": "number"}, "period": {"start": "2020"}}
    number = {"system": SOUTH, "value": "S-1", "assigner": {"reference": "Organization/1"}, **kept}
    await fed(index, person(NORTH, "N-1"))
    await fed(index, person(SOUTH, "S-1", identifier=[number]))
    (found,) = (await pix(index, f"{NORTH}|N-1", SOUTH)).json()["parameter"][:1]
    told = {"system": SOUTH, "value": "S-1", "assigner": {"display": "South Clinic"}, **kept}
    assert found["valueIdentifier"] == told


async def test_answer_obeys_its_profile(index: httpx.AsyncClient, ids: dict[str, str], packages: Packages) -> None:
    """PIXM-DAT-11: against IHE's profile of the answer."""
    issues = Validator(packages).validate((await pix(index, N_1001)).json(), OUT)
    assert [one for one in issues if one.is_error] == []


async def test_without_references(serve: Serve) -> None:
    """PIXM-83-22: a national profile may forbid `targetId`."""
    async with serve(pix_target_id=False) as index:
        await fed(index, KATARINA)
        await fed(index, KATARINA_SOUTH)
        answer = await pix(index, N_1001)
        assert (references(answer), S_77 in identifiers(answer)) == (set(), True)


async def test_domain_that_is_not_revealed(serve: Serve, tmp_path: Any) -> None:
    """PIXM-83-21, PIXM-83-37, PIXM-DOM-01: its numbers help matching; the answer is simply shorter, everywhere."""
    file = tmp_path / "domains.toml"
    file.write_text(
        f'[[domain]]\nsystem = "{NORTH}"\nname = "North"\n'
        f'[[domain]]\nsystem = "{SOUTH}"\nname = "South"\nrevealed = false\n'
    )
    async with serve(domains=str(file)) as index:
        await fed(index, person(NORTH, "N-1"))
        south = await fed(index, person(SOUTH, "S-1"))
        assert identifiers(await pix(index, f"{NORTH}|N-1")) == set()
        for answer in (await index.get(f"/Patient/{south}"), await index.get("/Patient?family=example")):
            assert "S-1" not in answer.text


async def test_only_at_the_type(index: httpx.AsyncClient, ids: dict[str, str]) -> None:
    """PIXM-83-08: neither for the system nor for an instance."""
    for url in (f"/$ihe-pix?sourceIdentifier={N_1001}", f"/Patient/{ids['north']}/$ihe-pix"):
        assert code(await index.get(url)) == (404, "not-supported")


async def test_changes_nothing(index: httpx.AsyncClient, ids: dict[str, str]) -> None:
    """PIXM-83-09, PIXM-104-20: asked as often as you like."""
    before = [(await index.get(f"/Patient/{one}")).headers["etag"] for one in ids.values()]
    answers = {(await pix(index, N_1001)).content for _ in range(3)}
    assert len(answers) == 1
    assert [(await index.get(f"/Patient/{one}")).headers["etag"] for one in ids.values()] == before


async def test_unknown_parameters(index: httpx.AsyncClient, ids: dict[str, str]) -> None:
    """PIXM-HTTP-18: ignored, but for strict handling."""
    url = f"/Patient/$ihe-pix?sourceIdentifier={N_1001}&foo=bar"
    assert (await index.get(url)).status_code == 200
    assert code(await index.get(url, headers={"Prefer": "handling=strict"})) == (400, "invalid")


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        ({"resourceType": "Patient"}, (400, "invalid")),
        ({"resourceType": "Parameters"}, (400, "required")),
        (
            {"resourceType": "Parameters", "parameter": [{"name": "sourceIdentifier", "valueInteger": 1}]},
            (400, "required"),
        ),
    ],
)
async def test_wrong_bodies(index: httpx.AsyncClient, body: dict[str, Any], expected: tuple[int, str]) -> None:
    """PIXM-83-07, PIXM-DAT-12: what a POST must bring."""
    assert code(await index.post("/Patient/$ihe-pix", json=body, headers=JSON)) == expected


async def test_targets_of_a_post_may_be_uris(index: httpx.AsyncClient, ids: dict[str, str]) -> None:
    """PIXM-DAT-12: `valueUri` is tolerated; other parameters are ignored."""
    parameters = [
        {"name": "sourceIdentifier", "valueString": N_1001},
        {"name": "targetSystem", "valueUri": SOUTH},
        {"name": "other", "valueString": "x"},
    ]
    body = {"resourceType": "Parameters", "parameter": parameters}
    assert identifiers(await index.post("/Patient/$ihe-pix", json=body, headers=JSON)) == {S_77}


async def test_operation_definition(index: httpx.AsyncClient) -> None:
    """PIXM-DAT-10, PDQM-CAP-04: both operations describe themselves."""
    for name in ("IHE.PIXm.pix", "PDQmMatch"):
        assert (await index.get(f"/OperationDefinition/{name}")).json()["resourceType"] == "OperationDefinition"


async def test_visible_at_once(index: httpx.AsyncClient) -> None:
    """PIXM-104-21, PDQM-ACT-06: a query right after the feed sees it."""
    for number in range(5):
        await fed(index, person(NORTH, f"N-{number}", identifier=also(NORTH, f"N-{number}", (NATIONAL, f"99{number}"))))
        assert f"{NATIONAL}|99{number}" in identifiers(await pix(index, f"{NORTH}|N-{number}", NATIONAL))


async def test_refusals_say_it_twice(index: httpx.AsyncClient) -> None:
    """PIXM-HTTP-09: diagnostics and details.text."""
    found = issue(await index.get("/Patient/$ihe-pix"))
    assert found["diagnostics"] == found["details"]["text"]


async def test_number_of_the_person(serve: Serve, tmp_path: Path) -> None:
    """PIXM-ACT-05: a domain of the index's own: one more `targetIdentifier`, a source too, and nobody feeds it."""
    own = "urn:oid:2.999.77"
    file = tmp_path / "domains.toml"
    text = f'\n[[domain]]\nsystem = "{own}"\nname = "Persons"\nkind = "person"\n'
    file.write_text(DOMAINS.read_text(encoding="utf-8") + text, encoding="utf-8")
    async with serve(domains=str(file)) as index:
        ids = [await fed(index, one) for one in (KATARINA, KATARINA_SOUTH)]
        alone = await fed(index, PETER)
        number = f"{own}|{min(ids)}"
        for source in (f"{NORTH}|N-1001", f"{SOUTH}|S-77"):
            assert number in identifiers(await pix(index, source))
            assert identifiers(await pix(index, source, own)) == {number}
        assert identifiers(await pix(index, f"{NORTH}|N-2044")) == {f"{own}|{alone}"}
        back = await pix(index, number)
        assert {f"{NORTH}|N-1001", f"{SOUTH}|S-77"} <= identifiers(back)
        assert not any(one.startswith(own) for one in identifiers(back))
        assert {one.rpartition("/")[2] for one in references(back)} == set(ids)
        assert code(await pix(index, f"{own}|{max(ids)}")) == (404, "not-found")
        assert code(await feed(index, person(own, "1"))) == (403, "forbidden")
