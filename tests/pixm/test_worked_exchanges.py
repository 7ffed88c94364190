"""The worked exchanges of PIXm, pixm.md section 10, replayed over HTTP. The record ids differ, all else is compared."""

from __future__ import annotations

from typing import Any

import httpx
import pytest

from tests.patients import (
    BASE,
    EMERGENCY,
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
    fed,
    feed,
    person,
    pix,
)

N_1001, S_77 = f"{NORTH}|N-1001", f"{SOUTH}|S-77"


def told(system: str, value: str, name: str) -> dict[str, Any]:
    valued = {"system": system, "value": value, "assigner": {"display": name}}
    return {"name": "targetIdentifier", "valueIdentifier": valued}


def target(url: str) -> dict[str, Any]:
    return {"name": "targetId", "valueReference": {"reference": url}}


def by_name(answer: httpx.Response) -> list[str]:
    assert answer.status_code == 200, answer.text
    return sorted(str(one) for one in answer.json().get("parameter", ()))


SOUTH_77 = told(SOUTH, "S-77", "South Clinic")
NATIONAL_NUMBER = told(NATIONAL, "8453070123", "National person register")


@pytest.fixture
async def ids(index: httpx.AsyncClient) -> dict[str, str]:
    """North's, South's and the laboratory's record of one person: exchanges 2, 3 and 3b."""
    return {
        "north": await fed(index, KATARINA),
        "south": await fed(index, KATARINA_SOUTH),
        "lab": await fed(index, KATARINA_LAB),
    }


async def test_add_then_revise(index: httpx.AsyncClient) -> None:
    """PIXM-104-01, PIXM-104-05, PIXM-104-06, PIXM-104-17; PIXM-HTTP-14: exchanges 2 and 3."""
    answer = await feed(index, KATARINA, X_Request_Id="5d1f0a52-0001")
    stored = answer.json()
    assert answer.status_code == 201
    assert answer.headers["location"] == f"{BASE}/Patient/{stored['id']}/_history/1"
    assert (answer.headers["etag"], answer.headers["x-request-id"]) == ('W/"1"', "5d1f0a52-0001")
    assert answer.headers["last-modified"].endswith("GMT")
    revised = await feed(index, {name: value for name, value in KATARINA.items() if name != "telecom"})
    assert (revised.status_code, revised.headers["etag"], revised.json()["id"]) == (200, 'W/"2"', stored["id"])
    assert "telecom" not in revised.json()


async def test_all_counterparts(index: httpx.AsyncClient, ids: dict[str, str]) -> None:
    """PIXM-83-01, PIXM-83-10..13, PIXM-83-15..18, PIXM-83-34: exchange 4; absolute references, no source, names of domains."""
    answer = await pix(index, N_1001)
    assert by_name(answer) == sorted(
        map(
            str,
            [
                SOUTH_77,
                NATIONAL_NUMBER,
                target(f"{BASE}/Patient/{ids['south']}"),
                target(f"{BASE}/Patient/{ids['lab']}"),
                target(f"{LAB}/Patient/9f2"),
            ],
        )
    )
    assert answer.headers["content-type"] == "application/fhir+json; charset=utf-8"
    assert answer.headers["cache-control"] == "no-store"


async def test_one_target_domain_as_xml(index: httpx.AsyncClient, ids: dict[str, str]) -> None:
    """PIXM-83-14, PIXM-HTTP-01: exchange 5."""
    asked = {"sourceIdentifier": N_1001, "targetSystem": SOUTH, "_format": "xml"}
    answer = await index.get("/Patient/$ihe-pix", params=asked)
    assert answer.headers["content-type"] == "application/fhir+xml; charset=utf-8"
    assert '<Parameters xmlns="http://hl7.org/fhir">' in answer.text
    assert '<value value="S-77"' in answer.text
    assert f'<reference value="{BASE}/Patient/{ids["south"]}"' in answer.text
    assert NATIONAL not in answer.text
    assert ids["lab"] not in answer.text


@pytest.mark.parametrize("own", [BASE, f"{BASE}/"])
async def test_logical_id_of_a_foreign_server(index: httpx.AsyncClient, ids: dict[str, str], own: str) -> None:
    """PIXM-83-04, PIXM-83-15, PIXM-DOM-04, PIXM-DOM-05: exchange 6, with and without a slash at the end of our own base."""
    answer = await pix(index, f"{LAB}|Patient/9f2", own)
    assert by_name(answer) == sorted(str(target(f"{BASE}/Patient/{one}")) for one in ids.values())


async def test_no_counterpart(index: httpx.AsyncClient) -> None:
    """PIXM-83-34, PIXM-83-36, PIXM-HTTP-19: exchange 7; an empty domain is no error, and there is no empty list."""
    await fed(index, PETER)
    answer = await pix(index, f"{NORTH}|N-2044", SOUTH)
    assert (answer.status_code, answer.json()) == (200, {"resourceType": "Parameters"})


