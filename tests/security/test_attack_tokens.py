"""Attacks on tokens, over HTTP: each is refused, stores nothing and is told to the audit.

Spec: RFC 8725 (best current practices for JWT); IUA-40, IUA-41, IUA-46, IUA-48; RFC 6750 section 5.
"""

from __future__ import annotations

import hmac
from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Callable
from hashlib import sha256
from typing import Any
from uuid import uuid4

import httpx
import orjson
import pytest
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import padding
from joserfc.jwk import OctKey, RSAKey

from tests.security.conftest import Known
from tests.security.issuing import (
    CURVES,
    EC,
    LOGIN,
    OPAQUE,
    RSA,
    RSA_NEXT,
    SHARED,
    SHARED_KEY,
    STATIC_TOKEN,
    STRANGER,
    Servers,
    bearer,
    claims,
    signed,
    token,
)

EVIL = "https://mallory.example.org"
SEARCH = "DocumentReference?patient={}&status=current"


def part(content: bytes | dict[str, Any]) -> bytes:
    """A part of a JWS."""
    return urlsafe_b64encode(content if isinstance(content, bytes) else orjson.dumps(content)).rstrip(b"=")


def made(header: dict[str, Any], said: dict[str, Any], sign: Callable[[bytes], bytes]) -> str:
    """A JWS of whatever header."""
    text = part(header) + b"." + part(said)
    return (text + b"." + part(sign(text))).decode()


def rsa(key: RSAKey) -> Callable[[bytes], bytes]:
    """Signs as RS256 does."""
    return lambda text: key.private_key.sign(text, padding.PKCS1v15(), hashes.SHA256())


def mac(secret: bytes) -> Callable[[bytes], bytes]:
    """Signs as HS256 does."""
    return lambda text: hmac.digest(secret, text, sha256)


def nothing(text: bytes) -> bytes:
    """Signs nothing."""
    return b""


def by_rsa(header: dict[str, Any], key: RSAKey = RSA, **changes: Any) -> str:
    """A token of `LOGIN`, well signed, with more in its header."""
    return made({"alg": "RS256", "kid": "rsa-1"} | header, claims(**changes), rsa(key))


def raw(payload: bytes, header: bytes = b'{"alg":"RS256","kid":"rsa-1"}') -> str:
    """A well-signed JWS of whatever bytes."""
    text = part(header) + b"." + part(payload)
    return (text + b"." + part(rsa(RSA)(text))).decode()


def edited(text: str, **changes: Any) -> str:
    """A good token whose claims were changed afterwards."""
    header, said, signature = text.split(".")
    content = orjson.loads(urlsafe_b64decode(said + "=="))
    return f"{header}.{part(content | changes).decode()}.{signature}"


PUBLIC_PEM = RSA.as_pem(private=False)
PUBLIC_JWK = orjson.dumps(RSA.as_dict(private=False))
OWN = dict(STRANGER.as_dict(private=False))

