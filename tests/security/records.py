"""Records of several people behind a guard, and tokens for whoever asks for them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import httpx

from app.fhir.resource import Resource
from tests.conftest import BASE_URL
from tests.patients import KATARINA, KATARINA_SOUTH, NATIONAL, NORTH, PETER, SOUTH
from tests.security.issuing import bearer, token
from tests.security.submitted import fhir_submission, of_patient
from tests.submissions import MHD, concept, entry, identifier, oid, submission, urn

JSON = {"Content-Type": "application/fhir+json"}
LOINC = "http://loinc.org"
LABORATORY, SUMMARY = "26436-6", "34133-9"
CONFIDENTIALITY = "http://terminology.hl7.org/CodeSystem/v3-Confidentiality"
ACT_REASON = "http://terminology.hl7.org/CodeSystem/v3-ActReason"

# What publishes and feeds.
EVERYTHING = "ITI-65 ITI-66 ITI-67 ITI-68 ITI-78 ITI-83 ITI-104 ITI-105 ITI-106 ITI-119 admin system/*.cruds"
# What reads, in IUA's dialect, and in SMART's.
IUA = "ITI-65 ITI-66 ITI-67 ITI-68 ITI-78 ITI-83 ITI-105 ITI-106 ITI-119"
SMART = "patient/*.cruds"


@dataclass(frozen=True, slots=True)
class Records:
    """Ids of what is stored: two people, and what was published of them.

    Attributes:
        kat, south: Katarina's records, of two hospitals, linked by the cross-reference.
        laboratory, summary: her DocumentReferences, under one record each; `secret` is restricted (R).
        peter: somebody else; his are `his_…`.
        numbers: unique ids, by the name of the DocumentReference.
    """

    kat: str
    south: str
    peter: str
    laboratory: str
    laboratory_binary: str
    summary: str
    summary_bundle: str
    secret: str
    secret_binary: str
    submission_set: str
    his: str
    his_binary: str
    his_bundle: str
    his_reference_of_bundle: str
    his_set: str
    his_folder: str
    numbers: Mapping[str, str]


async def stored(client: httpx.AsyncClient) -> Records:
    """Feed the people and publish their documents."""
    kat = await _fed(client, KATARINA, "north-adt")
    south = await _fed(client, KATARINA_SOUTH, "south-adt")
    peter = await _fed(client, PETER, "north-adt")
    laboratory, secret, his = (document(oid()) for _ in range(3))
    secret["securityLabel"] = [concept(CONFIDENTIALITY, "R")]
    first = await published(client, kat, of_category(laboratory, LABORATORY), b"laboratory")
    third = await published(client, kat, of_category(secret, SUMMARY), b"secret")
    second = await _published_bundle(client, south)
    other = await published(client, peter, of_category(his, SUMMARY), b"his", folder=True)
    other_bundle = await _published_bundle(client, peter)
    return Records(
        kat=kat,
        south=south,
        peter=peter,
        laboratory=first["DocumentReference"],
        laboratory_binary=first["Binary"],
        summary=second["DocumentReference"],
        summary_bundle=second["Bundle"],
        secret=third["DocumentReference"],
        secret_binary=third["Binary"],
        submission_set=first["List"],
        his=other["DocumentReference"],
        his_binary=other["Binary"],
        his_bundle=other_bundle["Bundle"],
        his_reference_of_bundle=other_bundle["DocumentReference"],
        his_set=other["List"],
        his_folder=other["Folder"],
        numbers={
            "laboratory": laboratory["masterIdentifier"]["value"],
            "his": his["masterIdentifier"]["value"],
        },
    )


def document(number: str) -> Resource:
    """Elements of a DocumentReference with that unique id."""
    return {"masterIdentifier": identifier("uniqueId", number)}


def of_category(elements: Resource, code: str) -> Resource:
    """The same elements in a category of LOINC."""
    return elements | {"category": [concept(LOINC, code)]}


def folder(patient: str, *members: str) -> Resource:
    """A new Folder of a patient."""
    return {
        "resourceType": "List",
        "extension": [
            {
                "url": f"{MHD}/StructureDefinition/ihe-designationType",
                "valueCodeableConcept": concept("http://snomed.info/sct", "58000006"),
            }
        ],
        "identifier": [identifier("uniqueId", oid())],
        "status": "current",
        "mode": "working",
        "title": "An invented folder",
        "code": concept(f"{MHD}/CodeSystem/MHDlistTypes", "folder"),
        "subject": {"reference": f"Patient/{patient}"},
        "date": "2025-03-14T16:05:00+01:00",
        "entry": [{"item": {"reference": member}} for member in members],
    }


async def published(
    client: httpx.AsyncClient, patient: str, elements: Resource, content: bytes = b"hello", *, folder: bool = False
) -> dict[str, str]:
    """Publish a document of `patient`; return the ids by type."""
    made = of_patient(submission(content, **elements), patient)
    if folder:
        made["entry"].append(entry(globals()["folder"](patient, made["entry"][1]["fullUrl"]), urn()))
        made["entry"][0]["resource"]["entry"].append({"item": {"reference": made["entry"][-1]["fullUrl"]}})
    answer = await client.post("", json=made, headers=headers(EVERYTHING))
    assert answer.status_code == 200, answer.text
    names = [one.split("/") for one in names_of(answer)]
    return dict(names[:3]) | ({"Folder": names[3][1]} if folder else {})


async def _published_bundle(client: httpx.AsyncClient, patient: str) -> dict[str, str]:
    made = of_patient(fhir_submission(), patient)
    made["entry"][1]["resource"]["category"] = [concept(LOINC, SUMMARY)]
    answer = await client.post("", json=made, headers=headers(EVERYTHING))
    assert answer.status_code == 200, answer.text
    return dict(one.split("/") for one in names_of(answer))


def names_of(answer: httpx.Response) -> list[str]:
    """The names of the records that a submission made, in its order."""
    urls = [one["response"]["location"].removeprefix(f"{BASE_URL}/") for one in answer.json()["entry"]]
    return [url.partition("/_history/")[0] for url in urls]


async def _fed(client: httpx.AsyncClient, patient: Resource, source: str) -> str:
    number = patient["identifier"][0]
    key = f"{number['system']}|{number['value']}"
    sent = headers("ITI-104", client_id=source)
    answer = await client.put("Patient", params={"identifier": key}, json=patient, headers=sent)
    assert answer.status_code in (200, 201), answer.text
    return str(answer.json()["id"])


def headers(scope: str, **claims: Any) -> dict[str, str]:
    """A token that says so, and the content type of FHIR."""
    return JSON | bearer(token(scope, **claims))


def bound(scope: str, patient: str, **claims: Any) -> dict[str, str]:
    """A token that is bound to a patient, in the dialect of its scope."""
    if scope.startswith("ITI-"):
        return headers(scope, extensions={"ihe_bppc": {"patient_id": patient}}, **claims)
    return headers(scope, patient=patient, **claims)


def found(answer: httpx.Response) -> list[str]:
    """The names of what a search found."""
    assert answer.status_code == 200, answer.text
    resources = [one["resource"] for one in answer.json().get("entry", ())]
    return [f"{one['resourceType']}/{one['id']}" for one in resources if one["resourceType"] != "OperationOutcome"]


FORMS = {
    "id": "{kat}",
    "reference": "Patient/{kat}",
    "url": BASE_URL + "/Patient/{kat}",
    "oid": f"{NORTH}|N-1001",
    "cx": "N-1001^^^&2.999.10.1&ISO",
    "cx with a name": "N-1001^^^North&2.999.10.1&ISO",
    "other record": f"{SOUTH}|S-77",
    "national number": f"{NATIONAL}|8453070123",
}

CATEGORY = f"category={LOINC}|{LABORATORY}"
# Dialect -> scopes, and the status of what they do not allow.
DIALECTS = {"iua": (IUA, 401), "smart": (SMART, 403)}


async def sees(client: httpx.AsyncClient, url: str, sent: dict[str, str]) -> list[str]:
    """The names of what a search finds."""
    return found(await client.get(url, headers=sent))


def fields(records: Records) -> dict[str, Any]:
    """The records by name."""
    return {name: getattr(records, name) for name in Records.__slots__}
