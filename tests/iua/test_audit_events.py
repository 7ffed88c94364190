"""Events of the token endpoint: audit.md section 7, exchange 10, and its refusals."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import replace

import httpx
import pytest
from fastapi import FastAPI

from app.audit.settings import AuditSettings
from app.fhir.packages import Packages
from app.store.authority import AuthorityStore
from app.validation.validator import Validator
from tests.audit.collecting import World, asked, collecting
from tests.iua.parties import ISSUER, NORTH, RS, SECRET, by_secret

LOGIN = AuditSettings(RS, "login")


@pytest.fixture
async def world(login_app: FastAPI, parties: AuthorityStore) -> AsyncIterator[World]:
    """Somebody who asks the authorization server, whose events are collected."""
    async with collecting(login_app) as made:
        transport = httpx.ASGITransport(login_app, client=("192.0.2.17", 4711))
        async with httpx.AsyncClient(transport=transport, base_url=ISSUER) as client:
            yield replace(made, client=client)


async def test_token_issue(world: World, packages: Packages) -> None:
    """AUD-70: exchange 10, with the request, and without what lets somebody in; PIXM-SEC-03."""
    answer = await by_secret(world.client, scope="ITI-104", resource=RS)
    assert answer.status_code == 200, answer.text

    (event,) = world.told(LOGIN)

    assert [one for one in Validator(packages).validate(event | {"id": "a"}, claims=True) if one.is_error] == []
    assert event["meta"] == {"profile": ["https://profiles.ihe.net/ITI/BALP/StructureDefinition/IHE.IUA.71"]}
    assert event["type"]["code"] == "110114"
    assert event["subtype"] == [{"system": "urn:ihe:event-type-code", "code": "ITI-71", "display": "Get Access Token"}]
    client, server = event["agent"]
    assert client["type"]["coding"][0]["code"] == "110150"
    assert (client["who"], client["requestor"]) == ({"identifier": {"value": NORTH}}, True)
    assert client["network"] == {"address": "192.0.2.17", "type": "2"}
    assert server["type"]["coding"][0]["code"] == "AuthzOauthService"
    assert server["who"] == {"identifier": {"value": "login"}, "display": ISSUER} == event["source"]["observer"]
    assert server["network"] == {"address": ISSUER, "type": "5"}
    assert event["source"]["type"][0]["code"] == "6"
    (entity,) = event["entity"]
    assert set(entity) == {"type", "role", "query"}
    assert "grant_type=client_credentials" in asked(event)
    for secret in (SECRET, answer.json()["access_token"]):
        assert secret not in str(event) + asked(event)


async def test_secret_in_the_form(world: World) -> None:
    """AUD-13, AUD-70: neither the client's secret, an assertion, a code, nor its verifier."""
    form = {"grant_type": "client_credentials", "client_id": "trial", "client_secret": SECRET, "scope": "ITI-83"}
    form |= {"client_assertion": "jwt-1", "code": "code-1", "code_verifier": "verifier-1", "refresh_token": "refresh-1"}
    await world.client.post("/token", data=form)
    (event,) = world.told(LOGIN)
    for secret in (SECRET, "jwt-1", "code-1", "verifier-1", "refresh-1"):
        assert secret not in asked(event)
    assert "client_id=trial" in asked(event)


async def test_wrong_secret_is_an_alert(world: World, packages: Packages) -> None:
    """AUD-02, AUD-71: a client that does not show who it is."""
    assert (await by_secret(world.client, secret="wrong")).status_code == 401
    (event,) = world.told(LOGIN)
    assert [one for one in Validator(packages).validate(event | {"id": "a"}) if one.is_error] == []
    assert (event["type"]["code"], event["outcome"]) == ("110113", "4")
    assert event["outcomeDesc"].startswith("401 invalid_client")
    assert [one["code"] for one in event["subtype"]] == ["ITI-71"]
