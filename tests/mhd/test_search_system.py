"""search-system and the compartment of a patient: MHD CapabilityStatement of the Document Responder; FHIR R4."""

from __future__ import annotations

from typing import Any
from urllib.parse import parse_qsl, urlsplit

import httpx
import pytest

from app.fhir.packages import Packages
from app.fhir.resource import Resource
from app.store.driver import Connection
from app.validation.validator import Validator
from tests.mhd.conftest import DOMAIN, Publish, Server, details, issue, locations
from tests.submissions import UNIQUE_ID, identifier, submission

LETTER = "urn:oid:2.25.4711"
FORM = {"content-type": "application/x-www-form-urlencoded"}


@pytest.fixture
async def published(publish: Publish) -> dict[str, list[str]]:
    """Publish two documents of p1 and one of p2, one more of p2 that p1 wrote; patient -> URLs of what is about them."""
    found: dict[str, list[str]] = {"p1": [], "p2": []}
    for person, document in (("p1", b"one"), ("p2", b"two"), ("p1", b"three")):
        more = {"masterIdentifier": identifier(UNIQUE_ID, LETTER)} if document == b"one" else {}
        found[person] += locations(await publish(submission(document, subject=f"Patient/{person}", **more)))[:2]
    authors = [{"reference": "#author"}, {"reference": "Patient/p1"}]
    written = locations(await publish(submission(b"four", level="uncontained", subject="Patient/p2", author=authors)))
    return {"p1": found["p1"], "p2": found["p2"] + written[:2], "by p1": [written[1]]}


def urls(response: httpx.Response) -> list[str]:
    assert response.status_code == 200, response.text
    return [one["fullUrl"] for one in response.json().get("entry", []) if one["search"]["mode"] == "match"]


def link(response: httpx.Response, relation: str) -> str:
    return next((one["url"] for one in response.json()["link"] if one["relation"] == relation), "")


def of(resource_type: str, found: list[str]) -> set[str]:
    return {url for url in found if f"/{resource_type}/" in url}


# --- the compartment of a patient -----------------------------------------------------------------------------------


async def test_documents_of_a_patient(client: httpx.AsyncClient, published: dict[str, list[str]]) -> None:
    """MHD-CS-04, FHIR R4 compartmentdefinition-patient.html: those about the patient, and those the patient wrote."""
    response = await client.get("Patient/p1/DocumentReference")

    assert set(urls(response)) == of("DocumentReference", published["p1"]) | set(published["by p1"])
    assert response.json()["total"] == 3
    assert link(response, "self") == f"{client.base_url}Patient/p1/DocumentReference"


async def test_lists_of_a_patient(client: httpx.AsyncClient, published: dict[str, list[str]]) -> None:
    """MHD-CS-04, MHD-66-18: SubmissionSets about the patient; the words of ITI-66 hold here too."""
    assert set(urls(await client.get("Patient/p1/List?code=submissionset"))) == of("List", published["p1"])
    assert urls(await client.get("Patient/p1/List?code=folder")) == []
    assert set(urls(await client.get("Patient/p1/List?status=superseded,current"))) == of("List", published["p1"])


async def test_further_parameters(client: httpx.AsyncClient, published: dict[str, list[str]]) -> None:
    """MHD-67-20: the compartment and the parameters both hold; by POST the same."""
    asked = f"identifier={LETTER}&status=current"

    by_get = await client.get(f"Patient/p1/DocumentReference?{asked}")
    by_post = await client.post("Patient/p1/DocumentReference/_search", content=asked, headers=FORM)

    assert urls(by_get) == urls(by_post) == [published["p1"][1]]
    assert urls(await client.get(f"Patient/p2/DocumentReference?{asked}")) == []
    assert parse_qsl(urlsplit(link(by_get, "self")).query) == [("identifier", LETTER), ("status", "current")]


async def test_pages_of_a_compartment(client: httpx.AsyncClient, published: dict[str, list[str]]) -> None:
    """MHD-66-22: the next page is one of the same compartment; its token opens no other."""
    url, seen = "Patient/p1/DocumentReference?_count=1", []
    first = link(await client.get(url), "next")
    while url:
        response = await client.get(url)
        seen += urls(response)
        url = link(response, "next")

    assert len(seen) == len(set(seen)) == 3
    assert "/Patient/p1/DocumentReference?" in first
    assert (await client.get(first.replace("/Patient/p1/", "/Patient/p2/"))).status_code == 400
    assert (await client.get(first.replace("/Patient/p1/", "/"))).status_code == 400


