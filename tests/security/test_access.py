"""What exists for a caller: tokens that are bound to a patient, and scopes with queries, over HTTP.

Spec: IUA-23, IUA-30, IUA-32, IUA-33; EHDS-11, EHDS-17, EHDS-18, EHDS-20 to EHDS-22; MHD-SEC-04, MHD-SEC-05;
PDQM-SEC-04. Each request leaves an event (AUD-02, AUD-71), see the fixture `audited`.
"""

from __future__ import annotations

from typing import Any

import httpx
import pytest

from tests.conftest import BASE_URL
from tests.patients import KATARINA, NORTH, PETER, SOUTH
from tests.security.conftest import Guarded
from tests.security.records import (
    DIALECTS,
    FORMS,
    IUA,
    SMART,
    Records,
    bound,
    fields,
    found,
    headers,
    sees,
)

pytestmark = pytest.mark.usefixtures("audited")


@pytest.mark.parametrize("form", FORMS)
async def test_every_form_of_a_claim(asking: httpx.AsyncClient, records: Records, form: str) -> None:
    """IUA-23, IUA-33, EHDS-20: whatever names her, she has all of her linked records, and nobody else's."""
    sent = bound(IUA, FORMS[form].format(kat=records.kat))

    documents = await sees(asking, "DocumentReference?status=current", sent)
    people = await sees(asking, "Patient?active=true", sent)

    assert sorted(documents) == sorted(
        f"DocumentReference/{one}" for one in (records.laboratory, records.summary, records.secret)
    )
    assert sorted(people) == sorted([f"Patient/{records.kat}", f"Patient/{records.south}"])


@pytest.mark.parametrize("claim", ["nobody", f"{NORTH}|N-9999", "N-1001^^^&2.999.99&ISO", "Patient/nobody", "a b", "|"])
async def test_claim_that_names_nobody(asking: httpx.AsyncClient, records: Records, claim: str) -> None:
    """IUA-23, IUA-33: a token that is bound to nobody who is known sees nothing at all."""
    sent = bound(IUA, claim)

    assert await sees(asking, "DocumentReference?status=current", sent) == []
    assert await sees(asking, "Patient?active=true", sent) == []
    assert (await asking.get(f"Patient/{records.kat}", headers=sent)).status_code == 404


async def test_unbound_sees_everybody(asking: httpx.AsyncClient, records: Records) -> None:
    """EHDS-20: without a patient in the token nothing is narrowed."""
    sent = headers("ITI-67 ITI-78")

    assert f"DocumentReference/{records.his}" in await sees(asking, "DocumentReference?status=current", sent)
    assert len(await sees(asking, "Patient?active=true", sent)) == 3


OWN = [
    "DocumentReference/{laboratory}",
    "DocumentReference/{laboratory}/_history/1",
    "DocumentReference/{summary}",
    "List/{submission_set}",
    "Binary/{laboratory_binary}",
    "Bundle/{summary_bundle}",
    "Patient/{kat}",
    "Patient/{south}",
]
HIS = [
    "DocumentReference/{his}",
    "DocumentReference/{his}/_history/1",
    "List/{his_set}",
    "List/{his_folder}",
    "List/{his_set}/_history/1",
    "Binary/{his_binary}",
    "Binary/{his_binary}/_history/1",
    "Bundle/{his_bundle}",
    "Bundle/{his_bundle}/_history/1",
    "Patient/{peter}",
    "Patient/{peter}/_history/1",
]


@pytest.mark.parametrize("dialect", DIALECTS)
@pytest.mark.parametrize("url", OWN)
async def test_own_is_read(asking: httpx.AsyncClient, records: Records, url: str, dialect: str) -> None:
    """EHDS-20, IUA-23: what is the patient's own is read, under each of their records."""
    sent = bound(DIALECTS[dialect][0], f"Patient/{records.kat}")

    assert (await asking.get(url.format(**fields(records)), headers=sent)).status_code == 200


