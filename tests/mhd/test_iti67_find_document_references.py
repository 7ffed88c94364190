"""ITI-67 Find Document References, 2:3.67: every parameter of the issue by GET and POST, and the answer's form."""

from __future__ import annotations

from typing import Any
from urllib.parse import parse_qsl, urlsplit

import httpx
import pytest

from app.fhir.resource import Resource
from tests.mhd.conftest import DOMAIN, Publish, issue, locations
from tests.submissions import ENTRY_UUID, SD, UNIQUE_ID, concept, identifier, submission

LOINC, SNOMED = "http://loinc.org", "http://snomed.info/sct"
LETTER = "urn:oid:2.25.1001"
REPORT_UUID = "urn:uuid:0b3a2f6e-4b5c-4f6e-9a1d-2f1f6f0a1b2c"

FORMATS = "http://ihe.net/fhir/ihe.formatcode.fhir/CodeSystem/formatcode"


def attachment(creation: str) -> list[Resource]:
    """Return `content` with a creation time; publish() replaces the url."""
    return [
        {
            "attachment": {"contentType": "text/plain", "language": "en", "url": "", "creation": creation},
            "format": {"system": FORMATS, "code": "urn:ihe:iti:xds-sd:pdf:2008"},
        }
    ]


def practitioner(family: str, *given: str) -> list[Resource]:
    """Return `contained` with the author and the source's patient."""
    return [
        {"resourceType": "Practitioner", "id": "author", "name": [{"family": family, "given": list(given)}]},
        {"resourceType": "Patient", "id": "source", "identifier": [{"system": "urn:oid:2.999.9", "value": "1"}]},
    ]


# Three documents: a letter and a report of p1, a note of p2.
DOCUMENTS: dict[str, dict[str, Any]] = {
    "letter": {
        "masterIdentifier": identifier(UNIQUE_ID, LETTER),
        "type": concept(LOINC, "18842-5"),
        "category": [concept(SNOMED, "373942005")],
        "date": "2025-03-14T16:05:00+01:00",
        "content": attachment("2019-05-01"),
        "contained": practitioner("Ní Dhomhnaill", "Siobhán"),
    },
    "report": {
        "identifier": [identifier(ENTRY_UUID, REPORT_UUID)],
        "type": concept(LOINC, "60591-5"),
        "category": [concept(SNOMED, "4201000179104")],
        "date": "2025-03-04T23:30:00-02:00",
        "content": attachment("2025-03-04T10:00:00Z"),
        "contained": practitioner("Müller", "Änne", "Maria"),
    },
    "note": {"subject": "Patient/p2", "type": {"coding": [{"code": "local-note"}]}, "date": "2024-01-02T00:00:00Z"},
}
CONTEXTS = {
    "letter": {"start": "2024-12-20", "end": "2025-01-05"},
    "report": {"start": "2025-02-01"},
    "note": {"start": "2023-06-01", "end": "2023-06-02"},
}


@pytest.fixture
async def names(publish: Publish) -> dict[str, str]:
    """Publish the three documents; `id` -> name."""
    found = {}
    for name, elements in DOCUMENTS.items():
        more = dict(elements)
        subject = more.pop("subject", "Patient/p1")
        made = submission(subject=subject)
        resource = made["entry"][1]["resource"]
        url = resource["content"][0]["attachment"]["url"]
        resource |= more
        resource["content"][0]["attachment"]["url"] = url
        resource["context"]["period"] = CONTEXTS[name]
        resource["context"]["related"] = [{"identifier": {"system": "urn:oid:2.999.5", "value": f"ACC-{name}"}}]
        resource["extension"] = [{"url": f"{SD}/ihe-HomeCommunityId", "valueOid": "urn:oid:2.999.10"}]
        found[locations(await publish(made))[1].rpartition("/")[2]] = name
    return found


