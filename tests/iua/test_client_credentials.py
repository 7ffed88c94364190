"""Get Access Token [ITI-71] by client credentials: exchanges 2 and 13, and what a client may ask for (IUA section 5)."""

from __future__ import annotations

import httpx
import pytest
from joserfc import jwt
from joserfc.jwk import KeySet

from app.iua.access_token import JWT, OPAQUE, SAML
from app.iua.registration import Client, keep_client
from app.store.authority import AuthorityStore
from tests.iua.conftest import Authorize
from tests.iua.parties import (
    ISSUER,
    NORTH,
    ORGANIZATION,
    RS,
    SECRET,
    assertion,
    by_key,
    by_secret,
    claims_of,
    error,
    introspected,
)


async def test_exchange_2(login: httpx.AsyncClient) -> None:
    """IUA-02, IUA-50, IUA-51, IUA-61, IUA-62, IUA-65, IUA-66: exchange 2, with the claims of its token."""
    answer = await by_secret(login, scope="ITI-104", resource=RS, requested_token_type=JWT)

    assert answer.status_code == 200
    assert answer.headers["content-type"] == "application/json"
    assert (answer.headers["cache-control"], answer.headers["pragma"]) == ("no-store", "no-cache")
    told = answer.json()
    claims = claims_of(told.pop("access_token"))
    assert told == {"token_type": "Bearer", "scope": "ITI-104", "expires_in": 300}
    assert claims.pop("exp") - claims.pop("iat") == 300
    assert len(claims.pop("jti")) >= 32
    assert claims == {
        "iss": ISSUER,
        "sub": NORTH,
        "client_id": NORTH,
        "aud": RS,
        "scope": "ITI-104",
        "extensions": {"ihe_iua": ORGANIZATION},
    }


async def test_exchange_13(login: httpx.AsyncClient) -> None:
    """IUA-51, IUA-63: exchange 13: a wrong secret is 401 invalid_client, with the challenge of Basic."""
    answer = await by_secret(login, secret="wrong")

    assert error(answer) == (401, "invalid_client")
    assert answer.json() == {"error": "invalid_client"}
    assert answer.headers["www-authenticate"] == 'Basic realm="token"'


async def test_no_credentials(login: httpx.AsyncClient) -> None:
    """IUA-51: who shows nothing gets 401 invalid_client; so does a client that has a secret and only says its name."""
    for form in ({}, {"client_id": NORTH}, {"client_id": "nobody"}):
        answer = await login.post("/token", data={"grant_type": "client_credentials"} | form)
        assert error(answer) == (401, "invalid_client")


async def test_published_keys_verify_a_token(login: httpx.AsyncClient) -> None:
    """IUA-92: the JWKS has public keys with `kid`, `use` and `alg`, and nothing private; a token is verified by it."""
    token = (await by_secret(login)).json()["access_token"]
    published = (await login.get("/jwks.json")).json()

    assert all({"kid", "use", "alg"} <= set(key) and not {"d", "p", "q"} & set(key) for key in published["keys"])
    verified = jwt.decode(token, KeySet.import_key_set(published), algorithms=["RS256"])
    assert verified.header["typ"] == "JWT"


@pytest.mark.parametrize(
    ("asked", "got"),
    [
        ("ITI-104 ITI-83", "ITI-83"),
        ("", "ITI-83 system/List.rs"),
        ("system/*.rs", "system/List.rs"),
        ("system/List.read", "system/List.read"),
        ("system/List.cruds", "system/List.rs"),
        ("system/List.rs?code=a", "system/List.rs?code=a"),
        ("openid launch system/List.r", "system/List.r"),
        ("user/List.r", None),
        ("system/Patient.r", None),
        ("ITI-104", None),
        ("ITI-83 nonsense", None),
        ("nonsense", None),
        ("system/List.sr", None),
    ],
)
async def test_scope_is_cut(login: httpx.AsyncClient, parties: AuthorityStore, asked: str, got: str | None) -> None:
    """IUA-64, EHDS-12: what is granted is what was asked for, cut to what is registered; nothing left: invalid_scope."""
    client = Client("cut", scopes=("ITI-83", "system/List.rs"), jwks=(await _backend(parties)).jwks)
    await keep_client(parties, client)

    answer = await login.post("/token", data=by_key(assertion("cut"), scope=asked))

    if got is None:
        assert error(answer) == (400, "invalid_scope")
    else:
        assert answer.json()["scope"] == got
        assert claims_of(answer.json()["access_token"])["scope"] == got


async def _backend(store: AuthorityStore) -> Client:
    from app.iua.registration import client_of

    found = await client_of(store, "", "backend")
    assert found
    return found


@pytest.mark.parametrize("wanted", [JWT, OPAQUE, OPAQUE.replace("access-", "access_")])
async def test_token_types(login: httpx.AsyncClient, wanted: str) -> None:
    """IUA-52: a JWT by default; `access-token`, also in the spelling of RFC 8693, is opaque; both can be introspected."""
    token = (await by_secret(login, requested_token_type=wanted)).json()["access_token"]

    assert token.startswith("eyJ" if wanted == JWT else "op.")
    assert (await introspected(login, token))["client_id"] == NORTH


@pytest.mark.parametrize("wanted", [*SAML, "nonsense"])
async def test_saml_is_not_offered(login: httpx.AsyncClient, wanted: str) -> None:
    """IUA-52: SAML tokens, and what nobody knows, are 400 invalid_request."""
    assert error(await by_secret(login, requested_token_type=wanted)) == (400, "invalid_request")


