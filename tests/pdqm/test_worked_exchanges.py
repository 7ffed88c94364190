"""The worked exchanges of PDQm, pdqm.md section 8, replayed over HTTP. The record ids differ, all else is compared."""

from __future__ import annotations

from typing import Any

import httpx
import pytest

from tests.patients import BASE, JSON, KATARINA, KATARINA_SOUTH, NORTH, PETER, SOUTH, fed, feed, person

MAIDEN = "http://hl7.org/fhir/StructureDefinition/patient-mothersMaidenName"

Ids = dict[str, str]


@pytest.fixture
async def ids(index: httpx.AsyncClient) -> Ids:
    """The people of the exchanges: Katarina in North, revised, and in South; Peter; the twins."""
    await fed(index, KATARINA)
    without_phone = {name: value for name, value in KATARINA.items() if name != "telecom"}
    benkova = [{"url": MAIDEN, "valueString": "Benková"}]
    north = await fed(index, without_phone | {"extension": benkova})
    twins = {
        given: await fed(
            index,
            person(NORTH, number, name=[{"family": "Horváthová", "given": [given]}], birthDate="2015-05-20"),
        )
        for given, number in (("Anna", "N-3001"), ("Hana", "N-3002"))
    }
    return {"north": north, "south": await fed(index, KATARINA_SOUTH), "peter": await fed(index, PETER), **twins}


def entries(answer: httpx.Response, mode: str = "match") -> dict[str, dict[str, Any]]:
    """Record id -> Patient, of the entries with this mode; every entry has its address."""
    assert answer.status_code == 200, answer.text
    found = [one for one in answer.json().get("entry", ()) if one["search"]["mode"] == mode]
    assert all(one["fullUrl"] == f"{BASE}/Patient/{one['resource']['id']}" for one in found if mode != "outcome")
    return {one["resource"].get("id", ""): one["resource"] for one in found}


def outcomes(answer: httpx.Response) -> list[dict[str, Any]]:
    found = [one for one in answer.json().get("entry", ()) if one["search"]["mode"] == "outcome"]
    assert all(one["fullUrl"].startswith("urn:uuid:") for one in found)
    return [issue for one in found for issue in one["resource"]["issue"]]


def link(answer: httpx.Response, relation: str = "self") -> str:
    return next((one["url"] for one in answer.json()["link"] if one["relation"] == relation), "")


def seealso(patient: dict[str, Any]) -> set[str]:
    return {one["other"]["reference"] for one in patient.get("link", ()) if one["type"] == "seealso"}


async def test_name_and_gender(index: httpx.AsyncClient, ids: Ids) -> None:
    """PDQM-78-01, PDQM-78-06, PDQM-78-20, PDQM-78-50, PDQM-78-54, PDQM-78-59, PDQM-78-75: exchange 1; the records of one person say so."""
    answer = await index.get("/Patient?family=novak&gender=female&active=true")
    found = entries(answer)
    assert answer.json()["total"] == 2
    assert set(found) == {ids["north"], ids["south"]}
    assert link(answer) == f"{BASE}/Patient?family=novak&gender=female&active=true"
    assert seealso(found[ids["north"]]) == {f"Patient/{ids['south']}"}
    assert seealso(found[ids["south"]]) == {f"Patient/{ids['north']}"}


async def test_the_same_by_post(index: httpx.AsyncClient, ids: Ids) -> None:
    """PDQM-78-01, PDQM-78-02: exchange 2; parameters of URL and body are combined."""
    got = await index.get("/Patient?family=novak&gender=female&active=true")
    form = {"Content-Type": "application/x-www-form-urlencoded"}
    body = "gender=female&active=true"
    posted = await index.post("/Patient/_search?family=novak", content=body, headers=form)
    assert (posted.json()["entry"], link(posted)) == (got.json()["entry"], link(got))


async def test_no_hit(index: httpx.AsyncClient, ids: Ids) -> None:
    """PDQM-78-21, PDQM-78-52: exchange 3."""
    answer = await index.get("/Patient?family:exact=Novak&birthdate=1984-03-07")
    url = f"{BASE}/Patient?family:exact=Novak&birthdate=1984-03-07"
    expected = {"resourceType": "Bundle", "type": "searchset", "total": 0, "link": [{"relation": "self", "url": url}]}
    assert answer.json() == expected