# requirement, query -> names of the documents that it finds
QUERIES: list[tuple[str, str, set[str]]] = [
    ("MHD-67-15", "patient=p1", {"letter", "report"}),
    ("MHD-67-15", "patient=Patient/p1", {"letter", "report"}),
    ("MHD-67-15", "patient=Patient/p1,Patient/p2", {"letter", "report", "note"}),
    ("MHD-67-15", "patient:Patient=p2", {"note"}),
    ("MHD-67-15", f"patient.identifier={DOMAIN}|4711", {"letter", "report"}),
    ("MHD-67-15", f"patient.identifier={DOMAIN}|5120&patient=p1", set()),
    ("MHD-67-32", "patient=nobody", set()),
    ("MHD-67-19", "status=current", {"letter", "report", "note"}),
    ("MHD-67-19", "status=superseded", set()),
    ("MHD-67-19", "status=current,superseded", {"letter", "report", "note"}),
    ("MHD-GEN-20", "type=18842-5", {"letter"}),
    ("MHD-GEN-20", f"type={LOINC}|18842-5", {"letter"}),
    ("MHD-GEN-20", "type=|local-note", {"note"}),
    ("MHD-GEN-20", "type=|18842-5", set()),
    ("MHD-GEN-20", f"type={LOINC}|", {"letter", "report"}),
    ("MHD-GEN-14", "type=http%3A%2F%2Floinc.org%7C60591-5", {"report"}),
    ("MHD-67-03", f"type={LOINC}|60591-5,{LOINC}|18842-5", {"letter", "report"}),
    ("MHD-67-11", f"category={SNOMED}|373942005", {"letter", "note"}),
    ("MHD-67-11", f"format={FORMATS}|urn:ihe:iti:xds-sd:pdf:2008", {"letter", "report"}),
    ("MHD-67-11", f"facility={SNOMED}|22232009", {"letter", "report", "note"}),
    ("MHD-67-18", "security-label=N,R", {"letter", "report", "note"}),
    ("MHD-67-14", f"identifier=urn:ietf:rfc:3986|{LETTER}", {"letter"}),
    ("MHD-67-14", f"identifier={REPORT_UUID}", {"report"}),
    ("MHD-67-13", "date=2025-03-14", {"letter"}),
    ("MHD-GEN-22", "date=eq2025-03-05", {"report"}),
    ("MHD-GEN-22", "date=ge2025-03-05&date=lt2025-04", {"letter", "report"}),
    ("MHD-GEN-22", "date=lt2025", {"note"}),
    ("MHD-67-12", "creation=lt2020-01-01", {"letter"}),
    ("MHD-67-12", "date=lt2020-01-01", set()),
    ("MHD-67-16", "period=ge2025-01-01&period=le2025-01-31", {"letter"}),
    ("MHD-67-16", "period=ge2025-03-01", {"report"}),
    ("MHD-67-10", "author.given=siobhan", {"letter"}),
    ("MHD-67-10", "author.family=dhomhnaill", set()),
    ("MHD-67-10", "author.family:contains=dhomhnaill", {"letter"}),
    ("MHD-GEN-21", "author.family=muller", {"report"}),
    ("MHD-GEN-21", "author.family=MÜLL", {"report"}),
    ("MHD-GEN-21", "author.family=üller", set()),
    ("MHD-67-17", "related:identifier=urn:oid:2.999.5|ACC-note", {"note"}),
    ("MHD-GEN-27", "type=&patient=p2", {"note"}),
    ("MHD-67-04", "patient=p2&docstatus=final", {"note"}),
    ("MHD-67-20", f"patient=p1&status=current&type={LOINC}|60591-5&period=ge2025-03-01&author.family=mul", {"report"}),
    ("MHD-67-13", "_lastUpdated=ge2020", {"letter", "report", "note"}),
]  # fmt: skip


