"""Who fails too often, and what is recorded of it: IUA-69, IUA-70; AUD-70, AUD-71."""

from __future__ import annotations

import asyncio
import logging
from base64 import b64decode
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import uuid4

import httpx
import pytest
from fastapi import FastAPI

from app.fhir.outcome import FhirError
from app.iua.registration import read_client
from app.store.authority import CLIENTS, REFRESH, TOKENS, AuthorityStore
from app.transaction import Context
from tests.iua.parties import (
    RS,
    SECRET,
    VERIFIER,
    agree,
    answered,
    asking_for_code,
    assertion,
    by_key,
    by_secret,
    error,
    hidden,
    redeeming,
    token_of,
    tokens_of_user,
)

# What the server is called from outside: scheme and host of `[base]`.
ISSUER_OF_BASE = RS.removesuffix("/fhir")


async def test_brute_force(login: httpx.AsyncClient, at: Any) -> None:
    """IUA-70: after five failures in a minute even the right secret is 429; a minute later it is taken again."""
    now = datetime.now(UTC)
    at(now)
    for _ in range(5):
        assert error(await by_secret(login, secret="wrong")) == (401, "invalid_client")
    refused = await by_secret(login)

    assert error(refused) == (429, "slow_down")
    assert int(refused.headers["retry-after"]) >= 1
    assert (await by_secret(login, "index")).status_code == 200  # others are not concerned
    at(now + timedelta(seconds=61))
    assert (await by_secret(login)).status_code == 200


async def test_brute_force_at_once(login: httpx.AsyncClient) -> None:
    """IUA-70: guesses that come all at once are no more than others."""
    answers = await asyncio.gather(*(by_secret(login, secret=f"guess {number}") for number in range(30)))

    assert sorted(one.status_code for one in answers) == [401] * 5 + [429] * 25


async def test_brute_force_of_nobody(login: httpx.AsyncClient) -> None:
    """IUA-70: an unknown client is answered like a known one, so that nobody learns who is registered."""
    answers = [await by_secret(login, "nobody", "wrong") for _ in range(6)]
    assert [error(one) for one in answers] == [(401, "invalid_client")] * 5 + [(429, "slow_down")]


async def test_brute_force_of_the_form(login: httpx.AsyncClient) -> None:
    """IUA-60, IUA-70: the same holds for users and their passwords."""
    for _ in range(5):
        assert (await agree(login, password="wrong")).status_code == 403
    assert (await agree(login)).status_code == 429
    assert (await agree(login, "p-1")).status_code == 302


async def test_failed_assertions_lock_nobody_out(login: httpx.AsyncClient) -> None:
    """IUA-70: forged assertions, which anybody can send, do not keep the client from its own."""
    for _ in range(8):
        assert (await login.post("/token", data=by_key(assertion(header={"kid": "nobody"})))).is_error
    assert (await login.post("/token", data=by_key(assertion()))).status_code == 200


async def test_nothing_secret_is_kept(login: httpx.AsyncClient, parties: AuthorityStore) -> None:
    """IUA-70: secrets are kept as hashes with a salt of their own, codes and tokens as digests."""
    told = await tokens_of_user(login)
    opaque = await token_of(login, requested_token_type="urn:ietf:params:oauth:token-type:access-token")
    kept = {one["_id"]: read_client(one) for one in await parties.all(CLIENTS)}

    assert len({one.secret for one in kept.values() if one.secret}) == 1  # of this test's own making
    assert all(SECRET not in repr(one) for one in kept.values())
    stored = repr([*await parties.all(TOKENS), *await parties.all(REFRESH)])
    assert told["refresh_token"] not in stored
    assert opaque not in stored


async def test_nothing_secret_is_logged(login: httpx.AsyncClient, caplog: pytest.LogCaptureFixture) -> None:
    """IUA-70, IUA-63: neither a secret nor a token stands in the log, whether it goes well or not."""
    with caplog.at_level(logging.DEBUG, "app"):
        token = await token_of(login)
        await by_secret(login, secret="wrong-secret")
        await agree(login, password="wrong-password")
        signed = assertion(exp=1)
        await login.post("/token", data=by_key(signed))
    logged = repr([vars(record) for record in caplog.records])

    assert "ITI-71" in logged
    for secret in (token, SECRET, "wrong-secret", "wrong-password", signed):
        assert secret not in logged