async def test_only_identifiers_of_a_domain(index: httpx.AsyncClient, ids: Ids) -> None:
    """PDQM-78-40, PDQM-78-41: exchange 4; the record itself keeps all its identifiers."""
    answer = await index.get("/Patient", params={"birthdate": "1984-03-07", "identifier": f"{SOUTH}|"})
    found = entries(answer)
    assert answer.json()["total"] == 1
    assert found[ids["south"]]["identifier"] == [{"system": SOUTH, "value": "S-77"}]
    assert len((await index.get(f"/Patient/{ids['south']}")).json()["identifier"]) == 2


async def test_unknown_parameter(index: httpx.AsyncClient, ids: Ids) -> None:
    """PDQM-78-07, PDQM-78-08: exchange 5."""
    answer = await index.get("/Patient?family=kral&shoe-size=43")
    assert (set(entries(answer)), link(answer)) == ({ids["peter"]}, f"{BASE}/Patient?family=kral")
    strict = await index.get("/Patient?family=kral&shoe-size=43", headers={"Prefer": "handling=strict"})
    assert (strict.status_code, strict.json()["issue"][0]["code"]) == (400, "not-supported")


async def test_unknown_domain(index: httpx.AsyncClient) -> None:
    """PDQM-78-42, PDQM-78-46: exchange 6, to the letter."""
    answer = await index.get("/Patient", params={"family": "novak", "identifier": "urn:oid:2.999.404|"})
    text = "identifier domain urn:oid:2.999.404 is not known here"
    issue = {
        "severity": "warning",
        "code": "not-found",
        "details": {"text": text},
        "diagnostics": "targetSystem not found",
    }
    assert (answer.status_code, answer.json()) == (404, {"resourceType": "OperationOutcome", "issue": [issue]})


async def test_merged_record_with_its_survivor(index: httpx.AsyncClient, ids: Ids) -> None:
    """PDQM-78-60, PDQM-78-70, PDQM-78-71, PDQM-78-72, PDQM-78-82: exchange 8."""
    loser = person(NORTH, "N-1002", name=[{"family": "Novak", "given": ["Katarina"]}], birthDate="1984-07-03")
    other = {"identifier": {"system": NORTH, "value": "N-1001"}}
    lost = await fed(index, loser | {"link": [{"other": other, "type": "replaced-by"}]})
    answer = await index.get("/Patient?birthdate=1984-07-03")
    merged = entries(answer)[lost]
    assert (answer.json()["total"], merged["active"]) == (1, False)
    expected = {"other": {**other, "reference": f"Patient/{ids['north']}"}, "type": "replaced-by"}
    assert merged["link"] == [expected]
    (survivor,) = entries(answer, "include").values()
    assert (survivor["id"], survivor["extension"]) == (ids["north"], [{"url": MAIDEN, "valueString": "Benková"}])
    assert entries(await index.get("/Patient?birthdate=1984-07-03&active=true")) == {}
    assert (await index.get(f"/Patient/{lost}")).json()["active"] is False


async def test_read(index: httpx.AsyncClient, ids: Ids) -> None:
    """PDQM-78-80, PDQM-78-81, PDQM-78-84, PDQM-78-85: exchanges 8b and 8c."""
    answer = await index.get(f"/Patient/{ids['north']}")
    assert (answer.status_code, answer.headers["etag"], answer.json()["id"]) == (200, 'W/"2"', ids["north"])
    assert answer.headers["last-modified"].endswith("GMT")
    known = await index.get(f"/Patient/{ids['north']}", headers={"If-None-Match": 'W/"2"'})
    assert known.status_code == 304
    assert (await index.get(f"/Patient/{ids['north']}/_history/2")).json() == answer.json()
    for url in ("/Patient/nobody", "/Patient/%20"):
        unknown = await index.get(url)
        assert (unknown.status_code, unknown.json()["issue"][0]["code"]) == (404, "not-found")


async def test_format_not_available(index: httpx.AsyncClient, ids: Ids) -> None:
    """PDQM-78-53, PDQM-78-83: exchange 15; 406 for a search, 400 for a read."""
    for url, status in (("/Patient?family=kral", 406), (f"/Patient/{ids['north']}?", 400)):
        answer = await index.get(f"{url}&_format=text/turtle")
        assert (answer.status_code, answer.json()["issue"][0]["code"]) == (status, "not-supported")


