"""The option Target Communities, 1:33.2, and the community in which documents are at home."""

from __future__ import annotations

from typing import Any

import httpx
import pytest

from app.fhir.resource import Resource
from app.settings import SettingError, load
from tests.mhd.conftest import Publish, Server, details, issue, locations
from tests.mhd.test_folders import folder
from tests.submissions import MHD, SD, entry, submission, urn

OWN, OTHER, THIRD = "urn:oid:2.999.10", "urn:oid:2.999.11", "urn:oid:2.999.12"
ON: dict[str, Any] = {"home_community_id": OWN, "target_communities": True, "known_communities": (OTHER,)}
TARGET = f"{MHD}/CapabilityStatement/IHE.MHD.DocumentResponder.Target"
TYPES = ("DocumentReference", "List")


def community(value: str) -> Resource:
    return {"url": f"{SD}/ihe-HomeCommunityId", "valueOid": value}


def communities(resource: Resource) -> list[str]:
    """Return the home communities that a resource names."""
    return [one["valueOid"] for one in resource.get("extension", []) if one["url"].endswith("ihe-HomeCommunityId")]


async def published(client: httpx.AsyncClient, *sent: str) -> list[str]:
    """Publish a submission with a Folder, the DocumentReference and Lists with communities; return the locations."""
    made = submission()
    made["entry"].append(entry(folder(), full_url := urn()))
    made["entry"][0]["resource"]["entry"].append({"item": {"reference": full_url}})
    for at in (0, 1, 3) if sent else ():
        resource = made["entry"][at]["resource"]
        resource["extension"] = [*resource.get("extension", []), *map(community, sent)]
    return locations(await client.post("", json=made, headers={"content-type": "application/fhir+json"}))


async def found(client: httpx.AsyncClient, resource_type: str, asked: str) -> set[str]:
    body = (await client.get(f"{resource_type}?{asked}")).json()
    return {one["fullUrl"] for one in body.get("entry", []) if one["search"]["mode"] == "match"}


async def test_the_own_community_is_written(server: Server, patients: None) -> None:
    """MHD-OPT-43, MHD-66-37, MHD-67-36: SubmissionSet, DocumentReference and Folder name it; the Binary cannot."""
    client = await server(home_community_id=OWN)  # also without the option
    set_, document, _, folder_ = await published(client)

    for location in (set_, document, folder_):
        assert communities((await client.get(location)).json()) == [OWN]
    for name in TYPES:
        for one in (await client.get(f"{name}?patient=p1")).json()["entry"]:
            assert communities(one["resource"]) == [OWN]


async def test_the_community_that_came_stays(server: Server, patients: None) -> None:
    """MHD-OPT-43: what the source says of its home is kept, and not doubled."""
    client = await server(home_community_id=OWN)

    for location in set(await published(client, OTHER)):
        resource = (await client.get(location, headers={"accept": "application/fhir+json"})).json()
        assert communities(resource) == ([] if resource["resourceType"] == "Binary" else [OTHER])


async def test_no_community_is_invented(client: httpx.AsyncClient, publish: Publish) -> None:
    """MHD-OPT-43: without a configured one nothing is written."""
    location = locations(await publish(submission()))[1]

    assert "extension" not in (await client.get(location)).json()


@pytest.mark.parametrize("name", TYPES)
async def test_one_community_or_several(server: Server, patients: None, name: str) -> None:
    """MHD-OPT-41: exact values, a comma is "or", by GET and POST; the self link says what was applied."""
    client = await server(**ON)
    own = {one for one in await published(client) if f"/{name}/" in one}
    other = {one for one in await published(client, OTHER) if f"/{name}/" in one}

    assert await found(client, name, f"patient=p1&targetCommunityIdList={OWN}") == own
    assert await found(client, name, f"patient=p1&targetCommunityIdList={OTHER}") == other
    assert await found(client, name, f"patient=p1&targetCommunityIdList={OWN},{OTHER}") == own | other
    form = {"patient": "p1", "targetCommunityIdList": f"{OWN},{OTHER}"}
    body = (await client.post(f"{name}/_search", data=form)).json()
    assert {one["fullUrl"] for one in body["entry"]} == own | other
    assert f"targetCommunityIdList={OWN},{OTHER}" in body["link"][0]["url"]


