"""ITI-65 Provide Document Bundle, 2:3.65.4.1.2.1: every way in which a submission may name its patient."""

from __future__ import annotations

import asyncio

import httpx
import pytest

from app.fhir.resource import Resource
from tests.mhd.conftest import DOMAIN, Count, Publish, details, issue, locations
from tests.submissions import changed, entry, minimal, submission, urn


def about(subject: Resource) -> Resource:
    """Return a submission whose SubmissionSet and DocumentReference have `subject`."""
    return changed(changed(submission(), "entry.0.resource.subject", subject), "entry.1.resource.subject", subject)


async def subject_of(client: httpx.AsyncClient, response: httpx.Response) -> Resource:
    found: Resource = (await client.get(locations(response)[1])).json()["subject"]
    return found


async def test_literal_forms_name_the_same_patient(client: httpx.AsyncClient, publish: Publish) -> None:
    """MHD-65-41, MHD-65-42: `Patient/p1`, the absolute URL and a version of it are one patient."""
    base = str(client.base_url).rstrip("/")
    made = about({"reference": f"{base}/Patient/p1"})
    made["entry"][0]["resource"]["subject"] = {"reference": "Patient/p1/_history/1"}

    response = await publish(made)

    assert response.status_code == 200, response.text
    assert (await subject_of(client, response))["reference"] == f"{base}/Patient/p1"
    for name in ("p1", "Patient/p1", f"{base}/Patient/p1"):
        assert (await client.get("DocumentReference", params={"patient": name, "status": "current"})).json()[
            "total"
        ] == 1


async def test_patients_must_not_differ(publish: Publish, counts: Count) -> None:
    """MHD-65-41, MHD-MHDS-02: the SubmissionSet names another patient than the document."""
    before = await counts()

    response = await publish(changed(submission(), "entry.0.resource.subject.reference", "Patient/p2"))

    first = issue(response)
    assert (response.status_code, first["code"], details(first)) == (422, "business-rule", "XDSPatientIdDoesNotMatch")
    assert first["expression"] == ["Bundle.entry[0].resource.subject"]
    assert await counts() == before


@pytest.mark.parametrize("name", ["Patient/nobody", "Patient/gone", "https://elsewhere.example/fhir/Patient/p1"])
async def test_unknown_patient_is_refused(publish: Publish, counts: Count, name: str) -> None:
    """MHD-65-43, MHD-65-45: a patient who is unknown, inactive or elsewhere."""
    before = await counts()

    response = await publish(about({"reference": name}))

    first = issue(response)
    assert (response.status_code, first["code"], details(first)) == (400, "not-found", "XDSUnknownPatientId")
    assert first["expression"][0].startswith("Bundle.entry[1].resource.subject")
    assert await counts() == before


async def test_logical_subject_is_resolved(client: httpx.AsyncClient, publish: Publish) -> None:
    """MHD-65-44: one patient has the identifier: the reference is added, the identifier stays."""
    logical = {"type": "Patient", "identifier": {"system": DOMAIN, "value": "4711"}}

    response = await publish(about(logical))

    assert await subject_of(client, response) == {"reference": "Patient/p1"} | logical
    for asked in ({"patient": "p1"}, {"patient.identifier": f"{DOMAIN}|4711"}):
        assert (await client.get("DocumentReference", params=asked | {"status": "current"})).json()["total"] == 1


@pytest.mark.parametrize(("value", "status", "code"), [("0815", 400, "not-found"), ("twin", 412, "multiple-matches")])
async def test_logical_subject_must_mean_one(publish: Publish, value: str, status: int, code: str) -> None:
    """MHD-65-44: no patient, or several, with the identifier."""
    response = await publish(about({"type": "Patient", "identifier": {"system": DOMAIN, "value": value}}))

    assert (response.status_code, issue(response)["code"]) == (status, code)


async def test_conditional_subject_is_resolved(client: httpx.AsyncClient, publish: Publish) -> None:
    """MHD-65-30: `Patient?identifier=` becomes the literal reference of the one match."""
    response = await publish(about({"reference": f"Patient?identifier={DOMAIN}|4711"}))

    assert await subject_of(client, response) == {"reference": "Patient/p1"}


@pytest.mark.parametrize(("value", "status", "code"), [("0815", 400, "not-found"), ("twin", 412, "multiple-matches")])
async def test_conditional_subject_must_mean_one(
    publish: Publish, counts: Count, value: str, status: int, code: str
) -> None:
    """MHD-65-30: no match, or several, and the transaction fails."""
    before = await counts()

    response = await publish(about({"reference": f"Patient?identifier={DOMAIN}|{value}"}))

    assert (response.status_code, issue(response)["code"]) == (status, code), response.text
    assert await counts() == before