async def test_paging(index: httpx.AsyncClient) -> None:
    """PDQM-78-05, PDQM-78-30, PDQM-78-51, PDQM-78-55, PDQM-78-57: exchange 7; there and back again, and nobody is missed while others are fed."""
    for number in range(12):
        born = f"19{50 + number}-01-02"
        name = [{"family": f"Fictitious{number:02}", "given": ["Ada"]}]
        await fed(index, person(NORTH, f"P-{number}", name=name, birthDate=born, address=[{"country": "SK"}]))
    url, seen, pages = "/Patient?address-country=SK&_count=5&_sort=family", [], []
    while url:
        answer = await index.get(url)
        seen += [one["name"][0]["family"] for one in entries(answer).values()]
        assert answer.json()["total"] >= 12
        pages.append((answer.json().get("entry"), link(answer, "previous"), link(answer, "first")))
        if len(pages) == 1:
            await feed(index, person(NORTH, "P-0a", name=[{"family": "Fictitious00a"}], address=[{"country": "SK"}]))
        url = link(answer, "next")
    assert seen == [f"Fictitious{number:02}" for number in range(12)]
    assert (pages[0][1:], len(pages)) == (("", ""), 3)
    back = await index.get(pages[2][1])
    assert back.json()["entry"] == pages[1][0]
    first = await index.get(link(back, "previous"))
    assert [one["name"][0]["family"] for one in entries(first).values()][-1] == "Fictitious04"
    assert link(await index.get(pages[2][2])) == f"{BASE}/Patient?address-country=SK&_count=5&_sort=family"


async def test_forged_page(index: httpx.AsyncClient) -> None:
    """PDQM-78-58: refused with 400 and `invalid`."""
    answer = await index.get("/Patient?address-country=SK&_after=abcdef")
    assert (answer.status_code, answer.json()["issue"][0]["code"]) == (400, "invalid")


async def test_metadata(index: httpx.AsyncClient) -> None:
    """PDQM-ACT-03, PIXM-ACT-01, PIXM-ACT-02, PIXM-CAP-01..03, PIXM-CAP-05: what is offered of patients is told."""
    statement = (await index.get("/metadata", headers=JSON)).json()
    (patient,) = [one for one in statement["rest"][0]["resource"] if one["type"] == "Patient"]
    assert patient["conditionalUpdate"] is patient["conditionalCreate"] is True
    assert patient["conditionalDelete"] == "single"
    assert {"read", "search-type", "create", "update", "delete"} <= {one["code"] for one in patient["interaction"]}
    operations = {one["name"]: one["definition"] for one in patient["operation"]}
    assert operations["ihe-pix"] == "https://profiles.ihe.net/ITI/PIXm/OperationDefinition/IHE.PIXm.pix"


async def test_search_of_the_whole_system(index: httpx.AsyncClient, ids: Ids) -> None:
    """PDQM-78-10, PDQM-CAP-03: `_type=Patient` asks the same; the pages stay where they are."""
    answer = await index.get("/?_type=Patient&family=novak&_count=1")
    assert len(entries(answer)) == 1
    assert link(answer) == f"{BASE}?_type=Patient&family=novak&_count=1"
    following = await index.get(link(answer, "next"))
    assert set(entries(answer)) | set(entries(following)) == {ids["north"], ids["south"]}
    statement = (await index.get("/metadata")).json()
    assert "search-system" in {one["code"] for one in statement["rest"][0]["interaction"]}


async def test_listed_parameters(index: httpx.AsyncClient) -> None:
    """PDQM-CAP-01, PDQM-CAP-02, PDQM-ACT-01, PDQM-ACT-02: types, the definition of one, the twins of strings; the operation."""
    statement = (await index.get("/metadata")).json()
    (patient,) = [one for one in statement["rest"][0]["resource"] if one["type"] == "Patient"]
    listed = {one["name"]: one for one in patient["searchParam"]}
    assert {listed[name]["type"] for name in ("family", "family:exact", "mothersMaidenName:exact")} == {"string"}
    assert (listed["birthdate"]["type"], listed["telecom"]["type"]) == ("date", "token")
    definition = "http://hl7.org/fhir/SearchParameter/patient-extensions-Patient-mothersMaidenName"
    assert listed["mothersMaidenName"]["definition"] == definition
    assert "https://profiles.ihe.net/ITI/PDQm/StructureDefinition/IHE.PDQm.Patient" in patient["supportedProfile"]
    assert "match" in {one["name"] for one in patient["operation"]}
    stated = statement["instantiates"]
    assert "https://profiles.ihe.net/ITI/PDQm/CapabilityStatement/IHE.PDQm.PatientDemographicsSupplierMatch" in stated
