"""The worked exchanges of audit.md section 10, made by requests: ids and times differ, all else is compared."""

from __future__ import annotations

import base64
import json
import re
from dataclasses import replace
from typing import Any
from urllib.parse import unquote

import pytest
from fastapi import FastAPI

from app.fhir.resource import Resource
from app.security.access import Access
from app.security.principal import Principal
from app.security.refusal import RefusedError
from app.security.scope import parse
from app.store.driver import Connection
from tests.audit.collecting import SETTINGS, collecting
from tests.conftest import PROJECT
from tests.patients import KATARINA, KATARINA_SOUTH, NORTH, SOUTH, fed, feed, person

SPEC = PROJECT.parent / "shared" / "spec" / "audit.md"
pytestmark = pytest.mark.skipif(not SPEC.is_file(), reason="the list of requirements is not beside the checkout")

ISSUER = "https://login.example.org"
REASON = "http://terminology.hl7.org/CodeSystem/v3-ActReason"
ROLE = "http://terminology.hl7.org/CodeSystem/practitioner-role"
DOCTOR = Principal(
    "ward-viewer",
    ISSUER,
    "u-5521",
    "0be3f5a2-7c61-4a0d-9a55-b2c7f6d2aa10",
    grants=parse("system/*.cruds"),
    purposes=((REASON, "TREAT"),),
    roles=((ROLE, "doctor"),),
    means="token",
)


def exchange(number: int) -> Resource:
    """Return the JSON of an exchange."""
    text = SPEC.read_text().partition("## 10. Worked exchanges")[2]
    parts = re.split(r"^\*\*(\d+)\. ", text, flags=re.MULTILINE)
    part = dict(zip(parts[1::2], parts[2::2], strict=True))[str(number)]
    found: Resource = json.loads(re.findall(r"^```json\n(.*?)^```", part, flags=re.MULTILINE | re.DOTALL)[0])
    return found


def differences(found: Any, wanted: Any, path: str = "") -> list[str]:
    """Return where `found` does not have what `wanted` has; it may have more members, and other ids and times."""
    if isinstance(wanted, dict):
        missing = [f"{path}.{name} is missing" for name in wanted if name not in found]
        both = [name for name in wanted if name in found]
        return missing + [one for name in both for one in differences(found[name], wanted[name], f"{path}.{name}")]
    if isinstance(wanted, list):
        if len(found) != len(wanted):
            return [f"{path} has {len(found)} instead of {len(wanted)}"]
        return [
            one
            for at, pair in enumerate(zip(found, wanted, strict=True))
            for one in differences(*pair, f"{path}[{at}]")
        ]
    return [] if _plain(found, path) == _plain(wanted, path) else [f"{path}: {found} instead of {wanted}"]


def _plain(value: Any, path: str) -> Any:
    if path.endswith(".recorded"):
        return ""
    if path.endswith(".query"):
        return unquote(base64.b64decode(value).decode())
    return re.sub(r"Patient/[^/]+", "Patient/x", value) if isinstance(value, str) else value


@pytest.fixture
def ask(index_app: FastAPI, database: Connection) -> Any:
    """Yield a world that is asked from an address, as somebody."""

    def asking(peer: str, principal: Principal | None = None) -> Any:
        return collecting(index_app, peer, Access(principal) if principal else None)

    return asking


def source(name: str, token: str) -> Principal:
    """Return an identity source with its token."""
    return Principal(name, ISSUER, name, token, grants=parse("system/*.cruds"), means="token")


NORTH_ADT = source("north-adt", "4f0f6c1e-9d53-4a58-8d2e-0d9a3a1f7b01")


async def test_1_and_2_feed(ask: Any) -> None:
    """AUD-26, AUD-33, AUD-34, AUD-65: exchanges 1 and 2, a feed that created and one that revised."""
    async with ask("192.0.2.17", NORTH_ADT) as world:
        await feed(world.client, KATARINA, X_Request_Id="5d1f0a52-0001")
        (event,) = world.told()
        assert differences(event, exchange(1)) == []
        await feed(world.client, KATARINA | {"birthDate": "1984-03-08"}, X_Request_Id="5d1f0a52-0001")
        (event,) = world.told()
    wanted = json.loads(
        json.dumps(exchange(1))
        .replace("Feed.Create", "Feed.Update")
        .replace('"create"', '"update"')
        .replace("/_history/1", "/_history/2")
    )
    assert differences(event, wanted | {"action": "U"}) == []


