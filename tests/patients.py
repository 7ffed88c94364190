"""A patient index under test: its address, its domains, the people of the worked exchanges, and how they are fed."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx
from fastapi import FastAPI
from pydantic import SecretStr

from app.fhir.resource import Resource
from app.main import create_app
from app.settings import Settings

BASE = "https://index.example.org/fhir"
DOMAINS = Path(__file__).parent.parent / "app" / "examples" / "domains.toml"

NORTH, SOUTH, EAST, EMERGENCY = (f"urn:oid:2.999.10.{number}" for number in (1, 2, 3, 9))
NATIONAL = "urn:oid:2.999.1.5"
LAB = "https://lab.example.net/fhir"

JSON = {"Content-Type": "application/fhir+json"}


def settings_of(mongodb_url: str, database_name: str, **changes: Any) -> Settings:
    """Settings of a patient index; `changes` replace defaults."""
    values: dict[str, Any] = {
        "base_url": BASE,
        "mongodb_url": SecretStr(mongodb_url),
        "mongodb_database": database_name,
        "example_data": False,
        "domains": str(DOMAINS),
        "home_country": "SK",
    }
    return Settings(**(values | changes))


@asynccontextmanager
async def running_app(settings: Settings) -> AsyncIterator[FastAPI]:
    """The real server."""
    app = create_app(settings)
    async with app.router.lifespan_context(app):
        yield app


def client_of(app: FastAPI) -> httpx.AsyncClient:
    """A client of `app`; URLs are relative to `[base]`."""
    transport = httpx.ASGITransport(app, raise_app_exceptions=False)
    return httpx.AsyncClient(transport=transport, base_url=BASE, timeout=60)


def person(system: str = NORTH, value: str = "N-1001", **elements: Any) -> Resource:
    """A Patient with one identifier; `elements` replace or add to it, None removes."""
    base: Resource = {
        "resourceType": "Patient",
        "identifier": [{"system": system, "value": value}],
        "active": True,
        "name": [{"family": "Example", "given": ["Ada"]}],
        "gender": "female",
        "birthDate": "1970-01-02",
    }
    return {name: element for name, element in (base | elements).items() if element is not None}


def also(system: str, value: str, *others: tuple[str, str]) -> list[Resource]:
    """Several identifiers."""
    return [{"system": one, "value": number} for one, number in ((system, value), *others)]


KATARINA: Resource = {
    "resourceType": "Patient",
    "identifier": also(NORTH, "N-1001", (NATIONAL, "8453070123")),
    "active": True,
    "name": [{"use": "official", "family": "Nováková", "given": ["Katarína", "Eva"]}],
    "telecom": [{"system": "phone", "value": "+421 905 111 222", "use": "mobile"}],
    "gender": "female",
    "birthDate": "1984-03-07",
    "address": [{"use": "home", "line": ["Lipová 12"], "city": "Žilina", "postalCode": "010 01", "country": "SK"}],
}
KATARINA_SOUTH: Resource = {
    "resourceType": "Patient",
    "identifier": also(SOUTH, "S-77", (NATIONAL, "8453070123")),
    "active": True,
    "name": [{"family": "Novakova", "given": ["Katarina"]}],
    "gender": "female",
    "birthDate": "1984-03-07",
}
KATARINA_LAB: Resource = KATARINA_SOUTH | {"identifier": also(LAB, "Patient/9f2", (NATIONAL, "8453070123"))}
PETER = person(NORTH, "N-2044", name=[{"family": "Kráľ", "given": ["Peter"]}], gender="male", birthDate="1951-11-02")


async def feed(
    client: httpx.AsyncClient, patient: Resource, system: str = "", value: str = "", **headers: str
) -> httpx.Response:
    """PUT `patient` under its first identifier, or the given one."""
    first = (patient.get("identifier") or [{}])[0]
    key = f"{system or first['system']}|{value or first['value']}"
    sent = JSON | {name.replace("_", "-"): text for name, text in headers.items()}
    return await client.put("/Patient", params={"identifier": key}, json=patient, headers=sent)


async def fed(client: httpx.AsyncClient, patient: Resource, system: str = "", value: str = "") -> str:
    """Feed `patient`; return the id of its record."""
    answer = await feed(client, patient, system, value)
    assert answer.status_code in (200, 201), answer.text
    return str(answer.json()["id"])


async def pix(client: httpx.AsyncClient, source: str, *targets: str) -> httpx.Response:
    """Ask `$ihe-pix` by GET."""
    pairs = [("sourceIdentifier", source), *(("targetSystem", target) for target in targets)]
    return await client.get("/Patient/$ihe-pix", params=pairs)


def identifiers(answer: httpx.Response) -> set[str]:
    """The `targetIdentifier` of an answer, `system|value`."""
    assert answer.status_code == 200, answer.text
    found = [one["valueIdentifier"] for one in answer.json().get("parameter", ()) if one["name"] == "targetIdentifier"]
    names = [f"{one['system']}|{one['value']}" for one in found]
    assert len(names) == len(set(names))
    return set(names)


def references(answer: httpx.Response) -> set[str]:
    """The `targetId` of an answer."""
    assert answer.status_code == 200, answer.text
    found = [
        one["valueReference"]["reference"] for one in answer.json().get("parameter", ()) if one["name"] == "targetId"
    ]
    assert len(found) == len(set(found))
    return set(found)


def issue(answer: httpx.Response, position: int = 0) -> Resource:
    """One issue of an OperationOutcome."""
    body = answer.json()
    assert body["resourceType"] == "OperationOutcome", body
    found: Resource = body["issue"][position]
    return found


def code(answer: httpx.Response) -> tuple[int, str]:
    """Status and code of the first issue."""
    return answer.status_code, str(issue(answer)["code"])