@pytest.mark.parametrize("method", ["GET", "HEAD"])
@pytest.mark.parametrize("dialect", DIALECTS)
@pytest.mark.parametrize("url", HIS)
async def test_what_is_of_others_is_not_there(
    asking: httpx.AsyncClient, records: Records, url: str, dialect: str, method: str
) -> None:
    """IUA-32, EHDS-20, MHD-SEC-04, MHD-SEC-05, MHD-SEC-06, MHD-66-35, MHD-67-37, MHD-68-15: 404, word for word what is
    said of something that does not exist."""
    sent = bound(DIALECTS[dialect][0], f"Patient/{records.kat}")
    place = url.format(**fields(records))
    kind, name, *version = place.split("/")
    absent = "/".join([kind, "0" * 32, *version])

    answer = await asking.request(method, place, headers=sent)
    nothing = await asking.request(method, absent, headers=sent)

    assert answer.status_code == nothing.status_code == 404
    assert answer.text.replace(name, "0" * 32) == nothing.text
    assert {name for name in answer.headers if name not in DIFFERS} == {
        name for name in nothing.headers if name not in DIFFERS
    }


DIFFERS = {"x-request-id", "date", "content-length"}


@pytest.mark.parametrize(
    ("more", "name"),
    [
        ({"Range": "bytes=0-0"}, "his_binary"),
        ({"Range": "bytes=0-0,2-2"}, "his_binary"),
        ({"If-None-Match": "*"}, "his_binary"),
        ({"If-None-Match": '"1"'}, "his_binary"),
        ({"If-Modified-Since": "Fri, 01 Jan 2100 00:00:00 GMT"}, "his_binary"),
        ({"Accept": "application/fhir+json"}, "his_binary"),
        ({"Accept": "text/plain"}, "his_binary"),
    ],
)
async def test_document_of_others_by_parts(
    asking: httpx.AsyncClient, records: Records, more: dict[str, str], name: str
) -> None:
    """MHD-68-15, MHD-67-37: neither a part of it, nor that it is unchanged."""
    sent = bound(IUA, f"Patient/{records.kat}") | more

    answer = await asking.get(f"Binary/{getattr(records, name)}", headers=sent)

    assert answer.status_code == 404
    assert b"his" not in answer.content.replace(b"this", b"")


SEARCHES = [
    "DocumentReference?status=current&_total=accurate",
    "DocumentReference?identifier={number}",
    "DocumentReference?_id={his}",
    "DocumentReference?patient.family=Kr%C3%A1%C4%BE&status=current",
    "DocumentReference?_summary=count",
    "DocumentReference?status=current&_count=0",
    "DocumentReference?status=current&_include=DocumentReference:patient",
    "DocumentReference?status=current&_include=DocumentReference:*",
    "List?status=current&code=submissionset",
    "List?item=DocumentReference/{his}",
    "List?_id={his_set}",
    "List?status=current&_include=List:item",
    "List?status=current&_include:iterate=List:item&_include:iterate=DocumentReference:patient",
    "Patient?family=kral",
    "Patient?identifier=urn:oid:2.999.10.1|N-2044",
    "Patient?_id={peter}",
    "Patient?active=true&_summary=count",
    "Patient?active=true&_revinclude=DocumentReference:patient",
    "Patient?_id={peter}&_revinclude=DocumentReference:patient",
    "?_type=DocumentReference,List&status=current",
    "?_type=DocumentReference&_id={his}",
    "?_type=Patient&family=kral",
    "Patient/{peter}/DocumentReference",
    "Patient/{peter}/List?status=current",
]


