"""What a deployment may choose where MHD leaves a choice: each switch with its values, over HTTP.

The register of ambiguities says which; `app/switches.py` lists them. Switches of Folders, of relations, of searches and of
documents elsewhere are proven where their rules are.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack
from typing import Any

import httpx
import pytest

from app.fhir.resource import Resource
from tests.mhd.conftest import DOMAIN, Count, Publish, details, issue, locations, served
from tests.mhd.test_folders import creating, folder
from tests.submissions import UNIQUE_ID, changed, concept, entry, identifier, minimal, oid, sha1, submission, urn

FHIR_JSON = {"content-type": "application/fhir+json"}

Switched = Callable[..., Awaitable[httpx.AsyncClient]]


@pytest.fixture
async def switched(publish: Publish, mongodb_url: str, database_name: str) -> AsyncIterator[Switched]:
    """Start a server with other switches over the same database, and return its client."""
    async with AsyncExitStack() as stack:

        async def start(**switches: Any) -> httpx.AsyncClient:
            return await stack.enter_async_context(served(mongodb_url, database_name, **switches))

        yield start


async def post(client: httpx.AsyncClient, made: Resource) -> httpx.Response:
    return await client.post("", json=made, headers=FHIR_JSON)


def name_of(location: str) -> str:
    return "/".join(location.rsplit("/", 2)[1:])


async def test_metadata_level(publish: Publish, switched: Switched, counts: Count) -> None:
    """MHD-OPT-05, MHD-MHDS-01: `comprehensive` takes a Minimal Bundle only when its content is comprehensive."""
    assert (await publish(minimal())).status_code == 200
    strict = await switched(metadata_level="comprehensive")
    before = await counts()

    response = await post(strict, minimal())

    assert response.status_code == 400
    assert details(issue(response)) == "XDSRepositoryMetadataError"
    assert await counts() == before
    for made in (submission(level="minimal"), submission(level="uncontained"), submission()):
        for location in locations(await post(strict, made)):
            assert (await strict.get(location)).status_code == 200


def of_older_source() -> Resource:
    """Return a submission whose masterIdentifier has no type, as sources before MHD 4.2.4 send it."""
    return changed(submission(), "entry.1.resource.masterIdentifier.type", None)


async def test_strict_identifier_type(publish: Publish, switched: Switched, counts: Count) -> None:
    """MHD-GEN-13, MHD-PR-01, MHD-PR-02, A-17: a masterIdentifier without type is taken, or refused."""
    assert (await publish(of_older_source())).status_code == 200
    before = await counts()

    response = await post(await switched(strict_identifier_type=True), of_older_source())

    assert (response.status_code, issue(response)["code"]) == (400, "required")
    assert issue(response)["expression"][0].startswith("Bundle.entry[1].resource.masterIdentifier")
    assert await counts() == before


async def test_require_submissionset_unique_id(publish: Publish, switched: Switched, counts: Count) -> None:
    """MHD-65-116, A-02: a SubmissionSet without uniqueId gets one, or is refused."""
    made = changed(submission(), "entry.0.resource.identifier", None)
    assert (await publish(made)).status_code == 200
    before = await counts()
    strict = await switched(require_submissionset_unique_id=True)

    response = await post(strict, changed(submission(), "entry.0.resource.identifier", None))

    assert (response.status_code, issue(response)["code"]) == (400, "required")
    assert issue(response)["expression"] == ["Bundle.entry[0].resource.identifier"]
    assert await counts() == before
    assert (await post(strict, submission())).status_code == 200


async def test_lenient_submission_links(publish: Publish, switched: Switched) -> None:
    """MHD-65-97, MHD-65-100: what the SubmissionSet does not list is refused, or added to it."""

    def unlisted() -> Resource:
        made = changed(submission(), "entry.0.resource.entry", None)
        made["entry"].append(entry(folder(made["entry"][1]["fullUrl"])))
        return made

    assert (await publish(unlisted())).status_code == 422
    lenient = await switched(lenient_submission_links=True)

    listed, described, _, filed = locations(await post(lenient, unlisted()))

    items = [one["item"]["reference"] for one in (await lenient.get(listed)).json()["entry"]]
    assert items == [name_of(described), name_of(filed)]
    complete = locations(await post(lenient, submission()))
    assert len((await lenient.get(complete[0])).json()["entry"]) == 1


async def test_queue_unmatched(publish: Publish, switched: Switched, counts: Count) -> None:
    """MHD-65-48, A-06: a submission whose patient cannot be told is kept with a warning, or refused."""
    assert (await publish(minimal(subject=None))).status_code == 200
    before = await counts()

    response = await post(await switched(queue_unmatched=False), minimal(subject=None))

    assert (response.status_code, details(issue(response))) == (400, "XDSUnknownPatientId")
    assert await counts() == before


@pytest.mark.parametrize(
    ("policy", "value", "status", "stored"),
    [
        ("create", "4711", 200, 0),
        ("create", "new", 200, 1),
        ("match", "4711", 200, 0),
        ("match", "new", 400, 0),
        ("reject", "4711", 422, 0),
        ("reject", "new", 422, 0),
    ],
)
async def test_patient_in_bundle(
    switched: Switched, counts: Count, policy: str, value: str, status: int, stored: int
) -> None:
    """MHD-65-46: a Patient entry may create, may only name a known patient, or is not taken."""
    full_url = urn()
    made = submission(subject=full_url)
    person = {"resourceType": "Patient", "identifier": [{"system": DOMAIN, "value": value}]}
    made["entry"].append(entry(person, full_url))
    before = (await counts())["Patient"]

    response = await post(await switched(patient_in_bundle=policy), made)

    assert response.status_code == status, response.text
    assert status == 200 or details(issue(response)) == "XDSUnknownPatientId"
    assert (await counts())["Patient"] == before + stored


async def test_unique_id_conflict(publish: Publish, switched: Switched) -> None:
    """MHD-65-112, MHD-65-113, A-21, D-03: a uniqueId that is in use is refused, or taken (for demonstrations)."""
    master = identifier(UNIQUE_ID, oid())
    assert (await publish(submission(b"one", masterIdentifier=master))).status_code == 200
    assert (await publish(submission(b"two", masterIdentifier=master))).status_code == 409
    demonstration = await switched(unique_id_conflict="warn")

    assert (await post(demonstration, submission(b"two", masterIdentifier=master))).status_code == 200

    found = await demonstration.get(f"DocumentReference?identifier={master['value']}")
    assert found.json()["total"] == 2


async def test_minimal_folders(publish: Publish, switched: Switched) -> None:
    """MHD-PR-21, A-12: a new Folder in a comprehensive Bundle is comprehensive, or may be Minimal."""
    document = name_of(locations(await publish(submission()))[1])

    def untitled() -> Resource:
        return creating(folder(document, title=None, extension=None))

    refused = await publish(untitled())
    assert (refused.status_code, issue(refused)["code"]) == (400, "required")
    assert (await post(await switched(minimal_folders=True), untitled())).status_code == 200


@pytest.mark.parametrize(("status", "code"), [(410, "deleted"), (404, "not-found")])
async def test_superseded_retrieval(publish: Publish, switched: Switched, status: int, code: str) -> None:
    """MHD-68-11, A-04: the document of a superseded DocumentReference is gone where the deployment says so."""
    _, described, stored = locations(await publish(submission()))
    client = await switched(superseded_retrieval=status)
    assert (await client.get(stored)).status_code == 200

    relation = {"code": "replaces", "target": {"reference": name_of(described)}}
    successor = locations(await publish(submission(b"new", relatesTo=[relation])))[2]

    response = await client.get(stored)
    assert (response.status_code, issue(response)["code"]) == (status, code)
    assert (await client.get(successor)).content == b"new"
    assert (await client.get(described)).status_code == 200


async def test_location_style(publish: Publish, switched: Switched, client: httpx.AsyncClient) -> None:
    """MHD-65-125, A-11: `response.location` is absolute, or relative as in the official example."""
    absolute = [one["response"]["location"] for one in (await publish(submission())).json()["entry"]]
    made = await post(await switched(location_style="relative"), submission())
    relative = [one["response"]["location"] for one in made.json()["entry"]]

    for one, other, resource_type in zip(absolute, relative, ("List", "DocumentReference", "Binary"), strict=True):
        assert one.startswith(f"{client.base_url}{resource_type}/")
        assert other.startswith(f"{resource_type}/")
        assert (await client.get(other)).status_code == 200


def wrong_hash() -> Resource:
    made = submission()
    made["entry"][1]["resource"]["content"][0]["attachment"]["hash"] = sha1(b"other")
    return made


def other_patient() -> Resource:
    return changed(submission(), "entry.0.resource.subject.reference", "Patient/p2")


def same_again() -> Resource:
    return submission(b"two", masterIdentifier=identifier(UNIQUE_ID, "urn:oid:2.25.77"))


# What is refused -> its own status; a conditional reference that fails is a failed precondition in either case.
STATUSES: dict[str, tuple[Callable[[], Resource], int]] = {
    "malformed": (lambda: changed(submission(), "entry.1.resource.status", "active"), 400),
    "unresolvable": (lambda: changed(submission(), "entry.0.resource.entry.0.item.reference", urn()), 400),
    "wrong hash": (wrong_hash, 422),
    "another patient": (other_patient, 422),
    "duplicate": (same_again, 409),
}


@pytest.mark.parametrize("name", STATUSES)
async def test_validation_status(publish: Publish, switched: Switched, name: str) -> None:
    """MHD-ERR-06: 400, 422 and 409 as they are meant, or 400 for all (older test tools)."""
    make, status = STATUSES[name]
    known = identifier(UNIQUE_ID, "urn:oid:2.25.77")
    assert (await publish(submission(b"one", masterIdentifier=known))).status_code == 200

    assert (await publish(make())).status_code == status
    assert (await post(await switched(validation_status="400"), make())).status_code == 400


async def test_failed_precondition_is_412(publish: Publish) -> None:
    """MHD-ERR-06: a condition that several records meet."""
    reference = {"reference": f"Patient?identifier={DOMAIN}|twin"}
    made = changed(submission(), "entry.1.resource.subject", reference)

    assert (await publish(changed(made, "entry.0.resource.subject", reference))).status_code == 412


async def test_fhir_document_as_an_entry_is_refused_by_name(switched: Switched, counts: Count) -> None:
    """MHD-OPT-31: without the option FHIR Documents Publish."""
    made = submission()
    made["entry"][2]["resource"] = {
        "resourceType": "Bundle",
        "type": "document",
        "identifier": {"system": "urn:ietf:rfc:3986", "value": oid()},
        "timestamp": "2025-03-14T16:05:00Z",
        "entry": [
            {
                "fullUrl": "urn:uuid:5d0c77a1-0000-4000-8000-000000000001",
                "resource": {
                    "resourceType": "Composition",
                    "status": "final",
                    "type": concept("http://loinc.org", "18842-5"),
                    "date": "2025-03-14",
                    "author": [{"display": "An invented author"}],
                    "title": "An invented letter",
                },
            }
        ],
    }
    made["entry"][2]["request"]["url"] = "Bundle"
    before = await counts()

    response = await post(await switched(fhir_documents=False), made)

    assert response.status_code in (400, 422), response.text
    assert [details(one) for one in response.json()["issue"]] == ["FHIRDocumentNotSupported"]
    assert issue(response)["expression"] == ["Bundle.entry[2].resource"]
    assert await counts() == before


@pytest.mark.parametrize("path", ["DocumentReference", "List", "Binary", "DocumentReference/$generate-metadata"])
async def test_what_is_off_is_not_offered(switched: Switched, counts: Count, path: str) -> None:
    """MHD-OPT-22, MHD-GEN-10: without its option a POST is answered with an OperationOutcome, and stores nothing."""
    client = await switched(simplified_publish=False, generate_metadata=False)
    before = await counts()

    response = await client.post(path, json=submission()["entry"][1]["resource"], headers=FHIR_JSON)

    assert response.status_code in (404, 405)
    assert issue(response)["severity"] == "error"
    assert await counts() == before
