"""Who asks, as the token tells it: three styles. audit.md section 6; AUD-28, AUD-60 to AUD-65; MHD-AU-05, PIXM-SEC-03."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from app.audit.settings import AuditSettings, Claims
from app.fhir.resource import Resource
from app.security.access import Access
from app.security.principal import Principal
from app.security.scope import parse
from app.validation.validator import Validator
from tests.audit.collecting import SETTINGS, World, entity
from tests.audit.test_event import problems
from tests.audit.transactions import BASIC, ROWS

ISSUER = "https://login.example.org"
ROLE = "http://terminology.hl7.org/CodeSystem/practitioner-role"
REASON = "http://terminology.hl7.org/CodeSystem/v3-ActReason"
USER_AGENT = "https://profiles.ihe.net/ITI/BALP/CodeSystem/UserAgentTypes"
TAIL = "0123456789abcdefghijABCDEFGHIJ-_"

GRANTS = parse("ITI-65 system/*.cruds")
CLIENT = Principal("north-adt", ISSUER, "north-adt", "4f0f6c1e", TAIL, GRANTS, means="token")
DOCTOR = Principal(
    "ward-viewer",
    ISSUER,
    "u-5521",
    "0be3f5a2",
    TAIL,
    GRANTS,
    purposes=((REASON, "TREAT"),),
    roles=((ROLE, "doctor"),),
    means="token",
    claims={
        "ihe_iua": {
            "subject_name": "MUDr. Jana Malá",
            "subject_organization": "North Hospital",
            "subject_organization_id": "urn:oid:2.999.10",
            "home_community_id": "urn:oid:2.999.5",
            "national_provider_identifier": "NPI-7",
            "person_id": "P-8",
        },
        "ihe_bppc": {
            "patient_id": "N-1001^^^&2.999.10.1&ISO",
            "doc_id": "urn:oid:2.999.77.1",
            "acp": "urn:oid:2.999.77",
        },
    },
)

OWN_PROFILES = {"opaque": "Opaque", "minimal": "Minimal", "comprehensive": "Comprehensive"}


def styled(claims: Claims) -> AuditSettings:
    return replace(SETTINGS, claims=claims)


async def told(world: World, principal: Principal, claims: Claims, url: str = "") -> Resource:
    """Read a Patient, or search, as `principal`; return the event."""
    world.collector.access = Access(principal)
    answer = await world.client.get(url or f"DocumentReference?patient={world.north}")
    assert answer.status_code == 200, answer.text
    (event,) = world.told(styled(claims))
    return event


def kinds(agent: Resource) -> list[str]:
    return [one["code"] for one in agent["type"]["coding"]]


def agent(event: Resource, kind: str) -> Resource:
    """Return the only agent of a kind."""
    (found,) = [one for one in event["agent"] if kind in kinds(one)]
    return dict(found)


async def test_opaque(world: World, validator: Validator) -> None:
    """AUD-60, AUD-61: the end of the token and no more, for a person and for a client."""
    for principal in (DOCTOR, CLIENT):
        event = await told(world, principal, "opaque")
        assert agent(event, "UserOauthAgent") == {
            "type": {"coding": [{"system": USER_AGENT, "code": "UserOauthAgent"}]},
            "requestor": True,
            "policy": [TAIL],
        }
        assert problems(event, validator, f"{BASIC}.OAUTHaccessTokenUse.Opaque") == []


async def test_minimal(world: World, validator: Validator) -> None:
    """AUD-62, AUD-64, MHD-AU-05: one agent for the user and the token: number, role, purpose, `jti`; no name."""
    event = await told(world, DOCTOR, "minimal")
    assert agent(event, "UserOauthAgent") == {
        "type": {
            "coding": [
                {
                    "system": "http://terminology.hl7.org/CodeSystem/v3-ParticipationType",
                    "code": "IRCP",
                    "display": "information recipient",
                },
                {"system": USER_AGENT, "code": "UserOauthAgent"},
            ]
        },
        "role": [{"coding": [{"system": ROLE, "code": "doctor"}]}],
        "who": {"identifier": {"system": ISSUER, "value": "u-5521"}},
        "requestor": True,
        "policy": ["urn:ietf:params:oauth:jti:0be3f5a2"],
        "purposeOfUse": [{"coding": [{"system": REASON, "code": "TREAT"}]}],
    }
    assert "Jana" not in str(event)
    assert "North Hospital" not in str(event)
    assert len(event["agent"]) == 3
    assert problems(event, validator, f"{BASIC}.OAUTHaccessTokenUse.Minimal") == []


async def test_comprehensive(world: World, validator: Validator) -> None:
    """AUD-63, PIXM-SEC-03: every claim of the table of section 6 has its place."""
    event = await told(world, DOCTOR, "comprehensive")
    user, works = agent(event, "IRCP"), agent(event, "PROV")
    assert (user["who"]["display"], user["name"]) == ("MUDr. Jana Malá", "MUDr. Jana Malá")
    assert user["policy"] == ["urn:ietf:params:oauth:jti:0be3f5a2"]
    assert works["who"] == {"identifier": {"value": "urn:oid:2.999.10"}, "display": "North Hospital"}
    others = {
        one["valueIdentifier"]["type"]["coding"][0]["code"]: one["valueIdentifier"]["value"]
        for one in user["extension"]
    }
    assert others == {"NPI": "NPI-7", "PRN": "P-8"}
    assert kinds(event["agent"][0]) == ["110153", "110150"]
    assert event["agent"][0]["who"] == {"identifier": {"value": "ward-viewer"}}
    consent, patient = event["entity"][2:]
    assert consent["what"] == {
        "identifier": {"value": "urn:oid:2.999.77.1", "assigner": {"identifier": {"value": "urn:oid:2.999.5"}}}
    }
    assert consent["detail"] == [{"type": "urn:ihe:iti:xua:2012:acp", "valueString": "urn:oid:2.999.77"}]
    assert patient["what"] == {"identifier": {"value": "N-1001^^^&2.999.10.1&ISO"}}
    assert problems(event, validator, f"{BASIC}.OAUTHaccessTokenUse.Comprehensive") == []


@pytest.mark.parametrize("claims", OWN_PROFILES)
@pytest.mark.parametrize("principal", [DOCTOR, CLIENT], ids=["person", "client"])
async def test_every_transaction(principal: Principal, claims: Any, world: World, validator: Validator) -> None:
    """AUD-28, AUD-60, AUD-65, PIXM-SEC-03: in each style, each event is valid against the token's profile as well as its own."""
    world.collector.access = Access(replace(principal, client="north-adt"))
    for row in ROWS:
        answer = await row.ask(world)
        assert answer.status_code < 400, (row.id, answer.text)
    for event in world.told(styled(claims)):
        assert problems(event, validator, f"{BASIC}.OAUTHaccessTokenUse.{OWN_PROFILES[claims]}") == []
        client = event["agent"][0]
        assert client["who"] == {"identifier": {"value": "north-adt"}}
        assert client["requestor"] is not principal.is_person
        assert event["agent"][1]["requestor"] is False