ATTACKS: dict[str, Callable[[], str]] = {
    # the algorithm
    "alg none": lambda: made({"alg": "none"}, claims(), nothing),
    "alg None": lambda: made({"alg": "None", "kid": "rsa-1"}, claims(), nothing),
    "alg nOnE with a signature": lambda: made({"alg": "nOnE", "kid": "rsa-1"}, claims(), rsa(RSA)),
    "alg empty": lambda: made({"alg": "", "kid": "rsa-1"}, claims(), nothing),
    "alg missing": lambda: made({"kid": "rsa-1"}, claims(), rsa(RSA)),
    "alg a list": lambda: made({"alg": ["RS256"], "kid": "rsa-1"}, claims(), rsa(RSA)),
    "alg unknown": lambda: made({"alg": "RS1", "kid": "rsa-1"}, claims(), rsa(RSA)),
    "signature cut off": lambda: by_rsa({}).rpartition(".")[0] + ".",
    # key confusion
    "HS256 with the public key in PEM": lambda: made({"alg": "HS256", "kid": "rsa-1"}, claims(), mac(PUBLIC_PEM)),
    "HS256 with the public key in PEM, stripped": lambda: made({"alg": "HS256"}, claims(), mac(PUBLIC_PEM.strip())),
    "HS256 with the public JWK": lambda: made({"alg": "HS256", "kid": "rsa-1"}, claims(), mac(PUBLIC_JWK)),
    "HS256 with nothing": lambda: made({"alg": "HS256", "kid": "rsa-1"}, claims(), mac(b"")),
    "HS256 with the secret of another issuer": lambda: signed(claims(), SHARED_KEY, "HS256"),
    "RS256 for the issuer of a secret": lambda: signed(claims(issuer=SHARED), RSA),
    "HS384 where HS256 is taken": lambda: signed(claims(issuer=SHARED), SHARED_KEY, "HS384"),
    "a guessed secret": lambda: signed(claims(issuer=SHARED), OctKey.import_key("password" * 5), "HS256"),
    "an algorithm that the issuer does not use": lambda: signed(claims(issuer=CURVES), RSA),
    "another key under the same name": lambda: by_rsa({}, STRANGER),
    "a key of another issuer": lambda: signed(claims(issuer=LOGIN), EC, "ES256"),
    "a key that is not published": lambda: signed(claims(), RSA_NEXT),
    # keys that the token brings along
    "jwk": lambda: by_rsa({"jwk": OWN}, STRANGER),
    "jwk beside a good signature": lambda: by_rsa({"jwk": OWN}),
    "jku": lambda: by_rsa({"jku": f"{EVIL}/keys"}, STRANGER),
    "jku beside a good signature": lambda: by_rsa({"jku": f"{LOGIN}/keys"}),
    "x5u": lambda: by_rsa({"x5u": f"{EVIL}/chain"}, STRANGER),
    "x5c": lambda: by_rsa({"x5c": ["MIIB"]}),
    "kid is a path": lambda: by_rsa({"kid": "../../../../dev/null"}),
    "kid is a query": lambda: by_rsa({"kid": "x' OR '1'='1"}),
    "kid is a URL": lambda: by_rsa({"kid": f"{EVIL}/key"}, STRANGER),
    "kid is an object": lambda: by_rsa({"kid": {"$ne": None}}),
    "kid is long": lambda: by_rsa({"kid": "k" * 1000}),
    # what must be understood
    "crit": lambda: by_rsa({"crit": ["exp"], "exp": 1}),
    "crit is empty": lambda: by_rsa({"crit": []}),
    "b64 false": lambda: by_rsa({"b64": False, "crit": ["b64"]}),
    "zip": lambda: by_rsa({"zip": "DEF"}),
    "a token for something else": lambda: by_rsa({"typ": "client-authentication+jwt"}),
    # who it is from, for whom, when
    "wrong issuer": lambda: token(iss=EVIL),
    "issuer with a slash": lambda: token(iss=f"{LOGIN}/"),
    "issuer in another case": lambda: token(iss=LOGIN.upper()),
    "issuer is a list": lambda: token(iss=[LOGIN]),
    "issuer of opaque tokens": lambda: signed(claims(issuer=OPAQUE), RSA),
    "no issuer": lambda: token(iss=None),
    "wrong audience": lambda: token(aud=f"{EVIL}/fhir"),
    "audience begins like ours": lambda: token(aud="http://test.example.org"),
    "no audience": lambda: token(aud=None),
    "expired": lambda: token(exp=1_600_000_000, iat=1_599_999_700),
    "not yet valid": lambda: token(nbf=32_503_680_000),
    "issued in the future": lambda: token(iat=32_503_680_000),
    "never ends": lambda: token(exp=None),
    "ends at infinity": lambda: raw(orjson.dumps(claims()).replace(b'"exp":', b'"exp":1e999,"x":')),
    "ends twice": lambda: raw(orjson.dumps(claims())[:-1] + b',"exp":1600000000}'),
    # claims that were changed
    "scope injection": lambda: edited(token("ITI-78"), scope="ITI-67 system/*.cruds"),
    "another subject": lambda: edited(token(), sub="somebody-else"),
    "the patient taken out": lambda: edited(token(patient="pat-1"), patient=None),
    "longer life": lambda: edited(token(exp=1_600_000_000), exp=32_503_680_000),
    # form
    "JWE": lambda: f"{part({'alg': 'dir', 'enc': 'A256GCM'}).decode()}..{'A' * 16}.AAAA.{'A' * 22}",
    "JSON serialisation": lambda: orjson.dumps({"payload": "e30", "protected": "e30", "signature": ""}).decode(),
    "padding": lambda: by_rsa({}) + "==",
    "four parts": lambda: by_rsa({}) + ".AAAA",
    "payload is a list": lambda: raw(b"[]"),
    "payload is no JSON": lambda: raw(b"hello"),
    "header is a text": lambda: raw(b"{}", b'"eyJ"'),
    "header is a list": lambda: raw(b"{}", b'["alg"]'),
    "very long": lambda: token(padding="x" * 20_000),
    "deeply nested": lambda: raw(b'{"a":' * 2000 + b"1" + b"}" * 2000),
    "another token's tail": lambda: f"{STATIC_TOKEN}x",
    "the beginning of a token": lambda: STATIC_TOKEN[:-1],
}