@pytest.mark.parametrize("name", TYPES)
@pytest.mark.parametrize("asked", [THIRD, f"{THIRD},urn:oid:2.999.13", OWN.upper(), "2.999.10"])
async def test_unknown_communities(server: Server, patients: None, name: str, asked: str) -> None:
    """MHD-OPT-42: none of those asked for is served: 400, XDSUnknownCommunity, an issue for each."""
    response = await (await server(**ON)).get(f"{name}?patient=p1&targetCommunityIdList={asked}")

    issues = response.json()["issue"]
    assert (response.status_code, len(issues)) == (400, asked.count(",") + 1)
    assert {(one["severity"], details(one)) for one in issues} == {("error", "XDSUnknownCommunity")}
    assert all(part in issues[at]["diagnostics"] for at, part in enumerate(asked.split(",")))


@pytest.mark.parametrize("name", TYPES)
async def test_some_communities_are_unknown(server: Server, patients: None, name: str) -> None:
    """MHD-OPT-42: 200, the results of those that are served, and an outcome that names the others, not counted."""
    client = await server(**ON)
    await published(client)

    body = (await client.get(f"{name}?patient=p1&targetCommunityIdList={OWN},{THIRD}")).json()

    *matches, outcome = body["entry"]
    assert {one["search"]["mode"] for one in matches} == {"match"}
    assert body["total"] == len(matches) > 0
    assert outcome["search"]["mode"] == "outcome"
    [one] = outcome["resource"]["issue"]
    assert (one["severity"], details(one)) == ("warning", "XDSUnknownCommunity")
    assert THIRD in one["diagnostics"]


@pytest.mark.parametrize("name", TYPES)
async def test_declared_when_on(server: Server, name: str) -> None:
    """MHD-OPT-40, MHD-CS-08, MHD-CS-10, MHD-CS-12: parameter with its definition, and the requirement statement."""
    for settings, is_on in ((ON, True), ({}, False)):
        statement = (await (await server(**settings)).get("metadata")).json()
        [resource] = [one for one in statement["rest"][0]["resource"] if one["type"] == name]
        declared = {
            one["name"]: (one["type"], one["definition"]) for one in resource["searchParam"] if "definition" in one
        }
        definition = ("uri", f"{MHD}/SearchParameter/IHE-TargetCommunityIdList")
        assert declared.get("targetCommunityIdList") == (definition if is_on else None)
        assert (TARGET in statement["instantiates"]) == is_on


@pytest.mark.parametrize("name", TYPES)
async def test_without_the_option(server: Server, patients: None, name: str) -> None:
    """MHD-OPT-44: ignored like any parameter that is not known, and absent from the self link; refused when strict."""
    client = await server(home_community_id=OWN)
    await published(client)
    asked = f"{name}?patient=p1&targetCommunityIdList={THIRD}"

    body = (await client.get(asked)).json()
    strict = await client.get(asked, headers={"prefer": "handling=strict"})

    assert body["total"] > 0
    assert "targetCommunityIdList" not in body["link"][0]["url"]
    assert (strict.status_code, "targetCommunityIdList" in issue(strict)["diagnostics"]) == (400, True)


@pytest.mark.parametrize("value", ["2.999.10", "urn:oid:9.1", "urn:uuid:x", "urn:oid:2.0999"])
def test_only_oids_are_taken(value: str) -> None:
    """MHD-OPT-41: a setting that could never match stops the start."""
    for name in ("home_community_id", "known_communities"):
        with pytest.raises(SettingError, match="OID"):
            load({name: value}, env_file="/dev/null")
