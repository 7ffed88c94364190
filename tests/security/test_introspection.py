"""Asking the authorization server what a token is worth: IUA-81 to IUA-88; EHDS-19."""

from __future__ import annotations

import asyncio
import time
from base64 import b64encode
from collections.abc import AsyncIterator
from typing import Any
from urllib.parse import parse_qs

import httpx
import pytest
import respx

from app.security.fetch import Fetch
from app.security.introspection import ByPassword, ByToken, Introspection
from app.security.keys import GivenKeys, public_keys
from app.security.refusal import RefusedError
from app.security.token import Issuer, Tokens
from tests.conftest import BASE_URL
from tests.security.issuing import INTROSPECTION, LOGIN, OPAQUE, RSA, claims, published, token

TOKEN_ENDPOINT = f"{OPAQUE}/token"


@pytest.fixture
async def fetch() -> AsyncIterator[Fetch]:
    """Asks the servers of the router."""
    made = Fetch()
    yield made
    await made.close()


def introspection(fetch: Fetch, url: str = INTROSPECTION) -> Introspection:
    """An endpoint that takes a password."""

    async def locate() -> str:
        return url

    return Introspection(locate, ByPassword("fhir server", "s:cr&t"), fetch)


@pytest.fixture
def now() -> list[float]:
    """The time; tests change the first."""
    return [time.time()]


@pytest.fixture
def tokens(fetch: Fetch, now: list[float]) -> Tokens:
    """Takes opaque tokens."""
    issuer = Issuer(OPAQUE, frozenset({BASE_URL}), introspection=introspection(fetch))
    return Tokens([issuer], clock=lambda: now[0])


def active(**changes: Any) -> httpx.Response:
    """What an authorization server says of a good token."""
    return httpx.Response(
        200, json={"active": True, **claims(**({"scope": "ITI-83 ITI-78", "issuer": OPAQUE} | changes))}
    )


INACTIVE = httpx.Response(200, json={"active": False})


@respx.mock
async def test_question_and_answer(tokens: Tokens) -> None:
    """IUA-80, IUA-81, IUA-87, EHDS-19: a form with the token, by this server with its password; the claims are the answer's."""
    person = {"subject_name": "MUDr. Jana Malá"}
    route = respx.post(INTROSPECTION).mock(return_value=active(sub="u-5521", extensions={"ihe_iua": person}))

    found = await tokens.principal("op.9XcVb21kQw")

    asked = route.calls.last.request
    assert parse_qs(asked.content.decode())["token"] == ["op.9XcVb21kQw"]
    assert asked.headers["content-type"] == "application/x-www-form-urlencoded"
    assert asked.headers["authorization"] == f"Basic {b64encode(b'fhir+server:s%3Acr%26t').decode()}"
    assert (found.subject, found.client, found.issuer) == ("u-5521", "north-adt", OPAQUE)
    assert found.claims["ihe_iua"] == person
    assert [grant.transaction for grant in found.grants] == ["ITI-83", "ITI-78"]


@respx.mock
async def test_answer_is_kept_for_half_a_minute(tokens: Tokens, now: list[float]) -> None:
    """IUA-85, IUA-86, EHDS-19: what was active counts for 30 seconds; then it is asked again, and refused if taken back."""
    route = respx.post(INTROSPECTION).mock(return_value=active())
    await tokens.principal("op.1")
    route.mock(return_value=INACTIVE)

    now[0] += 29
    await tokens.principal("op.1")
    assert route.call_count == 1
    now[0] += 2
    with pytest.raises(RefusedError) as caught:
        await tokens.principal("op.1")

    assert (caught.value.status, route.call_count) == (401, 2)


@respx.mock
async def test_answer_is_not_kept_beyond_the_end(tokens: Tokens, now: list[float]) -> None:
    """IUA-86: never beyond `exp`."""
    route = respx.post(INTROSPECTION).mock(return_value=active(exp=int(now[0]) + 5))
    await tokens.principal("op.1")

    now[0] += 6
    await tokens.principal("op.1")

    assert route.call_count == 2


@respx.mock
async def test_answer_without_an_end_is_not_kept(tokens: Tokens) -> None:
    """IUA-86: without `exp` no caching."""
    route = respx.post(INTROSPECTION).mock(return_value=active(exp=None))

    await tokens.principal("op.1")
    await tokens.principal("op.1")

    assert route.call_count == 2


@respx.mock
async def test_nobody_is_asked_for_a_very_long_token(tokens: Tokens) -> None:
    """IUA-27: what cannot be a token is refused here."""
    route = respx.post(INTROSPECTION).mock(return_value=active())

    with pytest.raises(RefusedError) as caught:
        await tokens.principal("x" * 20_000)

    assert (caught.value.status, route.called) == (401, False)