@pytest.mark.parametrize("dialect", DIALECTS)
@pytest.mark.parametrize("url", SEARCHES)
async def test_searches_are_cut(asking: httpx.AsyncClient, records: Records, url: str, dialect: str) -> None:
    """IUA-32, EHDS-20, MHD-SEC-05, MHD-66-35, MHD-67-37, PDQM-SEC-04: nothing of others is found, included or counted;
    a question that names another patient is refused."""
    sent = bound(DIALECTS[dialect][0], f"Patient/{records.kat}")
    names = fields(records) | {"number": records.numbers["his"]}

    answer = await asking.get(url.format(**names), headers=sent)

    if answer.status_code == DIALECTS[dialect][1]:
        assert url.startswith(("Patient/{peter}/", "DocumentReference?patient.", "List?patient."))
        assert answer.json()["issue"][0]["code"] == "forbidden"
        return
    own = {f"DocumentReference/{one}" for one in (records.laboratory, records.summary, records.secret)}
    own |= {f"Patient/{records.kat}", f"Patient/{records.south}"}
    seen = found(answer)
    assert {one for one in seen if not one.startswith("List/")} <= own
    assert all(one["resource"]["subject"]["reference"] != f"Patient/{records.peter}" for one in lists(answer))
    assert answer.json()["total"] <= (6 if "DocumentReference,List" in url else 3)


def lists(answer: httpx.Response) -> list[Any]:
    """The entries of a search that are Lists."""
    return [one for one in answer.json().get("entry", ()) if one["resource"]["resourceType"] == "List"]


EXPLICIT = [
    "DocumentReference?patient={peter}",
    "DocumentReference?subject=Patient/{peter}",
    "DocumentReference?patient=Patient/{peter}&status=current",
    "DocumentReference?patient=" + BASE_URL + "/Patient/{peter}",
    "DocumentReference?patient.identifier=urn:oid:2.999.10.1|N-2044",
    "List?patient={peter}&code=submissionset&status=current",
    "List?patient.identifier=urn:oid:2.999.10.1|N-2044&status=current",
    "?_type=DocumentReference,List&patient={peter}",
]


@pytest.mark.parametrize("dialect", DIALECTS)
@pytest.mark.parametrize("url", EXPLICIT)
async def test_explicit_question_about_another(
    asking: httpx.AsyncClient, records: Records, url: str, dialect: str
) -> None:
    """EHDS-18, EHDS-20, IUA-23, IUA-30: refused, and in the same words whether there is such a patient or not."""
    scope, status = DIALECTS[dialect]
    sent = bound(scope, f"Patient/{records.kat}")

    answer = await asking.get(url.format(**fields(records)), headers=sent)
    nobody = await asking.get(url.replace("N-2044", "N-0000").format(peter="nobody"), headers=sent)

    assert answer.status_code == nobody.status_code == status
    assert answer.json() == nobody.json()
    assert answer.json()["issue"][0]["code"] == "forbidden"


@pytest.mark.parametrize("url", EXPLICIT)
async def test_own_question_is_answered(asking: httpx.AsyncClient, records: Records, url: str) -> None:
    """IUA-23: the same about oneself."""
    sent = bound(IUA, f"Patient/{records.kat}")

    answer = await asking.get(url.replace("N-2044", "N-1001").format(peter=records.kat), headers=sent)

    assert found(answer)


async def test_person_id_binds_unless_switched_off(asking: httpx.AsyncClient, records: Records, again: Guarded) -> None:
    """EHDS-18: `person_id` of somebody else is refused, and tells nothing when it is not to bind."""
    said = {"extensions": {"ihe_iua": {"person_id": f"{NORTH}|N-2044"}}}
    url = f"DocumentReference?patient={records.kat}"

    refused = await asking.get(url, headers=headers("system/DocumentReference.rs", **said))
    async with again(auth_bind_person_id=False) as client:
        answer = await client.get(url, headers=headers("system/DocumentReference.rs", **said))

    assert refused.status_code == 401  # an `ihe_iua` extension speaks IUA's dialect (IUA-24)
    assert len(found(answer)) == 2


