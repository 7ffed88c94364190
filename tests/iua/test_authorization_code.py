"""Get Access Token [ITI-71] by code: exchanges 3, 4 and 14; the login form; refresh tokens (IUA section 5)."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import httpx
import pytest

from app.iua.registration import Client, keep_client, key_of
from app.store.authority import USERS, AuthorityStore
from tests.iua.conftest import DOCTOR, Authorize
from tests.iua.parties import (
    CALLBACK,
    PASSWORD,
    RS,
    SECRET,
    VERIFIER,
    agree,
    answered,
    asking_for_code,
    claims_of,
    error,
    hidden,
    introspected,
    redeeming,
    tokens_of_user,
)


async def test_exchange_3(login: httpx.AsyncClient) -> None:
    """IUA-02, IUA-53, IUA-55, IUA-60: exchange 3: the user says who it is and agrees; code and state go to the client."""
    page = await login.get("/authorize", params=asking_for_code())
    assert page.status_code == 200
    assert page.headers["content-type"].startswith("text/html")
    assert "ward-viewer" in page.text
    assert "ITI-83" in page.text

    found = answered(await agree(login))
    assert set(found) == {"code", "state"}
    assert found["state"] == "Zk81mQ"


async def test_exchange_4(login: httpx.AsyncClient) -> None:
    """IUA-02, IUA-57, IUA-59, IUA-61, IUA-62: exchange 4: a public client fetches its tokens; the claims are the user's."""
    code = answered(await agree(login))["code"]
    answer = await login.post("/token", data=redeeming(code))

    assert answer.status_code == 200, answer.text
    assert (answer.headers["cache-control"], answer.headers["pragma"]) == ("no-store", "no-cache")
    told = answer.json()
    assert (told["token_type"], told["scope"], told["expires_in"]) == ("Bearer", "ITI-83 ITI-78", 300)
    assert told["refresh_token"]
    claims = claims_of(told["access_token"])
    assert (claims["sub"], claims["client_id"], claims["aud"]) == ("u-5521", "ward-viewer", RS)
    assert claims["extensions"] == {"ihe_iua": DOCTOR}


async def test_exchange_14(login: httpx.AsyncClient) -> None:
    """IUA-58: exchange 14: a code a second time is invalid_grant, and what came from the first is not active any more."""
    code = answered(await agree(login))["code"]
    first = (await login.post("/token", data=redeeming(code))).json()
    assert (await introspected(login, first["access_token"]))["active"] is True

    assert error(await login.post("/token", data=redeeming(code))) == (400, "invalid_grant")
    assert await introspected(login, first["access_token"]) == {"active": False}
    refreshing = {"grant_type": "refresh_token", "refresh_token": first["refresh_token"], "client_id": "ward-viewer"}
    assert error(await login.post("/token", data=refreshing)) == (400, "invalid_grant")


async def test_code_at_once(login: httpx.AsyncClient, authorize: Authorize) -> None:
    """IUA-58: of many requests with one code at once, to two workers, exactly one gets tokens."""
    form = redeeming(answered(await agree(login))["code"])
    async with authorize() as second:
        asked = [client.post("/token", data=form) for client in (login, second) for _ in range(5)]
        answers = await asyncio.gather(*asked)

    assert sorted(one.status_code for one in answers) == [200] + [400] * 9
    token = next(one.json()["access_token"] for one in answers if one.status_code == 200)
    assert await introspected(login, token) == {"active": False}  # it was used twice, whoever did


