"""Patient Demographics Query [ITI-78]: 2:3.78, pdqm.md section 2, requirement by requirement."""

from __future__ import annotations

from typing import Any
from urllib.parse import urlencode

import httpx
import pytest

from app.fhir.packages import Packages
from app.validation.validator import Validator
from tests.conftest import Serve
from tests.patients import (
    BASE,
    KATARINA,
    KATARINA_SOUTH,
    NATIONAL,
    NORTH,
    PETER,
    SOUTH,
    also,
    code,
    fed,
    person,
)

MAIDEN = "http://hl7.org/fhir/StructureDefinition/patient-mothersMaidenName"

FULL: dict[str, Any] = KATARINA | {
    "extension": [{"url": MAIDEN, "valueString": "Benková"}],
    "name": [*KATARINA["name"], {"use": "old", "family": "Dobšinská"}],
    "telecom": [*KATARINA["telecom"], {"system": "email", "value": "Eva@Example.org"}],
    "address": [KATARINA["address"][0] | {"state": "ZI", "district": "Žilina"}],
}


@pytest.fixture
async def ids(index: httpx.AsyncClient) -> dict[str, str]:
    """Katarina, with everything that is searched, and Peter."""
    return {"katarina": await fed(index, FULL), "peter": await fed(index, PETER)}


async def found(index: httpx.AsyncClient, **asked: str) -> set[str]:
    """The ids of the matches; `_` at the end of a name is a colon before `exact`."""
    pairs = {name.replace("__", ":").replace("address_", "address-"): value for name, value in asked.items()}
    answer = await index.get("/Patient", params=pairs)
    assert answer.status_code == 200, answer.text
    return {one["resource"]["id"] for one in answer.json().get("entry", ()) if one["search"]["mode"] == "match"}


@pytest.mark.parametrize(
    ("asked", "is_found"),
    [
        ({"active": "true"}, True),
        ({"family": "nova"}, True),
        ({"family": "ova"}, False),
        ({"family": "Novákovou"}, False),
        ({"family": "Novkova"}, False),
        ({"family": "dobsinska"}, True),
        ({"family__exact": "Nováková"}, True),
        ({"family__exact": "Novakova"}, False),
        ({"family__contains": "ako"}, True),
        ({"given": "katarin"}, True),
        ({"given__exact": "Eva"}, True),
        ({"given__exact": "eva"}, False),
        ({"identifier": f"{NORTH}|N-1001"}, True),
        ({"identifier": f"{NORTH}|n-1001"}, False),
        ({"identifier": "N-1001"}, True),
        ({"identifier": "|N-1001"}, False),
        ({"telecom": "0905111222"}, True),
        ({"telecom": "+421905111222"}, True),
        ({"telecom": "phone|+421 905 111 222"}, True),
        ({"telecom": "email|eva@example.org"}, True),
        ({"telecom": "0905111223"}, False),
        ({"phone": "0905 111 222"}, True),
        ({"email": "EVA@example.ORG"}, True),
        ({"address": "lipova"}, True),
        ({"address_city": "zilina"}, True),
        ({"address_city__exact": "Žilina"}, True),
        ({"address_city__exact": "Zilina"}, False),
        ({"address_country": "SK"}, True),
        ({"address_country__exact": "sk"}, False),
        ({"address_postalcode": "010 01"}, True),
        ({"address_postalcode__exact": "010"}, False),
        ({"address_state": "zi"}, True),
        ({"address_state__exact": "ZI"}, True),
        ({"address__exact": "Lipová 12"}, True),
        ({"gender": "female"}, True),
        ({"gender": "Female"}, False),
        ({"mothersMaidenName": "benkova"}, True),
        ({"mothersMaidenName__exact": "Benková"}, True),
        ({"mothersMaidenName__exact": "Benkova"}, False),
        ({"_lastUpdated": "gt2020"}, True),
        ({"family": "Kral,Novak"}, True),
        ({"family": "novak", "gender": "female"}, True),
        ({"family": "novak", "birthdate": "1984-03-07"}, True),
        ({"family": "dobsin", "birthdate": "1984-03-07"}, True),
        ({"family": "novak", "birthdate": "1984-03"}, True),
        ({"family": "novak", "birthdate": "1984-03-08"}, False),
        ({"family": "novak", "birthdate": "lt1984-03-08"}, True),
        ({"family": "kral,dobsin", "birthdate": "1984-03-07"}, True),
        ({"family__exact": "Dobšinská", "birthdate": "1984-03-07"}, True),
        ({"family__exact": "Dobšinsk", "birthdate": "1984-03-07"}, False),
        ({"family": "novak", "gender": "male"}, False),
        ({"family": "", "given": "eva"}, True),
        ({"name": "nova"}, True),
        ({"gender__not": "male"}, True),
    ],
)
async def test_parameters(index: httpx.AsyncClient, ids: dict[str, str], asked: dict[str, str], is_found: bool) -> None:
    """PDQM-78-03..06, PDQM-78-09, PDQM-78-20..23, PDQM-78-26, PDQM-78-28, PDQM-78-29, PDQM-78-32: each row of the table, alone and together; no fuzziness."""
    assert (ids["katarina"] in await found(index, **asked)) == is_found


