"""ITI-66 Find Document Lists, 2:3.66: SubmissionSets and Folders by every parameter, by GET and by POST."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import httpx
import pytest

from app.fhir.packages import Packages
from app.fhir.resource import Resource
from app.store.change import Create
from app.store.resources import Store
from app.validation.validator import Validator
from tests.mhd.conftest import DOMAIN, Publish, details, issue, locations, served
from tests.mhd.test_folders import folder
from tests.submissions import ENTRY_UUID, MHD, SD, UNIQUE_ID, concept, entry, identifier, submission, urn

SNOMED = "http://snomed.info/sct"
TYPES = f"{MHD}/CodeSystem/MHDlistTypes"
FORM = {"content-type": "application/x-www-form-urlencoded"}
DISCHARGE, PROGRAMME = "urn:oid:2.25.2001", "urn:oid:2.25.2002"
ENTRY = "urn:uuid:7b8a1c0e-5f0e-4a53-8a3c-0b6d3f9a1e11"


def designation(*codes: str) -> list[Resource]:
    return [{"url": f"{SD}/ihe-designationType", "valueCodeableConcept": concept(SNOMED, code)} for code in codes]


def source_id(**value: str) -> Resource:
    return {"url": f"{SD}/ihe-sourceId", "valueIdentifier": value}


def practitioner(family: str, given: str) -> list[Resource]:
    return [{"resourceType": "Practitioner", "id": "author", "name": [{"family": family, "given": [given]}]}]


# Two SubmissionSets of p1, the second with a Folder; one of p2.
SUBMISSIONS: dict[str, dict[str, Any]] = {
    "discharge": {
        "identifier": [identifier(UNIQUE_ID, DISCHARGE)],
        "date": "2025-03-14T16:05:00+01:00",
        "contained": practitioner("Novotný", "Tomáš"),
    },
    "check-up": {
        "identifier": [identifier(ENTRY_UUID, ENTRY)],
        "date": "2025-04-01T00:30:00+02:00",
        "extension": [*designation("185349003"), source_id(value="urn:oid:2.999.7.2")],
        "contained": practitioner("Ní Dhomhnaill", "Siobhán"),
    },
    "other": {"subject": "Patient/p2", "date": "2024-01-02T00:00:00Z"},
}


@pytest.fixture
async def names(publish: Publish) -> dict[str, str]:
    """Publish the submissions; `id` of a List -> name."""
    found = {}
    for name, elements in SUBMISSIONS.items():
        more = dict(elements)
        made = submission(subject=more.pop("subject", "Patient/p1"))
        made["entry"][0]["resource"] |= more
        if name == "check-up":
            filed, full_url = folder(made["entry"][1]["fullUrl"], extension=designation("84114007", "38341003")), urn()
            filed["identifier"] = [identifier(UNIQUE_ID, PROGRAMME)]
            made["entry"].append(entry(filed, full_url))
            made["entry"][0]["resource"]["entry"].append({"item": {"reference": full_url}})
        listed = [one for one in locations(await publish(made)) if "/List/" in one]
        found |= dict(zip([one.rpartition("/")[2] for one in listed], [name, "folder"], strict=False))
    return found


SETS = {"discharge", "check-up"}
BASE = "http://test.example.org/fhir"

# requirement, query -> names of the Lists that it finds
QUERIES: list[tuple[str, str, set[str]]] = [
    ("MHD-66-10", "patient=p1&code=submissionset&status=current", SETS),
    ("MHD-66-10", f"patient=p1&code={TYPES}|submissionset&status=current", SETS),
    ("MHD-66-10", "patient=p1&code=folder&status=current", {"folder"}),
    ("MHD-66-10", f"patient=p1&code={TYPES}|folder", {"folder"}),
    ("MHD-66-10", "patient=p1&code=|folder", set()),
    ("MHD-66-05", "patient=p1&code=folder,submissionset", SETS | {"folder"}),
    ("MHD-66-05", "patient=p1&code=folder&code=submissionset", set()),
    ("MHD-66-05", "designationType=84114007&designationType=38341003", {"folder"}),
    ("MHD-66-05", "designationType=84114007&designationType=58000006", set()),
    ("MHD-66-05", "status=current,retired&code=folder", {"folder"}),
    ("MHD-66-11", "code=submissionset&date=ge2025-03-01&date=lt2025-04-01", SETS),
    ("MHD-66-11", "code=submissionset&date=2025-03-14", {"discharge"}),
    ("MHD-66-11", "code=submissionset&date=2025-03", SETS),
    ("MHD-66-11", "code=submissionset&date=eq2025-03-14T16:05:00%2B01:00", {"discharge"}),
    ("MHD-66-11", "code=submissionset&date=eq2025-03-14T15:05:00Z", {"discharge"}),
    ("MHD-66-11", "code=submissionset&date=ne2025-03-14", {"check-up", "other"}),
    ("MHD-66-11", "code=submissionset&date=gt2025-03-14", {"check-up"}),
    ("MHD-66-11", "code=submissionset&date=lt2025-03-14", {"other"}),
    ("MHD-66-11", "code=submissionset&date=le2025-03-14", {"discharge", "other"}),
    ("MHD-66-11", "code=submissionset&date=ge2025-03-14", SETS),
    ("MHD-66-11", "code=submissionset&date=sa2025-03-14", {"check-up"}),
    ("MHD-66-11", "code=submissionset&date=eb2025-03-14", {"other"}),
    ("MHD-66-11", "code=submissionset&date=ap2025-03-13", {"discharge"}),
    ("MHD-66-12", "designationType=58000006&patient=p1", {"discharge"}),
    ("MHD-66-12", f"designationType={SNOMED}|58000006&patient=p1", {"discharge"}),
    ("MHD-66-12", "designationType=|58000006", set()),
    ("MHD-66-12", f"designationType={SNOMED}|&patient=p1", SETS | {"folder"}),
    ("MHD-66-12", f"designationType={SNOMED}|84114007", {"folder"}),
    ("MHD-66-12", f"designationType={SNOMED}|38341003", {"folder"}),
    ("MHD-66-13", f"identifier=urn:ietf:rfc:3986|{DISCHARGE}", {"discharge"}),
    ("MHD-66-13", f"identifier={DISCHARGE}", {"discharge"}),
    ("MHD-66-13", f"identifier=|{DISCHARGE}", set()),
    ("MHD-66-13", f"identifier=urn:ietf:rfc:3986|{ENTRY}", {"check-up"}),
    ("MHD-66-13", f"identifier={PROGRAMME}", {"folder"}),
    ("MHD-66-14", "patient=p1&code=submissionset", SETS),
    ("MHD-66-14", "patient=Patient/p1&code=submissionset", SETS),
    ("MHD-66-14", f"patient={BASE}/Patient/p1&code=submissionset", SETS),
    ("MHD-66-14", "patient:Patient=p1&code=submissionset", SETS),
    ("MHD-66-15", f"patient.identifier={DOMAIN}|4711&code=submissionset", SETS),
    ("MHD-66-15", "patient.identifier=4711&code=submissionset", SETS),
    ("MHD-66-15", f"patient.identifier={DOMAIN}|5120", {"other"}),
    ("MHD-66-15", f"patient.identifier={DOMAIN}|5120&patient=p1", set()),
    ("MHD-66-16", "source.family=novotny", {"discharge"}),
    ("MHD-66-16", "source.family=NOVOTNÝ", {"discharge"}),
    ("MHD-66-16", "source.family=votny", set()),
    ("MHD-66-16", "source.family:contains=votny", {"discharge"}),
    ("MHD-66-16", "source.family:exact=Novotný", {"discharge"}),
    ("MHD-66-16", "source.family:exact=novotny", set()),
    ("MHD-66-16", "source.given=siob", {"check-up"}),
    ("MHD-66-16", "source.given=siob&source.family=novotny", set()),
    ("MHD-66-17", "sourceId=urn:oid:2.999.7.1", {"discharge", "other"}),
    ("MHD-66-17", "sourceId=urn:ietf:rfc:3986|urn:oid:2.999.7.1", {"discharge", "other"}),
    ("MHD-66-17", "sourceId=urn:oid:2.999.7.2", {"check-up"}),
    ("MHD-66-18", "status=current&patient=p1", SETS | {"folder"}),
    ("MHD-66-18", "status=superseded&patient=p1", set()),
    ("MHD-66-18", "status=current,superseded&patient=p2", {"other"}),
    ("MHD-66-20", "patient=p1&code=folder&sourceId=urn:oid:2.999.7.2", set()),
    ("MHD-66-20", "patient=p1&code=folder&source.family=novotny", set()),
    ("MHD-66-34", "patient=nobody&code=folder&status=current", set()),
    ("MHD-66-06", "patient=p2&code=submissionset&favourite=yes", {"other"}),
    ("MHD-66-21", "patient=p1&code=folder&status=current&_lastUpdated=gt2020", {"folder"}),
    ("MHD-66-21", "patient=p1&code=folder&status=current&_lastUpdated=lt2020", set()),
    (
        "MHD-66-19",
        f"patient=p1&code=submissionset&status=current&date=ge2025-03-14&date=lt2025-03-15&designationType={SNOMED}|58000006"
        f"&sourceId=urn:ietf:rfc:3986|urn:oid:2.999.7.1&source.family=nov&source.given=tom&identifier={DISCHARGE}"
        f"&patient.identifier={DOMAIN}|4711&_lastUpdated=gt2020",
        {"discharge"},
    ),
]  # fmt: skip


def found(response: httpx.Response, names: dict[str, str]) -> list[str]:
    """Return the names of the Lists in a searchset, in its order."""
    body = response.json()
    assert response.status_code == 200, body
    return [names[one["resource"]["id"]] for one in body.get("entry", [])]


async def test_find(client: httpx.AsyncClient, names: dict[str, str]) -> None:
    """MHD-66-01, MHD-66-04, MHD-66-05, MHD-66-10..21, MHD-66-34, MHD-PR-23: GET and POST `_search` find the same."""
    for requirement, asked, expected in QUERIES:
        by_get = await client.get(f"List?{asked}")
        by_post = await client.post("List/_search", content=asked, headers=FORM)
        assert set(found(by_get, names)) == expected, (requirement, asked)
        assert set(found(by_post, names)) == expected, (requirement, asked)
        assert by_get.json()["total"] == by_post.json()["total"] == len(expected), (requirement, asked)


async def test_url_and_form_are_merged(client: httpx.AsyncClient, names: dict[str, str]) -> None:
    """MHD-66-02: parameters of URL and body count together."""
    response = await client.post("List/_search?patient=p1", content="code=folder&status=current", headers=FORM)

    assert found(response, names) == ["folder"]
    url = next(link["url"] for link in response.json()["link"] if link["relation"] == "self")
    assert set(parse_qsl(urlsplit(url).query)) == {("patient", "p1"), ("code", "folder"), ("status", "current")}


async def test_find_by_id(client: httpx.AsyncClient, names: dict[str, str]) -> None:
    """MHD-66-21: `_id` among the others."""
    one = next(key for key, name in names.items() if name == "folder")

    assert found(await client.get(f"List?_id={one}&patient=p1&code=folder&status=current"), names) == ["folder"]
    assert found(await client.get(f"List?_id={one}&patient=p1&code=submissionset"), names) == []


async def test_superseded_means_retired(client: httpx.AsyncClient, names: dict[str, str], store: Store) -> None:
    """MHD-66-18, A-08: the section's word for a List that R4 calls retired."""
    retired = {"resourceType": "List", "id": "old", "status": "retired", "mode": "working"}
    await store.commit([Create(retired | {"subject": {"reference": "Patient/p1"}})], datetime.now(UTC))

    for asked in ("status=superseded", "status=retired", "status=superseded,entered-in-error"):
        body = (await client.get(f"List?patient=p1&{asked}")).json()
        assert [one["resource"]["id"] for one in body["entry"]] == ["old"], asked
    assert (await client.get("List?patient=p1&status=current,superseded")).json()["total"] == 4


