"""Access tokens: what is taken, and what is refused with which words; IUA-40 to IUA-48."""

from __future__ import annotations

import time
from typing import Any

import pytest
from joserfc.jwk import Key, OctKey

from app.security.claims import Reading, principal_of
from app.security.keys import PUBLIC, GivenKeys, public_keys, secret_key
from app.security.principal import Principal
from app.security.refusal import RefusedError
from app.security.scope import Aliases
from app.security.token import CACHE_SIZE, Issuer, Tokens
from tests.conftest import BASE_URL
from tests.security.issuing import (
    CURVES,
    EC,
    ED,
    LOGIN,
    RSA,
    SECRET,
    SHARED,
    SHARED_KEY,
    STRANGER,
    claims,
    published,
    signed,
    token,
)

PERSON = {
    "subject_name": "MUDr. Jana Malá",
    "subject_organization": "North Hospital",
    "subject_organization_id": "urn:oid:2.999.10",
    "subject_role": [{"system": "http://terminology.hl7.org/CodeSystem/practitioner-role", "code": "doctor"}],
    "purpose_of_use": [{"system": "http://terminology.hl7.org/CodeSystem/v3-ActReason", "code": "TREAT"}],
    "home_community_id": "urn:oid:2.999.1",
    "national_provider_identifier": "12345",
}


def issuer(name: str = LOGIN, *keys: Key, algorithms: tuple[str, ...] = PUBLIC, **more: Any) -> Issuer:
    """An issuer with keys that are known."""
    found = public_keys(published(*(keys or (RSA,))))
    return Issuer(name, frozenset({BASE_URL}), frozenset(algorithms), GivenKeys(found), **more)


def tokens(*issuers: Issuer, **more: Any) -> Tokens:
    """What takes tokens of `issuers`."""
    return Tokens(issuers or (issuer(),), **more)


async def refused(taking: Tokens, text: str) -> tuple[int, str, str]:
    """Return status, issue code and `WWW-Authenticate` of the refusal of a token."""
    with pytest.raises(RefusedError) as caught:
        await taking.principal(text)
    return caught.value.status, caught.value.issues[0].code, caught.value.headers.get("WWW-Authenticate", "")


async def test_principal() -> None:
    """IUA-42, IUA-43, IUA-44, EHDS-18: every claim that policy and audit need is there; exchange 4 of iua.md."""
    bppc = {"patient_id": "N-1001^^^&2.999.10.1&ISO", "doc_id": "urn:oid:2.999.77.1", "acp": "urn:oid:2.999.77"}
    text = token("ITI-83 ITI-78", sub="u-5521", extensions={"ihe_iua": PERSON, "ihe_bppc": bppc, "other": {}})

    found = await tokens().principal(text)

    assert (found.client, found.issuer, found.subject) == ("north-adt", LOGIN, "u-5521")
    assert found.is_person
    assert found.is_iua
    assert found.token_id == "4f0f6c1e-9d53-4a58-8d2e-0d9a3a1f7b01"
    assert found.token_tail == text[-32:]
    assert [grant.transaction for grant in found.grants] == ["ITI-83", "ITI-78"]
    assert found.patient == "urn:oid:2.999.10.1|N-1001"
    assert found.roles == (("http://terminology.hl7.org/CodeSystem/practitioner-role", "doctor"),)
    assert found.purposes == (("http://terminology.hl7.org/CodeSystem/v3-ActReason", "TREAT"),)
    assert found.claims == {"ihe_iua": PERSON, "ihe_bppc": bppc}


@pytest.mark.parametrize(
    ("said", "patient"),
    [
        ({"patient": "pat-1"}, "Patient/pat-1"),
        ({"patient": "Patient/pat-1"}, "Patient/pat-1"),
        ({"extensions": {"ihe_iua": {"person_id": f"{BASE_URL}/Patient/1"}}}, f"{BASE_URL}/Patient/1"),
        ({"extensions": {"ihe_iua": {"person_id": "urn:oid:2.999.1|7"}}}, "urn:oid:2.999.1|7"),
        ({"extensions": {"ihe_bppc": {"patient_id": "7^^^&2.999.1&ISO"}}}, "urn:oid:2.999.1|7"),
        ({"extensions": {"ihe_bppc": {"patient_id": "7^^^ward"}}}, "7^^^ward"),
        (
            {
                "extensions": {
                    "ihe_bppc": {"patient_id": "7^^^&2.999.1&ISO"},
                    "ihe_iua": {"person_id": "urn:oid:2.999.1|7"},
                }
            },
            "urn:oid:2.999.1|7",
        ),
    ],
)
async def test_bound_to_a_patient(said: dict[str, Any], patient: str) -> None:
    """IUA-23, IUA-33, EHDS-18, EHDS-20: by launch context, person_id or patient_id, in each form."""
    assert (await tokens().principal(token(**said))).patient == patient