async def test_question_about_another_may_find_nothing(records: Records, again: Guarded) -> None:
    """EHDS-20, PDQM-SEC-04: by setting, an empty page instead."""
    async with again(foreign_patient="empty") as client:
        for url in (*EXPLICIT, "Patient/{peter}/DocumentReference"):
            answer = await client.get(url.format(**fields(records)), headers=bound(SMART, records.kat))

            assert (found(answer), answer.json()["total"]) == ([], 0)


@pytest.mark.parametrize("dialect", DIALECTS)
async def test_conceal_makes_all_of_it_absence(records: Records, again: Guarded, dialect: str) -> None:
    """EHDS-11, MHD-SEC-04: foreign and unknown are one, on every path."""
    sent = bound(DIALECTS[dialect][0], records.kat)
    async with again(auth_conceal=True) as client:
        for url in EXPLICIT:
            answer = await client.get(url.format(**fields(records)), headers=sent)
            assert (found(answer), answer.json()["total"]) == ([], 0)
        for url in HIS:
            assert (await client.get(url.format(**fields(records)), headers=sent)).status_code == 404
        for source in ("N-2044", "N-0000"):
            asked = f"Patient/$ihe-pix?sourceIdentifier={NORTH}|{source}"
            answer = await client.get(asked, headers=sent)
            assert answer.status_code == 404
            assert answer.json()["issue"][0]["code"] == "not-found"
        for url in (f"Bundle/{records.his_bundle}", f"Bundle/{records.summary_bundle}", "Bundle/nobody"):
            answer = await client.get(url, headers=headers("system/Patient.rs"))
            assert answer.status_code == 404
            assert "www-authenticate" not in answer.headers


@pytest.mark.parametrize("dialect", DIALECTS)
async def test_cross_reference_query(asking: httpx.AsyncClient, records: Records, dialect: str) -> None:
    """IUA-23, IUA-30, IUA-32: the identifier is the person's own, or it is refused, known or not (exchange 12)."""
    scope, status = DIALECTS[dialect]
    sent = bound(scope, "N-1001^^^&2.999.10.1&ISO")

    async def ask(source: str) -> httpx.Response:
        return await asking.get("Patient/$ihe-pix", params={"sourceIdentifier": source}, headers=sent)

    own, other_own = await ask(f"{NORTH}|N-1001"), await ask(f"{SOUTH}|S-77")
    foreign, unknown = await ask(f"{NORTH}|N-2044"), await ask(f"{NORTH}|N-0000")
    by_id = await ask(f"{BASE_URL}|Patient/{records.peter}")

    assert own.status_code == other_own.status_code == 200
    assert foreign.status_code == unknown.status_code == by_id.status_code == status
    assert foreign.json() == unknown.json() == by_id.json()
    assert foreign.json()["issue"][0]["code"] == "forbidden"


async def test_query_of_another_family_is_empty(asking: httpx.AsyncClient, records: Records) -> None:
    """IUA-32, PDQM-SEC-04: ITI-78 is cut to the person (exchange 12)."""
    answer = await asking.get("Patient?family=kral", headers=bound(IUA, f"{NORTH}|N-1001"))

    assert (found(answer), answer.json()["total"]) == ([], 0)


@pytest.mark.parametrize("certain", [False, True])
async def test_match_reveals_nobody_else(asking: httpx.AsyncClient, records: Records, *, certain: bool) -> None:
    """IUA-32, PDQM-SEC-04: neither by an entry, nor by the total, nor by a warning."""
    sent = bound(IUA, f"{NORTH}|N-1001")

    async def match(patient: dict[str, Any]) -> httpx.Response:
        parameters = [
            {"name": "resource", "resource": patient},
            {"name": "onlyCertainMatches", "valueBoolean": certain},
        ]
        return await asking.post(
            "Patient/$match", json={"resourceType": "Parameters", "parameter": parameters}, headers=sent
        )

    own = await match(KATARINA)
    other = await match(PETER)
    nobody = await match(PETER | {"name": [{"family": "Nikto", "given": ["Nikdy"]}], "birthDate": "1902-02-03"})

    assert set(found(own)) <= {f"Patient/{records.kat}", f"Patient/{records.south}"}
    assert found(own)
    assert other.json() == nobody.json()
    assert other.json()["total"] == 0
    assert "entry" not in other.json()


