"""Many submissions at once that share uniqueIds, patients, documents and Folders: 2:3.65.4.1.3, all or nothing.

MHD-65-20, MHD-65-73, MHD-65-80, MHD-65-93, MHD-65-112..114; MHD section 21, items 4 and 5.
"""

from __future__ import annotations

import asyncio
import hashlib
import random
from collections import Counter
from itertools import pairwise
from typing import Any

import httpx
from pymongo import MongoClient

from app.fhir.resource import Resource, parse_json
from tests.mhd.conftest import DOMAIN, Publish, locations
from tests.mhd.serial_order import Plan, State, order_of
from tests.mhd.test_folders import folder
from tests.submissions import UNIQUE_ID, entry, identifier, oid, submission, urn
from tests.system.consistency import contradictions

SUBMISSIONS = 300
SEED = 65
PATIENTS = ("p1", "p2")
FOLDERS = ("folder 0", "folder 1", "folder 2", "folder 3")
IN_EACH = 4  # documents in a Folder at the beginning


class World:
    """What is there before: four Folders of two patients with four documents each, and what they are called here."""

    def __init__(self) -> None:
        self.state = State()
        self.names: dict[str, str] = {}  # model -> `Type/id`
        self.patient: dict[str, str] = {}  # Folder or document of the model -> patient
        self.identifiers: dict[str, list[Resource]] = {}  # Folder -> its identifiers

    async def build(self, publish: Publish, client: httpx.AsyncClient) -> None:
        """Publish it."""
        for number, name in enumerate(FOLDERS):
            patient = PATIENTS[number % 2]
            members = [await self._document(publish, name, at, patient) for at in range(IN_EACH)]
            made = submission(b"first", subject=f"Patient/{patient}")
            items = [self.names[member] for member in members]
            made["entry"].append(entry(folder(*items, subject={"reference": f"Patient/{patient}"}), full_url := urn()))
            made["entry"][0]["resource"]["entry"].append({"item": {"reference": full_url}})
            location = locations(await publish(made))[3]
            self.names[name], self.patient[name] = _name(location), patient
            self.state.folders[name] = set(members)
            self.identifiers[name] = (await client.get(location)).json()["identifier"]

    async def _document(self, publish: Publish, name: str, at: int, patient: str) -> str:
        made = f"{name}, document {at}"
        location = locations(await publish(submission(made.encode(), subject=f"Patient/{patient}")))[1]
        self.names[made], self.patient[made] = _name(location), patient
        return made


def _name(location: str) -> str:
    return "/".join(location.partition("/_history/")[0].rsplit("/", 2)[1:])


def plans(world: World) -> list[Plan]:
    """Return what the clients publish: random, and the same in every run."""
    draw = random.Random(SEED)
    ids, sets = [oid() for _ in range(90)], [oid() for _ in range(250)]
    documents = sorted(one for members in world.state.folders.values() for one in members)
    found = []
    for number in range(SUBMISSIONS):
        unique = draw.choice(ids)
        about: dict[str, Any] = {"patient": draw.choice(PATIENTS)}
        match draw.choice(["plain", "plain", "newcomer", "replaces", "replaces", "appends", "folder"]):
            case "newcomer":
                about = {"patient": f"new {draw.randrange(8)}", "is_new_patient": True}
            case "replaces" | "appends" as relation:
                target = draw.choice(documents)
                about = {"patient": world.patient[target], "relation": relation, "target": target}
            case "folder":
                name = draw.choice(FOLDERS)
                known = frozenset(world.state.folders[name])
                about = {"patient": world.patient[name], "folder": (name, known)}
        content = f"{unique} {draw.choice(['one', 'one', 'other'])} for {about['patient']}".encode()
        found.append(Plan(number, draw.choice(sets), unique, content, **about))
    return found


def bundle_of(plan: Plan, world: World) -> Resource:
    """Return `plan` as a client sends it."""
    subject = urn() if plan.is_new_patient else f"Patient/{plan.patient}"
    more: dict[str, Any] = {}
    if plan.relation:
        more["relatesTo"] = [{"code": plan.relation, "target": {"reference": world.names[plan.target]}}]
    made = submission(plan.content, subject=subject, masterIdentifier=identifier(UNIQUE_ID, plan.unique_id), **more)
    made["entry"][0]["resource"]["identifier"] = [identifier(UNIQUE_ID, plan.set_id)]
    if plan.is_new_patient:
        person = {"resourceType": "Patient", "identifier": [{"system": DOMAIN, "value": plan.patient}]}
        made["entry"].append(entry(person, subject))
    if plan.folder:
        name, known = plan.folder
        items = [*(world.names[one] for one in sorted(known)), made["entry"][1]["fullUrl"]]
        filed = folder(*items, subject={"reference": subject}, identifier=world.identifiers[name])
        url = world.names[name]
        made["entry"].append(entry(filed | {"id": url.rpartition("/")[2]}, method="PUT", url=url))
    return made