@pytest.mark.parametrize(
    ("stored", "asked", "is_found"),
    [
        ("1984-03-07", "1984-03-07", True),
        ("1984-03-07", "1984-03", True),
        ("1984-03-07", "1984", True),
        ("1984-03", "1984-03-07", False),
        ("1984-03-07", "ne1984-03-07", False),
        ("1984-03-07", "gt1984-03-06", True),
        ("1984-03-07", "lt1984-03-07", False),
        ("1984-03-07", "ge1984-03-07", True),
        ("1984-03-07", "le1984-03-07", True),
        ("1984-03-07", "sa1984-03-06", True),
        ("1984-03-07", "eb1984-03-08", True),
        ("1984-03-07", "ap1984-03-07", True),
    ],
)
async def test_birth_dates(index: httpx.AsyncClient, stored: str, asked: str, is_found: bool) -> None:
    """PDQM-78-24: precision and prefixes."""
    assert bool(await found(index, birthdate=asked)) is False
    await fed(index, person(NORTH, "N-1", birthDate=stored))
    assert bool(await found(index, birthdate=asked)) == is_found


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("birthdate=7.3.1984", (400, "value")),
        ("birthdate=xx1984", (400, "value")),
        ("family:foo=x", (400, "not-supported")),
        ("_count=-1", (400, "value")),
        ("_count=many", (400, "value")),
    ],
)
async def test_refusals(index: httpx.AsyncClient, query: str, expected: tuple[int, str]) -> None:
    """PDQM-78-22, PDQM-78-25, PDQM-78-56: what cannot be read."""
    assert code(await index.get(f"/Patient?{query}")) == expected


async def test_unknown_gender(index: httpx.AsyncClient, ids: dict[str, str]) -> None:
    """PDQM-78-27: nothing and a warning; strictly refused."""
    answer = await index.get("/Patient?gender=x")
    (entry,) = answer.json()["entry"]
    assert (answer.json()["total"], entry["search"]["mode"]) == (0, "outcome")
    assert entry["resource"]["issue"][0]["severity"] == "warning"
    assert entry["fullUrl"].startswith("urn:uuid:")
    assert code(await index.get("/Patient?gender=x", headers={"Prefer": "handling=strict"})) == (400, "value")


async def test_unknown_domain_by_choice(serve: Serve) -> None:
    """PDQM-78-42, PDQM-78-43: 200 with what there is, and an outcome that does not count."""
    async with serve(unknown_domain=200) as index:
        await fed(index, KATARINA)
        answer = await index.get("/Patient", params={"identifier": f"{NORTH}|,urn:oid:2.999.404|"})
        modes = [one["search"]["mode"] for one in answer.json()["entry"]]
        assert (answer.json()["total"], modes) == (1, ["match", "outcome"])


async def test_full_identifier_of_an_unknown_domain(index: httpx.AsyncClient, ids: dict[str, str]) -> None:
    """PDQM-78-44: an ordinary search without hits, and a warning."""
    answer = await index.get("/Patient", params={"identifier": "urn:oid:2.999.404|1"})
    assert (answer.json()["total"], [one["search"]["mode"] for one in answer.json()["entry"]]) == (0, ["outcome"])


async def test_filter_and_full_identifier(index: httpx.AsyncClient) -> None:
    """PDQM-78-40, PDQM-78-45, PDQM-DAT-03: both must be owned; the answer keeps the filter's domain only."""
    await fed(index, KATARINA)
    await fed(index, person(NORTH, "N-2", identifier=also(NORTH, "N-2", (SOUTH, "S-9")), birthDate="1955-05-05"))
    pairs = [("identifier", f"{NORTH}|N-1001"), ("identifier", f"{NATIONAL}|")]
    answer = await index.get(f"/Patient?{urlencode(pairs)}")
    (entry,) = answer.json()["entry"]
    assert entry["resource"]["identifier"] == also(NATIONAL, "8453070123")
    assert (await index.get("/Patient", params={"identifier": f"{SOUTH}|"})).json()["total"] == 0
    either = await index.get("/Patient", params={"identifier": f"{SOUTH}|,{NATIONAL}|"})
    assert either.json()["total"] == 1


