"""`private_key_jwt` at the token endpoint: EHDS-12, EHDS-13, EHDS-15, and what must never be taken (IUA-48)."""

from __future__ import annotations

import asyncio
import hmac
import time
from base64 import urlsafe_b64encode
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import uuid4

import httpx
import orjson
import pytest
import respx
from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
from cryptography.hazmat.primitives.hashes import SHA384
from joserfc import jwt
from joserfc.jwk import OctKey, RSAKey

from app.iua.registration import Client, keep_client
from app.store.authority import AuthorityStore
from tests.iua.conftest import Authorize
from tests.iua.parties import EC, ISSUER, RSA, assertion, by_key, claims_of, error, jwks

NEW = RSAKey.generate_key(2048, {"use": "sig", "alg": "RS384"}, auto_kid=True)
JWKS_URL = "https://keys.example.org/backend.json"


@pytest.mark.parametrize("key", [RSA, EC], ids=["RS384", "ES384"])
async def test_token_for_an_assertion(login: httpx.AsyncClient, key: RSAKey) -> None:
    """EHDS-12, EHDS-13: both algorithms that SMART names; the answer has what it must, and no refresh token."""
    answer = await login.post("/token", data=by_key(assertion(key=key), scope="system/DocumentReference.rs"))

    assert answer.status_code == 200, answer.text
    assert answer.headers["cache-control"] == "no-store"
    told = answer.json()
    assert told["token_type"].lower() == "bearer"
    assert told["expires_in"] <= 300
    assert told["scope"] == "system/DocumentReference.rs"
    assert "refresh_token" not in told


# Small numbers are seconds from now.
WRONG: dict[str, dict[str, Any]] = {
    "another subject": {"sub": "north-adt"},
    "no subject": {"sub": None},
    "another issuer": {"iss": "north-adt", "sub": "north-adt"},
    "issuer of nobody": {"iss": "nobody", "sub": "nobody"},
    "issuer is no text": {"iss": ["backend"], "sub": ["backend"]},
    "no issuer": {"iss": None},
    "audience is the issuer": {"aud": ISSUER},
    "audience of two": {"aud": [f"{ISSUER}/token", "https://other.example.org/token"]},
    "no audience": {"aud": None},
    "expires in ten minutes": {"exp": +600},
    "expires in ages": {"exp": 10**18},
    "has expired": {"exp": -60},
    "never expires": {"exp": None},
    "end is no number": {"exp": "tomorrow"},
    "end is a truth": {"exp": True},
    "begins later": {"nbf": +120},
    "issued later": {"iat": +120},
    "no name": {"jti": None},
    "empty name": {"jti": ""},
    "name is a number": {"jti": 7},
}


@pytest.mark.parametrize("claims", WRONG.values(), ids=WRONG)
async def test_wrong_claims(login: httpx.AsyncClient, claims: dict[str, Any]) -> None:
    """EHDS-13: iss, sub, aud, exp and jti must be right; anything else is 400 invalid_client."""
    times = {
        name: int(time.time()) + claims[name] for name in ("exp", "nbf", "iat") if abs(_small(claims.get(name))) > 1
    }
    assert error(await login.post("/token", data=by_key(assertion(**claims | times)))) == (400, "invalid_client")


def _small(value: Any) -> int:
    return value if isinstance(value, int) and abs(value) < 1_000 else 0


HEADERS: dict[str, dict[str, Any]] = {
    "no kid": {"kid": None},
    "unknown kid": {"kid": "nobody"},
    "no typ": {"typ": None},
    "other typ": {"typ": "at+jwt"},
    "other algorithm": {"alg": "RS256"},
    "PSS instead": {"alg": "PS384"},
    "key set of its own": {"jku": "https://attacker.example.org/keys.json"},
    "key of its own": {"jwk": dict(NEW.as_dict(private=False))},
    "certificate by URL": {"x5u": "https://attacker.example.org/cert.pem"},
    "must be understood": {"crit": ["exp"], "exp": 1},
}


@pytest.mark.parametrize("header", HEADERS.values(), ids=HEADERS)
async def test_wrong_header(login: httpx.AsyncClient, header: dict[str, Any]) -> None:
    """EHDS-13, IUA-48: alg, kid and typ must be right, and no key is taken from the assertion itself."""
    key = RSAKey.import_key({**RSA.as_dict(private=True), "alg": header.get("alg", "RS384")})
    made = {"alg": "RS384", "kid": RSA.kid, "typ": "JWT"} | header
    signed = assertion(key=key, header=header) if "alg" in header else _by_hand(made)
    assert error(await login.post("/token", data=by_key(signed))) == (400, "invalid_client")


