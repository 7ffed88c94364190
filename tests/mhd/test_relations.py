"""ITI-65, relations between documents: `relatesTo`, the PATCH entry, and what the server supersedes by itself.

Sections: ITI TF-2:3.65.4.1.2.2, 2:3.65.4.1.3; ITI TF-3:4.2.2.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import httpx
import pytest

from app.fhir.resource import Resource
from tests.mhd.conftest import Count, Publish, details, issue, locations, served
from tests.submissions import UNIQUE_ID, entry, identifier, oid, submission, urn

if TYPE_CHECKING:
    from app.store.driver import Connection

CODES = ("replaces", "transforms", "appends", "signs")
FHIR_JSON = {"content-type": "application/fhir+json"}


def name_of(location: str) -> str:
    """Return `Type/id` of a location."""
    return "/".join(location.rsplit("/", 2)[1:])


def relation(code: str, target: str) -> Resource:
    return {"code": code, "target": {"reference": target}}


def related(code: str, target: str, document: bytes = b"a later document", **elements: Any) -> Resource:
    """Return a submission whose document stands in the relation `code` to `target`."""
    return submission(document, relatesTo=[relation(code, target)], **elements)


def operation(**parts: Resource) -> Resource:
    """Return the `operation` of the one PATCH there is; keywords replace parts: `type`, `path`, `value`."""
    usual = {
        "type": {"valueCode": "replace"},
        "path": {"valueString": "DocumentReference.status"},
        "value": {"valueCode": "superseded"},
    }
    return {"name": "operation", "part": [{"name": name} | value for name, value in (usual | parts).items()]}


def patch(target: str, *operations: Resource) -> Resource:
    """Return the entry that patches `target`."""
    return entry({"resourceType": "Parameters", "parameter": list(operations or [operation()])}, "", "PATCH", target)


def with_patch(made: Resource, target: str, *operations: Resource) -> Resource:
    made["entry"].insert(1, patch(target, *operations))
    return made


async def published(publish: Publish, made: Resource | None = None) -> str:
    """Publish a submission and return the name of its DocumentReference."""
    response = await publish(made or submission())
    return name_of(next(one for one in locations(response) if "/DocumentReference/" in one))


async def read(client: httpx.AsyncClient, name: str) -> Resource:
    response = await client.get(name)
    assert response.status_code == 200, response.text
    found: Resource = response.json()
    return found


async def status_of(client: httpx.AsyncClient, name: str) -> str:
    return str((await read(client, name))["status"])


@pytest.mark.parametrize("code", CODES)
async def test_every_relation_is_stored(client: httpx.AsyncClient, publish: Publish, code: str) -> None:
    """MHD-65-70, MHD-65-84, MHD-67-34: all four codes are supported, without a warning, and served."""
    target = await published(publish)

    response = await publish(related(code, target))

    document = await read(client, locations(response)[1])
    assert document["relatesTo"] == [relation(code, target)]
    assert all("outcome" not in one["response"] for one in response.json()["entry"])


@pytest.mark.parametrize("code", ["transforms", "appends", "signs"])
async def test_only_a_replacement_changes_its_target(client: httpx.AsyncClient, publish: Publish, code: str) -> None:
    """MHD-65-81: the target of the other relations stays current, and gets no new version."""
    target = await published(publish)

    await published(publish, related(code, target))

    found = await read(client, target)
    assert (found["status"], found["meta"]["versionId"]) == ("current", "1")


def pair(code: str) -> Resource:
    """Return a submission of two documents, the second in the relation `code` to the first."""
    made, second = submission(b"first"), submission(b"second")
    second["entry"][1]["resource"]["relatesTo"] = [relation(code, made["entry"][1]["fullUrl"])]
    made["entry"][0]["resource"]["entry"].append({"item": {"reference": second["entry"][1]["fullUrl"]}})
    made["entry"].extend(second["entry"][1:])
    return made


@pytest.mark.parametrize("code", ["transforms", "appends", "signs"])
async def test_relation_within_a_submission(client: httpx.AsyncClient, publish: Publish, code: str) -> None:
    """MHD-65-71: these may point to a document of the same Bundle."""
    _, first, _, second, _ = locations(await publish(pair(code)))

    assert (await read(client, second))["relatesTo"] == [relation(code, name_of(first))]


async def test_replacement_within_a_submission_is_refused(publish: Publish, counts: Count) -> None:
    """MHD-65-71: what is replaced was stored before."""
    before = await counts()

    response = await publish(pair("replaces"))

    first = issue(response)
    assert (response.status_code, first["code"], details(first)) == (400, "not-found", "UnresolvedReferenceException")
    assert first["expression"] == ["Bundle.entry[3].resource.relatesTo[0].target"]
    assert await counts() == before


@pytest.mark.parametrize("code", CODES)
@pytest.mark.parametrize("target", ["DocumentReference/nope", "https://elsewhere.example/fhir/DocumentReference/1"])
async def test_unknown_target_is_refused(publish: Publish, counts: Count, code: str, target: str) -> None:
    """MHD-65-71: a target that is not stored here."""
    before = await counts()

    response = await publish(related(code, target))

    assert (response.status_code, details(issue(response))) == (400, "UnresolvedReferenceException")
    assert issue(response)["expression"] == ["Bundle.entry[1].resource.relatesTo[0].target"]
    assert await counts() == before


@pytest.mark.parametrize("code", CODES)
async def test_target_of_another_patient_is_refused(publish: Publish, counts: Count, code: str) -> None:
    """MHD-65-72: source and target have the same patient."""
    target = await published(publish, submission(subject="Patient/p2"))
    before = await counts()

    response = await publish(related(code, target))

    first = issue(response)
    assert (response.status_code, first["code"], details(first)) == (422, "business-rule", "XDSPatientIdDoesNotMatch")
    assert await counts() == before


@pytest.mark.parametrize("code", CODES)
async def test_superseded_target_is_refused(publish: Publish, counts: Count, code: str) -> None:
    """MHD-65-73, MHD-XDS-05: what was superseded is related to nothing new; its successor is."""
    old = await published(publish)
    successor = await published(publish, related("replaces", old))
    before = await counts()

    response = await publish(related(code, old))

    first = issue(response)
    assert (response.status_code, details(first)) == (422, "XDSRegistryDeprecatedDocumentError")
    assert first["expression"] == ["Bundle.entry[1].resource.relatesTo[0].target"]
    assert await counts() == before
    assert (await publish(related(code, successor))).status_code == 200


async def test_replacement_supersedes_without_a_patch(client: httpx.AsyncClient, publish: Publish) -> None:
    """MHD-65-74, MHD-MHDS-04, MHD-CM-01: the server supersedes the target itself, in a new version of it."""
    old = await published(publish)
    first = await read(client, old)

    successor = await published(publish, related("replaces", old))

    found = await read(client, old)
    assert (found["status"], found["meta"]["versionId"]) == ("superseded", "2")
    assert found["meta"]["lastUpdated"] > first["meta"]["lastUpdated"]
    assert {name: value for name, value in found.items() if name not in ("meta", "status")} == {
        name: value for name, value in first.items() if name not in ("meta", "status")
    }
    assert (await read(client, f"{old}/_history/1"))["status"] == "current"
    for asked, names in (("current", [successor]), ("superseded", [old])):
        body = await read(client, f"DocumentReference?patient=p1&status={asked}")
        assert [name_of(one["fullUrl"]) for one in body["entry"]] == names


async def test_patch_says_what_happens_anyway(client: httpx.AsyncClient, publish: Publish) -> None:
    """MHD-65-75, MHD-65-123, MHD-65-124: with a PATCH entry the target has one new version, which the entry tells."""
    old = await published(publish)

    response = await publish(with_patch(related("replaces", old), old))

    body = response.json()
    assert [one["response"]["status"] for one in body["entry"]] == [
        "201 Created",
        "200 OK",
        "201 Created",
        "201 Created",
    ]
    told = body["entry"][1]["response"]
    assert told["location"].endswith(f"/{old}/_history/2")
    assert told["etag"] == 'W/"2"'
    assert told["lastModified"]
    assert all(one["response"]["location"] for one in body["entry"])
    assert await status_of(client, old) == "superseded"
    assert (await client.get(f"{old}/_history/3")).status_code == 404


async def test_patch_may_name_its_target_absolutely_and_stand_anywhere(
    client: httpx.AsyncClient, publish: Publish
) -> None:
    """MHD-65-08, MHD-65-75, MHD-PR-33: neither the order of entries nor that of the parts carries a meaning."""
    old = await published(publish)
    parts = operation()
    parts["part"].reverse()
    made = related("replaces", old)
    made["entry"].append(patch(old, parts))

    response = await publish(made)

    assert response.json()["entry"][3]["response"]["location"].endswith(f"/{old}/_history/2")
    assert await status_of(client, old) == "superseded"


# What another PATCH would say -> its operations.
OTHER_PATCHES: dict[str, list[Resource]] = {
    "another path": [operation(path={"valueString": "DocumentReference.type"})],
    "another value": [operation(value={"valueCode": "entered-in-error"})],
    "back to current": [operation(value={"valueCode": "current"})],
    "value of another type": [operation(value={"valueString": "superseded"})],
    "path of another type": [operation(path={"valueCode": "DocumentReference.status"})],
    "kind of another type": [operation(type={"valueString": "replace"})],
    "path without value": [operation(path={})],
    "another kind": [operation(type={"valueCode": "delete"})],
    "no value": [{"name": "operation", "part": operation()["part"][:2]}],
    "value twice": [{"name": "operation", "part": [*operation()["part"], operation()["part"][2]]}],
    "two operations": [operation(), operation()],
    "one operation more": [operation(), operation(path={"valueString": "DocumentReference.description"})],
    "no operation": [{"name": "other", "valueCode": "superseded"}],
}


@pytest.mark.parametrize("name", OTHER_PATCHES)
async def test_other_patch_is_refused(client: httpx.AsyncClient, publish: Publish, counts: Count, name: str) -> None:
    """MHD-65-76, MHD-PR-33, MHD-XDS-08: nothing but the status, and that only to `superseded`."""
    old = await published(publish)
    before = await counts()

    response = await publish(with_patch(related("replaces", old), old, *OTHER_PATCHES[name]))

    assert response.status_code in (400, 422), response.text
    assert issue(response)["expression"][0].startswith("Bundle.entry[1]")
    assert await counts() == before
    assert await status_of(client, old) == "current"


async def test_patch_of_another_type_is_refused(publish: Publish, counts: Count) -> None:
    """MHD-65-76: a PATCH of a List."""
    response = await publish(submission())
    old, submitted = name_of(locations(response)[1]), name_of(locations(response)[0])
    before = await counts()

    response = await publish(with_patch(related("replaces", old), submitted))

    assert response.status_code in (400, 422)
    assert await counts() == before


async def test_patch_without_replacement_is_refused(client: httpx.AsyncClient, publish: Publish, counts: Count) -> None:
    """MHD-65-77, MHD-XDS-08: a PATCH of a document that nothing in the Bundle replaces would be a metadata update."""
    old = await published(publish)
    before = await counts()

    for made in (submission(), related("appends", old)):
        response = await publish(with_patch(made, old))
        assert response.status_code in (400, 422)
        assert issue(response)["expression"] == ["Bundle.entry[1].request.url"]
    assert await counts() == before
    assert await status_of(client, old) == "current"


async def test_patch_of_an_unknown_document_is_refused(publish: Publish, counts: Count) -> None:
    """MHD-65-78: the transaction fails as a whole."""
    old = await published(publish)
    before = await counts()

    response = await publish(with_patch(related("replaces", old), "DocumentReference/nope"))

    told = issue(response)
    assert (response.status_code, told["code"], details(told)) == (400, "not-found", "UnresolvedReferenceException")
    assert told["expression"][0].endswith(".request.url")
    assert await counts() == before


async def test_two_patches_of_one_document_are_refused(
    client: httpx.AsyncClient, publish: Publish, counts: Count
) -> None:
    """MHD-65-22: a transaction touches a record once."""
    old = await published(publish)
    before = await counts()

    response = await publish(with_patch(with_patch(related("replaces", old), old), f"{client.base_url}{old}"))

    assert response.status_code in (400, 409)
    assert issue(response)["expression"] == ["Bundle.entry[2].request.url"]
    assert await counts() == before


async def family(publish: Publish) -> dict[str, str]:
    """Publish a document and one in each relation to it; what it is -> name."""
    names = {"original": await published(publish)}
    for code in ("transforms", "appends", "signs"):
        names[code] = await published(publish, related(code, names["original"], code.encode()))
    return names


async def test_replacement_takes_transformations_and_addenda_along(client: httpx.AsyncClient, publish: Publish) -> None:
    """MHD-65-79, MHD-XDS-09, A-25: they are superseded too; a signature stays."""
    names = await family(publish)

    await published(publish, related("replaces", names["original"]))

    statuses = {what: await status_of(client, name) for what, name in names.items()}
    superseded = dict.fromkeys(("original", "transforms", "appends"), "superseded")
    assert statuses == superseded | {"signs": "current"}
    assert (await read(client, names["signs"]))["meta"]["versionId"] == "1"


async def test_cascade_can_be_switched_off(
    client: httpx.AsyncClient, publish: Publish, mongodb_url: str, database_name: str
) -> None:
    """MHD-65-79, A-25: with `replace_cascade` off only the replaced document is superseded."""
    names = await family(publish)

    async with served(mongodb_url, database_name, replace_cascade=False) as switched:
        made = related("replaces", names["original"])
        assert (await switched.post("", json=made, headers=FHIR_JSON)).status_code == 200

    statuses = {what: await status_of(client, name) for what, name in names.items()}
    assert statuses == dict.fromkeys(("transforms", "appends", "signs"), "current") | {"original": "superseded"}


async def test_addendum_to_a_transformation_is_refused(publish: Publish, counts: Count) -> None:
    """MHD-65-82: an addendum belongs to the document that was transformed; a replacement of one is fine."""
    transformed = await published(publish, related("transforms", await published(publish)))
    before = await counts()

    response = await publish(related("appends", transformed))

    assert (response.status_code, issue(response)["code"]) == (422, "business-rule")
    assert await counts() == before
    assert (await publish(related("replaces", transformed))).status_code == 200


@pytest.mark.parametrize("code", CODES)
async def test_related_document_has_its_own_unique_id(publish: Publish, counts: Count, code: str) -> None:
    """MHD-65-83: the uniqueId of the target may come again with the same bytes only."""
    master = identifier(UNIQUE_ID, oid())
    target = await published(publish, submission(b"one", masterIdentifier=master))
    before = await counts()

    response = await publish(related(code, target, b"two", masterIdentifier=master))

    assert (response.status_code, details(issue(response))) == (409, "XDSNonIdenticalHash")
    assert await counts() == before
    assert (await publish(related(code, target, b"one", masterIdentifier=master))).status_code == 200


async def test_several_relations_of_one_document(client: httpx.AsyncClient, publish: Publish) -> None:
    """MHD-65-85: one document replaces the first and appends to the second: both effects."""
    first, second = await published(publish), await published(publish)
    relations = [relation("replaces", first), relation("appends", second)]

    name = await published(publish, submission(b"third", relatesTo=relations))

    assert (await read(client, name))["relatesTo"] == relations
    assert (await status_of(client, first), await status_of(client, second)) == ("superseded", "current")


async def test_each_relation_is_checked(publish: Publish, counts: Count) -> None:
    """MHD-65-85, MHD-ERR-04: two wrong targets, two issues, and the right one is left alone."""
    target = await published(publish)
    before = await counts()
    relations = [relation("appends", "DocumentReference/x"), relation("replaces", target), relation("signs", urn())]
    relations[2]["target"] = {"reference": "DocumentReference/y"}

    response = await publish(submission(relatesTo=relations))

    told = [one["expression"][0] for one in response.json()["issue"]]
    assert told == [f"Bundle.entry[1].resource.relatesTo[{at}].target" for at in (0, 2)]
    assert await counts() == before


async def test_of_two_replacements_at_once_one_succeeds(client: httpx.AsyncClient, publish: Publish) -> None:
    """MHD-65-73, MHD-65-20: the other is told that the document is no longer current."""
    for _ in range(5):
        old = await published(publish)

        answers = await asyncio.gather(*(publish(related("replaces", old, bytes([n]))) for n in range(3)))

        assert sorted(one.status_code for one in answers) == [200, 422, 422]
        for answer in answers:
            if answer.status_code == 422:
                assert details(issue(answer)) == "XDSRegistryDeprecatedDocumentError"
        assert (await read(client, old))["meta"]["versionId"] == "2"
        found = await read(client, f"DocumentReference?relatesto={old}")
        assert found["total"] == 1


@pytest.mark.parametrize("code", CODES)
async def test_conditional_target_is_held_to_the_rules(publish: Publish, counts: Count, code: str) -> None:
    """MHD-65-30, MHD-65-72, MHD-65-73: a target that is named by a condition may be of nobody else, nor superseded."""
    foreign, old = oid(), oid()
    await published(
        publish, submission(b"foreign", subject="Patient/p2", masterIdentifier=identifier(UNIQUE_ID, foreign))
    )
    first = await published(publish, submission(b"old", masterIdentifier=identifier(UNIQUE_ID, old)))
    await published(publish, related("replaces", first))
    before = await counts()

    for value, told in ((foreign, "XDSPatientIdDoesNotMatch"), (old, "XDSRegistryDeprecatedDocumentError")):
        response = await publish(related(code, f"DocumentReference?identifier=urn:ietf:rfc:3986|{value}", b"another"))
        assert response.status_code == 422, response.text
        assert details(issue(response)) == told

    assert await counts() == before


async def test_conditional_target_is_replaced(client: httpx.AsyncClient, publish: Publish) -> None:
    """MHD-65-30, MHD-65-74: a replacement may name its target by a condition."""
    value = oid()
    target = await published(publish, submission(b"old", masterIdentifier=identifier(UNIQUE_ID, value)))

    await published(publish, related("replaces", f"DocumentReference?identifier=urn:ietf:rfc:3986|{value}"))

    assert await status_of(client, target) == "superseded"


async def test_many_unknown_targets_are_looked_up_at_once(publish: Publish, database: Connection) -> None:
    """MHD-65-72, MHD-SEC-08: each is told, and the database is asked a few times, not thousands."""
    targets = [relation("appends", f"DocumentReference/x{at}") for at in range(500)]
    asked = database.database["system.profile"]
    await database.database.command("profile", 2)
    try:
        response = await publish(submission(relatesTo=targets))
        questions = await asked.count_documents({"op": "query", "ns": {"$not": {"$regex": "system.profile"}}})
    finally:
        await database.database.command("profile", 0)
        await asked.drop()

    assert (response.status_code, details(issue(response))) == (400, "UnresolvedReferenceException")
    assert len(response.json()["issue"]) == 101  # the first hundred, and how many more there are
    assert 0 < questions < 30


async def test_some_of_many_targets_are_unknown(publish: Publish) -> None:
    """MHD-65-72: only those are told."""
    there = [await published(publish) for _ in range(3)]
    targets = [relation("appends", name) for name in (*there, "DocumentReference/x", "DocumentReference/y")]

    response = await publish(submission(relatesTo=targets))

    told = response.json()["issue"]
    assert [one["expression"][0].split("resource.")[1] for one in told] == [f"relatesTo[{at}].target" for at in (3, 4)]
    assert (await publish(submission(relatesTo=targets[:3]))).status_code == 200