async def test_code_expires(login: httpx.AsyncClient, at: Any) -> None:
    """IUA-58: a code is good for less than five minutes."""
    now = datetime.now(UTC)
    at(now)
    first, second = [answered(await agree(login))["code"] for _ in range(2)]

    at(now + timedelta(seconds=295))
    assert (await login.post("/token", data=redeeming(first))).status_code == 200
    at(now + timedelta(seconds=300))
    assert error(await login.post("/token", data=redeeming(second))) == (400, "invalid_grant")


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"code_challenge_method": None}, "invalid_request"),
        ({"code_challenge_method": "plain", "code_challenge": VERIFIER}, "invalid_request"),
        ({"code_challenge": None}, "invalid_request"),
        ({"code_challenge": "short"}, "invalid_request"),
        ({"state": None}, "invalid_request"),
        ({"response_type": None}, "invalid_request"),
        ({"response_type": "token"}, "unsupported_response_type"),
        ({"response_type": "code token"}, "unsupported_response_type"),
        ({"scope": "ITI-104"}, "invalid_scope"),
        ({"scope": "nonsense"}, "invalid_scope"),
        ({"resource": "https://nobody.example.org"}, "invalid_target"),
        ({"requested_token_type": "urn:ietf:params:oauth:token-type:saml2"}, "invalid_request"),
    ],
)
async def test_refusals_by_redirect(login: httpx.AsyncClient, changes: dict[str, str | None], code: str) -> None:
    """IUA-53, IUA-54, IUA-56, IUA-68: what is wrong is told to the client by a redirect, with its state."""
    found = answered(await login.get("/authorize", params=asking_for_code(**changes)))

    assert found["error"] == code
    assert found.get("state") == (None if changes.get("state", "") is None else "Zk81mQ")
    assert "code" not in found


@pytest.mark.parametrize(
    "changes",
    [
        {"client_id": "nobody"},
        {"client_id": None},
        {"client_id": "north-adt"},
        {"redirect_uri": "https://attacker.example.net/cb"},
        {"redirect_uri": f"{CALLBACK}/"},
        {"redirect_uri": f"{CALLBACK}?x=1"},
        {"redirect_uri": CALLBACK.upper()},
        {"client_id": "ward-server", "redirect_uri": None},
    ],
)
async def test_refusals_by_page(login: httpx.AsyncClient, changes: dict[str, str | None]) -> None:
    """IUA-53, IUA-56: an unknown client or redirect URI is told on a page, never by a redirect; URIs compare exactly."""
    answer = await login.get("/authorize", params=asking_for_code(**changes))

    assert answer.status_code == 400
    assert answer.headers["content-type"].startswith("text/html")
    assert "location" not in answer.headers


async def test_only_redirect_uri_need_not_be_named(login: httpx.AsyncClient) -> None:
    """IUA-53: `redirect_uri` is required where several are registered only."""
    assert "code" in answered(await agree(login, redirect_uri=None))


async def test_confidential_client(login: httpx.AsyncClient) -> None:
    """IUA-57, IUA-59: a client with a secret shows it, and PKCE besides."""
    asked = {"client_id": "ward-server", "scope": "ITI-83"}
    code = answered(await agree(login, **asked))["code"]
    named = redeeming(code, client_id="ward-server")
    assert error(await login.post("/token", data=named)) == (401, "invalid_client")
    form = redeeming(code, client_id=None)
    no_proof = redeeming(code, client_id=None, code_verifier=None)
    assert error(await login.post("/token", data=no_proof, auth=("ward-server", SECRET))) == (400, "invalid_request")
    assert (await login.post("/token", data=form, auth=("ward-server", SECRET))).status_code == 200


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"code_verifier": "x" * 43}, "invalid_grant"),
        ({"code_verifier": None}, "invalid_request"),
        ({"redirect_uri": f"{CALLBACK}2"}, "invalid_grant"),
        ({"client_id": "other"}, "invalid_grant"),
        ({"resource": "https://other.example.org/fhir"}, "invalid_target"),
    ],
)
async def test_code_of_somebody_else(
    login: httpx.AsyncClient, parties: AuthorityStore, changes: dict[str, str | None], code: str
) -> None:
    """IUA-57, IUA-58: verifier, redirect URI, client and resource must be those of the first leg."""
    await keep_client(parties, Client("other", scopes=("ITI-83",), redirect_uris=(CALLBACK,)))
    form = redeeming(answered(await agree(login))["code"], **changes)

    assert error(await login.post("/token", data=form)) == (400, code)
    assert error(await login.post("/token", data=redeeming("nonsense"))) == (400, "invalid_grant")


