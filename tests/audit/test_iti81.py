"""Retrieve ATNA Audit Event [ITI-81]: audit.md section 9."""

from __future__ import annotations

import asyncio

import httpx
import pytest

from app.fhir.resource import Resource
from app.store.driver import Connection
from tests.audit.keeping import ALWAYS, JSON, Log, event
from tests.conftest import Serve
from tests.patients import NORTH, person

DCM = "http://dicom.nema.org/resources/ontology/DCM"
TYPE = "http://terminology.hl7.org/CodeSystem/audit-event-type"
ROLE = "http://terminology.hl7.org/CodeSystem/object-role"
ENTITY = "http://terminology.hl7.org/CodeSystem/audit-entity-type"
OURS = {"system": "urn:oid:2.999.10.1", "value": "N-1001"}

RICH: Resource = event(
    type={"system": DCM, "code": "110106", "display": "Export"},
    subtype=[{"system": "urn:ihe:event-type-code", "code": "ITI-68"}],
    action="C",
    outcome="4",
    agent=[
        {
            "requestor": True,
            "altId": "doc-77",
            "name": "Dr. Novák",
            "role": [{"coding": [{"system": "urn:roles", "code": "doctor"}]}],
            "who": {"reference": "Practitioner/dr1", "identifier": {"system": "urn:staff", "value": "77"}},
            "policy": ["urn:policy:1"],
            "network": {"address": "192.0.2.17", "type": "2"},
        }
    ],
    source={
        "site": "North",
        "observer": {"reference": "Device/d1", "identifier": {"system": "urn:dev", "value": "d1"}},
    },
    entity=[
        {
            "what": {"reference": "Patient/p7f3c1", "identifier": OURS},
            "type": {"system": ENTITY, "code": "1"},
            "role": {"system": ROLE, "code": "1"},
            "name": "Export of the week",
        }
    ],
)


@pytest.mark.parametrize(
    ("hit", "miss"),
    [
        ("date=ge2026-01-15T09:00:00Z", "date=gt2026-01-15T09:00:01Z"),
        ("date=2026-01-15", "date=2026-01-16"),
        ("date=lt2026-01-16", "date=lt2026-01-15"),
        ("date=le2026-01-15T09:00:00.120Z", "date=le2026-01-15T08:59:59Z"),
        ("_lastUpdated=ge2026-01-01", "_lastUpdated=lt2020"),
        ("address=192.0.2.17", "address=192.0.2.18"),
        ("agent.identifier=urn:staff%7C77", "agent.identifier=urn:staff%7C78"),
        ("agent.identifier=77", "agent.identifier=urn:other%7C77"),
        ("patient.identifier=urn:oid:2.999.10.1%7CN-1001", "patient.identifier=urn:oid:2.999.10.1%7CN-1002"),
        ("patient:identifier=urn:oid:2.999.10.1%7CN-1001", "patient:identifier=urn:oid:2.999.10.2%7CN-1001"),
        ("entity.identifier=N-1001", "entity.identifier=N-1002"),
        (f"entity-type={ENTITY}%7C1", f"entity-type={ENTITY}%7C2"),
        (f"entity-role={ROLE}%7C1", f"entity-role={ROLE}%7C24"),
        ("source.identifier=urn:dev%7Cd1", "source.identifier=urn:dev%7Cd2"),
        (f"type={DCM}%7C110106", f"type={TYPE}%7Crest"),
        ("subtype=urn:ihe:event-type-code%7CITI-68", "subtype=urn:ihe:event-type-code%7CITI-83"),
        ("outcome=4", "outcome=8"),
        ("outcome=0,4", "outcome=0,8"),
        ("agent=Practitioner/dr1", "agent=Practitioner/dr2"),
        ("patient=Patient/p7f3c1", "patient=Patient/p7f3c2"),
        ("entity=Patient/p7f3c1", "entity=Patient/p1"),
        ("source=Device/d1", "source=Device/d2"),
        ("action=C", "action=R"),
        ("site=North", "site=South"),
        ("policy=urn:policy:1", "policy=urn:policy:2"),
        ("altid=doc-77", "altid=doc-78"),
        ("agent-role=urn:roles%7Cdoctor", "agent-role=urn:roles%7Cnurse"),
        ("agent-name=dr.%20novak", "agent-name=smith"),
        ("entity-name=export", "entity-name=import"),
    ],
)
async def test_parameter(log: Log, hit: str, miss: str) -> None:
    """AUD-92, AUD-93, AUD-99: each parameter finds the event by its value, and not by another one."""
    event_id = await log.post(RICH)

    assert event_id in await log.ids(hit)
    assert event_id not in await log.ids(miss)