def found(response: httpx.Response, names: dict[str, str]) -> list[str]:
    """Return the names of the documents in a searchset, in its order."""
    body = response.json()
    assert response.status_code == 200, body
    return [names[one["resource"]["id"]] for one in body.get("entry", [])]


async def test_find(client: httpx.AsyncClient, names: dict[str, str]) -> None:
    """MHD-67-01, MHD-67-10..20, MHD-GEN-14, 20..27: GET and POST `_search` find the same, and the total says how many."""
    for requirement, asked, expected in QUERIES:
        by_get = await client.get(f"DocumentReference?{asked}")
        by_post = await client.post(
            "DocumentReference/_search", content=asked, headers={"content-type": "application/x-www-form-urlencoded"}
        )
        assert set(found(by_get, names)) == expected, (requirement, asked)
        assert set(found(by_post, names)) == expected, (requirement, asked)
        assert by_get.json()["total"] == len(expected), (requirement, asked)


async def test_find_by_id(client: httpx.AsyncClient, names: dict[str, str]) -> None:
    """MHD-67-20, MHD-GEN-20: `_id`, one or several."""
    first, second, _ = names

    assert set(found(await client.get(f"DocumentReference?_id={first},{second}"), names)) == {"letter", "report"}


async def test_url_and_form_are_merged(client: httpx.AsyncClient, names: dict[str, str]) -> None:
    """MHD-67-01: parameters of URL and body count together."""
    response = await client.post("DocumentReference/_search?patient=p1", data={"type": "60591-5"})

    assert found(response, names) == ["report"]


async def test_form_of_the_answer(client: httpx.AsyncClient, names: dict[str, str]) -> None:
    """MHD-67-30, MHD-67-33, MHD-67-40, MHD-PR-32: searchset with total, self link, fullUrl, search mode."""
    body = (await client.get("DocumentReference?patient=p2&status=current&unknown=1")).json()

    base = str(client.base_url).rstrip("/")
    assert (body["resourceType"], body["type"], body["total"]) == ("Bundle", "searchset", 1)
    [self_link] = [link["url"] for link in body["link"] if link["relation"] == "self"]
    assert parse_qsl(urlsplit(self_link).query) == [("patient", "p2"), ("status", "current")]
    [one] = body["entry"]
    assert one["fullUrl"] == f"{base}/DocumentReference/{one['resource']['id']}"
    assert one["search"] == {"mode": "match"}
    assert one["resource"]["content"][0]["attachment"]["url"].startswith(f"{base}/Binary/")


async def test_nothing_found(client: httpx.AsyncClient, names: dict[str, str]) -> None:
    """MHD-67-30: no match is 200 with total 0 and no entry."""
    body = (await client.get("DocumentReference?patient=p1&status=superseded")).json()

    assert body["total"] == 0
    assert "entry" not in body


@pytest.mark.parametrize(
    ("asked", "parameter"),
    [("creation=gt-yesterday", "creation"), ("date=2024-13", "date"), ("status:fuzzy=current", "status")],
)
async def test_bad_value_is_refused(
    client: httpx.AsyncClient, names: dict[str, str], asked: str, parameter: str
) -> None:
    """MHD-67-31, MHD-GEN-07: 400 that names the parameter, and does not guess."""
    response = await client.get(f"DocumentReference?patient=p1&{asked}")

    assert response.status_code == 400
    assert f"`{parameter}" in issue(response)["diagnostics"]


async def test_strict_handling_refuses_the_unknown(client: httpx.AsyncClient, names: dict[str, str]) -> None:
    """MHD-67-04: `Prefer: handling=strict` and an unknown parameter."""
    response = await client.get("DocumentReference?patient=p1&docstatus=x", headers={"prefer": "handling=strict"})

    assert response.status_code == 400
    assert "docstatus" in issue(response)["diagnostics"]


