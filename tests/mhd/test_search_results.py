"""What shapes the result of ITI-66 and ITI-67: `_include`, `_revinclude`, `_summary`, `_elements`."""

from __future__ import annotations

from typing import Any

import httpx
import pytest

from tests.mhd.conftest import Publish, locations
from tests.submissions import submission


async def ask(client: httpx.AsyncClient, query: str) -> tuple[dict[str, list[dict[str, Any]]], dict[str, Any]]:
    """Return the resources of a searchset by search mode, and the Bundle."""
    body = (await client.get(query)).json()
    found: dict[str, list[dict[str, Any]]] = {"match": [], "include": []}
    for one in body.get("entry", []):
        found[one["search"]["mode"]].append(one["resource"])
    return found, body


@pytest.fixture
async def published(publish: Publish) -> list[str]:
    """Locations of SubmissionSet, DocumentReference and Binary, and of a replacement's."""
    first = locations(await publish(submission()))
    name = "/".join(first[1].rsplit("/", 2)[1:])
    second = submission(relatesTo=[{"code": "replaces", "target": {"reference": name}}])
    return [*first, *locations(await publish(second))]


INCLUDES: list[tuple[str, int, list[str]]] = [
    ("List?code=submissionset&_include=List:item", 2, ["DocumentReference", "DocumentReference"]),
    ("List?code=submissionset&_include=List:item:Patient", 2, []),
    ("DocumentReference?status=current&_include=DocumentReference:patient", 1, ["Patient"]),
    ("DocumentReference?status=current&_include=DocumentReference:subject", 1, ["Patient"]),
    ("DocumentReference?status=current&_include=DocumentReference:relatesto", 1, ["DocumentReference"]),
    ("DocumentReference?status=superseded&_revinclude=DocumentReference:relatesto", 1, ["DocumentReference"]),
    ("DocumentReference?status=current&_revinclude=List:item", 1, ["List"]),
    ("Patient?_id=p1&_revinclude=DocumentReference:patient", 1, ["DocumentReference", "DocumentReference"]),
    ("List?code=submissionset&_include=List:item&_include:iterate=DocumentReference:patient", 2,
     ["DocumentReference", "DocumentReference", "Patient"]),
]  # fmt: skip


@pytest.mark.parametrize(("query", "matches", "types"), INCLUDES)
async def test_include(
    client: httpx.AsyncClient, published: list[str], query: str, matches: int, types: list[str]
) -> None:
    """MHD-66-22, MHD-67-21: what matches bring along has search mode include, and does not count in the total."""
    found, body = await ask(client, query)

    assert len(found["match"]) == body["total"] == matches
    assert sorted(one["resourceType"] for one in found["include"]) == types


async def test_what_matches_is_not_included_again(client: httpx.AsyncClient, published: list[str]) -> None:
    """MHD-67-21: a target that is a match itself stands in the Bundle once."""
    found, _ = await ask(client, "DocumentReference?patient=p1&_include=DocumentReference:relatesto")

    assert (len(found["match"]), found["include"]) == (2, [])


async def test_elements(client: httpx.AsyncClient, published: list[str]) -> None:
    """MHD-66-22, MHD-67-21: the elements that were asked for and the mandatory ones, tagged SUBSETTED."""
    found, _ = await ask(client, "DocumentReference?status=current&_elements=type,category")

    [document] = found["match"]
    assert set(document) == {"resourceType", "id", "meta", "type", "category", "status", "content"}
    assert document["meta"]["tag"][-1]["code"] == "SUBSETTED"


@pytest.mark.parametrize(
    ("summary", "has", "lacks"),
    [
        ("true", "masterIdentifier", "contained"),
        ("text", "status", "type"),
        ("data", "type", "text"),
        ("false", "type", "-"),
    ],
)
async def test_summary(client: httpx.AsyncClient, published: list[str], summary: str, has: str, lacks: str) -> None:
    """MHD-67-21: FHIR R4 search.html#summary."""
    found, _ = await ask(client, f"DocumentReference?status=current&_summary={summary}")

    [document] = found["match"]
    assert has in document
    assert lacks not in document
    assert ("tag" in document["meta"]) == (summary != "false")