async def test_resource(login: httpx.AsyncClient) -> None:
    """IUA-65: the audience is the resource asked for; an unknown one, or two, are invalid_target; none is our own."""
    other = await by_secret(login, resource="https://other.example.org/fhir")
    assert claims_of(other.json()["access_token"])["aud"] == "https://other.example.org/fhir"
    assert claims_of((await by_secret(login)).json()["access_token"])["aud"] == RS
    assert error(await by_secret(login, resource="https://nobody.example.org")) == (400, "invalid_target")
    twice = f"grant_type=client_credentials&resource={RS}&resource={RS}"
    headers = {"Content-Type": "application/x-www-form-urlencoded"}
    answer = await login.post("/token", content=twice, headers=headers, auth=(NORTH, SECRET))
    assert error(answer) == (400, "invalid_target")


@pytest.mark.parametrize(
    ("form", "code"),
    [
        ({"grant_type": "password", "username": "u-5521", "password": "x"}, "unsupported_grant_type"),
        ({"grant_type": "implicit"}, "unsupported_grant_type"),
        ({"scope": "ITI-83"}, "invalid_request"),
        ({"grant_type": "refresh_token", "refresh_token": "r1.nonsense"}, "invalid_grant"),
        ({"grant_type": "refresh_token"}, "invalid_request"),
        ({"grant_type": "authorization_code", "code": "x", "code_verifier": "y"}, "invalid_grant"),
        ({"grant_type": "authorization_code"}, "invalid_request"),
    ],
)
async def test_errors(login: httpx.AsyncClient, form: dict[str, str], code: str) -> None:
    """IUA-63, IUA-68: each refusal has its code and 400; there is no password grant, and no implicit one."""
    answer = await login.post("/token", data=form, auth=(NORTH, SECRET))

    assert error(answer) == (400, code)


async def test_what_is_no_form(login: httpx.AsyncClient) -> None:
    """IUA-50, IUA-63: a body that is no form, and a parameter that is there twice, are invalid_request."""
    answer = await login.post("/token", json={"grant_type": "client_credentials"}, auth=(NORTH, SECRET))
    assert error(answer) == (400, "invalid_request")
    headers = {"Content-Type": "application/x-www-form-urlencoded"}
    answer = await login.post("/token", content="scope=a&scope=b", headers=headers, auth=(NORTH, SECRET))
    assert error(answer) == (400, "invalid_request")
    answer = await login.post("/token", content="a=" + "b" * 70_000, headers=headers, auth=(NORTH, SECRET))
    assert error(answer) == (413, "invalid_request")


async def test_public_client_has_no_credentials(login: httpx.AsyncClient) -> None:
    """IUA-51, IUA-59: client credentials are for confidential clients only."""
    answer = await login.post("/token", data={"grant_type": "client_credentials", "client_id": "ward-viewer"})

    assert error(answer) == (400, "unauthorized_client")


async def test_no_refresh_token(login: httpx.AsyncClient) -> None:
    """IUA-67, EHDS-12: client credentials bring no refresh token."""
    assert "refresh_token" not in (await by_secret(login)).json()


async def test_shared_secret_needs_permission(login: httpx.AsyncClient, authorize: Authorize) -> None:
    """EHDS-14: HTTP Basic is 401 invalid_client, but for a client that may, or in dev_mode, with a warning."""
    refused = await by_secret(login, "trial")
    allowed = await by_secret(login, NORTH)
    async with authorize(dev_mode=True) as trying:
        tried = await by_secret(trying, "trial")

    assert error(refused) == (401, "invalid_client")
    assert (allowed.status_code, "warning" in allowed.headers) == (200, False)
    assert tried.status_code == 200
    assert "trials only" in tried.headers["warning"]


async def test_client_of_a_key_has_no_secret(login: httpx.AsyncClient) -> None:
    """EHDS-14: a client that is registered with a key cannot use Basic; nor is a secret taken in the body."""
    assert error(await by_secret(login, "backend")) == (401, "invalid_client")
    form = {"grant_type": "client_credentials", "client_id": NORTH, "client_secret": SECRET}
    assert error(await login.post("/token", data=form)) == (401, "invalid_client")


async def test_basic_names_the_same_client(login: httpx.AsyncClient) -> None:
    """IUA-51: `client_id` beside Basic names the client that Basic names."""
    assert (await by_secret(login, client_id=NORTH)).status_code == 200
    assert error(await by_secret(login, client_id="backend")) == (401, "invalid_client")


async def test_tenants_have_their_own_clients(login: httpx.AsyncClient, parties: AuthorityStore) -> None:
    """IUA-96: a client of one tenant is nobody at another; the issuer tells them apart."""
    client = Client("theirs", "north", ("ITI-83",), jwks=(await _backend(parties)).jwks)
    await keep_client(parties, client)
    theirs = f"{ISSUER}/north/token"

    answer = await login.post("/north/token", data=by_key(assertion("theirs", aud=theirs)))
    assert claims_of(answer.json()["access_token"])["iss"] == f"{ISSUER}/north"
    assert error(await login.post("/token", data=by_key(assertion("theirs")))) == (400, "invalid_client")
    assert error(await login.post("/north/token", data=by_key(assertion(aud=theirs)))) == (400, "invalid_client")
