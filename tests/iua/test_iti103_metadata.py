"""Get Authorization Server Metadata [ITI-103]: exchange 1 (IUA section 7); what stands below `[base]` (EHDS-09, EHDS-10)."""

from __future__ import annotations

from typing import Any

import httpx
import pytest
import respx

from app.iua.access_token import JWT, OPAQUE
from tests.iua.conftest import Authorize
from tests.iua.parties import ISSUER, RS, claims_of, token_of

WELL_KNOWN = "/.well-known/oauth-authorization-server"
SMART = f"{RS}/.well-known/smart-configuration"
TRUSTED = "https://idp.example.net/realm"


async def test_exchange_1(login: httpx.AsyncClient) -> None:
    """IUA-89, IUA-90, IUA-91, IUA-92, IUA-93, IUA-94, IUA-95, IUA-97: exchange 1, and what it must have."""
    answer = await login.get(WELL_KNOWN)

    assert answer.status_code == 200
    assert answer.headers["content-type"] == "application/json"
    told = answer.json()
    assert told["issuer"] == ISSUER
    assert told["authorization_endpoint"] == f"{ISSUER}/authorize"
    assert told["token_endpoint"] == f"{ISSUER}/token"
    assert told["jwks_uri"] == f"{ISSUER}/jwks.json"
    assert told["introspection_endpoint"] == f"{ISSUER}/introspect"
    assert {"ITI-83", "ITI-104", "ITI-78", "ITI-119", "ITI-67"} <= set(told["scopes_supported"])
    assert told["response_types_supported"] == ["code"]
    grants = ["client_credentials", "authorization_code", "refresh_token", "refresh-token"]
    assert told["grant_types_supported"] == grants
    assert told["code_challenge_methods_supported"] == ["S256"]
    assert {"client_secret_basic", "none", "private_key_jwt"} == set(told["token_endpoint_auth_methods_supported"])
    assert {"Bearer", "client_secret_basic"} <= set(told["introspection_endpoint_auth_methods_supported"])
    assert told["access_token_format"] == [JWT, OPAQUE]


async def test_tenants(login: httpx.AsyncClient) -> None:
    """IUA-90, IUA-91, IUA-96: a tenant has its own document, issuer and endpoints; an unknown one is 404."""
    told = (await login.get(f"{WELL_KNOWN}/north")).json()
    assert told["issuer"] == f"{ISSUER}/north"
    assert all(url.startswith(f"{ISSUER}/north/") for name, url in told.items() if name.endswith(("endpoint", "_uri")))
    assert (await login.get("/north/jwks.json")).status_code == 200
    assert (await login.get(f"{WELL_KNOWN}/nosuch")).status_code == 404
    assert (await login.get("/nosuch/jwks.json")).status_code == 404


async def test_endpoints_are_there(login: httpx.AsyncClient) -> None:
    """IUA-91: every endpoint that the document names answers, and issuer is what its tokens say."""
    told = (await login.get(WELL_KNOWN)).json()
    for name in ("token_endpoint", "introspection_endpoint", "revocation_endpoint"):
        assert (await login.post(told[name], data={"x": "y"})).status_code == 401
    assert (await login.get(told["authorization_endpoint"])).status_code == 400
    assert claims_of(await token_of(login))["iss"] == told["issuer"]


@pytest.mark.parametrize("accept", ["application/fhir+xml", "application/fhir+json", "text/html", "*/*"])
async def test_smart_configuration(login: httpx.AsyncClient, accept: str) -> None:
    """EHDS-09, IUA-99: JSON whatever `Accept` says, without a token; with all that SMART's clients look for."""
    answer = await login.get(SMART, headers={"Accept": accept})

    assert (answer.status_code, answer.headers["content-type"]) == (200, "application/json")
    told = answer.json()
    assert told["token_endpoint"] == f"{ISSUER}/token"
    assert "client_credentials" in told["grant_types_supported"]
    assert "private_key_jwt" in told["token_endpoint_auth_methods_supported"]
    assert told["token_endpoint_auth_signing_alg_values_supported"] == ["RS384", "ES384"]
    assert {"ITI-67", "system/DocumentReference.crs", "system/*.rs"} <= set(told["scopes_supported"])
    assert {"client-confidential-asymmetric", "permission-v2", "permission-v1"} <= set(told["capabilities"])
    assert told["jwks_uri"] == f"{ISSUER}/jwks.json"
    assert told["code_challenge_methods_supported"] == ["S256"]


