"""A national package, dropped into `profiles/` as it was published, works without a line of Python.

Spec: national.md NAT-01, NAT-02, NAT-05, NAT-11; MHD-65-06.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import httpx
import pytest

from app.fhir.packages import load
from app.fhir.resource import Resource
from app.store.change import Create
from app.validation.validator import Validator
from tests.builders import patient
from tests.mhd.conftest import served
from tests.profiles.conftest import REPOSITORY, examples_in
from tests.profiles.national import CANONICAL, NAME, PROFILE, SETTINGS, lacking, national_document, package
from tests.submissions import binary, bundle, entry, submission_set, urn
from tests.system.program import run

if TYPE_CHECKING:
    from app.store.resources import Store

Start = Callable[..., Awaitable[httpx.AsyncClient]]


@pytest.fixture
def profiles(tmp_path: Path) -> Path:
    """A copy of this project's profiles, into which packages can be dropped."""
    for each in (REPOSITORY / "profiles").iterdir():
        (tmp_path / each.name).symlink_to(each)
    return tmp_path


@pytest.fixture
async def start(
    profiles: Path, mongodb_url: str, database_name: str, store: Store
) -> AsyncIterator[Callable[[], Awaitable[httpx.AsyncClient]]]:
    """Starts the real server over `profiles` as they are now, and a database that has one patient."""
    await store.commit([Create(patient("p1"))], datetime.now(UTC))
    async with AsyncExitStack() as stack:

        async def started() -> httpx.AsyncClient:
            return await stack.enter_async_context(served(mongodb_url, database_name, profiles_dir=profiles))

        yield started


def choose(archive: Path, **choices: Any) -> None:
    """Write the operator's choices beside the archive."""
    lines = (
        f"{name} = {str(value).lower() if value in (True, False) else repr(value)}" for name, value in choices.items()
    )
    archive.with_suffix(".toml").write_text("\n".join(lines))


def submitted(document: Resource) -> Resource:
    """Return a submission of `document`, whose attachment is its Binary."""
    full_url, content = urn(), urn()
    document["content"][0]["attachment"]["url"] = content
    return bundle(entry(submission_set(full_url)), entry(document, full_url), entry(binary(), content))


async def publish(client: httpx.AsyncClient, document: Resource) -> httpx.Response:
    return await client.post("", json=submitted(document), headers={"content-type": "application/fhir+json"})


async def validated(client: httpx.AsyncClient, document: Resource, profile: str = PROFILE) -> list[tuple[str, str]]:
    """Return severity and code with expression of what `$validate` says."""
    answer = await client.post("DocumentReference/$validate", params={"profile": profile}, json=document)
    return [(each["severity"], f"{each['code']} {each.get('expression', [''])[0]}") for each in answer.json()["issue"]]


async def found(client: httpx.AsyncClient, **asked: str) -> int:
    """Return how many DocumentReferences a strict search finds."""
    answer = await client.get(
        "DocumentReference", params={"patient": "Patient/p1", **asked}, headers={"prefer": "handling=strict"}
    )
    assert answer.status_code == 200, answer.text
    total: int = answer.json()["total"]
    return total


MISTAKES = [
    ("extension", "required DocumentReference"),
    ("slice", "required DocumentReference"),
    ("code", "code-invalid DocumentReference.context.practiceSetting"),
]


@pytest.mark.parametrize(("mistake", "issue"), MISTAKES)
async def test_operation_validates_against_it(profiles: Path, start: Start, mistake: str, issue: str) -> None:
    """NAT-01: required extension, slice and value set of the package's own are checked, MHD's rules too."""
    package(profiles)
    client = await start()
    assert await validated(client, national_document()) == [("information", "informational ")]
    assert await validated(client, lacking(mistake)) == [("error", issue)]
    bare = {name: each for name, each in national_document().items() if name != "masterIdentifier"}
    assert await validated(client, bare) == [("error", "required DocumentReference")]


