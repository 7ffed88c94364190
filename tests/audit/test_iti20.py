"""Record Audit Event [ITI-20]: audit.md section 8."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import httpx
import pytest

from app.fhir.resource import Resource, parse_json
from app.fhir.xml import to_xml
from tests.audit.keeping import JSON, Log
from tests.conftest import PROJECT

# Exchange 11: the bare minimum.
MINIMUM: Resource = {
    "resourceType": "AuditEvent",
    "type": {"system": "http://dicom.nema.org/resources/ontology/DCM", "code": "110100"},
    "recorded": "2026-01-15T07:00:00Z",
    "agent": [{"requestor": False, "who": {"display": "ward viewer 3"}}],
    "source": {"observer": {"display": "ward viewer 3"}},
}
EXAMPLES = sorted((PROJECT / "profiles" / "ihe.iti.balp-1.1.4" / "examples" / "valid").glob("audit-*.json"))
POST = {"method": "POST", "url": "AuditEvent"}
BROKEN: Resource = {"resourceType": "AuditEvent", "recorded": "yesterday"}


def batch(*entries: Any) -> Resource:
    """A batch of `entries`."""
    return {"resourceType": "Bundle", "type": "batch", "entry": list(entries)}


async def test_one_event(client: httpx.AsyncClient, log: Log) -> None:
    """AUD-80, AUD-82: exchange 11; 201 and a Location that leads to it, although it follows no profile."""
    answer = await client.post("AuditEvent", json=MINIMUM, headers=JSON)

    assert answer.status_code == 201
    found = (await client.get(answer.headers["location"])).json()
    assert {name: found[name] for name in MINIMUM} == MINIMUM


async def test_one_event_as_xml(client: httpx.AsyncClient, log: Log, packages: Any) -> None:
    """AUD-80: XML."""
    body = to_xml(MINIMUM, packages.structures)

    answer = await client.post("AuditEvent", content=body, headers={"Content-Type": "application/fhir+xml"})

    assert answer.status_code == 201


async def test_id_is_ours_and_time_is_theirs(client: httpx.AsyncClient, log: Log) -> None:
    """AUD-83: the client's id is ignored, `recorded` kept, `meta.lastUpdated` is when it came."""
    sent = MINIMUM | {"id": "mine", "meta": {"lastUpdated": "2001-01-01T00:00:00Z", "tag": [{"code": "x"}]}}

    answer = await client.post("AuditEvent", json=sent, headers=JSON)

    found = (await client.get(answer.headers["location"])).json()
    assert found["id"] != "mine"
    assert found["recorded"] == MINIMUM["recorded"]
    assert found["meta"]["lastUpdated"] > "2001-01-02"
    assert found["meta"]["tag"] == [{"code": "x"}]


async def test_batch(client: httpx.AsyncClient, log: Log) -> None:
    """AUD-81: exchange 12; the good entry is kept, the broken one told, in their order."""
    answer = await client.post(
        "", json=batch({"resource": MINIMUM, "request": POST}, {"resource": BROKEN, "request": POST}), headers=JSON
    )

    body = answer.json()
    first, second = (entry["response"] for entry in body["entry"])
    assert (answer.status_code, body["type"]) == (200, "batch-response")
    assert (first["status"], second["status"]) == ("201 Created", "400 Bad Request")
    assert (await client.get(first["location"])).status_code == 200
    assert second["outcome"]["issue"][0]["expression"][0].startswith("Bundle.entry[1].resource")


async def test_other_entries_are_refused_one_by_one(client: httpx.AsyncClient, log: Log) -> None:
    """AUD-87: what is no audit event, or no POST, is refused; the others are kept."""
    answer = await client.post(
        "",
        json=batch(
            {"resource": MINIMUM, "request": POST},
            {"request": {"method": "GET", "url": "Patient/1"}},
            {"resource": MINIMUM, "request": {"method": "PUT", "url": "AuditEvent/1"}},
            {"resource": {"resourceType": "Patient"}, "request": POST},
            {"resource": MINIMUM, "request": POST},
        ),
        headers=JSON,
    )

    statuses = [entry["response"]["status"][:3] for entry in answer.json()["entry"]]
    assert statuses == ["201", "400", "405", "400", "201"]