async def test_3_removal(ask: Any) -> None:
    """AUD-36: exchange 3; the token of the south adds its own agent, as in exchange 1."""
    async with ask("192.0.2.40", source("south-adt", "")) as world:
        await fed(world.client, KATARINA_SOUTH)
        world.told()
        await world.client.delete("Patient", params={"identifier": f"{SOUTH}|S-77"})
        (event,) = world.told()
    event["agent"] = event["agent"][:2]
    assert differences(event, exchange(3)) == []


async def test_4_merge(ask: Any) -> None:
    """AUD-37: exchange 4, two events of the update kind."""
    async with ask("192.0.2.17", NORTH_ADT) as world:
        await fed(world.client, person())
        await fed(world.client, person(value="N-1002", birthDate="1931-05-05"))
        world.told()
        link = {"other": {"identifier": {"system": NORTH, "value": "N-1001"}}, "type": "replaced-by"}
        await fed(world.client, person(value="N-1002", birthDate="1931-05-05", active=False, link=[link]))
        events = [one for one in world.told() if "meta" in one]
    assert [one["entity"][0]["what"]["identifier"]["value"] for one in events] == ["N-1002", "N-1001"]
    assert {one["meta"]["profile"][0].rpartition(".PIXm.")[2] for one in events} == {"Feed.Update.Audit.Manager"}


async def test_5_to_7_queries(ask: Any) -> None:
    """AUD-30, AUD-31, AUD-50, AUD-54, AUD-64: exchanges 5, 6 and 7, by a clinician."""
    async with ask("192.0.2.17", NORTH_ADT) as world:
        await fed(world.client, KATARINA)
        world.told()
    async with ask("2001:db8:40::17", DOCTOR) as world:
        query = f"sourceIdentifier={NORTH}|N-1001&targetSystem={SOUTH}"
        await world.client.get(f"Patient/$ihe-pix?{query}")
        (cross_reference,) = world.told()
        await world.client.get("Patient?family=novak&gender=female&active=true")
        (search,) = world.told()
        described = {
            "resourceType": "Patient",
            "name": [{"family": "Novakova", "given": ["Katarina"]}],
            "birthDate": "1984-03-07",
        }
        sent = await world.client.post("Patient/$match", json=described)
        (match,) = world.told()
    assert differences(cross_reference, exchange(5)) == []
    common = {name: element for name, element in exchange(5).items() if name not in ("meta", "subtype", "entity")}
    for event, profile, code, display in (
        (search, "Query", "ITI-78", "Mobile Patient Demographics Query"),
        (match, "Match", "ITI-119", "Patient Demographics Match"),
    ):
        wanted = common | {
            "meta": {
                "profile": [f"https://profiles.ihe.net/ITI/PDQm/StructureDefinition/IHE.PDQm.{profile}.Audit.Supplier"]
            },
            "subtype": [
                exchange(5)["subtype"][0],
                {"system": "urn:ihe:event-type-code", "code": code, "display": display},
            ],
        }
        assert differences(event, wanted) == []
        assert event["entity"][0]["what"]["reference"].startswith("Patient/")
    text = unquote(base64.b64decode(search["entity"][1]["query"]).decode())
    assert text == (
        "GET https://index.example.org/fhir/Patient?family=novak&gender=female&active=true HTTP/1.1\n"
        "Host: index.example.org\nAccept: application/fhir+json"
    )
    text = base64.b64decode(match["entity"][1]["query"]).decode()
    assert text.startswith("POST https://index.example.org/fhir/Patient/$match HTTP/1.1\n")
    assert text.endswith(sent.request.content.decode())


async def test_8_read(ask: Any) -> None:
    """AUD-55: exchange 8, the roles swapped; the client of the exchange showed no token of a person."""
    async with ask("2001:db8:40::17", NORTH_ADT) as world:
        record = await fed(world.client, KATARINA)
        await fed(world.client, KATARINA | {"gender": "other"})
        world.told()
        world.collector.access = Access(Principal("ward-viewer"))
        await world.client.get(f"Patient/{record}")
        (event,) = world.told(replace(SETTINGS, site=""))
    assert differences(event, exchange(8)) == []
    assert event["entity"][1]["what"]["reference"] == f"Patient/{record}/_history/2"


async def test_9_refusal(ask: Any) -> None:
    """AUD-71: exchange 9, an expired token."""
    async with ask("192.0.2.99") as world:
        world.collector.refusal = RefusedError("expired", "access token expired", status=401)
        await world.client.get(f"Patient/$ihe-pix?sourceIdentifier={NORTH}|N-1001&targetSystem={SOUTH}")
        (event,) = world.told(replace(SETTINGS, site=""))
    assert differences(event, exchange(9)) == []