async def published(client: httpx.AsyncClient, bundles: list[Resource]) -> list[httpx.Response]:
    """Publish all at once."""
    headers = {"content-type": "application/fhir+json"}
    return await asyncio.gather(*(client.post("", json=one, headers=headers, timeout=300) for one in bundles))


def code_of(response: httpx.Response) -> str:
    [first, *_] = response.json()["issue"]
    return str(first.get("details", {}).get("coding", [{}])[0].get("code", first["code"]))


async def everything(client: httpx.AsyncClient, resource_type: str) -> list[Resource]:
    return [one["resource"] for one in (await client.get(f"{resource_type}?_count=1000")).json().get("entry", [])]


async def gained(client: httpx.AsyncClient, name: str) -> list[list[str]]:
    """Return what each version of a Folder added to the one before."""
    latest = int((await client.get(name)).json()["meta"]["versionId"])
    versions = [(await client.get(f"{name}/_history/{version}")).json() for version in range(1, latest + 1)]
    members = [{one["item"]["reference"] for one in version["entry"]} for version in versions]
    assert all(earlier < later for earlier, later in pairwise(members)), "something was lost"
    return [sorted(later - earlier) for earlier, later in pairwise(members)]


async def test_the_outcome_is_that_of_some_order(
    client: httpx.AsyncClient, publish: Publish, mongodb_url: str, database_name: str
) -> None:
    """MHD-65-20, MHD-65-112, MHD-65-113: 300 at once; answers and records are those of one after the other."""
    world = World()
    await world.build(publish, client)
    asked = plans(world)
    before = {name: len(await everything(client, name)) for name in ("DocumentReference", "List", "Patient")}

    answers = await published(client, [bundle_of(plan, world) for plan in asked])

    accepted = [plan for plan, answer in zip(asked, answers, strict=True) if answer.status_code == 200]
    refused = {plan: answer for plan, answer in zip(asked, answers, strict=True) if answer.status_code != 200}
    assert {answer.status_code for answer in refused.values()} <= {409, 422}, Counter(map(code_of, refused.values()))
    assert len(accepted) > SUBMISSIONS / 5
    assert len(refused) > SUBMISSIONS / 5
    for plan, answer in zip(asked, answers, strict=True):
        if answer.status_code == 200:
            world.names[plan.name] = _name(answer.json()["entry"][1]["response"]["location"])
    called = {name: model for model, name in world.names.items()}

    added = {
        name: [called[one] for step in await gained(client, world.names[name]) for one in step] for name in FOLDERS
    }
    for plan in order_of(accepted, added):  # one by one, as the traces say
        assert world.state.refusals(plan) == set(), plan
        world.state.publish(plan)
    for plan, answer in refused.items():
        assert code_of(answer) in world.state.refusals(plan), (plan, answer.text)

    await _require_state(client, world, called, before, accepted)
    with MongoClient[dict[str, Any]](mongodb_url, tz_aware=True) as connection:
        assert contradictions(connection[database_name]) == []


async def _require_state(
    client: httpx.AsyncClient, world: World, called: dict[str, str], before: dict[str, int], accepted: list[Plan]
) -> None:
    """Hold what is stored against the model."""
    documents = {f"DocumentReference/{one['id']}": one for one in await everything(client, "DocumentReference")}
    assert len(documents) == before["DocumentReference"] + len(accepted)
    superseded = {called[name] for name, one in documents.items() if one["status"] == "superseded"}
    assert superseded == world.state.superseded
    for plan in accepted:
        one = documents[world.names[plan.name]]
        assert one["masterIdentifier"]["value"] == plan.unique_id
        sent = hashlib.sha1(plan.content, usedforsecurity=False).digest()
        received = (await client.get(one["content"][0]["attachment"]["url"])).content
        assert hashlib.sha1(received, usedforsecurity=False).digest() == sent
    lists = await everything(client, "List")
    assert len(lists) == before["List"] + len({plan.set_id for plan in accepted}) == before["List"] + len(accepted)
    for name in FOLDERS:
        stored = parse_json((await client.get(world.names[name])).content)
        assert {called[one["item"]["reference"]] for one in stored["entry"]} == world.state.folders[name]
    people = await everything(client, "Patient")
    assert len(people) == before["Patient"] + len(world.state.patients)