async def test_unknown_patient_has_nothing(client: httpx.AsyncClient, published: dict[str, list[str]]) -> None:
    """MHD-66-34, MHD-67-32: 200 and total 0, as for a known patient without documents."""
    unknown = await client.get("Patient/nobody/DocumentReference")
    known = await client.get("Patient/twin1/DocumentReference")

    assert (unknown.status_code, unknown.json()["total"]) == (known.status_code, known.json()["total"]) == (200, 0)


async def test_head_of_a_compartment(client: httpx.AsyncClient, published: dict[str, list[str]]) -> None:
    """FHIR R4 http.html#head: HEAD answers as GET does, without a body."""
    response = await client.head("Patient/p1/DocumentReference")

    assert (response.status_code, response.content) == (200, b"")
    assert int(response.headers["content-length"]) > 0


@pytest.mark.parametrize(
    "path", ["Patient/p1/Binary", "Patient/p1/Observation", "List/1/DocumentReference", "Patient/p1"]
)
async def test_other_compartments(client: httpx.AsyncClient, path: str) -> None:
    """MHD-CS-12: nothing else is searched there."""
    assert (await client.get(path)).status_code == 404


async def test_a_compartment_is_read_from_indexes(
    client: httpx.AsyncClient, published: dict[str, list[str]], database: Connection
) -> None:
    """Architecture 16: neither half of a compartment scans the collection."""
    halves = [{"index.patient": "Patient/p1"}, {"index.author": "Patient/p1"}]
    plan = await database.database["DocumentReference"].find({"$or": halves}).sort("_id", -1).limit(20).explain()

    assert "COLLSCAN" not in str(plan["queryPlanner"]["winningPlan"])


# --- several types --------------------------------------------------------------------------------------------------


async def test_two_types_at_once(client: httpx.AsyncClient, published: dict[str, list[str]]) -> None:
    """MHD-CS-04, A-18: documents and lists of a patient, newest first whatever they are, counted together."""
    response = await client.get("?_type=DocumentReference,List&patient=p1")

    ids = [url.rpartition("/")[2] for url in urls(response)]
    assert set(urls(response)) == set(published["p1"])
    assert response.json()["total"] == 4
    assert ids == sorted(ids, reverse=True)
    assert link(response, "self") == f"{str(client.base_url).rstrip('/')}?_type=DocumentReference,List&patient=p1"


@pytest.mark.parametrize(
    ("asked", "person", "name"),
    [
        (f"_type=DocumentReference&patient.identifier={DOMAIN}|4711", "p1", "DocumentReference"),
        ("_type=List&patient=p2&status=current", "p2", "List"),
        ("_type=List&_type=DocumentReference&patient=Patient/p2", "p2", ""),
        ("_type=List,DocumentReference&patient=p1&date=ge2025&_lastUpdated=ge2020", "p1", ""),
    ],
)
async def test_common_parameters(
    client: httpx.AsyncClient, published: dict[str, list[str]], asked: str, person: str, name: str
) -> None:
    """MHD-CS-04: what both types have may be asked, one type or both, by GET and by POST."""
    by_get = await client.get(f"?{asked}")
    by_post = await client.post("_search", content=asked, headers=FORM)

    assert (
        set(urls(by_get))
        == set(urls(by_post))
        == of(name or "", published[person]) | (set() if name else set(published[person]))
    )


async def test_by_identifier(client: httpx.AsyncClient, published: dict[str, list[str]]) -> None:
    """MHD-CS-04: which object has this uniqueId, whatever it is."""
    assert urls(await client.get(f"?_type=DocumentReference,List&identifier={LETTER}")) == [published["p1"][1]]


async def test_parameters_that_one_type_lacks(client: httpx.AsyncClient, published: dict[str, list[str]]) -> None:
    """FHIR R4 search.html#all: a parameter of only one of the types is none of this search."""
    asked = "?_type=DocumentReference,List&patient=p1&setting=x&_sort=date"

    body = await client.get(asked)
    lenient = (await client.get(asked, headers={"prefer": "handling=lenient"})).json()
    strict = await client.get(asked, headers={"prefer": "handling=strict"})

    assert len(urls(body)) == 4
    assert "setting" not in link(body, "self")
    outcome = lenient["entry"][-1]
    assert (outcome["search"]["mode"], len(outcome["resource"]["issue"])) == ("outcome", 2)
    assert strict.status_code == 400
    assert "`setting`" in strict.text
    assert "`_sort`" in strict.text