def _by_hand(header: dict[str, Any]) -> str:
    """An assertion with a header that no library makes, rightly signed."""
    now = int(time.time())
    claims = {"iss": "backend", "sub": "backend", "aud": f"{ISSUER}/token", "exp": now + 60, "jti": uuid4().hex}
    header = {name: value for name, value in header.items() if value is not None}
    text = f"{_part(header)}.{_part(claims)}"
    signature = RSA.private_key.sign(text.encode(), PKCS1v15(), SHA384())  # type: ignore[union-attr]
    return f"{text}.{urlsafe_b64encode(signature).rstrip(b'=').decode()}"


async def test_by_hand_is_right_otherwise(login: httpx.AsyncClient) -> None:
    """EHDS-13: what the tests above make by hand is taken when its header is right."""
    signed = _by_hand({"alg": "RS384", "kid": RSA.kid, "typ": "JWT"})
    assert (await login.post("/token", data=by_key(signed))).status_code == 200


def _by_hmac(secret: bytes) -> str:
    """An assertion whose secret is what everybody knows; no library makes it."""
    head = _part({"alg": "HS256", "kid": RSA.kid, "typ": "JWT"})
    text = f"{head}.{assertion().split('.')[1]}"
    return f"{text}.{urlsafe_b64encode(hmac.digest(secret, text.encode(), 'sha256')).rstrip(b'=').decode()}"


def _part(value: dict[str, Any]) -> str:
    return urlsafe_b64encode(orjson.dumps(value)).rstrip(b"=").decode()


async def test_forged_signatures(login: httpx.AsyncClient) -> None:
    """EHDS-13, IUA-41: unsigned, signed by another, changed, or by HMAC with the public key: 400 invalid_client."""
    genuine = assertion()
    head, body, signature = genuine.split(".")
    forged = [
        assertion(key=NEW, header={"kid": RSA.kid}),
        _by_hmac(RSA.as_pem(private=False)),
        f"{head}.{body}.",
        f"{head}.{body}.{'A' * len(signature)}",
        f"eyJhbGciOiJub25lIiwidHlwIjoiSldUIn0.{body}.",
        genuine + ".x",
        "nonsense",
        "",
    ]

    for text in forged:
        assert error(await login.post("/token", data=by_key(text))) == (400, "invalid_client"), text
    assert (await login.post("/token", data=by_key(genuine))).status_code == 200


async def test_replay(login: httpx.AsyncClient) -> None:
    """EHDS-13: the same assertion a second time is 400 invalid_client."""
    signed = assertion()

    assert (await login.post("/token", data=by_key(signed))).status_code == 200
    assert error(await login.post("/token", data=by_key(signed))) == (400, "invalid_client")


async def test_replay_under_another_signature(login: httpx.AsyncClient) -> None:
    """EHDS-13: it is the `jti` that is used up, whatever else the second assertion says."""
    assert (await login.post("/token", data=by_key(assertion(jti="once")))).status_code == 200
    again = assertion(key=EC, jti="once", exp=int(time.time()) + 250)
    assert error(await login.post("/token", data=by_key(again))) == (400, "invalid_client")


async def test_replay_at_once(login: httpx.AsyncClient, authorize: Authorize) -> None:
    """EHDS-13: of many requests with one assertion at once, to two workers, exactly one gets a token."""
    signed = by_key(assertion())
    async with authorize() as second:
        asked = [client.post("/token", data=signed) for client in (login, second) for _ in range(5)]
        answers = await asyncio.gather(*asked)

    assert sorted(one.status_code for one in answers) == [200] + [400] * 9


async def test_forged_assertion_uses_nothing_up(login: httpx.AsyncClient) -> None:
    """EHDS-13: a `jti` is used up by the client itself only: a forged assertion takes nothing from it."""
    assert (await login.post("/token", data=by_key(assertion(key=NEW, header={"kid": RSA.kid}, jti="j")))).is_error
    assert (await login.post("/token", data=by_key(assertion(jti="j")))).status_code == 200


async def test_other_kinds_of_assertion(login: httpx.AsyncClient) -> None:
    """EHDS-12: `client_assertion_type` is that of a JWT; an assertion and Basic together are refused."""
    form = by_key(assertion()) | {"client_assertion_type": "urn:ietf:params:oauth:client-assertion-type:saml2-bearer"}
    assert error(await login.post("/token", data=form)) == (400, "invalid_client")
    both = await login.post("/token", data=by_key(assertion()), auth=("backend", "x"))
    assert error(both) == (400, "invalid_request")
    other = await login.post("/token", data=by_key(assertion(), client_id="north-adt"))
    assert error(other) == (400, "invalid_client")


async def test_algorithms_are_configured(authorize: Authorize, parties: AuthorityStore) -> None:
    """EHDS-13: other algorithms than RS384 and ES384 by configuration."""
    key = RSAKey.generate_key(2048, {"use": "sig", "alg": "PS256"}, auto_kid=True)
    await keep_client(parties, Client("pss", scopes=("ITI-67",), jwks=jwks(key)))
    async with authorize(authority_algorithms=("PS256",)) as login:
        assert (await login.post("/token", data=by_key(assertion("pss", key)))).status_code == 200
        assert error(await login.post("/token", data=by_key(assertion()))) == (400, "invalid_client")


