"""Authorization servers for tests: their keys, the tokens they give, and what they answer when they are asked."""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Any
from urllib.parse import parse_qs
from uuid import uuid4

import httpx
import orjson
import respx
from joserfc import jws
from joserfc.jwk import ECKey, Key, OctKey, OKPKey, RSAKey
from joserfc.jws import JWSRegistry

from tests.conftest import BASE_URL

# Its metadata document names its keys.
LOGIN = "https://login.example.org/realm"
# Its keys were configured by URL.
CURVES = "https://sso.example.net"
# It shares a secret with this server.
SHARED = "https://shared.example.com"
# It gives opaque tokens.
OPAQUE = "https://opaque.example.com"

SECRET = "a-secret-that-is-long-enough-for-HS256"
STATIC_TOKEN = "curl-and-postman-1234"
INTROSPECTION = f"{OPAQUE}/introspect"

RSA = RSAKey.generate_key(2048, {"kid": "rsa-1", "use": "sig"}, private=True)
RSA_NEXT = RSAKey.generate_key(2048, {"kid": "rsa-2", "use": "sig"}, private=True)
EC = ECKey.generate_key("P-256", {"kid": "ec-1"}, private=True)
ED = OKPKey.generate_key("Ed25519", {"kid": "ed-1"}, private=True)
STRANGER = RSAKey.generate_key(2048, {"kid": "rsa-1"}, private=True)
SHARED_KEY = OctKey.import_key(SECRET)

Claims = dict[str, Any]


def claims(scope: str = "ITI-67", issuer: str = LOGIN, **changes: Any) -> Claims:
    """What a good token says; `changes` replace or add, None removes."""
    now = int(time.time())
    base: Claims = {
        "iss": issuer,
        "sub": "north-adt",
        "client_id": "north-adt",
        "aud": BASE_URL,
        "jti": "4f0f6c1e-9d53-4a58-8d2e-0d9a3a1f7b01",
        "iat": now - 5,
        "exp": now + 300,
        "scope": scope,
    }
    return {name: value for name, value in (base | changes).items() if value is not None}


def signed(said: Mapping[str, Any], key: Key = RSA, algorithm: str = "RS256", **header: Any) -> str:
    """A JWT that says `said`; `header` replaces or adds to its header, None removes."""
    base = {"alg": algorithm, "typ": "at+jwt", "kid": key.get("kid")}
    named = {name: value for name, value in (base | header).items() if value is not None}
    registry = JWSRegistry(algorithms=[algorithm], strict_check_header=False)
    registry.max_header_length = 8192
    return jws.serialize_compact(named, orjson.dumps(said), key, [algorithm], registry)


def token(scope: str = "ITI-67", **changes: Any) -> str:
    """A good token of `LOGIN`."""
    return signed(claims(scope, **changes))


def bearer(text: str) -> dict[str, str]:
    """The header field that shows a token."""
    return {"Authorization": f"Bearer {text}"}


def published(*keys: Key) -> dict[str, Any]:
    """A JWKS."""
    return {"keys": [dict(key.as_dict(private=False)) for key in keys]}


class Servers:
    """What the authorization servers answer, and what they were asked."""

    def __init__(self, router: respx.Router) -> None:
        self.opaque: dict[str, Claims] = {}
        self.metadata = router.get("https://login.example.org/.well-known/oauth-authorization-server/realm").mock(
            return_value=httpx.Response(200, json={"issuer": LOGIN, "jwks_uri": f"{LOGIN}/keys"})
        )
        self.keys = router.get(f"{LOGIN}/keys").mock(return_value=httpx.Response(200, json=published(RSA)))
        self.curves = router.get(f"{CURVES}/keys").mock(return_value=httpx.Response(200, json=published(EC, ED)))
        self.introspection = router.post(INTROSPECTION).mock(side_effect=self.introspect)

    def introspect(self, request: httpx.Request) -> httpx.Response:
        """Say what is known of a token."""
        assert request.headers["authorization"].startswith("Basic ")
        (asked,) = parse_qs(request.content.decode())["token"]
        found = self.opaque.get(asked)
        return httpx.Response(200, json={"active": True, **found} if found else {"active": False})

    def give(self, scope: str = "ITI-67", name: str = "", **changes: Any) -> str:
        """Return an opaque token."""
        text = name or f"op.{uuid4().hex}"
        self.opaque[text] = claims(scope, OPAQUE, **changes)
        return text