async def test_iua_metadata_below_base(login: httpx.AsyncClient) -> None:
    """EHDS-10: below `[base]`, in the guide's words; `issuer` is what the resource server takes in `iss`."""
    answer = await login.get(f"{RS}{WELL_KNOWN}", headers={"Accept": "application/fhir+xml"})

    assert (answer.status_code, answer.headers["content-type"]) == (200, "application/json")
    told = answer.json()
    assert {"issuer", "jwks_uri", "token_endpoint"} <= set(told)
    assert told["access_token_format"] == "ihe-jwt"
    headers = {"Authorization": f"Bearer {await token_of(login, scope='ITI-83')}"}
    assert claims_of(headers["Authorization"])["iss"] == told["issuer"]
    assert (
        await login.get(f"{RS}/Patient/$ihe-pix", headers=headers)
    ).status_code == 400  # let in, and told what lacks


async def test_smart_mode_has_no_iua_metadata(authorize: Authorize) -> None:
    """EHDS-10: in SMART's mode there is no document of IUA below `[base]`."""
    async with authorize(auth="smart") as login:
        assert (await login.get(f"{RS}{WELL_KNOWN}")).status_code == 404
        assert (await login.get(SMART)).status_code == 200


async def test_nothing_is_there_when_it_is_off(authorize: Authorize) -> None:
    """IUA-02, EHDS-09: without an authority there is no token endpoint, and nothing is said of one."""
    async with authorize(authority=False, authority_issuer="") as login:
        for path in ("/token", "/authorize", "/jwks.json", WELL_KNOWN, SMART, f"{RS}{WELL_KNOWN}"):
            assert (await login.get(path)).status_code == 404, path
        assert (await login.post("/token", data={})).status_code == 404


THEIRS: dict[str, Any] = {
    "issuer": TRUSTED,
    "token_endpoint": f"{TRUSTED}/token",
    "authorization_endpoint": f"{TRUSTED}/authorize",
    "jwks_uri": f"{TRUSTED}/jwks",
    "grant_types_supported": ["client_credentials"],
    "token_endpoint_auth_methods_supported": ["private_key_jwt"],
    "code_challenge_methods_supported": ["plain", "S256"],
    "token_endpoint_auth_signing_alg_values_supported": ["ES384"],
}


async def test_metadata_of_another_server(authorize: Authorize) -> None:
    """EHDS-09, EHDS-10, IUA-99: where another authorization server is trusted, its document is told; fetched once."""
    changes = {"authority": False, "authority_issuer": "", "auth": "iua", "auth_issuer": TRUSTED}
    with respx.mock(assert_all_called=False) as router:
        router.get("https://idp.example.net/.well-known/oauth-authorization-server/realm").respond(json=THEIRS)
        others = router.get(url__startswith=TRUSTED).respond(404)
        async with authorize(**changes) as login:
            smart = (await login.get(SMART)).json()
            iua = (await login.get(f"{RS}{WELL_KNOWN}")).json()
            calls = others.call_count
            await login.get(SMART)

    assert (smart["token_endpoint"], iua["issuer"]) == (f"{TRUSTED}/token", TRUSTED)
    assert smart["code_challenge_methods_supported"] == ["S256"]
    assert "client-confidential-asymmetric" in smart["capabilities"]
    assert iua["access_token_format"] == "ihe-jwt"
    assert others.call_count == calls


async def test_other_server_is_away(authorize: Authorize) -> None:
    """EHDS-09: when the authorization server that is trusted does not answer, so is it said: 503."""
    changes = {"authority": False, "authority_issuer": "", "auth": "smart", "auth_issuer": TRUSTED}
    with respx.mock(assert_all_called=False) as router:
        router.route().respond(500)
        async with authorize(**changes) as login:
            answer = await login.get(SMART)
    assert (answer.status_code, answer.json()["error"]) == (503, "temporarily_unavailable")


async def test_base_without_a_path(authorize: Authorize) -> None:
    """IUA-80, IUA-90: where `[base]` is all of the server, the endpoints are found all the same, whatever the method."""
    async with authorize(base_url=ISSUER, authority_issuer="") as login:
        assert (await login.get(WELL_KNOWN)).json()["issuer"] == ISSUER
        assert (await login.post("/token", data={"x": "y"})).json()["error"] == "invalid_client"
        assert (await login.get("/introspect")).status_code == 405
        assert (await login.get("/.well-known/smart-configuration")).status_code == 200
        assert (await login.get("/Patient?family=x")).status_code == 401
