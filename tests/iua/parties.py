"""Who takes part in the exchanges: names, keys and secrets, and what they send."""

from __future__ import annotations

import time
from base64 import urlsafe_b64decode
from typing import Any
from urllib.parse import parse_qsl, urlsplit
from uuid import uuid4

import httpx
import orjson
from joserfc import jwt
from joserfc.jwk import ECKey, RSAKey

from app.iua.authorization_code import challenge_of
from app.iua.client_assertion import TYPE
from tests.patients import BASE

ISSUER = "https://login.example.org"
RS = BASE
CALLBACK = "https://viewer.example.net/cb"

NORTH = "north-adt"
SECRET = "s3cr3t-of-north"
PASSWORD = "correct horse battery"
ORGANIZATION = {"subject_organization": "North Hospital", "subject_organization_id": "urn:oid:2.999.10"}

RSA = RSAKey.generate_key(2048, {"use": "sig", "alg": "RS384"}, auto_kid=True)
EC = ECKey.generate_key("P-384", {"use": "sig", "alg": "ES384"}, auto_kid=True)

# RFC 7636 wants 43 characters or more.
VERIFIER = "kq3ZpC0mT1bWn7f2yJ8xR5uLsVhE4dGaQ9oPiYtNwXc"


def jwks(*keys: RSAKey | ECKey) -> dict[str, Any]:
    """The public halves of `keys`."""
    return {"keys": [dict(key.as_dict(private=False)) for key in keys]}


def assertion(
    client: str = "backend", key: RSAKey | ECKey = RSA, header: dict[str, Any] | None = None, **claims: Any
) -> str:
    """An assertion as it should be, but for what `header` and `claims` replace; None removes."""
    now = int(time.time())
    said = {"iss": client, "sub": client, "aud": f"{ISSUER}/token", "exp": now + 240, "jti": uuid4().hex} | claims
    head = {"alg": key.get("alg"), "kid": key.kid, "typ": "JWT"} | (header or {})
    return jwt.encode(
        {name: value for name, value in head.items() if value is not None},
        {name: value for name, value in said.items() if value is not None},
        key,
        algorithms=[str(head["alg"])],
        default_type=None,
    )


def by_key(signed: str, **form: str) -> dict[str, str]:
    """The form of a request by client credentials and an assertion."""
    return {"grant_type": "client_credentials", "client_assertion_type": TYPE, "client_assertion": signed} | form


async def by_secret(
    login: httpx.AsyncClient, client: str = NORTH, secret: str = SECRET, path: str = "/token", **form: str
) -> httpx.Response:
    """Ask for a token by client credentials and HTTP Basic."""
    return await login.post(path, data={"grant_type": "client_credentials"} | form, auth=(client, secret))


async def token_of(login: httpx.AsyncClient, client: str = NORTH, **form: str) -> str:
    """A token by HTTP Basic."""
    answer = await by_secret(login, client, **form)
    assert answer.status_code == 200, answer.text
    return str(answer.json()["access_token"])


def claims_of(token: str) -> dict[str, Any]:
    """What a JWT says."""
    part = token.split(".")[1]
    found: dict[str, Any] = orjson.loads(urlsafe_b64decode(part + "=" * (-len(part) % 4)))
    return found


def asking_for_code(**changes: str | None) -> dict[str, str]:
    """The parameters of exchange 3; None removes."""
    parameters: dict[str, str | None] = {
        "response_type": "code",
        "client_id": "ward-viewer",
        "state": "Zk81mQ",
        "redirect_uri": CALLBACK,
        "code_challenge": challenge_of(VERIFIER),
        "code_challenge_method": "S256",
        "scope": "ITI-83 ITI-78",
        "resource": RS,
    }
    return {name: value for name, value in (parameters | changes).items() if value is not None}


def hidden(page: httpx.Response) -> dict[str, str]:
    """The hidden fields of the form on `page`."""
    import re
    from html import unescape

    found = re.findall(r'<input type="hidden" name="([^"]*)" value="([^"]*)">', page.text)
    return {unescape(name): unescape(value) for name, value in found}


async def agree(
    login: httpx.AsyncClient, user: str = "u-5521", password: str = PASSWORD, decision: str = "allow", **changes: Any
) -> httpx.Response:
    """Go to the form as exchange 3 does, and send it."""
    page = await login.get("/authorize", params=asking_for_code(**changes))
    assert page.status_code == 200, page.text
    form = hidden(page) | {"username": user, "password": password, "decision": decision}
    return await login.post("/authorize", data=form)


def answered(redirect: httpx.Response) -> dict[str, str]:
    """The parameters that a redirect takes to the client."""
    assert redirect.status_code == 302, redirect.text
    location = redirect.headers["location"]
    assert location.startswith(f"{CALLBACK}?")
    return dict(parse_qsl(urlsplit(location).query))


def redeeming(code: str, **changes: str | None) -> dict[str, str]:
    """The form of exchange 4; None removes."""
    form: dict[str, str | None] = {
        "grant_type": "authorization_code",
        "code": code,
        "client_id": "ward-viewer",
        "redirect_uri": CALLBACK,
        "code_verifier": VERIFIER,
    }
    return {name: value for name, value in (form | changes).items() if value is not None}


async def tokens_of_user(login: httpx.AsyncClient, user: str = "u-5521", **changes: Any) -> dict[str, Any]:
    """The answer of exchange 4."""
    code = answered(await agree(login, user, **changes))["code"]
    answer = await login.post("/token", data=redeeming(code))
    assert answer.status_code == 200, answer.text
    found: dict[str, Any] = answer.json()
    return found


async def introspected(login: httpx.AsyncClient, token: str, client: str = "index") -> dict[str, Any]:
    """What a resource server learns of a token."""
    answer = await login.post("/introspect", data={"token": token}, auth=(client, SECRET))
    assert answer.status_code == 200, answer.text
    found: dict[str, Any] = answer.json()
    return found


def error(answer: httpx.Response) -> tuple[int, str]:
    """Status and code of a refusal."""
    assert answer.headers["cache-control"] == "no-store"
    return answer.status_code, str(answer.json()["error"])
