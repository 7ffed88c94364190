"""What is configured of authorization, and what is said when it cannot be used: IUA-07, IUA-31, EHDS-23."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from app.security.assembly import guard_of
from app.security.configuration import AuthorizationError
from app.security.guard import Gate, Gateway, Guard, Open
from app.security.token import Tokens
from app.settings import Settings
from tests.conftest import BASE_URL
from tests.security.conftest import FILE
from tests.security.issuing import CURVES, LOGIN, OPAQUE, RSA, SECRET, SHARED

ENVIRONMENT = {"TEST_SHARED_SECRET": SECRET, "TEST_STATIC_TOKEN": "curl-and-postman-1234", "SHORT": "abc"}
ISSUER = '[[issuer]]\nissuer = "https://login.example.org"\n'
TOKEN = '[[token]]\nclient = "curl"\nenv = "TEST_STATIC_TOKEN"\nscope = "ITI-67"\n'


def made(folder: Path, text: str = "", **settings: Any) -> Guard:
    """The guard for a file with `text` and for settings."""
    if text:
        (folder / "auth.toml").write_text(text)
        settings = {"auth": "iua", "auth_file": str(folder / "auth.toml")} | settings
    return guard_of(Settings(_env_file=None, **settings).authorization, ENVIRONMENT, BASE_URL)


def taking(guard: Guard) -> Tokens:
    """What takes its tokens."""
    assert isinstance(guard, Gate)
    assert isinstance(guard.tokens, Tokens)
    return guard.tokens


async def test_file(tmp_path: Path) -> None:
    """IUA-07: several issuers, a token, a certificate; audiences and algorithms of each."""
    guard = made(tmp_path, FILE)

    found = {one.issuer: one for one in taking(guard).issuers}
    assert list(found) == [LOGIN, CURVES, SHARED, OPAQUE]
    assert found[LOGIN].audiences == {BASE_URL, f"{BASE_URL}/"}
    assert found[CURVES].algorithms == {"ES256", "EdDSA"}
    assert found[SHARED].algorithms == {"HS256"}
    assert not any(name.startswith("HS") for name in found[LOGIN].algorithms)
    assert found[OPAQUE].keys is None
    assert isinstance(guard, Gate)
    assert [*guard.certificates] == ["CN=adt,O=North Hospital,C=SK"]
    await guard.close()


async def test_one_issuer_by_settings(tmp_path: Path) -> None:
    """IUA-07, EHDS-19: one issuer needs no file."""
    (tmp_path / "keys.pem").write_bytes(RSA.as_pem(private=False))
    guard = made(
        tmp_path,
        auth="smart",
        auth_issuer=LOGIN,
        auth_audience="https://a.example, https://b.example",
        auth_jwks_file=str(tmp_path / "keys.pem"),
        auth_introspection_client="fhir",
        auth_introspection_secret="secret",
    )

    (found,) = taking(guard).issuers
    assert found.audiences == {"https://a.example", "https://b.example"}
    assert found.keys
    assert await found.keys.find("", "RS256")
    assert found.introspection
    assert guard.mode == "smart"
    await guard.close()


def test_modes(tmp_path: Path) -> None:
    """EHDS-23, IUA-05: off by default; a gateway where that is said."""
    assert isinstance(made(tmp_path), Open)
    assert isinstance(made(tmp_path, auth="external", trusted_proxies="10.0.0.0/8"), Gateway)
    assert made(tmp_path, auth="static", auth_token="a-token-for-curl-0123").mode == "static"


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"auth_issuer": LOGIN}, "MHD_AUTH is off"),
        ({"auth_token": "a-token-for-curl-0123"}, "MHD_AUTH is off"),
        ({"auth": "iua"}, "MHD_AUTH_ISSUER"),
        ({"auth": "smart"}, "MHD_AUTH_ISSUER"),
        ({"auth": "static"}, "MHD_AUTH_TOKEN"),
        ({"auth": "static", "auth_issuer": LOGIN}, "smart or iua"),
        ({"auth": "external"}, "MHD_TRUSTED_PROXIES"),
        ({"auth": "static", "auth_token": "short"}, "shorter than 16"),
        ({"auth": "static", "auth_token": "a-token-for-curl-0123", "auth_token_scope": "foo"}, "grants nothing"),
        ({"auth": "iua", "auth_jwks_url": f"{LOGIN}/keys"}, "MHD_AUTH_ISSUER"),
        ({"auth": "iua", "auth_issuer": "http://login.example.org"}, "neither https"),
        ({"auth": "iua", "auth_issuer": LOGIN, "auth_jwks_url": "http://login.example.org/keys"}, "neither https"),
        ({"auth": "iua", "auth_issuer": LOGIN, "auth_secret": "short"}, "32 bytes"),
        ({"auth": "iua", "auth_issuer": LOGIN, "auth_algorithms": "none"}, "`none` is not a signature"),
        ({"auth": "iua", "auth_issuer": LOGIN, "auth_algorithms": "RS256,HS256"}, "`HS256` does not go"),
        ({"auth": "iua", "auth_issuer": LOGIN, "auth_secret": SECRET, "auth_algorithms": "RS256"}, "does not go"),
        ({"auth": "iua", "auth_issuer": LOGIN, "auth_secret": SECRET, "auth_jwks_file": "/x"}, "shares a secret"),
        ({"auth": "iua", "auth_issuer": LOGIN, "auth_jwks_file": "/nowhere"}, "No such file"),
        ({"auth": "iua", "auth_issuer": LOGIN, "auth_introspection_client": "fhir"}, "needs its secret"),
        ({"auth": "iua", "auth_issuer": LOGIN, "auth_opaque": True}, "introspection_client"),
    ],
)
def test_settings_that_make_no_sense(tmp_path: Path, settings: dict[str, Any], words: str) -> None:
    """IUA-07, IUA-29, IUA-41, EHDS-23: what would let nobody in, or everybody, stops the start with what to set."""
    with pytest.raises(AuthorizationError, match=words) as caught:
        made(tmp_path, **settings)

    assert str(caught.value).endswith(".")
    assert SECRET not in str(caught.value)


@pytest.mark.parametrize(
    ("text", "line", "words"),
    [
        (f"{ISSUER}jwks = 7\n", 3, "`jwks` is not known"),
        (f"{ISSUER}audience = 'x'\n", 3, "`audience` must be a list"),
        (f"{ISSUER}audience = ['']\n", 3, "`audience` must be a list"),
        (f"{ISSUER}lenient = 'yes'\n", 3, "`lenient` must be true or false"),
        (f"{ISSUER}introspect = 'some'\n", 3, "one of opaque, all"),
        (f"{ISSUER}introspect = 'all'\n", 1, "introspection_client"),
        (f"{ISSUER}secret_env = 'NOWHERE'\n", 3, "no variable `NOWHERE`"),
        (f"{ISSUER}secret_file = 'nowhere'\n", 3, "`nowhere` cannot be read"),
        (f"{ISSUER}jwks_url = 'http://a.example/keys'\n", 1, "neither https"),
        (f"{ISSUER}\n\n{ISSUER}", 5, "configured twice"),
        ("[[issuer]]\naudience = ['x']\n", 1, "has no `issuer`"),
        (f"{TOKEN}\n[[token]]\nclient = 'x'\nscope = 'ITI-67'\n", 6, "neither `env` nor `file`"),
        (f"{TOKEN}\n[[token]]\nclient = 'x'\nenv = 'SHORT'\nscope = 'ITI-67'\n", 6, "shorter than 16"),
        ("[[token]]\nclient = 'x'\nenv = 'TEST_STATIC_TOKEN'\n", 1, "has no `scope`"),
        (f"{TOKEN}\n[[certificate]]\nsubject = 'CN=a'\nclient = 'x'\nscope = 'foo'\n", 6, "grants nothing"),
        (f"{TOKEN}\n[[rule]]\nscope = 'foo'\n", 6, "no scope"),
        (f"{TOKEN}\n[[rule]]\nscope = 'ITI-67'\npurposes = ['TREAT']\n", 6, "system|code"),
        (f"{TOKEN}\n[rules]\nscope = 'ITI-67'\n", 6, "`rules` is not known"),
        ("x = 1\n", 1, "`x` is not known"),
        ("[issuer]\nissuer = 'x'\n", 1, "`issuer` is not known"),
    ],
)
def test_line_that_is_wrong(tmp_path: Path, text: str, line: int, words: str) -> None:
    """IUA-07: a mistake in the file is told by its line."""
    with pytest.raises(AuthorizationError) as caught:
        made(tmp_path, text)

    place = f"{tmp_path / 'auth.toml'}, line {line}: "
    assert str(caught.value).startswith(place), str(caught.value)
    assert words in str(caught.value)


@pytest.mark.parametrize("text", ["[[issuer", "issuer = ", "[[issuer]]\nissuer = 'a'\nissuer = 'b'"])
def test_file_that_is_none(tmp_path: Path, text: str) -> None:
    """IUA-07: what is no TOML is told so."""
    with pytest.raises(AuthorizationError, match="this is not TOML"):
        made(tmp_path, text)


def test_no_file(tmp_path: Path) -> None:
    """IUA-07: a file that is not there is named."""
    with pytest.raises(AuthorizationError, match=r"nowhere\.toml cannot be read"):
        made(tmp_path, auth="iua", auth_file=str(tmp_path / "nowhere.toml"))


async def test_secrets_in_files(tmp_path: Path) -> None:
    """IUA-07: a secret may stand in a file of its own, beside this one."""
    (tmp_path / "secret").write_text(f"{SECRET}\n")
    guard = made(tmp_path, f"{ISSUER}secret_file = 'secret'\n")

    (found,) = taking(guard).issuers
    assert found.keys
    assert await found.keys.find("", "HS256")
    await guard.close()
