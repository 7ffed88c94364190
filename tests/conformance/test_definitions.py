"""Definitions by read and by search (FHIR R4 http.html#read, structuredefinition.html#search), as packages brought them."""

from __future__ import annotations

import httpx
import pytest

from tests.submissions import MHD, SD

DOCUMENT_REFERENCE = f"{SD}/IHE.MHD.Minimal.DocumentReference"


@pytest.mark.parametrize(
    ("resource_type", "url"),
    [
        ("StructureDefinition", DOCUMENT_REFERENCE),
        ("StructureDefinition", "http://hl7.org/fhir/StructureDefinition/Patient"),
        ("ValueSet", f"{MHD}/ValueSet/DocumentReferenceStats"),
        ("CodeSystem", f"{MHD}/CodeSystem/MHDlistTypes"),
        ("SearchParameter", f"{MHD}/SearchParameter/DocumentReference-Creation"),
        ("ConceptMap", f"{MHD}/ConceptMap/AssociationTypeVsRelatesTo"),
    ],
)
async def test_find_by_url_and_read(client: httpx.AsyncClient, resource_type: str, url: str) -> None:
    """MHD-CM-02: one definition has the url; its fullUrl can be read."""
    body = (await client.get(resource_type, params={"url": url})).json()

    assert (body["type"], body["total"]) == ("searchset", 1)
    [found] = body["entry"]
    assert found["resource"]["url"] == url
    assert (await client.get(found["fullUrl"])).json() == found["resource"]


async def test_version_in_the_url(client: httpx.AsyncClient) -> None:
    """MHD-65-04: `url|version` names one version, and no other."""
    for version, total in (("4.2.4", 1), ("4.2.3", 0)):
        body = (await client.get("StructureDefinition", params={"url": f"{DOCUMENT_REFERENCE}|{version}"})).json()
        assert body["total"] == total


async def test_pages(client: httpx.AsyncClient) -> None:
    """FHIR R4 http.html#paging: next links lead through all of them once."""
    url, seen = "SearchParameter?_count=500", []
    while url:
        body = (await client.get(url)).json()
        seen += [one["resource"]["url"] for one in body["entry"]]
        url = next((link["url"] for link in body["link"] if link["relation"] == "next"), "")

    assert len(seen) == body["total"]
    assert len(set(seen)) == len(seen)


async def test_links_keep_the_format(client: httpx.AsyncClient) -> None:
    """MHD-GEN-03: what was asked with `_format` is what the next page comes in."""
    body = (await client.get("ValueSet", params={"_format": "json", "_count": "1"})).json()

    assert all("_format=json" in link["url"] for link in body["link"])


@pytest.mark.parametrize("name", ["url:below", "url:missing", "_count:x"])
async def test_modifier_is_refused(client: httpx.AsyncClient, name: str) -> None:
    """FHIR R4 search.html#modifiers: a modifier that is not supported is an error, never ignored."""
    response = await client.get("ValueSet", params={name: "true"})

    assert (response.status_code, response.json()["issue"][0]["code"]) == (400, "not-supported")


async def test_strict_handling(client: httpx.AsyncClient) -> None:
    """MHD-67-04: unknown parameters are ignored, and refused when the client asks for that."""
    plain = await client.get("ValueSet", params={"status": "active", "_id": "nobody"})
    strict = await client.get("ValueSet", params={"status": "active"}, headers={"Prefer": "handling=strict"})

    assert plain.json()["total"] == 0
    assert (strict.status_code, strict.json()["issue"][0]["code"]) == (400, "not-supported")
    assert "`status`" in strict.json()["issue"][0]["diagnostics"]


async def test_unknown_definition(client: httpx.AsyncClient) -> None:
    """MHD-GEN-07: an id that no package has."""
    response = await client.get("StructureDefinition/nobody")

    assert (response.status_code, response.json()["issue"][0]["code"]) == (404, "not-found")


async def test_statement_lists_the_doors(client: httpx.AsyncClient) -> None:
    """MHD-CS-01, MHD-CS-12: `$validate` and the definitions stand in the CapabilityStatement."""
    [rest] = (await client.get("metadata")).json()["rest"]

    assert {"name": "validate", "definition": "http://hl7.org/fhir/OperationDefinition/Resource-validate"} in rest[
        "operation"
    ]
    types = {one["type"]: one for one in rest["resource"]}
    assert [one["name"] for one in types["ValueSet"]["searchParam"]] == ["url", "version", "name", "_id"]