async def test_person_id_may_be_told_not_to_bind() -> None:
    """EHDS-18: `bind_person_id=false`: the claim is for the audit alone."""
    taking = tokens(reading=Reading(bind_person_id=False))

    found = await taking.principal(token(extensions={"ihe_iua": {"person_id": "7"}}))

    assert (found.patient, found.claims["ihe_iua"]["person_id"]) == ("", "7")


@pytest.mark.parametrize(
    "said",
    [
        {"patient": ""},
        {"patient": ["pat-1"]},
        {"extensions": {"ihe_bppc": {}}},
        {"extensions": {"ihe_iua": {"person_id": None}}},
        {"extensions": {"ihe_bppc": {"patient_id": None}}},
        {"patient": "pat-1", "extensions": {"ihe_iua": {"person_id": "Patient/pat-2"}}},
        {"extensions": {"ihe_bppc": {"patient_id": 7}}},
        {"extensions": {"ihe_iua": "7"}},
        {"extensions": [{"ihe_iua": {"person_id": "7"}}]},
    ],
)
async def test_restriction_that_cannot_be_read(said: dict[str, Any]) -> None:
    """IUA-23: a claim that might bind the token is never ignored because it is not understood."""
    assert (await refused(tokens(), token(**said)))[:2] == (401, "security")


def test_null_names_nobody() -> None:
    """IUA-23, EHDS-20: a launch context that is there and empty is not a token for everybody."""
    with pytest.raises(RefusedError):
        principal_of({**claims("system/*.rs"), "patient": None}, "token", Reading())


async def test_patient_scopes_without_patient_grant_nothing() -> None:
    """EHDS-20: `patient/…` of no patient is nobody's."""
    assert (await tokens().principal(token("patient/*.rs"))).grants == ()
    assert (await tokens().principal(token("patient/*.rs", patient="p"))).grants != ()


@pytest.mark.parametrize("name", ["iss", "sub", "client_id", "aud", "jti", "exp", "iat", "scope"])
@pytest.mark.parametrize("value", [None, ""])
async def test_required_claim(name: str, value: str | None) -> None:
    """IUA-42: without a required claim, or with an empty one: 401 `security`."""
    status, code, header = await refused(tokens(), token(**{name: value}))

    assert (status, code) == (401, "security")
    assert 'error="invalid_token"' in header


@pytest.mark.parametrize("name", ["client_id", "jti", "iat", "scope"])
async def test_lenient(name: str) -> None:
    """IUA-42, register I6: `jwt_lenient` tolerates what the guide's own sample lacks; the client is then the subject."""
    found = await tokens(issuer(is_lenient=True)).principal(token(**{name: None}))

    assert found.client == "north-adt"


@pytest.mark.parametrize("name", ["iss", "sub", "aud", "exp"])
async def test_lenient_has_a_limit(name: str) -> None:
    """IUA-42: who it is from, about whom, for whom, until when: that must be told."""
    assert (await refused(tokens(issuer(is_lenient=True)), token(**{name: None})))[:2] == (401, "security")


@pytest.mark.parametrize(
    ("said", "code"),
    [
        ({"exp": -20}, ""),
        ({"exp": -60}, "expired"),
        ({"exp": -30}, "expired"),
        ({"nbf": 20}, ""),
        ({"nbf": 60}, "security"),
        ({"iat": 20}, ""),
        ({"iat": 60}, "security"),
    ],
)
async def test_times(said: dict[str, int], code: str) -> None:
    """IUA-03, IUA-21, IUA-42: 30 seconds of skew are granted, on both ends, and no more."""
    now = int(time.time())
    taking = tokens(clock=lambda: float(now))
    text = token(**({"iat": now - 300} | {name: now + seconds for name, seconds in said.items()}))

    if code:
        assert (await refused(taking, text))[:2] == (401, code)
    else:
        assert isinstance(await taking.principal(text), Principal)