async def events(login: httpx.AsyncClient, request_id: str, code: str = "ITI-71") -> list[dict[str, Any]]:
    """The events of a request with the subtype `code`, as ITI-81 finds them."""
    token = await token_of(login, "auditor", scope="ITI-81")
    since = f"ge{datetime.now(UTC) - timedelta(minutes=5):%Y-%m-%dT%H:%M:%SZ}"
    parameters = {"date": since, "subtype": f"urn:ihe:event-type-code|{code}", "_count": "200"}
    headers = {"Authorization": f"Bearer {token}"}
    answer = await login.get(f"{RS}/AuditEvent", params=parameters, headers=headers)
    assert answer.status_code == 200, answer.text
    found = [entry["resource"] for entry in answer.json().get("entry", ())]
    return [one for one in found if request_id in _query(one)]


def _query(event: dict[str, Any]) -> str:
    """The request that an event repeats."""
    return "".join(b64decode(entity["query"]).decode() for entity in event["entity"] if "query" in entity)


async def test_token_is_an_event(login: httpx.AsyncClient) -> None:
    """IUA-69, AUD-70: a token that is given is an event of its own profile, found by ITI-81; without any secret."""
    request_id = uuid4().hex
    signed = assertion()
    answer = await login.post("/token", data=by_key(signed, scope="ITI-67"), headers={"X-Request-Id": request_id})
    (event,) = await events(login, request_id)

    assert event["meta"]["profile"] == ["https://profiles.ihe.net/ITI/BALP/StructureDefinition/IHE.IUA.71"]
    assert (event["type"]["code"], event["action"], event["outcome"]) == ("110114", "E", "0")
    assert [one["code"] for one in event["subtype"]] == ["ITI-71"]
    client, server = event["agent"][:2]
    assert client["who"]["identifier"]["value"] == "backend"
    assert server["type"]["coding"][0]["code"] == "AuthzOauthService"
    query = _query(event)
    assert f"POST {ISSUER_OF_BASE}/token" in query
    assert "scope=ITI-67" in query
    assert signed not in query
    assert answer.json()["access_token"] not in repr(event)


async def test_user_of_a_token_is_in_its_event(login: httpx.AsyncClient) -> None:
    """AUD-70: with a code the event names the user as well; the code and its verifier are not repeated."""
    request_id, code = uuid4().hex, answered(await agree(login))["code"]
    await login.post("/token", data=redeeming(code), headers={"X-Request-Id": request_id})
    (event,) = await events(login, request_id)

    users = [one for one in event["agent"] if one.get("requestor")]
    assert [one["who"]["identifier"]["value"] for one in users] == ["u-5521"]
    assert code not in _query(event)
    assert VERIFIER not in _query(event)


async def test_refusal_is_an_event(login: httpx.AsyncClient) -> None:
    """AUD-71: who is refused at the token endpoint, or asks for introspection in vain, is a security alert."""
    first, second = uuid4().hex, uuid4().hex
    form = by_key(assertion(exp=1))
    await login.post("/token", data=form, headers={"X-Request-Id": first})
    await login.post("/introspect", data={"token": "op.secret"}, headers={"X-Request-Id": second})
    (token,) = await events(login, first)
    (introspection,) = await events(login, second, "ITI-102")

    for event in (token, introspection):
        assert (event["type"]["code"], event["outcome"]) == ("110113", "4")
        assert "meta" not in event or "profile" not in event["meta"]
    assert "invalid_client" in token["outcomeDesc"]
    assert form["client_assertion"] not in _query(token)
    assert "op.secret" not in _query(introspection)


async def test_failed_login_is_an_event(login: httpx.AsyncClient) -> None:
    """AUD-71: a wrong password is a security alert of the client's, and nothing that was typed is repeated."""
    request_id = uuid4().hex
    page = await login.get("/authorize", params=asking_for_code())
    form = hidden(page) | {"username": "typed-in-haste", "password": "wrong", "decision": "allow"}
    await login.post("/authorize", data=form, headers={"X-Request-Id": request_id})
    (event,) = await events(login, request_id)

    assert event["type"]["code"] == "110113"
    assert event["agent"][0]["who"]["identifier"]["value"] == "ward-viewer"
    assert "typed-in-haste" not in repr(event) + _query(event)


async def test_unaudited_token_is_not_given(login: httpx.AsyncClient, login_app: FastAPI) -> None:
    """AUD-70: when its event cannot be kept, no token is given: 503."""
    context: Context = login_app.state.context

    class Full:
        async def record(self, occurrence: object) -> None:
            raise FhirError("transient", "the log is full")

    login_app.state.context = replace(context, recorder=Full())
    try:
        answer = await by_secret(login)
    finally:
        login_app.state.context = context

    assert error(answer) == (503, "temporarily_unavailable")
    assert "access_token" not in answer.json()