@pytest.mark.parametrize("sort", ["", "&_sort=_lastUpdated", "&_sort=-_lastUpdated", "&_sort=_id", "&_sort=-_id"])
@pytest.mark.parametrize("count", [1, 3, 8])
async def test_pages_of_two_types(
    client: httpx.AsyncClient, published: dict[str, list[str]], sort: str, count: int
) -> None:
    """MHD-66-22: page by page everything comes once, in order; every page tells the same total."""
    url, seen, totals = f"?_type=DocumentReference,List&status=current{sort}&_count={count}", list[Any](), set[int]()
    while url:
        response = await client.get(url)
        seen += [one["resource"] for one in response.json()["entry"]]
        totals.add(response.json()["total"])
        url = link(response, "next")

    assert totals == {8}
    assert len({(one["resourceType"], one["id"]) for one in seen}) == len(seen) == 8
    order = [_key(one, sort) for one in seen]
    assert order == sorted(order, reverse="=_" not in sort)


def _key(resource: Resource, sort: str) -> Any:
    return resource["meta"]["lastUpdated"] if "lastUpdated" in sort else resource["id"]


async def test_only_the_number(client: httpx.AsyncClient, published: dict[str, list[str]]) -> None:
    """MHD-67-21: `_summary=count` over both types."""
    body = (await client.get("?_type=DocumentReference,List&patient=p1&_summary=count")).json()

    assert (body["total"], body.get("entry")) == (4, None)


async def test_includes(client: httpx.AsyncClient, published: dict[str, list[str]]) -> None:
    """MHD-66-22: what matches of each type bring along."""
    asked = "?_type=List,DocumentReference&patient=p1&_include=List:item&_include=DocumentReference:patient"
    body = (await client.get(asked)).json()

    assert [one["resource"]["id"] for one in body["entry"] if one["search"]["mode"] == "include"] == ["p1"]


@pytest.mark.parametrize(
    ("asked", "code"),
    [("", "required"), ("?patient=p1", "required"), ("?_type=", "required"), ("?_type=Binary", "not-supported"),
     ("?_type=List,Nothing", "not-supported"), ("?_type=List&date=never", "value")],
)  # fmt: skip
async def test_refused(client: httpx.AsyncClient, asked: str, code: str) -> None:
    """MHD-CS-04, MHD-66-32: without `_type`, with a type that is not searched so, and with a bad value: 400."""
    response = await client.get(asked)

    assert (response.status_code, issue(response)["code"]) == (400, code)


async def test_patient_is_demanded_where_that_is_set(server: Server, published: dict[str, list[str]]) -> None:
    """MHD-66-04, A-07: no way around the parameter that a search must have."""
    client = await server(search_requires_patient=True)

    refused = await client.get("?_type=DocumentReference,List&status=current")

    assert (refused.status_code, details(issue(refused))) == (400, "XDSStoredQueryMissingParam")
    assert (await client.get("?_type=DocumentReference,List&patient=p1")).json()["total"] == 4
    assert (await client.get("Patient/p1/List")).json()["total"] == 2


async def test_declared(client: httpx.AsyncClient, packages: Packages) -> None:
    """MHD-CS-04: `search-system` and the compartment of the patient stand in a valid statement."""
    statement = (await client.get("metadata")).json()

    [rest] = statement["rest"]
    assert "search-system" in {one["code"] for one in rest["interaction"]}
    assert rest["compartment"] == ["http://hl7.org/fhir/CompartmentDefinition/patient"]
    assert [one for one in Validator(packages).validate(statement) if one.is_error] == []


async def test_head_of_several_types(client: httpx.AsyncClient, published: dict[str, list[str]]) -> None:
    """FHIR R4 http.html#head: as GET, without a body."""
    response = await client.head("?_type=DocumentReference,List&patient=p1")

    assert (response.status_code, response.content) == (200, b"")


@pytest.mark.parametrize("asked", ["Patient,List", "Observation", ""])
async def test_refusal_names_every_type(client: httpx.AsyncClient, asked: str) -> None:
    """MHD-CS-04, A-18: those that are searched together, and the one that is searched alone."""
    told = (await client.get(f"?_type={asked}")).json()["issue"][0]["diagnostics"]
    assert "`DocumentReference`, `List`, or `Patient` alone" in told
    assert (await client.get("?_type=Patient&family=x")).status_code == 200