@pytest.fixture
async def published(parties: AuthorityStore) -> AsyncIterator[respx.Route]:
    """The client `backend` with its keys behind a URL, of which a stub counts the calls."""
    await keep_client(parties, Client("backend", scopes=("ITI-67",), jwks_url=JWKS_URL))
    with respx.mock(assert_all_called=False) as router:
        route = router.get(JWKS_URL)
        route.respond(json=jwks(RSA))
        yield route


async def test_keys_behind_a_url(authorize: Authorize, published: respx.Route) -> None:
    """EHDS-15: keys are fetched once and kept; `jku` may name the URL that is registered, and no other."""
    async with authorize() as login:
        for header in ({}, {"jku": JWKS_URL}):
            assert (await login.post("/token", data=by_key(assertion(header=header)))).status_code == 200
        other = assertion(header={"jku": f"{JWKS_URL}?other"})
        assert error(await login.post("/token", data=by_key(other))) == (400, "invalid_client")

    assert published.call_count == 1


async def test_rotation(authorize: Authorize, published: respx.Route) -> None:
    """EHDS-13, EHDS-15: an unknown `kid` makes the URL be asked once more, and the new key is taken at once."""
    async with authorize() as login:
        assert (await login.post("/token", data=by_key(assertion()))).status_code == 200
        published.respond(json=jwks(NEW))
        assert (await login.post("/token", data=by_key(assertion(key=NEW)))).status_code == 200
        assert published.call_count == 2
        assert error(await login.post("/token", data=by_key(assertion()))) == (400, "invalid_client")

    assert published.call_count == 2  # forged assertions do not make this server ask again and again


async def test_removed_key(login: httpx.AsyncClient, published: respx.Route, at: Any) -> None:
    """EHDS-15: a key that was removed is refused when what was fetched has expired: as `Cache-Control` says."""
    now = datetime.now(UTC)
    published.respond(json=jwks(RSA, NEW), headers={"Cache-Control": "max-age=60"})
    at(now + timedelta(hours=3))  # whatever other tests fetched has expired
    assert (await login.post("/token", data=by_key(_at(now + timedelta(hours=3))))).status_code == 200
    published.respond(json=jwks(NEW), headers={"Cache-Control": "max-age=60"})

    at(now + timedelta(hours=3, seconds=50))
    assert (await login.post("/token", data=by_key(_at(now + timedelta(hours=3, seconds=50))))).status_code == 200
    at(now + timedelta(hours=3, seconds=70))
    refused = await login.post("/token", data=by_key(_at(now + timedelta(hours=3, seconds=70))))
    assert error(refused) == (400, "invalid_client")


def _at(now: datetime) -> str:
    return assertion(exp=int(now.timestamp()) + 60)


@pytest.mark.parametrize(
    "answer",
    [
        {"status_code": 500},
        {"json": []},
        {"json": {"keys": 7}},
        {"text": "no"},
        {"status_code": 302, "headers": {"Location": JWKS_URL}},
    ],
    ids=str,
)
async def test_keys_that_cannot_be_had(authorize: Authorize, published: respx.Route, answer: dict[str, Any]) -> None:
    """EHDS-15: without keys nobody is let in: 400 invalid_client; redirects are not followed."""
    published.respond(**answer)
    async with authorize() as login:
        assert error(await login.post("/token", data=by_key(assertion()))) == (400, "invalid_client")


async def test_private_keys_are_no_secrets(login: httpx.AsyncClient, parties: AuthorityStore) -> None:
    """EHDS-13: a shared secret among a client's keys verifies nothing."""
    secret = OctKey.generate_key(256, {"use": "sig", "alg": "HS256"}, auto_kid=True)
    listed = {"keys": [dict(secret.as_dict(private=True))]}
    await keep_client(parties, Client("oct", scopes=("ITI-67",), jwks=listed))
    claims = {"iss": "oct", "sub": "oct", "aud": f"{ISSUER}/token", "exp": int(time.time()) + 60, "jti": "1"}
    signed = jwt.encode({"alg": "HS256", "kid": secret.kid, "typ": "JWT"}, claims, secret, algorithms=["HS256"])

    assert error(await login.post("/token", data=by_key(signed))) == (400, "invalid_client")


async def test_claims_of_the_token(login: httpx.AsyncClient) -> None:
    """EHDS-12: the token is the client's own: `sub` and `client_id` are its name."""
    claims = claims_of((await login.post("/token", data=by_key(assertion()))).json()["access_token"])
    assert (claims["sub"], claims["client_id"]) == ("backend", "backend")