@respx.mock
async def test_requests_share_a_question(tokens: Tokens) -> None:
    """IUA-86: the same token at the same time is asked for once."""

    async def slowly(request: httpx.Request) -> httpx.Response:
        await asyncio.sleep(0.01)
        return active()

    route = respx.post(INTROSPECTION).mock(side_effect=slowly)

    await asyncio.gather(*(tokens.principal("op.1") for _ in range(10)))

    assert route.call_count == 1


@respx.mock
@pytest.mark.parametrize(
    ("said", "code"),
    [
        ({"aud": "https://other.example.org/fhir"}, "security"),
        ({"iss": "https://other.example.org"}, "security"),
        ({"exp": 1}, "expired"),
        ({"nbf": 32_503_680_000}, "security"),
        ({"scope": 7}, "security"),
        ({"sub": ["x"]}, "security"),
    ],
)
async def test_active_and_not_for_us(tokens: Tokens, said: dict[str, Any], code: str) -> None:
    """IUA-22, IUA-87: an active token is checked as a JWT is."""
    respx.post(INTROSPECTION).mock(return_value=active(**said))

    with pytest.raises(RefusedError) as caught:
        await tokens.principal("op.1")

    assert (caught.value.status, caught.value.issues[0].code) == (401, code)


@respx.mock
@pytest.mark.parametrize(
    "response",
    [
        httpx.ConnectError("refused"),
        httpx.ReadTimeout("slow"),
        httpx.Response(500),
        httpx.Response(401, json={"error": "invalid_client"}),
        httpx.Response(302, headers={"location": "https://elsewhere.example.org"}),
        httpx.Response(200, json={}),
        httpx.Response(200, json={"active": "true"}),
        httpx.Response(200, json={"active": 1}),
        httpx.Response(200, json=[]),
        httpx.Response(200, content=b"<html>"),
        httpx.Response(200, content=b"{" * 300_000),
    ],
    ids=["refused", "slow", "500", "401", "redirect", "empty", "text", "number", "list", "html", "long"],
)
async def test_no_answer_is_no_access(tokens: Tokens, response: Any) -> None:
    """IUA-88: whatever is not a clear answer is 503 `transient`, never access."""
    respx.post(INTROSPECTION).mock(**{"side_effect" if isinstance(response, Exception) else "return_value": response})

    with pytest.raises(RefusedError) as caught:
        await tokens.principal("op.1")

    assert (caught.value.status, caught.value.issues[0].code) == (503, "transient")
    assert caught.value.headers["Retry-After"]


@respx.mock
async def test_several_servers_are_asked(fetch: Fetch) -> None:
    """IUA-07: a token that one does not know may be another's; while one is away, nobody is told that it is bad."""
    other = "https://other.example.org/introspect"
    respx.post(INTROSPECTION).mock(return_value=INACTIVE)
    route = respx.post(other).mock(
        return_value=httpx.Response(200, json={"active": True, **claims("ITI-67", "https://other.example.org")})
    )
    taking = Tokens(
        [
            Issuer(OPAQUE, frozenset({BASE_URL}), introspection=introspection(fetch)),
            Issuer("https://other.example.org", frozenset({BASE_URL}), introspection=introspection(fetch, other)),
        ]
    )

    assert (await taking.principal("op.1")).issuer == "https://other.example.org"
    route.mock(side_effect=httpx.ConnectError("refused"))
    with pytest.raises(RefusedError) as caught:
        await taking.principal("op.2")
    assert caught.value.status == 503


@respx.mock
async def test_own_token(fetch: Fetch) -> None:
    """IUA-81: by a bearer token that this server obtained by client credentials, and keeps as long as it lives."""

    async def at(url: str) -> str:
        return url

    given = respx.post(TOKEN_ENDPOINT).mock(
        return_value=httpx.Response(200, json={"access_token": "own", "token_type": "Bearer", "expires_in": 300})
    )
    route = respx.post(INTROSPECTION).mock(return_value=active())
    by_token = ByToken(lambda: at(TOKEN_ENDPOINT), ByPassword("fhir", "secret"), fetch)
    asking = Introspection(lambda: at(INTROSPECTION), by_token, fetch)

    await asking.claims("op.1")
    await asking.claims("op.2")

    assert given.call_count == 1
    assert parse_qs(given.calls.last.request.content.decode())["grant_type"] == ["client_credentials"]
    assert {call.request.headers["authorization"] for call in route.calls} == {"Bearer own"}


@respx.mock
async def test_signed_tokens_may_be_asked_for_too(fetch: Fetch) -> None:
    """IUA-85: `introspect = "all"`: a JWT that is good by its signature, and was taken back, is refused."""
    respx.post(INTROSPECTION).mock(return_value=INACTIVE)
    keys = GivenKeys(public_keys(published(RSA)))
    issuer = Issuer(
        LOGIN, frozenset({BASE_URL}), frozenset({"RS256"}), keys, introspection(fetch), introspects_all=True
    )

    with pytest.raises(RefusedError) as caught:
        await Tokens([issuer]).principal(token())

    assert caught.value.status == 401