async def test_form_of_the_answer(client: httpx.AsyncClient, names: dict[str, str], packages: Packages) -> None:
    """MHD-66-30, MHD-66-33, MHD-PR-32: searchset with total, self link, fullUrl and mode; valid Lists, valid Bundle."""
    body = (await client.get("List?patient=p1&status=current&unknown=1")).json()

    assert (body["resourceType"], body["type"], body["total"]) == ("Bundle", "searchset", 3)
    [self_link] = [link["url"] for link in body["link"] if link["relation"] == "self"]
    assert self_link.startswith(f"{BASE}/List?")
    assert parse_qsl(urlsplit(self_link).query) == [("patient", "p1"), ("status", "current")]
    validator = Validator(packages)
    for one in body["entry"]:
        assert one["fullUrl"] == f"{BASE}/List/{one['resource']['id']}"
        assert one["search"] == {"mode": "match"}
        assert [told for told in validator.validate(one["resource"]) if told.is_error] == []
    profile = f"{SD}/IHE.MHD.FindDocumentListsResponseMessage"
    assert [told for told in validator.validate(body, profile) if told.is_error] == []


async def test_nothing_found(client: httpx.AsyncClient, names: dict[str, str]) -> None:
    """MHD-66-30, MHD-66-34, MHD-MHDS-09: no match is 200, and an unknown patient looks like one who has no Lists."""
    answers = [(await client.get(f"List?patient={one}&code=folder")).json() for one in ("p2", "nobody")]

    for answer in answers:
        del answer["link"]
        assert answer == {"resourceType": "Bundle", "type": "searchset", "total": 0}