@pytest.mark.parametrize(
    ("asked", "expected", "sentence"),
    [
        ((f"{NORTH}|N-9999",), (404, "not-found"), "sourceIdentifier Patient Identifier not found"),
        (("urn:oid:2.999.404|1",), (400, "code-invalid"), "sourceIdentifier Assigning Authority not found"),
        ((N_1001, SOUTH, "urn:oid:2.999.404"), (403, "code-invalid"), "targetSystem not found"),
    ],
)
async def test_refusals(
    index: httpx.AsyncClient, ids: dict[str, str], asked: tuple[str, ...], expected: tuple[int, str], sentence: str
) -> None:
    """PIXM-83-30, PIXM-83-31, PIXM-83-32, PIXM-HTTP-08, PIXM-HTTP-09: exchanges 8, 9, 10, to the letter."""
    answer = await pix(index, *asked)
    issue = {"severity": "error", "code": expected[1], "details": {"text": sentence}, "diagnostics": sentence}
    assert (answer.status_code, answer.json()) == (expected[0], {"resourceType": "OperationOutcome", "issue": [issue]})


async def test_format_not_available(index: httpx.AsyncClient) -> None:
    """PIXM-HTTP-05: exchange 11."""
    answer = await index.get("/Patient/$ihe-pix", params={"sourceIdentifier": N_1001, "_format": "text/turtle"})
    assert (answer.status_code, answer.json()["issue"][0]["code"]) == (406, "not-supported")


async def test_ambiguous_feed(index: httpx.AsyncClient) -> None:
    """PIXM-104-07, PIXM-104-53: exchange 12; nothing is changed, nothing is deleted."""
    for number, born in (("N-1", "1970-01-02"), ("N-2", "1981-05-06")):
        await fed(index, person(NORTH, number, birthDate=born, identifier=also(NORTH, number, (EMERGENCY, "X"))))
    for answer in (
        await feed(index, person(EMERGENCY, "X")),
        await index.delete("/Patient", params={"identifier": f"{EMERGENCY}|X"}),
    ):
        assert (answer.status_code, answer.json()["issue"][0]["code"]) == (412, "multiple-matches")
        assert answer.json()["issue"][0]["diagnostics"] == "identifier matches 2 records"
    assert (await index.get("/Patient", params={"identifier": f"{EMERGENCY}|X"})).json()["total"] == 2


async def test_merge_and_after(index: httpx.AsyncClient, ids: dict[str, str]) -> None:
    """PIXM-104-30, PIXM-104-31, PIXM-104-33, PIXM-104-36, PIXM-104-37, PIXM-104-41, PIXM-83-35: exchanges 12b and 13."""
    loser = person(NORTH, "N-1002", name=[{"family": "Novak", "given": ["Katarina"]}], birthDate="1984-07-03")
    lost = await fed(index, loser)
    other = {"identifier": {"system": NORTH, "value": "N-1001"}}
    answer = await feed(index, loser | {"active": False, "link": [{"other": other, "type": "replaced-by"}]})
    assert (answer.status_code, answer.headers["etag"]) == (200, 'W/"2"')
    after = await pix(index, S_77, NORTH)
    assert by_name(after) == sorted(
        map(str, [told(NORTH, "N-1001", "North Hospital"), target(f"{BASE}/Patient/{ids['north']}")])
    )
    assert (await pix(index, f"{NORTH}|N-1002")).status_code == 404
    kept = (await index.get(f"/Patient/{lost}")).json()
    assert (kept["active"], kept["link"][0]["other"]["reference"]) == (False, f"Patient/{ids['north']}")
    assert (await index.get(f"/Patient/{ids['north']}")).headers["etag"] == 'W/"1"'


async def test_remove(index: httpx.AsyncClient, ids: dict[str, str]) -> None:
    """PIXM-104-50..52, PIXM-104-54, PIXM-104-55: exchange 14."""
    for _ in range(2):
        answer = await index.delete("/Patient", params={"identifier": S_77})
        assert (answer.status_code, answer.content) == (204, b"")
    after = (await pix(index, N_1001)).text
    assert "S-77" not in after
    assert ids["south"] not in after
    assert (await pix(index, S_77)).status_code == 404
    gone = await index.get(f"/Patient/{ids['south']}")
    assert (gone.status_code, gone.json()["issue"][0]["code"]) == (404, "not-found")


async def test_operation_by_post(index: httpx.AsyncClient, ids: dict[str, str]) -> None:
    """PIXM-83-07, PIXM-DAT-12: exchange 15."""
    parameters = [
        {"name": "sourceIdentifier", "valueString": N_1001},
        {"name": "targetSystem", "valueString": NATIONAL},
    ]
    body = {"resourceType": "Parameters", "parameter": parameters}
    answer = await index.post("/Patient/$ihe-pix", json=body, headers=JSON)
    assert answer.json() == {"resourceType": "Parameters", "parameter": [NATIONAL_NUMBER]}