@pytest.mark.parametrize(("mistake", "issue"), MISTAKES)
async def test_a_submission_that_claims_it_must_meet_it(profiles: Path, start: Start, mistake: str, issue: str) -> None:
    """NAT-05: severity enforce refuses with 422 and names the element; nothing is stored."""
    package(profiles)
    client = await start()
    assert (await publish(client, national_document())).status_code == 200
    refused = await publish(client, lacking(mistake))
    (told,) = refused.json()["issue"]
    assert (refused.status_code, told["severity"]) == (422, "error")
    assert f"{told['code']} {told['expression'][0]}" == issue.replace("DocumentReference", "Bundle.entry[1].resource")
    assert (SETTINGS in told["diagnostics"]) is (mistake == "code")
    assert await found(client) == 1


@pytest.mark.parametrize("claims", [[], ["http://example.org/of-nobody"]])
async def test_who_does_not_claim_it_is_free(profiles: Path, start: Start, claims: list[str]) -> None:
    """NAT-05, MHD-65-04: a package concerns those that claim its profiles; an unknown claim concerns nobody."""
    package(profiles)
    document = lacking("extension")
    document["meta"] = {"profile": claims} if claims else {"versionId": "1"}
    assert (await publish(await start(), document)).status_code == 200


@pytest.mark.parametrize(("severity", "told"), [("warn", ["warning"]), ("off", [])])
async def test_severity(profiles: Path, start: Start, severity: str, told: list[str]) -> None:
    """NAT-05: warn accepts and tells in the outcome of the entry; off says nothing."""
    choose(package(profiles), severity=severity)
    client = await start()
    answer = await publish(client, lacking("code"))
    assert answer.status_code == 200
    responses = [each["response"] for each in answer.json()["entry"]]
    issues = [each for response in responses for each in response.get("outcome", {}).get("issue", ())]
    assert [each["severity"] for each in issues] == told
    assert [responses.index(each) for each in responses if "outcome" in each] == [1] * len(told)
    missing = [each for each in await validated(client, lacking("slice")) if "required" in each[1]]
    assert missing == [(each, "required DocumentReference") for each in told]


# What profile.toml says, the mistake -> status of the submission, severities in its answer.
PARTS = [
    ({"severity_terminology": "warn"}, "code", 200, ["warning"]),
    ({"severity_terminology": "off"}, "code", 200, []),
    ({"severity_terminology": "warn"}, "extension", 422, ["error"]),
    ({"severity_content": "off"}, "extension", 422, ["error"]),
    ({"severity_metadata": "warn"}, "extension", 200, ["warning"]),
    ({"severity_metadata": "off"}, "extension", 200, []),
    ({"severity_metadata": "off", "severity_terminology": "enforce"}, "code", 422, ["error"]),
    ({"severity": "off", "severity_metadata": "enforce"}, "extension", 422, ["error"]),
]


@pytest.mark.parametrize(("choices", "mistake", "status", "told"), PARTS)
async def test_severity_of_a_part(
    profiles: Path, start: Start, choices: dict[str, str], mistake: str, status: int, told: list[str]
) -> None:
    """NAT-05: metadata, content and terminology have severities of their own; what is not said is as the package."""
    choose(package(profiles), **choices)
    answer = await publish(await start(), lacking(mistake))
    assert answer.status_code == status, answer.text
    body = answer.json()
    issues = body.get("issue") or [
        one for entry in body["entry"] for one in entry["response"].get("outcome", {}).get("issue", ())
    ]
    assert [one["severity"] for one in issues] == told, issues


async def test_disabled(profiles: Path, start: Start) -> None:
    """NAT-01: a package that is not enabled is as if it were not there."""
    choose(package(profiles), enabled=False)
    client = await start()
    answer = await client.post("DocumentReference/$validate", params={"profile": PROFILE}, json=national_document())
    assert answer.status_code == 404


async def test_its_parameter_is_searched_by(profiles: Path, start: Start) -> None:
    """NAT-02, NAT-11: the parameter comes alive with the package, over an extension that is kept as it came."""
    package(profiles)
    client = await start()
    for archived in (True, False, False):
        await publish(client, national_document(archived=archived))
    assert [await found(client, isArchived=text) for text in ("true", "false", "true,false")] == [1, 2, 3]
    assert await found(client, **{"isArchived:not": "true"}) == 2