async def test_ignored_parameters_are_told_when_asked_for(client: httpx.AsyncClient, names: dict[str, str]) -> None:
    """MHD-66-06, MHD-66-31: a warning is an entry of mode outcome that the total does not count; strict is 400."""
    url = "List?patient=p1&code=folder&status=current&favourite=yes"

    told = (await client.get(url, headers={"prefer": "handling=lenient"})).json()
    quiet = (await client.get(url)).json()
    strict = await client.get(url, headers={"prefer": "handling=strict"})

    assert told["total"] == quiet["total"] == 1
    assert [one["search"]["mode"] for one in told["entry"]] == ["match", "outcome"]
    outcome = told["entry"][1]
    assert outcome["fullUrl"].startswith("urn:uuid:")
    assert outcome["resource"]["resourceType"] == "OperationOutcome"
    [warning] = outcome["resource"]["issue"]
    assert (warning["severity"], warning["code"]) == ("warning", "not-supported")
    assert "`favourite`" in warning["diagnostics"]
    assert [one["search"]["mode"] for one in quiet["entry"]] == ["match"]
    for body in (told, quiet):
        assert all("favourite" not in link["url"] for link in body["link"])
    assert (strict.status_code, issue(strict)["code"]) == (400, "not-supported")


@pytest.mark.parametrize(
    ("asked", "parameter"),
    [
        ("date=ge2025-99", "date"),
        ("date=ge2025-13-45", "date"),
        ("code:above=folder", "code"),
        ("patient:Group=1", "patient"),
    ],
)
async def test_bad_value_or_modifier_is_refused(client: httpx.AsyncClient, asked: str, parameter: str) -> None:
    """MHD-66-07, MHD-66-32: 400 with an OperationOutcome that names the parameter."""
    response = await client.get(f"List?patient=p1&code=folder&status=current&{asked}")

    assert response.status_code == 400
    assert f"`{parameter}" in issue(response)["diagnostics"]