async def test_feeding_person_is_the_author(world: World) -> None:
    """AUD-64: of a feed `AUT`, of a query `IRCP`; a client alone is no user (AUD-65)."""
    world.collector.access = Access(replace(DOCTOR, client="north-adt"))
    await next(row for row in ROWS if row.id == "ITI-104 add").ask(world)
    assert kinds(world.told()[0]["agent"][2]) == ["AUT", "UserOauthAgent"]
    event = await told(world, CLIENT, "minimal")
    assert event["agent"][2] == {
        "type": {"coding": [{"system": USER_AGENT, "code": "UserOauthAgent"}]},
        "who": {"identifier": {"system": ISSUER, "value": "north-adt"}},
        "requestor": True,
        "policy": ["urn:ietf:params:oauth:jti:4f0f6c1e"],
    }


async def test_token_without_an_id(world: World) -> None:
    """MHD-AU-05: without `jti` the end of the token stands for it; a static token has no end that may be told."""
    event = await told(world, replace(DOCTOR, token_id=""), "minimal")
    assert agent(event, "IRCP")["policy"] == [TAIL]
    event = await told(world, replace(CLIENT, token_id="", means="static"), "minimal")
    assert TAIL not in str(event)


async def test_certificate_is_no_token(world: World) -> None:
    """AUD-28: a client that showed a certificate is named, and nothing more."""
    event = await told(world, Principal("ward-7", means="certificate"), "minimal")
    assert [kinds(one) for one in event["agent"]] == [["110153"], ["110152"]]
    assert event["agent"][0]["who"] == {"identifier": {"value": "ward-7"}}
    assert entity(event, "24")
