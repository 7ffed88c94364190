"""Several clients want one thing at the same time, over two workers."""

from __future__ import annotations

import asyncio
import copy
import tempfile
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import httpx
import orjson
import pytest

from app.fhir.resource import Resource
from tests.submissions import UNIQUE_ID, entry, identifier, oid, submission, urn
from tests.system.consistency import contradictions
from tests.system.program import Program, database_of, served

JSON = {"content-type": "application/fhir+json"}
CLIENTS = 20


@pytest.fixture(scope="module")
def place() -> Iterator[tuple[Program, Path]]:
    """A server of two workers, and its folder."""
    with tempfile.TemporaryDirectory(prefix="mhd-system-") as name:
        folder = Path(name).resolve()
        with served(folder, MHD_WORKERS="2") as program:
            yield program, folder


@pytest.fixture
def program(place: tuple[Program, Path]) -> Iterator[Program]:
    """A server of two workers; whatever a test did to it, its records fit together afterwards."""
    program, folder = place
    yield program
    with database_of(folder) as database:
        assert contradictions(database) == []


async def publish_at_once(program: Program, bundles: list[Resource]) -> list[httpx.Response]:
    """Publish each bundle over a connection of its own."""

    async def publish(body: bytes) -> httpx.Response:
        async with httpx.AsyncClient(timeout=120) as client:
            return await client.post(program.url, content=body, headers=JSON)

    return await asyncio.gather(*(publish(orjson.dumps(bundle)) for bundle in bundles))


def outcomes(answers: list[httpx.Response]) -> Counter[tuple[int, str]]:
    """Count the answers by status and Document Sharing code."""
    return Counter((answer.status_code, _code(answer.json())) for answer in answers)


def _code(body: Resource) -> str:
    if body["resourceType"] != "OperationOutcome":
        return ""
    return str(body["issue"][0].get("details", {}).get("coding", [{}])[0].get("code", body["issue"][0]["code"]))


def replacing(name: str) -> Resource:
    return submission(
        b"the new one", subject="Patient/ida", relatesTo=[{"code": "replaces", "target": {"reference": name}}]
    )


def test_one_unique_id_for_other_bytes_goes_to_one(program: Program) -> None:
    """MHD-65-112: of twenty documents with one uniqueId one is stored; the others learn that theirs is another."""
    master = identifier(UNIQUE_ID, oid())
    bundles = [submission(b"%d" % n, subject="Patient/ida", masterIdentifier=master) for n in range(CLIENTS)]

    answers = asyncio.run(publish_at_once(program, bundles))

    assert outcomes(answers) == {(200, ""): 1, (409, "XDSNonIdenticalHash"): CLIENTS - 1}
    found = httpx.get(f"{program.url}/DocumentReference?identifier={master['value']}").json()
    assert found["total"] == 1
    winner = next(n for n, answer in enumerate(answers) if answer.status_code == 200)
    assert httpx.get(found["entry"][0]["resource"]["content"][0]["attachment"]["url"]).content == b"%d" % winner


def test_one_unique_id_for_the_same_bytes_is_shared(program: Program) -> None:
    """MHD-65-112: the same document may be registered by everybody, also at the same time."""
    master = identifier(UNIQUE_ID, oid())
    bundles = [submission(b"same", subject="Patient/ida", masterIdentifier=master) for _ in range(CLIENTS)]

    answers = asyncio.run(publish_at_once(program, bundles))

    assert outcomes(answers) == {(200, ""): CLIENTS}
    assert httpx.get(f"{program.url}/DocumentReference?identifier={master['value']}").json()["total"] == CLIENTS


def test_one_submission_many_times_is_stored_once(program: Program) -> None:
    """MHD-65-114: an impatient source that sends one Bundle twenty times has published it once."""
    bundle = submission(b"impatient", subject="Patient/ida")

    answers = asyncio.run(publish_at_once(program, [copy.deepcopy(bundle) for _ in range(CLIENTS)]))

    assert outcomes(answers) == {(200, ""): 1, (409, "XDSDuplicateUniqueIdInRegistry"): CLIENTS - 1}


def test_one_document_is_replaced_once(program: Program) -> None:
    """MHD-65-73, MHD-65-74: of several replacements one wins, the others come too late; the version advances by one."""
    answer = asyncio.run(publish_at_once(program, [submission(b"the old one", subject="Patient/ida")]))[0]
    location = answer.json()["entry"][1]["response"]["location"].partition("/_history/")[0]
    name = "/".join(location.rsplit("/", 2)[1:])

    answers = asyncio.run(publish_at_once(program, [replacing(name) for _ in range(CLIENTS)]))

    assert outcomes(answers) == {(200, ""): 1, (422, "XDSRegistryDeprecatedDocumentError"): CLIENTS - 1}
    old = httpx.get(location).json()
    assert (old["status"], old["meta"]["versionId"]) == ("superseded", "2")
    found = httpx.get(f"{program.url}/DocumentReference?patient=ida&status=current&relatesto={name}").json()
    assert found["total"] == 1


def test_one_new_patient_is_created_once(program: Program) -> None:
    """MHD-65-46: sources that bring the same new patient at the same time do not make two of them."""
    system, value = "urn:oid:2.999.40.1", oid()
    person: Resource = {"resourceType": "Patient", "identifier": [{"system": system, "value": value}]}
    bundles = []
    for _ in range(CLIENTS):
        full_url = urn()
        made = submission(b"for a newcomer", subject=full_url)
        made["entry"].append(entry(person, full_url))
        bundles.append(made)

    answers = asyncio.run(publish_at_once(program, bundles))

    assert outcomes(answers) == {(200, ""): CLIENTS}
    assert httpx.get(f"{program.url}/Patient?identifier={system}|{value}").json()["total"] == 1