async def test_pages(client: httpx.AsyncClient, names: dict[str, str]) -> None:
    """MHD-66-22: `_count` and `next` lead through everything once; every page says the total."""
    url, seen = "List?patient=p1&status=current&_count=1", []
    while url:
        response = await client.get(url)
        seen += found(response, names)
        assert response.json()["total"] == 3
        url = next((link["url"] for link in response.json()["link"] if link["relation"] == "next"), "")

    assert sorted(seen) == ["check-up", "discharge", "folder"]


async def test_read(client: httpx.AsyncClient, names: dict[str, str]) -> None:
    """MHD-66-36: a List by its id, or a version of it; an unknown one is 404 (a deleted one: `test_general.py`)."""
    one = next(iter(names))

    for url in (f"List/{one}", f"List/{one}/_history/1"):
        response = await client.get(url)
        assert (response.status_code, response.json()["id"]) == (200, one)
        assert response.headers["etag"] == 'W/"1"'
    missing = await client.get("List/nope")
    assert (missing.status_code, issue(missing)["code"]) == (404, "not-found")


async def test_parameters_of_the_section_may_be_demanded(
    client: httpx.AsyncClient, names: dict[str, str], mongodb_url: str, database_name: str
) -> None:
    """MHD-66-03, MHD-66-04, MHD-67-02, A-07: the switch `search_requires_patient`, for Lists and documents."""
    incomplete = ("List?patient=p1", "List?code=folder&status=current", "DocumentReference?patient=p1")
    complete = (
        "List?patient=p1&code=folder&status=current",
        f"List?patient.identifier={DOMAIN}|4711&code=folder&status=current",
        "DocumentReference?patient=p1&status=current",
    )
    for url in (*incomplete, *complete):
        assert (await client.get(url)).status_code == 200, url

    async with served(mongodb_url, database_name, search_requires_patient=True) as strict:
        for url in complete:
            assert (await strict.get(url)).status_code == 200, url
        for url in incomplete:
            response = await strict.get(url)
            first = issue(response)
            assert (response.status_code, first["code"]) == (400, "required"), url
            assert details(first) == "XDSStoredQueryMissingParam"