async def test_sizes_of_pages(index: httpx.AsyncClient) -> None:
    """PDQM-78-30, PDQM-78-51, PDQM-78-56: 20 by default, 200 at most and told so; 0 counts; `_total=none` takes nothing away."""
    for number in range(23):
        await fed(index, person(NORTH, f"N-{number}", birthDate=f"19{10 + number}-01-01"))
    answer = await index.get("/Patient?family=example&_total=none")
    assert (len(answer.json()["entry"]), answer.json()["total"]) == (20, 23)
    large = await index.get("/Patient?family=example&_count=500")
    assert large.json()["link"][0]["url"] == f"{BASE}/Patient?family=example&_count=200"
    counted = (await index.get("/Patient?family=example&_count=0")).json()
    assert (counted["total"], "entry" in counted) == (23, False)


@pytest.mark.parametrize("choice", ["flagged", "omitted"])
async def test_merged_records_by_choice(serve: Serve, choice: str) -> None:
    """PDQM-78-70: with the flag alone, or left out."""
    async with serve(deprecated_search=choice) as index:
        await fed(index, KATARINA)
        link = [{"other": {"identifier": {"system": NORTH, "value": "N-1001"}}, "type": "replaced-by"}]
        await fed(index, person(NORTH, "N-2", link=link))
        answer = (await index.get("/Patient?family=example")).json()
        shown = [(one["search"]["mode"], one["resource"]["active"]) for one in answer.get("entry", ())]
        assert shown == ([("match", False)] if choice == "flagged" else [])


async def test_search_that_narrows_nothing(index: httpx.AsyncClient, ids: dict[str, str], serve: Serve) -> None:
    """PDQM-78-11: allowed and paged; a deployment may demand more."""
    assert (await index.get("/Patient?_count=1")).json()["total"] == 2
    async with serve(min_search_params=True) as strict:
        assert code(await strict.get("/Patient?_count=1")) == (400, "too-costly")
        assert (await strict.get("/Patient?family=novak")).status_code == 200


async def test_parts_are_marked(index: httpx.AsyncClient, ids: dict[str, str]) -> None:
    """PDQM-78-62: `_elements` and `_summary`."""
    for query in ("_elements=name", "_summary=true"):
        answer = await index.get(f"/Patient?family=novak&{query}")
        tags = answer.json()["entry"][0]["resource"]["meta"]["tag"]
        assert "SUBSETTED" in [one["code"] for one in tags]


async def test_newborn_without_a_name(index: httpx.AsyncClient) -> None:
    """PDQM-78-63: a name that is absent for a reason is returned as it is."""
    reason = {"url": "http://hl7.org/fhir/StructureDefinition/data-absent-reason", "valueCode": "unknown"}
    newborn = await fed(index, person(NORTH, "N-1", name=[{"extension": [reason]}]))
    assert (await index.get(f"/Patient/{newborn}")).json()["name"] == [{"extension": [reason]}]


async def test_answers_obey_their_profile(index: httpx.AsyncClient, packages: Packages) -> None:
    """PDQM-78-50, PDQM-78-76, PDQM-DAT-01: the Bundle and its Patients, against IHE's profile."""
    await fed(index, KATARINA)
    await fed(index, KATARINA_SOUTH)
    profile = "https://profiles.ihe.net/ITI/PDQm/StructureDefinition/IHE.PDQm.QueryPatientResourceResponseMessage"
    bundle = (await index.get("/Patient?family=novak")).json()
    assert [one for one in Validator(packages).validate(bundle, profile) if one.is_error] == []


async def test_record_without_identifier(index_app: Any, index: httpx.AsyncClient) -> None:
    """PDQM-DAT-02: an imported one is told where it is read."""
    from app.store.change import Create

    context = index_app.state.context
    await context.store.commit([Create(person(identifier=None, id="bare"))], context.now())
    own = [{"system": "urn:ietf:rfc:3986", "value": f"{BASE}/Patient/bare"}]
    assert (await index.get("/Patient/bare")).json()["identifier"] == own
    assert (await index.get("/Patient?family=example")).json()["entry"][0]["resource"]["identifier"] == own
