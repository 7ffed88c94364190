"""What the server and its mongod write down contains nothing about a person: MHD-SEC-07."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import httpx
import orjson
import psutil  # type: ignore[import-untyped]

from app.fhir.resource import Resource, to_json
from app.store.managed import private_mongodb
from tests.submissions import UNIQUE_ID, entry, identifier, oid, submission, urn
from tests.system.program import Program, is_gone, served, wait_until

JSON = {"content-type": "application/fhir+json"}

# None of these words occurs in the program; each comes in another way.
SECRETS = (
    "Geheimrat",
    "Verschwiegen",
    "1907-11-13",
    "INSURANCE-77-4711",
    "Diagnosis-unspoken",
    "0664-12345678",
    "letter-of-nobody",
    "broken-body-words",
    "query-words",
    "header-words",
    "path-words",
    "cookie-words",
    "form-words",
)


def person() -> Resource:
    return {
        "resourceType": "Patient",
        "identifier": [{"system": "urn:oid:2.999.40.9", "value": "INSURANCE-77-4711"}],
        "name": [{"family": "Geheimrat", "given": ["Verschwiegen"]}],
        "birthDate": "1907-11-13",
        "telecom": [{"system": "phone", "value": "0664-12345678"}],
    }


def personal(**elements: Any) -> Resource:
    """Return a submission full of secrets, with the patient in it."""
    full_url = urn()
    made = submission(b"Diagnosis-unspoken", subject=full_url, description="letter-of-nobody", **elements)
    made["entry"].append(entry(person(), full_url))
    return made


def requests(client: httpx.Client) -> Iterator[httpx.Response]:
    """Yield answers to all that goes well and all that goes wrong."""
    master = identifier(UNIQUE_ID, oid())
    yield client.post("", content=to_json(personal(masterIdentifier=master)), headers=JSON)
    yield client.post("", content=to_json(personal(masterIdentifier=master)), headers=JSON)
    other = personal(masterIdentifier=master)
    other["entry"][2]["resource"]["data"] = "T3RoZXI="
    yield client.post("", content=to_json(other), headers=JSON)
    yield client.post("", content=to_json(personal(status="Geheimrat")), headers=JSON)
    yield client.post("", content=to_json(personal(Geheimrat="Verschwiegen")), headers=JSON)
    yield client.post("", content=to_json(personal(date="1907-11-13T")), headers=JSON)
    yield client.post("", content=b'{"resourceType": "Bundle", "broken-body-words', headers=JSON)
    yield client.post("", content=b"<Bundle>broken-body-words", headers={"content-type": "application/fhir+xml"})
    yield client.post("", content=b"broken-body-words", headers={"content-type": "text/query-words"})
    yield from searches(client)
    yield from of_patients(client)
    yield from of_operations(client)
    yield client.get("/Patient/path-words-0664-12345678")
    yield client.get("/path-words/INSURANCE-77-4711")
    yield client.get("/Patient/ida/_history/path-words")
    yield client.delete("/Patient/path-words")
    yield client.get("/metadata", headers={"accept": "header-words/x", "x-request-id": "header-words Geheimrat"})
    yield client.get("/metadata", headers={"cookie": "session=cookie-words", "authorization": "Bearer header-words"})


def searches(client: httpx.Client) -> Iterator[httpx.Response]:
    """Yield answers to queries with secrets in them."""
    yield client.get("/Patient?family=Geheimrat&birthdate=1907-11-13&_count=1")
    yield client.get("/Patient?query-words=Geheimrat")
    yield client.get("/Patient?birthdate=1907-11-13T")
    yield client.get("/DocumentReference?patient.identifier=urn:oid:2.999.40.9|INSURANCE-77-4711")
    yield client.get("/DocumentReference?patient=INSURANCE-77-4711&_page=query-words")
    yield client.post("/DocumentReference/_search", data={"patient.identifier": "form-words", "date": "form-words"})
    yield client.post("/Patient/_search", content=b"form-words", headers={"content-type": "text/plain"})


def of_patients(client: httpx.Client) -> Iterator[httpx.Response]:
    """Yield answers of ITI-104, ITI-78, ITI-119 and ITI-83, right and wrong."""
    named = "/Patient?identifier=urn:oid:2.999.40.9|INSURANCE-77-4711"
    parameters = {"resourceType": "Parameters", "parameter": [{"name": "resource", "resource": person()}]}
    yield client.put(named, content=to_json(person()), headers=JSON)
    yield client.put(named, content=to_json(person() | {"birthDate": "Geheimrat"}), headers=JSON)
    yield client.put("/Patient/INSURANCE-77-4711", content=to_json(person()), headers=JSON)
    yield client.delete(named)
    yield client.post("/Patient/$match", content=to_json(parameters), headers=JSON)
    yield client.post("/Patient/$match", content=to_json(person()), headers=JSON)
    yield client.get("/Patient/$ihe-pix?sourceIdentifier=urn:oid:2.999.40.9|INSURANCE-77-4711")
    yield client.get("/Patient/$ihe-pix?sourceIdentifier=Geheimrat")
    yield client.get("/Patient%2FINSURANCE-77-4711")
    yield client.get("//Patient/INSURANCE-77-4711")


def of_operations(client: httpx.Client) -> Iterator[httpx.Response]:
    """Yield answers of ITI-105, ITI-106, `$validate`, ITI-20 and ITI-81."""
    document = submission(b"Diagnosis-unspoken", subject="Patient/Geheimrat")["entry"][1]["resource"]
    inline = {"contentType": "text/plain", "data": "Diagnosis-unspoken"}
    simple = document | {"description": "Verschwiegen", "content": [{"attachment": inline}]}
    event = {"resourceType": "AuditEvent", "entity": [{"name": "Geheimrat", "query": "query-words"}]}
    for path in ("/DocumentReference", "/DocumentReference/$generate-metadata", "/$validate", "/Patient/$validate"):
        yield client.post(path, content=to_json(simple), headers=JSON)
        yield client.post(path, content=to_json(person()), headers=JSON)
    yield client.post("/AuditEvent", content=to_json(event), headers=JSON)
    yield client.get("/AuditEvent?date=ge1907-11-13&entity-name=Geheimrat&patient.identifier=|INSURANCE-77-4711")
    yield client.put("/AuditEvent/INSURANCE-77-4711", content=to_json(event), headers=JSON)
    xml = b"<Patient xmlns='http://hl7.org/fhir'><name><family value='Geheimrat'/></name></Patient>"
    yield client.post("/Patient/$validate", content=xml, headers={"content-type": "application/fhir+xml"})


def told(*files: Path) -> list[str]:
    """Return the secrets that stand in `files`, each with its file."""
    return [f"{secret} in {file.name}" for file in files for secret in SECRETS if secret in file.read_text()]


def logs(program: Program, folder: Path) -> tuple[Path, ...]:
    return program.log, program.output, folder / "mongod.log"


def test_no_patient_data_in_the_logs(folder: Path) -> None:
    """MHD-SEC-07, PIXM-SEC-04: one line a request, with transaction, status and request id; no value of any request."""
    with served(folder) as program, httpx.Client(base_url=program.url, timeout=60) as client:
        statuses = [answer.status_code for answer in requests(client)]
        (folder / "metrics").write_text(httpx.get(f"{program.root}/health/metrics").text)
        secrets = told(*logs(program, folder), folder / "metrics")
        lines = [orjson.loads(line) for line in program.log.read_text().splitlines()]

    assert {200, 400, 404, 405, 406, 409, 415} <= set(statuses)
    assert secrets == []
    answered = [line for line in lines if line["message"] == "answered"]
    assert sorted(line["status"] for line in answered) == sorted(statuses)
    assert all(line["request"] for line in answered)


def test_no_patient_data_when_the_database_is_gone(folder: Path) -> None:
    """MHD-SEC-07, MHD-GEN-07: 503, a line in the log, and nothing of what was asked or sent."""
    with (
        private_mongodb(folder / "elsewhere") as url,  # nobody starts it again
        served(folder, MHD_MONGODB_URL=url) as program,
        httpx.Client(base_url=program.url, timeout=60) as client,
    ):
        mongod = next(
            one for one in psutil.Process().children() if str(folder / "elsewhere") in " ".join(one.cmdline())
        )
        mongod.kill()
        wait_until(lambda: is_gone(mongod))
        with ThreadPoolExecutor() as at_once:  # each waits some seconds for the database
            published = at_once.submit(client.post, "", content=to_json(personal()), headers=JSON)
            searched = at_once.submit(client.get, "/Patient?family=Geheimrat&birthdate=1907-11-13")
            ready = at_once.submit(client.get, f"{program.root}/health/ready").result()
            alive = client.get(f"{program.root}/health/live")
        answers = [published.result(), searched.result()]
        secrets = told(program.log, program.output, folder / "elsewhere" / "mongod.log")
        program.process.kill()  # in order it would wait for the database once more

    assert [answer.status_code for answer in answers] == [503, 503]
    assert [answer.json()["issue"][0]["code"] for answer in answers] == ["transient", "transient"]
    assert (alive.status_code, ready.status_code) == (200, 503)
    assert secrets == []