@pytest.mark.parametrize("dialect", DIALECTS)
@pytest.mark.parametrize("method", ["PUT", "DELETE"])
async def test_feed_is_for_sources_alone(
    asking: httpx.AsyncClient, records: Records, dialect: str, method: str
) -> None:
    """IUA-32: ITI-104 refuses who is bound to a patient, be it their own record."""
    sent = bound("ITI-104" if dialect == "iua" else "patient/Patient.cud", f"{NORTH}|N-1001")
    key = {"identifier": f"{NORTH}|N-1001"}
    body = {"json": KATARINA} if method == "PUT" else {}

    answer = await asking.request(method, "Patient", params=key, headers=sent, **body)

    assert answer.status_code == DIALECTS[dialect][1]
    assert answer.json()["issue"][0]["code"] == "forbidden"


async def test_events_of_the_own_person_alone(asking: httpx.AsyncClient, records: Records) -> None:
    """AUD-98, IUA-32, EHDS-106: ITI-81 is cut to events that name the patient, under each of their records."""
    await asking.get(f"DocumentReference?patient={records.peter}", headers=headers("ITI-67"))
    await asking.get(f"DocumentReference?patient={records.south}", headers=headers("ITI-67"))
    sent = bound("ITI-81", f"{NORTH}|N-1001")

    own = await asking.get("AuditEvent?date=ge2020-01-01&_count=200", headers=sent)
    everybody = await asking.get("AuditEvent?date=ge2020-01-01&_count=200", headers=headers("ITI-81"))
    his = [
        one["resource"]["id"]
        for one in everybody.json()["entry"]
        if f"Patient/{records.peter}" in str(one["resource"]) and f"Patient/{records.kat}" not in str(one["resource"])
    ]

    names = {f"Patient/{records.kat}", f"Patient/{records.south}", "'N-1001'", "'S-77'"}
    events = [one["resource"] for one in own.json()["entry"]]
    assert events
    assert all(any(name in str(each) for name in names) for each in events)
    assert not any(f"Patient/{records.peter}" in str(each["entity"]) for each in events)
    assert own.json()["total"] < everybody.json()["total"]
    assert his
    assert (await asking.get(f"AuditEvent/{his[0]}", headers=sent)).status_code == 404
    assert (await asking.get(f"Patient/{records.peter}/$access-log", headers=sent)).status_code == 404
    assert (await asking.get(f"Patient/{records.kat}/$access-log", headers=sent)).status_code == 200


@pytest.mark.parametrize("asked", ["patient.birthdate=1984-03-07", "patient.family=Nov", "subject:Patient.given=Peter"])
async def test_demographics_are_not_probed(asking: httpx.AsyncClient, records: Records, asked: str) -> None:
    """EHDS-17, MHD-SEC-05: without the scope for patients a chain finds documents by identifier, and tells no more."""
    narrow, wide = headers("system/DocumentReference.s"), headers("system/DocumentReference.s system/Patient.s")
    number = f"{NORTH}|{KATARINA['identifier'][0]['value']}"

    refused = await asking.get(f"DocumentReference?{asked}", headers=narrow)
    found = await asking.get(f"DocumentReference?patient.identifier={number}", headers=narrow)

    assert (refused.status_code, refused.json()["issue"][0]["code"]) == (403, "forbidden")
    assert found.json()["total"] > 0
    assert (await asking.get(f"DocumentReference?{asked}", headers=wide)).status_code == 200