async def test_redirect_uri_need_not_be_repeated(login: httpx.AsyncClient) -> None:
    """IUA-57: at the token endpoint the redirect URI is compared when it is there, and not required (register, I8)."""
    form = redeeming(answered(await agree(login))["code"], redirect_uri=None)
    assert (await login.post("/token", data=form)).status_code == 200


async def test_wrong_password(login: httpx.AsyncClient) -> None:
    """IUA-60: without the right password there is no code; the form is shown again, whoever the user is."""
    for user, password in (("u-5521", "wrong"), ("nobody", PASSWORD), ("", "")):
        answer = await agree(login, user, password)
        assert answer.status_code == 403
        assert "wrong" in answer.text
        assert hidden(answer)["state"] == "Zk81mQ"


async def test_denied(login: httpx.AsyncClient) -> None:
    """IUA-60: who does not agree sends the client away with access_denied."""
    found = answered(await agree(login, decision="deny"))
    assert found == {"error": "access_denied", "state": "Zk81mQ"}


async def test_form_is_bound_to_the_browser(login: httpx.AsyncClient) -> None:
    """IUA-60: a form that another site makes a browser send brings no cookie, and is not taken; nor a changed one."""
    page = await login.get("/authorize", params=asking_for_code())
    form = hidden(page) | {"username": "u-5521", "password": PASSWORD, "decision": "allow"}
    cookie = page.headers["set-cookie"]
    assert all(word in cookie for word in ("HttpOnly", "SameSite=Strict", "Secure", "Path=/authorize"))
    changed = await login.post("/authorize", data=form | {"csrf": "x" * 43})
    assert (changed.status_code, "location" in changed.headers) == (400, False)
    login.cookies.clear()
    foreign = await login.post("/authorize", data=form)

    assert (foreign.status_code, "location" in foreign.headers) == (400, False)


async def test_page_cannot_be_abused(login: httpx.AsyncClient) -> None:
    """IUA-60: nothing may frame the page, no script runs in it, and what a client sends is text in it."""
    page = await login.get("/authorize", params=asking_for_code(state='"><script>alert(1)</script>'))

    assert "<script" not in page.text
    assert hidden(page)["state"] == '"><script>alert(1)</script>'
    policy = page.headers["content-security-policy"]
    assert "default-src 'none'" in policy
    assert "frame-ancestors 'none'" in policy
    assert page.headers["x-frame-options"] == "DENY"
    assert page.headers["cache-control"] == "no-store"


async def test_state_comes_back_unchanged(login: httpx.AsyncClient) -> None:
    """IUA-55: whatever the state is made of, it comes back as it was; a query of the redirect URI stays."""
    state = "a b&c=d#é%20+"
    assert answered(await agree(login, state=state))["state"] == state


async def test_redirect_uri_with_query(login: httpx.AsyncClient, parties: AuthorityStore) -> None:
    """IUA-55, IUA-56: the code is added to the query of the redirect URI."""
    url = f"{CALLBACK}?x=1"
    await keep_client(parties, Client("ward-viewer", scopes=("ITI-83",), redirect_uris=(url,)))
    answer = await agree(login, redirect_uri=url)
    assert dict(parse_qsl(urlsplit(answer.headers["location"]).query))["x"] == "1"


async def test_smart_names_the_resource_aud(login: httpx.AsyncClient) -> None:
    """IUA-53: SMART's clients name the resource server in `aud`."""
    assert "code" in answered(await agree(login, resource=None, aud=f"{RS}/"))
    found = answered(await login.get("/authorize", params=asking_for_code(resource=None, aud="https://x.example.org")))
    assert found["error"] == "invalid_target"


async def test_patient_of_the_user(login: httpx.AsyncClient) -> None:
    """IUA-60: the tokens of a user who is a patient are bound to that patient, and tell SMART's clients so."""
    told = await tokens_of_user(login, "p-1")

    assert told["patient"] == "p1"
    assert claims_of(told["access_token"])["patient"] == "Patient/p1"