async def test_id_is_a_parameter(log: Log) -> None:
    """AUD-92: `_id`."""
    event_id = await log.post(RICH)

    assert await log.ids(f"_id={event_id}") == [event_id]


async def test_parameters_are_combined(log: Log) -> None:
    """AUD-92: AND by repeating, OR by commas."""
    first, second = await log.post(RICH), await log.post(RICH | {"outcome": "8"})

    assert set(await log.ids("outcome=4,8&site=North")) == {first, second}
    assert await log.ids("outcome=4,8&site=North&outcome=8") == [second]


async def test_date_is_required(client: httpx.AsyncClient, log: Log) -> None:
    """AUD-90, AUD-91: without `date` 400 `required`, as in exchange 15; with it 200 and a searchset."""
    refused = await client.get("AuditEvent?outcome=8")
    answered = await client.get(f"AuditEvent?{ALWAYS}&outcome=8")

    assert (refused.status_code, refused.json()["issue"][0]["code"]) == (400, "required")
    assert (answered.status_code, answered.json()["type"]) == (200, "searchset")


async def test_date_need_not_be_required(serve: Serve) -> None:
    """AUD-91: the setting."""
    async with serve(audit_require_date=False) as client:
        assert (await client.get("AuditEvent?outcome=8")).status_code == 200


@pytest.mark.parametrize("query", ["date=yesterday", "date=ge2026-01-15&patient.identifier=%7C", f"{ALWAYS}&_count=x"])
async def test_value_that_cannot_be_read_is_refused(client: httpx.AsyncClient, log: Log, query: str) -> None:
    """AUD-99: 400 and an OperationOutcome."""
    answer = await client.get(f"AuditEvent?{query}")

    assert answer.status_code == 400
    assert answer.json()["resourceType"] == "OperationOutcome"


async def test_nothing_found(client: httpx.AsyncClient, log: Log) -> None:
    """AUD-99: 200 and total 0."""
    answer = (await client.get("AuditEvent?date=1999")).json()

    assert (answer["type"], answer["total"], answer.get("entry")) == ("searchset", 0, None)


def at(number: int) -> Resource:
    """An event of its own minute."""
    return event(
        number, recorded=f"2026-01-15T09:{number:02}:00.000Z", source={"observer": {"display": "x"}, "site": "P"}
    )


async def test_pages_newest_first(client: httpx.AsyncClient, log: Log) -> None:
    """AUD-95: `total`, `self`, `next`, `_count`; newest first, whatever the order of arrival."""
    for number in (3, 1, 5, 2, 4):
        await log.post(at(number))
    times, url, pages = [], f"AuditEvent?{ALWAYS}&site=P&_count=2", 0
    while url:
        page = (await client.get(url)).json()
        times += [entry["resource"]["recorded"][14:16] for entry in page["entry"]]
        links = {link["relation"]: link["url"] for link in page["link"]}
        url, pages = links.get("next", ""), pages + 1
        assert page["total"] == 5
        assert "site=P" in links["self"]

    assert (times, pages) == (["05", "04", "03", "02", "01"], 3)


async def test_oldest_first_when_asked(client: httpx.AsyncClient, log: Log) -> None:
    """AUD-95: `_sort=date`."""
    for number in (3, 1, 2):
        await log.post(at(number))

    page = (await client.get(f"AuditEvent?{ALWAYS}&site=P&_sort=date")).json()

    assert [entry["resource"]["recorded"][14:16] for entry in page["entry"]] == ["01", "02", "03"]


async def test_page_is_of_50_and_at_most_500(client: httpx.AsyncClient, log: Log) -> None:
    """AUD-95: the default, and the maximum."""
    entries = [
        {"resource": {"resourceType": "AuditEvent", **at(1)}, "request": {"method": "POST", "url": "AuditEvent"}}
    ] * 520
    await client.post("", json={"resourceType": "Bundle", "type": "batch", "entry": entries})

    assert len(await log.ids("site=P")) == 50
    assert len(await log.ids("site=P&_count=2000")) == 500