async def test_transaction_is_no_feed(client: httpx.AsyncClient, log: Log) -> None:
    """AUD-87: a transaction is ITI-65, whose rules it breaks."""
    sent = batch({"resource": MINIMUM, "request": POST}) | {"type": "transaction"}

    assert (await client.post("", json=sent, headers=JSON)).status_code in (400, 422)


@pytest.mark.parametrize("method", ["PUT", "PATCH", "DELETE"])
async def test_no_door_to_change_an_event(client: httpx.AsyncClient, log: Log, method: str) -> None:
    """AUD-11, AUD-84: exchange 13; 405, and what is offered."""
    location = (await client.post("AuditEvent", json=MINIMUM, headers=JSON)).headers["location"]

    answer = await client.request(method, location, headers=JSON)
    of_type = await client.request(method, "AuditEvent?date=ge2000", headers=JSON)

    assert (answer.status_code, of_type.status_code) == (405, 405)
    assert "GET" in answer.headers["allow"]
    assert (await client.get(location)).status_code == 200


@pytest.mark.parametrize(
    "broken",
    [
        BROKEN,
        MINIMUM | {"agent": []},
        MINIMUM | {"unknown": 1},
        MINIMUM | {"outcome": "5"},
        {"resourceType": "Patient"},
        {name: value for name, value in MINIMUM.items() if name != "source"},
    ],
)
async def test_what_is_no_fhir_is_refused(client: httpx.AsyncClient, log: Log, broken: Resource) -> None:
    """AUD-82: 400 with an OperationOutcome, and nothing else is a reason."""
    answer = await client.post("AuditEvent", json=broken, headers=JSON)

    assert answer.status_code == 400
    assert answer.json()["resourceType"] == "OperationOutcome"


async def test_limits(client: httpx.AsyncClient, log: Log) -> None:
    """AUD-85: 1,000 entries, 5 MiB; beyond 413."""
    many = batch(*[{"resource": MINIMUM, "request": POST}] * 1001)
    large = MINIMUM | {"outcomeDesc": "x" * (5 * 1024 * 1024)}

    assert (await client.post("", json=many, headers=JSON)).status_code == 413
    assert (await client.post("AuditEvent", json=large, headers=JSON)).status_code == 413
    assert (await client.post("", json=batch(*many["entry"][:1000]), headers=JSON)).status_code == 200


async def test_empty_batch(client: httpx.AsyncClient, log: Log) -> None:
    """AUD-81: nothing to keep."""
    answer = await client.post("", json={"resourceType": "Bundle", "type": "batch"}, headers=JSON)

    assert (answer.status_code, answer.json()["type"]) == (200, "batch-response")


async def test_metadata_tells_of_both(client: httpx.AsyncClient) -> None:
    """AUD-100, AUD-101: interactions, parameters, profiles; nothing of syslog."""
    statement = (await client.get("metadata")).json()["rest"][0]
    found = next(each for each in statement["resource"] if each["type"] == "AuditEvent")

    assert {each["code"] for each in found["interaction"]} >= {"create", "read", "search-type"}
    assert "batch" in {each["code"] for each in statement["interaction"]}
    assert {"patient.identifier", "address", "entity-role"} <= {each["name"] for each in found["searchParam"]}
    assert any("BasicAudit" in each for each in found["supportedProfile"])
    assert not any(each["code"] in ("update", "delete", "patch") for each in found["interaction"])
    assert "syslog" not in str(statement).lower()
    assert "ITI-82" not in str(statement)


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.stem)
async def test_every_example_of_the_guides_is_taken(client: httpx.AsyncClient, log: Log, path: Path) -> None:
    """AUD-74, AUD-82: disclosures, decisions and whatever else is fed is read back as it was sent."""
    sent = parse_json(path.read_bytes())

    answer = await client.post("AuditEvent", content=path.read_bytes(), headers=JSON)

    assert answer.status_code == 201, answer.text
    found = (await client.get(answer.headers["location"])).json()
    kept = {name: value for name, value in found.items() if name not in ("id", "meta")}
    assert kept == {name: value for name, value in sent.items() if name not in ("id", "meta")}