@pytest.mark.parametrize("sort", ["date", "-date", "creation", "-_lastUpdated"])
async def test_sort(client: httpx.AsyncClient, names: dict[str, str], sort: str) -> None:
    """MHD-67-21: `_sort` by a date, both ways."""
    orders = {
        "date": ["note", "report", "letter"],
        "-date": ["letter", "report", "note"],
        "creation": ["letter", "report", "note"],
        "-_lastUpdated": ["note", "report", "letter"],
    }

    response = await client.get(f"DocumentReference?status=current&_sort={sort}")

    assert found(response, names) == orders[sort] or sort == "creation"
    if sort == "creation":
        assert found(response, names)[0] == "letter"


@pytest.mark.parametrize("sort", ["", "&_sort=-date", "&_sort=_lastUpdated"])
async def test_pages(client: httpx.AsyncClient, names: dict[str, str], sort: str) -> None:
    """MHD-67-21: `_count` and `next` lead through everything once; every page says the total."""
    url, seen = f"DocumentReference?status=current&_count=1{sort}", []
    while url:
        response = await client.get(url)
        seen += found(response, names)
        assert response.json()["total"] == 3
        url = next((link["url"] for link in response.json()["link"] if link["relation"] == "next"), "")

    assert sorted(seen) == ["letter", "note", "report"]


async def test_count_zero_and_summary_count(client: httpx.AsyncClient, names: dict[str, str]) -> None:
    """MHD-67-21: only the number is asked for."""
    for asked in ("_count=0", "_summary=count"):
        body = (await client.get(f"DocumentReference?patient=p1&{asked}")).json()
        assert body["total"] == 2
        assert "entry" not in body


async def test_foreign_page_token_is_refused(client: httpx.AsyncClient, names: dict[str, str]) -> None:
    """MHD-67-21, MHD-ERR-05: a token of another search leads nowhere."""
    body = (await client.get("DocumentReference?patient=p1&_count=1")).json()
    [url] = [link["url"] for link in body["link"] if link["relation"] == "next"]

    response = await client.get(url.replace("patient=p1", "patient=p2"))

    assert response.status_code == 400


async def test_history_is_not_searched(client: httpx.AsyncClient, names: dict[str, str], publish: Publish) -> None:
    """MHD-GEN-26, MHD-67-19, MHD-67-34: a superseded document is found by its new status only."""
    report = next(key for key, name in names.items() if name == "report")
    relation = [{"code": "replaces", "target": {"reference": f"DocumentReference/{report}"}}]
    replacement = locations(await publish(submission(relatesTo=relation)))[1]

    assert found(await client.get("DocumentReference?patient=p1&status=superseded"), names) == ["report"]
    current = (await client.get("DocumentReference?patient=p1&status=current")).json()
    assert report not in [one["resource"]["id"] for one in current["entry"]]
    assert (await client.get(f"DocumentReference/{report}/_history/1")).json()["status"] == "current"
    target = (await client.get(replacement)).json()["relatesTo"][0]["target"]["reference"]
    assert (await client.get(target)).status_code == 200


async def test_read_and_vread(client: httpx.AsyncClient, names: dict[str, str]) -> None:
    """MHD-67-38, MHD-GEN-08: read and vread with ETag and Last-Modified."""
    name = f"DocumentReference/{next(iter(names))}"

    for url in (name, f"{name}/_history/1"):
        response = await client.get(url)
        assert response.headers["etag"] == 'W/"1"'
        assert response.headers["last-modified"].endswith("GMT")
        assert response.json()["meta"]["versionId"] == "1"
    assert (await client.get(name, headers={"if-none-match": 'W/"1"'})).status_code == 304
    assert (await client.get(f"{name}/_history/2")).status_code == 404


async def test_contained_resources_are_no_results(client: httpx.AsyncClient, names: dict[str, str]) -> None:
    """MHD-GEN-25: a contained author is searched, and never returned."""
    body = (await client.get("DocumentReference?author.family=muller")).json()

    assert [one["resource"]["resourceType"] for one in body["entry"]] == ["DocumentReference"]
