"""The CapabilityStatement over HTTP: what it says holds, and what it does not say is not offered (MHD section 13, E-01).

What stands in it is proven in `tests/test_capability.py`.
"""

from __future__ import annotations

import json
from typing import Any

import httpx
import pytest

from app.fhir.packages import Packages
from app.fhir.xml import from_xml
from tests.mhd.conftest import Publish, issue, locations
from tests.mhd.worked_examples import FILE, resources
from tests.submissions import submission

JSON, XML = "application/fhir+json", "application/fhir+xml"
OURS = ("DocumentReference", "List", "Binary", "Patient")


@pytest.fixture
async def statement(client: httpx.AsyncClient) -> dict[str, Any]:
    response = await client.get("metadata")
    assert response.status_code == 200
    return dict(response.json())


def types(statement: dict[str, Any]) -> dict[str, dict[str, Any]]:
    return {one["type"]: one for one in statement["rest"][0]["resource"]}


async def test_format_parameter_of_the_statement(client: httpx.AsyncClient, packages: Packages) -> None:
    """E-01: MHD-GEN-01..03: `_format=xml` against Accept; both formats say the same, nobody being named."""
    in_xml = await client.get("metadata?_format=xml", headers={"accept": JSON})
    in_json = await client.get("metadata")

    assert in_xml.headers["content-type"].startswith(XML)
    assert from_xml(in_xml.content, packages.structures) == in_json.json()


@pytest.mark.skipif(not FILE.is_file(), reason="the worked examples are not beside the checkout")
async def test_statement_of_the_example(statement: dict[str, Any]) -> None:
    """E-01: MHD-CS-01..05, 10: its elements, without those of options that are not offered."""
    expected = resources("E-01")[0]

    for name in ("resourceType", "status", "kind", "fhirVersion"):
        assert statement[name] == expected[name]
    assert set(statement["format"]) == set(expected["format"])
    assert set(expected["implementationGuide"]) <= set(statement["implementationGuide"])
    assert set(expected["instantiates"][:2]) <= set(statement["instantiates"])
    offered = types(statement)
    for wanted in expected["rest"][0]["resource"]:
        own = offered[wanted["type"]]
        assert {"read", "search-type"} & {one["code"] for one in wanted["interaction"]} <= {
            one["code"] for one in own["interaction"]
        }
        assert {one for one in wanted.get("supportedProfile", ()) if "Simplified" not in one} <= set(
            own.get("supportedProfile", ())
        )
        parameters = {one["name"]: one for one in own.get("searchParam", ())}
        for parameter in wanted.get("searchParam", ()):
            if parameter["name"] != "targetCommunityIdList":
                assert parameters[parameter["name"]] == {"name": parameter["name"]} | parameter


async def test_every_listed_parameter_is_searched(client: httpx.AsyncClient, statement: dict[str, Any]) -> None:
    """MHD-CS-06, MHD-CS-07, MHD-CS-12: with strict handling none of the listed parameters is unknown."""
    values = {"date": "2025", "reference": "Patient/1", "uri": "urn:oid:2.999.1"}
    asked = 0
    for resource_type, one in types(statement).items():
        for parameter in one.get("searchParam", ()):
            value = "female" if parameter["name"] == "gender" else values.get(parameter["type"], "x")
            query = {parameter["name"]: value}
            if resource_type == "AuditEvent":
                query["date"] = "ge2025"  # without it ITI-81 is refused
            response = await client.get(resource_type, params=query, headers={"prefer": "handling=strict"})
            assert response.status_code == 200, (resource_type, query, response.text)
            assert response.json()["link"][0]["url"].partition("?")[2].startswith(f"{parameter['name']}=")
            asked += 1
    assert asked >= 30


async def test_listed_interactions_are_offered_and_no_others(
    client: httpx.AsyncClient, publish: Publish, statement: dict[str, Any]
) -> None:
    """MHD-CS-04, MHD-CS-12, MHD-GEN-10, MHD-68-19: reads and searches that are listed; of the rest 404 or 405."""
    names = {one.split("/")[-2]: one for one in locations(await publish(submission()))} | {"Patient": "Patient/p1"}
    requests = {
        "read": lambda name: ("GET", names[name]),
        "vread": lambda name: ("GET", f"{names[name]}/_history/1"),
        "search-type": lambda name: ("GET", f"{name}?_id=x"),
        "create": lambda name: ("POST", name),
        "update": lambda name: ("PUT", names[name]),
        "patch": lambda name: ("PATCH", names[name]),
        "delete": lambda name: ("DELETE", names[name]),
        "history-instance": lambda name: ("GET", f"{names[name]}/_history"),
        "history-type": lambda name: ("GET", f"{name}/_history"),
    }
    for name in OURS:
        listed = {one["code"] for one in types(statement)[name]["interaction"]}
        assert "read" in listed
        for code, make in requests.items():
            method, url = make(name)
            response = await client.request(method, url, headers={"content-type": JSON})
            if code in listed and method == "GET":
                assert response.status_code == 200, (name, code)
            elif code not in listed:
                assert response.status_code in (404, 405), (name, code)
                assert issue(response)["severity"] == "error"


async def test_only_what_is_listed_has_a_path(client: httpx.AsyncClient, statement: dict[str, Any]) -> None:
    """MHD-CS-12, MHD-GEN-25: a type that the statement does not list is not found."""
    for resource_type in ("Practitioner", "Organization", "Encounter", "Provenance"):
        assert resource_type not in types(statement)
        assert (await client.get(f"{resource_type}/1")).status_code == 404


async def test_xds_on_fhir_is_not_claimed(statement: dict[str, Any]) -> None:
    """MHD-OPT-50: no XDS registry is behind this server."""
    text = json.dumps(statement).lower()

    assert "xds" not in text.replace("xdsd", "")


async def test_options_are_claimed_when_they_are_offered(statement: dict[str, Any]) -> None:
    """MHD-CS-12, MHD-OPT-22: `instantiates`, interactions and operations of an option go together."""
    document = types(statement)["DocumentReference"]
    claims = " ".join(statement["instantiates"])
    creates = any(one["code"] == "create" for one in document["interaction"])
    generates = any(one["name"] == "generate-metadata" for one in document.get("operation", ()))
    communities = any(one["name"] == "targetCommunityIdList" for one in document["searchParam"])

    assert ("DocumentRecipient.Simplified" in claims) == creates
    assert ("DocumentRecipient.Generate" in claims) == generates
    assert ("DocumentResponder.Target" in claims) == communities