async def test_known_patient_in_the_bundle_is_matched(
    client: httpx.AsyncClient, publish: Publish, counts: Count
) -> None:
    """MHD-65-46, A-24: a posted Patient with a known identifier is that patient: 200 and the known location."""
    full_url = urn()
    made = submission(subject=full_url)
    made["entry"].append(
        entry({"resourceType": "Patient", "identifier": [{"system": DOMAIN, "value": "4711"}]}, full_url)
    )
    before = (await counts())["Patient"]

    response = await publish(made)

    told = response.json()["entry"][3]["response"]
    assert told["status"] == "200 OK"
    assert told["location"].endswith("/Patient/p1/_history/1")
    assert (await subject_of(client, response))["reference"] == "Patient/p1"
    assert (await counts())["Patient"] == before


async def test_new_patient_in_the_bundle_is_created(client: httpx.AsyncClient, publish: Publish) -> None:
    """MHD-65-46: a posted Patient whom nobody knows is created, and the documents are theirs."""
    full_url = urn()
    made = submission(subject=full_url)
    made["entry"].append(
        entry({"resourceType": "Patient", "identifier": [{"system": DOMAIN, "value": "new"}]}, full_url)
    )

    response = await publish(made)

    created = locations(response)[3]
    assert response.json()["entry"][3]["response"]["status"] == "201 Created"
    assert (await subject_of(client, response))["reference"] == "/".join(created.rsplit("/", 2)[1:])
    assert (await client.get(created)).json()["identifier"][0]["value"] == "new"


async def test_patient_by_get(client: httpx.AsyncClient, publish: Publish) -> None:
    """MHD-65-46, MHD-65-123: a GET entry names the patient, and changes nothing."""
    full_url = urn()
    made = submission(subject=full_url)
    made["entry"].append(entry({"resourceType": "Patient", "id": "p1"}, full_url, "GET", "Patient/p1"))

    response = await publish(made)

    assert response.json()["entry"][3]["response"]["status"] == "200 OK"
    assert (await subject_of(client, response))["reference"] == "Patient/p1"
    assert (await client.get("Patient/p1")).json()["meta"]["versionId"] == "1"


async def test_subject_is_told_by_the_source_patient(client: httpx.AsyncClient, publish: Publish) -> None:
    """MHD-65-48, A-06: a Minimal submission without subject goes to the patient whom sourcePatientInfo identifies."""
    made = minimal(
        subject=None,
        contained=[{"resourceType": "Patient", "id": "s", "identifier": [{"system": DOMAIN, "value": "4711"}]}],
        context={"sourcePatientInfo": {"reference": "#s"}},
    )
    response = await publish(made)

    assert (await subject_of(client, response))["reference"] == "Patient/p1"
    assert (await client.get("DocumentReference?patient=p1&status=current")).json()["total"] == 1


async def test_submission_without_any_patient_is_queued(client: httpx.AsyncClient, publish: Publish) -> None:
    """MHD-65-48, MHD-65-126, MHD-ERR-03: kept without subject, with a warning on the SubmissionSet's entry."""
    made = minimal(subject=None)
    response = await publish(made)

    assert "subject" not in (await client.get(locations(response)[1])).json()
    [warning] = response.json()["entry"][0]["response"]["outcome"]["issue"]
    assert (warning["severity"], details(warning)) == ("warning", "DocumentQueued")


async def test_source_patient_is_not_looked_up(publish: Publish) -> None:
    """MHD-65-49: the number of the source's own ward need not be known here."""
    assert (await publish(submission())).status_code == 200


@pytest.mark.parametrize(
    ("condition", "status", "told"),
    [
        ("identifier={}|4711", 200, "200 OK"),
        ("identifier={}|0815", 200, "201 Created"),
        ("identifier={}|twin", 412, ""),
    ],
)
async def test_conditional_create(publish: Publish, condition: str, status: int, told: str) -> None:
    """MHD-65-32: ifNoneExist decides: one match is taken, none creates, several end the transaction."""
    full_url = urn()
    made = submission(subject=full_url)
    made["entry"].append(entry({"resourceType": "Patient", "name": [{"family": "Neu"}]}, full_url))
    made["entry"][3]["request"]["ifNoneExist"] = condition.format(DOMAIN)

    response = await publish(made)

    assert response.status_code == status, response.text
    assert not told or response.json()["entry"][3]["response"]["status"] == told


async def test_conditional_create_is_for_patients(publish: Publish) -> None:
    """MHD-65-32: what cannot be honoured is not ignored."""
    made = submission()
    made["entry"][1]["request"]["ifNoneExist"] = "identifier=1"

    response = await publish(made)

    assert (response.status_code, issue(response)["code"]) == (400, "not-supported")


async def test_one_patient_is_created_once(publish: Publish, counts: Count) -> None:
    """MHD-65-46: submissions that bring the same unknown patient at the same instant make one Patient."""
    before = (await counts())["Patient"]
    sent = []
    for _ in range(8):
        full_url = urn()
        made = submission(subject=full_url)
        made["entry"].append(
            entry({"resourceType": "Patient", "identifier": [{"system": DOMAIN, "value": "fresh"}]}, full_url)
        )
        sent.append(publish(made))

    answers = await asyncio.gather(*sent)

    assert {answer.status_code for answer in answers} == {200}
    assert (await counts())["Patient"] == before + 1