@pytest.mark.parametrize("value", ["soon", True, [1], {"a": 1}, "1900000000"])
@pytest.mark.parametrize("name", ["exp", "iat", "nbf"])
async def test_times_are_numbers(name: str, value: Any) -> None:
    """IUA-42: a time that is no number is no time."""
    assert (await refused(tokens(), token(**{name: value})))[:2] == (401, "security")


@pytest.mark.parametrize(
    ("aud", "is_taken"),
    [
        (BASE_URL, True),
        ([BASE_URL], True),
        (["https://other.example.org/fhir", BASE_URL], True),
        ("https://other.example.org/fhir", False),
        (["https://other.example.org/fhir"], False),
        (f"{BASE_URL}x", False),
        (BASE_URL.upper(), False),
        ({BASE_URL: True}, False),
        ([7, None], False),
        (7, False),
    ],
)
async def test_audience(aud: Any, is_taken: bool) -> None:
    """IUA-22, IUA-42: a text or a list, one of which is this server, letter by letter."""
    if is_taken:
        await tokens().principal(token(aud=aud))
    else:
        assert (await refused(tokens(), token(aud=aud)))[:2] == (401, "security")


@pytest.mark.parametrize("typ", ["JWT", "jwt", "at+jwt", "IUA-JWT", "application/at+jwt", None])
async def test_type_of_token(typ: str | None) -> None:
    """IUA-45: these types, and none at all."""
    await tokens().principal(signed(claims(), typ=typ))


@pytest.mark.parametrize("typ", ["dpop+jwt", "logout+jwt", "client-authentication+jwt", 7])
async def test_other_types_of_token(typ: Any) -> None:
    """IUA-45, IUA-48: a JWT that was made for something else opens nothing."""
    assert (await refused(tokens(), _with_header(typ=typ)))[:2] == (401, "security")


async def test_unknown_claims_are_ignored() -> None:
    """IUA-45: claims and members of extensions that nobody knows do no harm."""
    text = token(azp="x", cnf=None, foo={"a": [1]}, extensions={"ihe_iua": {"foo": 1}, "bar": 7})

    assert (await tokens().principal(text)).client == "north-adt"


@pytest.mark.parametrize(
    ("key", "algorithm"),
    [
        (RSA, "RS256"),
        (RSA, "RS384"),
        (RSA, "RS512"),
        (RSA, "PS256"),
        (RSA, "PS384"),
        (EC, "ES256"),
        (ED, "EdDSA"),
        (ED, "Ed25519"),
    ],
)
async def test_algorithms(key: Key, algorithm: str) -> None:
    """IUA-41: RSA in both forms, elliptic curves, Edwards curves."""
    taking = tokens(issuer(LOGIN, RSA, EC, ED))

    assert (await taking.principal(signed(claims(), key, algorithm))).issuer == LOGIN


async def test_shared_secret() -> None:
    """IUA-41: HS256 where a secret was configured, with a `kid` and without."""
    shared = Issuer(SHARED, frozenset({BASE_URL}), frozenset({"HS256"}), GivenKeys([secret_key(SECRET)]))
    said = claims(issuer=SHARED)

    assert (await tokens(shared).principal(signed(said, SHARED_KEY, "HS256"))).issuer == SHARED
    assert (await tokens(shared).principal(signed(said, SHARED_KEY, "HS256", kid="k1"))).issuer == SHARED
    assert (await refused(tokens(shared), signed(said, OctKey.import_key("x" * 40), "HS256")))[1] == "security"


async def test_two_issuers_at_once() -> None:
    """IUA-07: each with its own keys and algorithms; the key of one does not sign for the other."""
    taking = tokens(issuer(LOGIN, RSA), issuer(CURVES, EC, algorithms=("ES256",)))

    assert (await taking.principal(token())).issuer == LOGIN
    assert (await taking.principal(signed(claims(issuer=CURVES), EC, "ES256"))).issuer == CURVES
    assert (await refused(taking, signed(claims(issuer=CURVES), RSA)))[1] == "security"
    assert (await refused(taking, signed(claims(issuer=LOGIN), EC, "ES256")))[1] == "security"