async def test_read(client: httpx.AsyncClient, log: Log) -> None:
    """AUD-96: 200 or 404."""
    event_id = await log.post(RICH)

    found = await client.get(f"AuditEvent/{event_id}")
    assert (found.status_code, found.json()["id"]) == (200, event_id)
    assert (await client.get("AuditEvent/nobody")).status_code == 404


async def test_formats(client: httpx.AsyncClient, log: Log) -> None:
    """AUD-97: JSON and XML; 406 otherwise."""
    await log.post(RICH)

    xml = await client.get(f"AuditEvent?{ALWAYS}", headers={"Accept": "application/fhir+xml"})
    assert xml.status_code == 200
    assert "<Bundle" in xml.text
    assert "<AuditEvent" in xml.text
    assert (await client.get(f"AuditEvent?{ALWAYS}", headers={"Accept": "text/csv"})).status_code == 406


async def test_asking_is_told(log: Log) -> None:
    """AUD-72, MHD-AU-62: the second answer contains the event of the first."""
    ours = "subtype=urn:ihe:event-type-code%7CITI-81"
    first = await log.ids(ours)
    second = await log.ask(ours)

    assert first == []
    assert len(second) == 1
    assert [each["code"] for each in second[0]["subtype"]] == ["search", "ITI-81"]


async def test_search_by_post(client: httpx.AsyncClient, log: Log) -> None:
    """AUD-90: as a form."""
    event_id = await log.post(RICH)

    answer = await client.post("AuditEvent/_search", data={"date": "ge2026", "patient.identifier": "N-1001"})

    assert [entry["resource"]["id"] for entry in answer.json()["entry"]] == [event_id]


async def test_patient_is_found_by_a_number_that_the_event_does_not_name(index: httpx.AsyncClient) -> None:
    """AUD-94: an event that refers to a Patient is found by the Patient's number, and the other way round."""
    number = f"{NORTH}%7CN-1001"
    await index.put(f"Patient?identifier={number}", json=person(), headers=JSON)
    found = (await index.get(f"Patient?identifier={number}")).json()["entry"][0]["resource"]["id"]
    log = Log(index)
    by_reference = await log.post(event(entity=[{"what": {"reference": f"Patient/{found}"}}]))
    part = {"type": {"code": "1"}, "role": {"code": "1"}}
    by_number = await log.post(event(entity=[{"what": {"identifier": {"system": NORTH, "value": "N-1001"}}, **part}]))

    assert {by_reference, by_number} <= set(await log.ids(f"patient.identifier={number}"))
    assert {by_reference, by_number} <= set(await log.ids(f"patient=Patient/{found}"))


async def test_deleted_patient_is_still_found_by_number(index: httpx.AsyncClient, database: Connection) -> None:
    """AUD-94: the number was written down with the event."""
    number = f"{NORTH}%7CN-1001"
    await index.put(f"Patient?identifier={number}", json=person(), headers=JSON)
    found = (await index.get(f"Patient?identifier={number}")).json()["entry"][0]["resource"]["id"]
    log = Log(index)
    event_id = await log.post(event(entity=[{"what": {"reference": f"Patient/{found}"}}]))
    await database.database["Patient"].delete_one({"_id": found})

    assert event_id in await log.ids(f"patient.identifier={number}")


async def test_own_event_is_found_by_number_soon(index: httpx.AsyncClient, database: Connection) -> None:
    """AUD-94: of its own requests the server looks the patients up a moment later, all at once."""
    number = f"{NORTH}%7CN-1001"
    await index.put(f"Patient?identifier={number}", json=person(), headers=JSON)
    found = (await index.get(f"Patient?identifier={number}")).json()["entry"][0]["resource"]["id"]
    await index.get(f"Patient/{found}", headers={"X-Request-Id": "reads-the-patient"})
    events = database.database["AuditEvent"]
    told = {"index.patient": f"Patient/{found}", "index.action": "R"}
    for _ in range(1200):
        if await events.find_one(told | {"index.patient:target": {"$exists": True}}):
            break
        await asyncio.sleep(0.05)
    await database.database["Patient"].delete_one({"_id": found})

    assert "reads-the-patient" in str(await Log(index).ask(f"patient.identifier={number}&action=R"))