@pytest.mark.parametrize("attack", ATTACKS)
async def test_attack(guarded_client: httpx.AsyncClient, known: Known, servers: Servers, attack: str) -> None:
    """IUA-27, IUA-40, IUA-41, IUA-46, IUA-47, IUA-48, EHDS-11: refused with 401, told to the audit, and nothing of the
    token is repeated; nobody is asked whom the token names."""
    shown, request = ATTACKS[attack](), uuid4().hex

    answer = await guarded_client.get(SEARCH.format(known.patient), headers=bearer(shown) | {"x-request-id": request})

    assert answer.status_code == 401, answer.text
    assert answer.json()["issue"][0]["code"] in ("security", "expired")
    assert 'error="invalid_token"' in answer.headers["www-authenticate"]
    assert len(shown) < 8 or shown[:40] not in answer.text
    assert await is_audited(guarded_client, request)


@pytest.mark.parametrize("attack", ["alg none", "scope injection", "expired", "jku"])
async def test_attack_stores_nothing(
    guarded_client: httpx.AsyncClient, known: Known, servers: Servers, attack: str
) -> None:
    """IUA-30: a refused submission leaves no trace among the records."""
    before = (await guarded_client.get(SEARCH.format(known.patient), headers=bearer(STATIC_TOKEN))).json()["total"]
    headers = bearer(ATTACKS[attack]()) | {"content-type": "application/fhir+json"}

    answer = await guarded_client.post("DocumentReference", json={"resourceType": "DocumentReference"}, headers=headers)

    assert answer.status_code == 401
    after = (await guarded_client.get(SEARCH.format(known.patient), headers=bearer(STATIC_TOKEN))).json()["total"]
    assert after == before


async def test_replay(guarded_client: httpx.AsyncClient, known: Known, servers: Servers) -> None:
    """RFC 6750: a bearer token is used again until it ends: `jti` names it for the audit and is not used up; what it
    opens does not grow with use, nor does a refusal wear off."""
    good, bad = bearer(token("ITI-67")), bearer(edited(token("ITI-67"), scope="ITI-78"))

    answers = [await guarded_client.get(SEARCH.format(known.patient), headers=good) for _ in range(3)]
    others = [await guarded_client.get("Patient?family=x", headers=good) for _ in range(2)]
    forged = [await guarded_client.get("Patient?family=x", headers=bad) for _ in range(2)]

    assert [one.status_code for one in answers] == [200] * 3
    assert {one.json()["issue"][0]["code"] for one in others} == {"forbidden"}
    assert {one.json()["issue"][0]["code"] for one in forged} == {"security"}


async def test_unknown_keys_do_not_drive_us(guarded_client: httpx.AsyncClient, known: Known, servers: Servers) -> None:
    """IUA-46: a hundred tokens with invented `kid` make at most one request to the issuer."""
    servers.keys.calls.reset()

    for number in range(100):
        answer = await guarded_client.get("Patient?family=x", headers=bearer(by_rsa({"kid": f"k{number}"})))
        assert answer.status_code == 401

    assert servers.keys.call_count <= 1


async def is_audited(client: httpx.AsyncClient, request: str) -> bool:
    """Tell whether an event names the request."""
    url = "AuditEvent?date=ge2020-01-01&type=http://dicom.nema.org/resources/ontology/DCM|110113&_sort=-date&_count=5"
    answer = await client.get(url, headers=bearer(STATIC_TOKEN))
    assert answer.status_code == 200, answer.text
    return request in answer.text