async def test_token_without_kid() -> None:
    """IUA-46: the only key there is verifies it; of two, none is tried."""
    text = signed(claims(), RSA, kid=None)

    assert (await tokens().principal(text)).issuer == LOGIN
    assert (await refused(tokens(issuer(LOGIN, RSA, STRANGER)), text))[1] == "security"


@pytest.mark.parametrize(
    "text", ["abc", "a.b", "a.b.c", "eyJ.eyJ.x", "eyJhbGciOiJSUzI1NiJ9..", "." * 4, "eyJ" + "." * 4]
)
async def test_what_is_no_token(text: str) -> None:
    """IUA-27, IUA-47: what cannot be read is 401, and never 500."""
    assert (await refused(tokens(), text))[:2] == (401, "security")


async def test_encrypted_token() -> None:
    """IUA-47: a JWE is not offered."""
    from joserfc import jwe

    text = jwe.encrypt_compact({"alg": "dir", "enc": "A256GCM"}, b"{}", OctKey.generate_key(256))

    assert (await refused(tokens(), text))[:2] == (401, "security")


async def test_known_token_ends_in_time() -> None:
    """IUA-21: what is known of a token is forgotten when it expires."""
    now = time.time()
    taking = tokens(clock=lambda: now)
    text = token(exp=now + 10)
    await taking.principal(text)

    now += 39
    await taking.principal(text)
    now += 2

    assert (await refused(taking, text))[:2] == (401, "expired")


async def test_revocation_takes_effect() -> None:
    """IUA-85: a token that was taken back is refused half a minute later at the latest."""
    now, taken_back = time.time(), False

    async def is_revoked(said: Any) -> bool:
        return taken_back

    taking = tokens(issuer(is_revoked=is_revoked), clock=lambda: now)
    text = token()
    await taking.principal(text)
    taken_back = True
    now += 31

    assert (await refused(taking, text))[:2] == (401, "security")


async def test_known_tokens_are_few() -> None:
    """Own bound: what is known of tokens does not grow without end."""
    taking = tokens()
    taking._known = {index.to_bytes(32, "big"): (Principal(), 0.0) for index in range(CACHE_SIZE)}

    await taking.principal(token())

    assert len(taking._known) == CACHE_SIZE


async def test_short_token_is_not_told_as_a_whole() -> None:
    """AUD-61: never the whole token: of a short one half."""
    from app.security.claims import principal_of

    assert principal_of(claims(), "abcdefgh", Reading()).token_tail == "efgh"
    assert principal_of(claims(), "a", Reading()).token_tail == ""


@pytest.mark.parametrize(
    ("reading", "scope", "expected"),
    [
        (Reading(), "ITI-67", 401),
        (Reading(), "system/*.rs", 403),
        (Reading(scope_status="401"), "system/*.rs", 401),
        (Reading(scope_status="403"), "ITI-67", 403),
        (Reading(conceal=True), "ITI-67", 404),
    ],
)
async def test_status_of_denials(reading: Reading, scope: str, expected: int) -> None:
    """IUA-24: by the token's dialect, or as `scope_status` and `conceal` say."""
    assert (await tokens(reading=reading).principal(token(scope))).denial == expected


async def test_extension_makes_it_iua() -> None:
    """IUA-24: an `ihe_iua` extension speaks IUA's dialect, whatever the scopes."""
    assert (await tokens().principal(token("system/*.rs", extensions={"ihe_iua": PERSON}))).denial == 401


async def test_aliases_reach_tokens() -> None:
    """IUA-13: the deployment's aliases are those that tokens are read with."""
    taking = tokens(reading=Reading(Aliases(smart_feed=True)))

    found = await taking.principal(token("system/Patient.cud"))

    assert "ITI-104" in {grant.transaction for grant in found.grants}


def _with_header(**changes: Any) -> str:
    """A well-signed token whose header says what joserfc would not let us say."""
    from base64 import urlsafe_b64encode

    import orjson
    from cryptography.hazmat.primitives import hashes
    from cryptography.hazmat.primitives.asymmetric import padding

    def part(content: bytes) -> bytes:
        return urlsafe_b64encode(content).rstrip(b"=")

    header = {"alg": "RS256", "kid": "rsa-1"} | changes
    text = part(orjson.dumps(header)) + b"." + part(orjson.dumps(claims()))
    signature = RSA.private_key.sign(text, padding.PKCS1v15(), hashes.SHA256())
    return (text + b"." + part(signature)).decode()
