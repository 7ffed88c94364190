"""`python -m app clients`: what an administrator says, and what comes of it; the keys of the server."""

from __future__ import annotations

import re
from argparse import ArgumentParser
from collections.abc import Callable, Coroutine
from datetime import UTC, datetime, timedelta
from io import StringIO
from pathlib import Path
from typing import Any

import httpx
import orjson
import pytest
from fastapi import FastAPI
from joserfc.jwk import ECKey, RSAKey

from app.fhir.outcome import FhirError
from app.iua import commands
from app.iua.private_file import signed
from app.iua.register import Administration
from app.iua.signing_keys import KeyFileError, SigningKeys
from app.main import new_id, own_authorities, utc_now
from app.store.authority import KEYS, AuthorityStore
from app.transaction import Context
from tests.iua.conftest import Authorize
from tests.iua.parties import (
    CALLBACK,
    EC,
    ISSUER,
    RS,
    RSA,
    agree,
    answered,
    assertion,
    by_key,
    by_secret,
    claims_of,
    error,
    introspected,
    jwks,
    redeeming,
)
from tests.patients import settings_of

Command = Callable[..., Coroutine[Any, Any, str]]


@pytest.fixture
def command(
    login_app: FastAPI,
    parties: AuthorityStore,
    mongodb_url: str,
    iua_database: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> Command:
    """Runs a command as from the command line, in a folder of its own; returns what it prints."""
    monkeypatch.chdir(tmp_path)
    context: Context = login_app.state.context
    changes = {"authority": True, "authority_issuer": ISSUER, "authority_tenants": ("north",)}
    own = own_authorities(settings_of(mongodb_url, iua_database, **changes))
    parser = ArgumentParser()
    commands.add_commands(parser)

    async def run(*words: str) -> str:
        lines = commands.run(parser.parse_args(words), Administration(context, own))
        return "\n".join([line async for line in lines])

    return run


async def test_register_with_a_key(login: httpx.AsyncClient, command: Command, tmp_path: Path) -> None:
    """EHDS-12, EHDS-15: by default a client gets a pair of keys, of which only the public one stays here."""
    told = await command("register", "my-app", "--scope", "ITI-67 ITI-68")
    path = tmp_path / "my-app.private.json"
    assert f"curl -s {ISSUER}/token" in told
    assert path.stat().st_mode & 0o777 == 0o600
    now = int(utc_now().timestamp())

    answer = await login.post("/token", data=by_key(signed(path, 240, new_id(), now), scope="ITI-67 ITI-68"))
    assert answer.json()["scope"] == "ITI-67 ITI-68"
    with pytest.raises(FhirError, match="is there already"):
        await command("register", "my-app", "--scope", "ITI-67")


async def test_register_with_a_secret(login: httpx.AsyncClient, authorize: Authorize, command: Command) -> None:
    """EHDS-14, IUA-51: a shared secret is made here and shown once; it is taken in dev_mode, or where that was said."""
    found = re.search(r"shown only now: (\S+)", await command("register", "a", "--scope", "ITI-67", "--secret"))
    assert found
    assert error(await by_secret(login, "a", found[1])) == (401, "invalid_client")
    async with authorize(dev_mode=True) as trying:
        assert (await by_secret(trying, "a", found[1])).status_code == 200
    told = await command("register", "b", "--scope", "ITI-67", "--secret", "--allow-basic")
    allowed = re.search(r"shown only now: (\S+)", told)
    assert allowed
    assert (await by_secret(login, "b", allowed[1])).status_code == 200


async def test_register_keys_of_a_file(login: httpx.AsyncClient, command: Command, tmp_path: Path) -> None:
    """EHDS-15: an inline JWKS; of a private key only the public half is kept."""
    file = tmp_path / "keys.json"
    file.write_bytes(orjson.dumps({"keys": [RSA.as_dict(private=True), EC.as_dict(private=False)]}))
    await command("register", "c", "--scope", "ITI-67", "--jwks", str(file), "--organization", "North Hospital")

    answer = await login.post("/token", data=by_key(assertion("c", EC)))
    assert claims_of(answer.json()["access_token"])["extensions"]["ihe_iua"] == {
        "subject_organization": "North Hospital"
    }
    assert "key" in await command("list")


async def test_revoke(login: httpx.AsyncClient, command: Command, tmp_path: Path) -> None:
    """IUA-83, IUA-85: a revoked client gets no token, and those it has are not active; registered again, it may."""
    await command("register", "d", "--scope", "ITI-67")
    path = tmp_path / "d.private.json"
    now = int(utc_now().timestamp())
    token = (await login.post("/token", data=by_key(signed(path, 60, new_id(), now)))).json()["access_token"]
    assert "Revoked" in await command("revoke", "d")

    assert await introspected(login, token) == {"active": False}
    assert error(await login.post("/token", data=by_key(signed(path, 60, new_id(), now)))) == (400, "invalid_client")
    assert re.search(r"client  d  revoked", await command("list"))
    path.unlink()
    await command("register", "d", "--scope", "ITI-67")
    assert (await login.post("/token", data=by_key(signed(path, 60, new_id(), now)))).status_code == 200
    with pytest.raises(FhirError, match="no client"):
        await command("revoke", "nobody")


async def test_user(login: httpx.AsyncClient, command: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    """IUA-60: a user is registered with what tokens say of it, and its password; and is no more when revoked."""
    arguments = ["--full-name", "Dr. A", "--role", "doctor", "--purpose", "TREAT", "--person-id", "1^^^&2.999&ISO"]
    made = re.search(r"shown only now: (\S+)", await command("user", "dr-a", *arguments))
    assert made
    code = answered(await agree(login, "dr-a", made[1]))["code"]
    claims = claims_of((await login.post("/token", data=redeeming(code))).json()["access_token"])
    assert claims["extensions"]["ihe_iua"] == {
        "subject_name": "Dr. A",
        "subject_role": [{"system": "http://terminology.hl7.org/CodeSystem/practitioner-role", "code": "doctor"}],
        "purpose_of_use": [{"system": "http://terminology.hl7.org/CodeSystem/v3-ActReason", "code": "TREAT"}],
        "person_id": "1^^^&2.999&ISO",
    }
    monkeypatch.setattr("sys.stdin", StringIO("a long password\n"))
    await command("user", "dr-a", "--password-stdin")
    assert "code" in answered(await agree(login, "dr-a", "a long password"))
    assert "no more" in await command("revoke", "dr-a")
    assert (await agree(login, "dr-a", "a long password")).status_code == 403


@pytest.mark.parametrize(
    ("words", "text"),
    [
        (["a b", "--scope", "ITI-67"], "no name"),
        (["x"], "--scope is missing"),
        (["x", "--scope", "nonsense"], "`nonsense` is no scope"),
        (["x", "--scope", "ITI-67", "--secret", "--public"], "One of"),
        (["x", "--scope", "ITI-67", "--allow-basic"], "goes with --secret"),
        (["x", "--scope", "ITI-67", "--public"], "goes with --redirect-uri"),
        (["x", "--scope", "ITI-67", "--jwks", "http://keys.example.org"], "https"),
        (["x", "--scope", "ITI-67", "--jwks", "nowhere.json"], "cannot be read"),
        (["x", "--scope", "ITI-67", "--resource", "index"], "--resource"),
        (["x", "--scope", "ITI-67", "--tenant", "nosuch"], "no tenant"),
        (["u-5521", "--scope", "ITI-67"], "name of a user"),
        *(
            (["x", "--scope", "ITI-67", "--public", "--redirect-uri", url], "no place")
            for url in (
                "http://a.example.org/cb",
                "javascript:alert(1)",
                "cb",
                f"{CALLBACK}#f",
                f"{CALLBACK};x",
                "data:x",
            )
        ),
    ],
)
async def test_what_is_no_client(command: Command, words: list[str], text: str) -> None:
    """IUA-56, IUA-59, IUA-64: what a client cannot be like is told, and nobody is registered."""
    before = await command("list")
    with pytest.raises(FhirError, match=text):
        await command("register", *words)
    assert await command("list") == before


async def test_resource_server(login: httpx.AsyncClient, command: Command) -> None:
    """IUA-65, IUA-81: a client that is a resource server can be named in `resource`, and introspects."""
    url = "https://third.example.org/fhir"
    assert error(await by_secret(login, resource=url)) == (400, "invalid_target")
    await command("register", "third", "--resource", f"{url}/", "--secret", "--allow-basic")
    token = (await by_secret(login, resource=url)).json()["access_token"]
    assert claims_of(token)["aud"] == url
    await command("revoke", "third")
    assert error(await by_secret(login, resource=url)) == (400, "invalid_target")


async def test_new_key(login: httpx.AsyncClient, authorize: Authorize, parties: AuthorityStore) -> None:
    """IUA-92: a new key signs at once; what the one before signed is good still, also in another worker."""
    async with authorize() as other:
        old = (await by_secret(other)).json()["access_token"]
        await SigningKeys(90).rotate(parties, datetime.now(UTC))
    async with authorize() as third:
        new = (await by_secret(third)).json()["access_token"]
        published = [key["kid"] for key in (await third.get("/jwks.json")).json()["keys"]]
        assert (await introspected(third, old))["active"] is True
    assert _kid(new) != _kid(old)
    assert {_kid(new), _kid(old)} <= set(published)
    headers = {"Authorization": f"Bearer {new}"}
    patient = f"{RS}/Patient/$ihe-pix?sourceIdentifier=urn:oid:2.999.10.1%7CN-1"
    assert (await login.get(patient, headers=headers)).status_code == 404  # let in by who knew the old key


async def test_key_is_changed_in_time(parties: AuthorityStore) -> None:
    """IUA-92: a kept key signs for so many days; of two workers that change it at once, one does."""
    now = datetime.now(UTC)
    first, second = SigningKeys(1), SigningKeys(1)
    before = (await first.all(parties, now))[0].kid
    later = now + timedelta(days=2)
    after = [(await keys.all(parties, later))[0].kid for keys in (first, second)]
    assert after[0] == after[1] != before
    old = [one for one in await parties.all(KEYS) if one["jwk"]["kid"] == before]
    assert old[0]["forget"] > later


def _kid(token: str) -> str:
    from base64 import urlsafe_b64decode

    head = token.split(".", maxsplit=1)[0]
    return str(orjson.loads(urlsafe_b64decode(head + "=" * (-len(head) % 4)))["kid"])


@pytest.mark.parametrize("form", ["pem", "jwk", "jwks", "ec"])
async def test_keys_of_a_file(authorize: Authorize, tmp_path: Path, form: str) -> None:
    """IUA-92: the keys may be those of a file, PEM, JWK or JWKS."""
    key: RSAKey | ECKey = ECKey.generate_key("P-256") if form == "ec" else RSAKey.generate_key(2048)
    file = tmp_path / "keys"
    as_dict = dict(key.as_dict(private=True))
    text = (
        key.as_pem(private=True)
        if form in ("pem", "ec")
        else orjson.dumps({"keys": [as_dict]} if form == "jwks" else as_dict)
    )
    file.write_bytes(text)
    async with authorize(authority_key_file=file) as login:
        token = (await by_secret(login)).json()["access_token"]
        published = (await login.get("/jwks.json")).json()["keys"]
        headers = {"Authorization": f"Bearer {token}"}
        patient = f"{RS}/Patient/$ihe-pix?sourceIdentifier=urn:oid:2.999.10.1%7CN-1"
        assert (await login.get(patient, headers=headers)).status_code == 404
    assert [one["kid"] for one in published] == [_kid(token)]
    assert "d" not in published[0]


@pytest.mark.parametrize(
    "text", [b"", b"nonsense", b"[]", b'{"kty":"RSA"}', orjson.dumps(jwks(RSA)), RSA.as_pem(private=False)]
)
def test_file_without_private_key(tmp_path: Path, text: bytes) -> None:
    """IUA-92: a file without a private key stops the start."""
    file = tmp_path / "keys"
    file.write_bytes(text)
    with pytest.raises(KeyFileError, match="signing keys"):
        SigningKeys(90, str(file))
    with pytest.raises(KeyFileError):
        SigningKeys(90, str(tmp_path / "nowhere"))