async def test_opaque_token_by_code(login: httpx.AsyncClient) -> None:
    """IUA-52, IUA-57: the kind of token may be chosen in either leg."""
    wanted = "urn:ietf:params:oauth:token-type:access-token"
    assert (await tokens_of_user(login, requested_token_type=wanted))["access_token"].startswith("op.")
    form = redeeming(answered(await agree(login))["code"], requested_token_type=wanted)
    assert (await login.post("/token", data=form)).json()["access_token"].startswith("op.")


def _refreshing(token: str, **more: str) -> dict[str, str]:
    return {"grant_type": "refresh_token", "refresh_token": token, "client_id": "ward-viewer"} | more


async def test_refresh(login: httpx.AsyncClient) -> None:
    """IUA-67: a refresh token brings new tokens and its successor; the old one again ends all of the family."""
    first = await tokens_of_user(login)
    second = (await login.post("/token", data=_refreshing(first["refresh_token"]))).json()
    assert second["refresh_token"] != first["refresh_token"]
    assert claims_of(second["access_token"])["sub"] == "u-5521"

    assert error(await login.post("/token", data=_refreshing(first["refresh_token"]))) == (400, "invalid_grant")
    assert error(await login.post("/token", data=_refreshing(second["refresh_token"]))) == (400, "invalid_grant")
    assert await introspected(login, second["access_token"]) == {"active": False}


async def test_refresh_at_once(login: httpx.AsyncClient) -> None:
    """IUA-67: of many requests with one refresh token at once, exactly one gets tokens."""
    form = _refreshing((await tokens_of_user(login))["refresh_token"])
    answers = await asyncio.gather(*(login.post("/token", data=form) for _ in range(8)))

    assert sorted(one.status_code for one in answers) == [200] + [400] * 7


async def test_refresh_in_the_guides_spelling(login: httpx.AsyncClient) -> None:
    """IUA-67, IUA-97: `refresh-token`, as the guide has it, is understood as well."""
    form = _refreshing((await tokens_of_user(login))["refresh_token"]) | {"grant_type": "refresh-token"}
    assert (await login.post("/token", data=form)).status_code == 200


async def test_refreshed_scope(login: httpx.AsyncClient) -> None:
    """IUA-64, IUA-67: a refresh may ask for less, never for more; the refresh token itself keeps its scope."""
    first = await tokens_of_user(login)
    less = (await login.post("/token", data=_refreshing(first["refresh_token"], scope="ITI-83"))).json()
    assert less["scope"] == "ITI-83"
    whole = (await login.post("/token", data=_refreshing(less["refresh_token"]))).json()
    assert whole["scope"] == "ITI-83 ITI-78"
    more = await login.post("/token", data=_refreshing(whole["refresh_token"], scope="ITI-104"))
    assert error(more) == (400, "invalid_scope")


async def test_refresh_ends(login: httpx.AsyncClient, parties: AuthorityStore, at: Any) -> None:
    """IUA-67: not after its time, not of another client, not when the user is no more."""
    now = datetime.now(UTC)
    first, second = [(await tokens_of_user(login))["refresh_token"] for _ in range(2)]
    await keep_client(parties, Client("other", scopes=("ITI-83",), redirect_uris=(CALLBACK,)))
    other = _refreshing(first) | {"client_id": "other"}
    assert error(await login.post("/token", data=other)) == (400, "invalid_grant")
    at(now + timedelta(hours=9))
    assert error(await login.post("/token", data=_refreshing(first))) == (400, "invalid_grant")
    at(now)
    await parties.remove(USERS, key_of("", "u-5521"))
    assert error(await login.post("/token", data=_refreshing(second))) == (400, "invalid_grant")


async def test_refresh_tokens_can_be_off(authorize: Authorize) -> None:
    """IUA-67, IUA-97: where refresh tokens are off, none is given, and none announced."""
    async with authorize(authority_refresh_s=0) as login:
        assert "refresh_token" not in await tokens_of_user(login)
        told = (await login.get("/.well-known/oauth-authorization-server")).json()
    assert told["grant_types_supported"] == ["client_credentials", "authorization_code"]
