"""Introspect Token [ITI-102]: exchanges 9 and 10 (IUA section 6); revocation (RFC 7009); our own resource server."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import pytest

from app.iua.access_token import OPAQUE
from app.iua.registration import Client, client_of, keep_client
from app.iua.revoked import client_mark, revoke
from app.store.authority import AuthorityStore
from tests.iua.conftest import DOCTOR
from tests.iua.parties import (
    ISSUER,
    NORTH,
    RS,
    SECRET,
    assertion,
    by_key,
    by_secret,
    error,
    introspected,
    token_of,
    tokens_of_user,
)

INACTIVE = {"active": False}


@pytest.mark.parametrize("kind", ["", OPAQUE], ids=["JWT", "opaque"])
async def test_exchange_9(login: httpx.AsyncClient, kind: str) -> None:
    """IUA-80, IUA-81, IUA-82, IUA-84: exchange 9: a resource server with a token of its own learns all the claims."""
    told = await tokens_of_user(login, requested_token_type=kind or None)
    own = await token_of(login, "index")
    headers = {"Authorization": f"Bearer {own}", "Accept": "application/json"}
    answer = await login.post("/introspect", data={"token": told["access_token"]}, headers=headers)

    assert answer.status_code == 200
    assert answer.headers["content-type"] == "application/json"
    found = answer.json()
    assert found["active"] is True
    assert found["exp"] - found["iat"] == told["expires_in"]
    expected = {"iss": ISSUER, "sub": "u-5521", "client_id": "ward-viewer", "aud": RS, "scope": "ITI-83 ITI-78"}
    assert expected.items() <= found.items()
    assert found["extensions"] == {"ihe_iua": DOCTOR}
    assert found["jti"]


async def test_exchange_10(login: httpx.AsyncClient, at: Any) -> None:
    """IUA-83: exchange 10: of a token that is expired, forged, none at all, or for somebody else, exactly that it is not active."""
    token, foreign = await token_of(login), await token_of(login, resource="https://other.example.org/fhir")
    head, body, signature = token.split(".")
    for text in (foreign, f"{head}.{body}.{signature[::-1]}", f"{head}.{body}.", "op.nonsense", "nonsense", "a.b.c"):
        assert await introspected(login, text) == INACTIVE, text
    at(datetime.now(UTC) + timedelta(seconds=310))
    assert await introspected(login, token) == INACTIVE


async def test_who_may_ask(login: httpx.AsyncClient) -> None:
    """IUA-81: without credentials, with wrong ones, or with a user's token: 401. Basic and assertions are taken."""
    token = await token_of(login)
    users = (await tokens_of_user(login))["access_token"]
    for headers in ({}, {"Authorization": "Bearer nonsense"}, {"Authorization": f"Bearer {users}"}):
        answer = await login.post("/introspect", data={"token": token}, headers=headers)
        assert error(answer) == (401, "invalid_client")
        assert answer.headers["www-authenticate"]
    public = await login.post("/introspect", data={"token": token, "client_id": "ward-viewer"})
    assert error(public) == (401, "invalid_client")
    assert (await introspected(login, token))["active"] is True


async def test_not_for_whoever_asks(login: httpx.AsyncClient) -> None:
    """IUA-83: another resource server, and a client that is none, learn nothing."""
    token = await token_of(login)
    assert await introspected(login, token, "other-rs") == INACTIVE
    assert await introspected(login, token, NORTH) == INACTIVE
    own = by_key(assertion()) | {"token": token}
    assert (await login.post("/introspect", data=own)).json() == INACTIVE


async def test_not_by_get(login: httpx.AsyncClient) -> None:
    """IUA-80: GET is not allowed."""
    token = await token_of(login)
    answer = await login.get("/introspect", params={"token": token}, auth=("index", SECRET))
    assert (answer.status_code, answer.headers["allow"]) == (405, "POST")
    assert error(await login.post("/introspect", auth=("index", SECRET), data={"x": "y"})) == (400, "invalid_request")


async def test_tenants_know_nothing_of_each_other(login: httpx.AsyncClient, parties: AuthorityStore) -> None:
    """IUA-83, IUA-96: a token of one tenant is not active at another."""
    found = await client_of(parties, "", "index")
    assert found
    theirs = Client("index", "north", found.scopes, found.secret, takes_basic=True, resource=RS)
    await keep_client(parties, theirs)
    for kind in ("", OPAQUE):
        token = await token_of(login, requested_token_type=kind)
        answer = await login.post("/north/introspect", data={"token": token}, auth=("index", SECRET))
        assert answer.json() == INACTIVE


@pytest.mark.parametrize("kind", ["", OPAQUE], ids=["JWT", "opaque"])
async def test_own_resource_server(login: httpx.AsyncClient, kind: str) -> None:
    """IUA-02, IUA-85: tokens of the own authority open the resource server, as far as their scope goes; revoked, they do not."""
    token = await token_of(login, scope="ITI-83", requested_token_type=kind)
    patient = f"{RS}/Patient/$ihe-pix?sourceIdentifier=urn:oid:2.999.10.1%7CN-1"
    headers = {"Authorization": f"Bearer {token}"}

    assert (await login.get(f"{RS}/Patient?family=x")).status_code == 401
    assert (await login.get(patient, headers=headers)).status_code == 404  # let in; there is no such number
    assert (await login.get(f"{RS}/Patient?family=x", headers=headers)).status_code == 401  # IUA's dialect


@pytest.mark.parametrize("kind", ["", OPAQUE], ids=["JWT", "opaque"])
async def test_revocation(login: httpx.AsyncClient, kind: str) -> None:
    """IUA-83, IUA-85: a client takes its token back: it is not active, and the resource server refuses it."""
    token = await token_of(login, scope="ITI-83", requested_token_type=kind)
    other = await login.post("/revoke", data={"token": token}, auth=("index", SECRET))
    assert (other.status_code, (await introspected(login, token))["active"]) == (200, True)

    assert (await login.post("/revoke", data={"token": token}, auth=(NORTH, SECRET))).status_code == 200
    assert await introspected(login, token) == INACTIVE
    headers = {"Authorization": f"Bearer {token}"}
    patient = f"{RS}/Patient/$ihe-pix?sourceIdentifier=urn:oid:2.999.10.1%7CN-1"
    assert (await login.get(patient, headers=headers)).status_code == 401
    assert (await login.post("/revoke", data={"token": "x"}, auth=(NORTH, SECRET))).status_code == 200
    assert error(await login.post("/revoke", data={"token": token})) == (401, "invalid_client")


async def test_revoked_refresh_token(login: httpx.AsyncClient) -> None:
    """IUA-67, IUA-83: a refresh token that is taken back takes all of its family along."""
    told = await tokens_of_user(login)
    form = {"token": told["refresh_token"], "client_id": "ward-viewer"}
    assert (await login.post("/revoke", data=form)).status_code == 200
    assert await introspected(login, told["access_token"]) == INACTIVE
    again = {"grant_type": "refresh_token", "refresh_token": told["refresh_token"], "client_id": "ward-viewer"}
    assert error(await login.post("/token", data=again)) == (400, "invalid_grant")


async def test_revoked_client(login: httpx.AsyncClient, parties: AuthorityStore) -> None:
    """IUA-83: with a client all of its tokens are revoked."""
    token = await token_of(login)
    await revoke(parties, client_mark("", NORTH), datetime.now(UTC))
    assert await introspected(login, token) == INACTIVE
    assert (await by_secret(login)).status_code == 200  # revoked are its tokens; whether it may ask, its record says