async def test_what_was_there_before_is_found_after_a_reindex(
    profiles: Path, start: Start, mongodb_url: str, database_name: str
) -> None:
    """NAT-02: the terms of existing data are found by `python -m app reindex`, while the server runs; twice is once."""
    before = await start()
    for archived in (True, False):
        document = national_document(archived=archived)
        assert (await publish(before, document)).status_code == 200
    package(profiles)
    after = await start()
    assert await found(after, isArchived="true") == 0
    settings = {
        "MHD_MONGODB_URL": mongodb_url,
        "MHD_MONGODB_DATABASE": database_name,
        "MHD_PROFILES_DIR": str(profiles),
        "MHD_EXAMPLE_DATA": "false",
    }
    done = [await asyncio.to_thread(run, "reindex", **settings) for _ in range(2)]
    assert [each.returncode for each in done] == [0, 0], done[0].stderr
    assert "DocumentReference: 2 records read" in done[0].stderr
    told = [line for each in done for line in each.stdout.splitlines() if line.startswith("DocumentReference")]
    assert [line.partition(" records")[0] for line in told] == [
        "DocumentReference: 2 of 2",
        "DocumentReference: 0 of 2",
    ]
    assert [await found(after, isArchived=text) for text in ("true", "false")] == [1, 1]


async def test_it_is_listed(profiles: Path, start: Start) -> None:
    """NAT-01: `/metadata` names the guide, the parameter with its definition, and the profile."""
    package(profiles)
    statement = (await (await start()).get("metadata")).json()
    assert f"{CANONICAL}/ImplementationGuide/{NAME}" in statement["implementationGuide"]
    documents = next(each for each in statement["rest"][0]["resource"] if each["type"] == "DocumentReference")
    definition = f"{CANONICAL}/SearchParameter/isArchived"
    assert {"name": "isArchived", "type": "token", "definition": definition} in documents["searchParam"]
    assert PROFILE in documents["supportedProfile"]


async def test_its_definitions_are_read(profiles: Path, start: Start) -> None:
    """NAT-01: `StructureDefinition?url=` returns the profile, and so on for what else it defines."""
    package(profiles)
    client = await start()
    for kind, url in (
        ("StructureDefinition", PROFILE),
        ("ValueSet", SETTINGS),
        ("SearchParameter", f"{CANONICAL}/SearchParameter/isArchived"),
    ):
        page = (await client.get(kind, params={"url": url})).json()
        assert [each["resource"]["url"] for each in page["entry"]] == [url]


async def test_a_missing_dependency_is_a_warning(
    profiles: Path, start: Start, caplog: pytest.LogCaptureFixture
) -> None:
    """NAT-01: what is missing is named at the start; the package works as far as it can."""
    package(profiles, **{"org.example.core": "3.1.0"})
    with caplog.at_level(logging.WARNING):
        client = await start()
    assert [text for text in caplog.messages if "org.example.core" in text and NAME in text]
    assert await validated(client, lacking("code")) == [("error", MISTAKES[2][1])]


async def test_two_versions_side_by_side(profiles: Path, start: Start) -> None:
    """NAT-01: a canonical URL with a version means that one, without a version the default."""
    choose(package(profiles, "1.0.0"), default=True)
    package(profiles, "2.0.0")
    client, described = await start(), national_document(description="A letter")
    assert await validated(client, national_document()) == [("information", "informational ")]
    assert await validated(client, national_document(), f"{PROFILE}|1.0.0") == [("information", "informational ")]
    assert await validated(client, national_document(), f"{PROFILE}|2.0.0") == [("error", "required DocumentReference")]
    assert await validated(client, described, f"{PROFILE}|2.0.0") == [("information", "informational ")]


def test_its_examples_are_tests(profiles: Path) -> None:
    """The examples that a published archive brings are held against what they claim, as ours are."""
    archive = package(profiles)
    validator = Validator(load(profiles))
    found = examples_in(archive)
    assert sorted(name for name, _ in found) == ["also-valid.json", "valid.json"]
    for _, resource in found:
        assert [each for each in validator.validate(resource, claims=True) if each.is_error] == []
