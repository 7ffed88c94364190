"""The started program and a real authorization server beside it: keys by discovery, tokens by the code grant.

The authorization server is the package `oidc-provider-mock`, which signs ID tokens and gives opaque access tokens without
introspection; what it signs stands for an access token here, named for our audience.

Spec: IUA-01, IUA-07, IUA-98; EHDS-11.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import httpx
import pytest

from tests.system.program import Program, run, served

# Of the packages that the authorization server is made of, and of no others.
pytestmark = [
    pytest.mark.filterwarnings("ignore::DeprecationWarning:authlib.*"),
    pytest.mark.filterwarnings("ignore::DeprecationWarning:oidc_provider_mock.*"),
]

AUDIENCE = "fhir-server"
REDIRECT = "http://localhost/callback"


@pytest.fixture(scope="module")
def login() -> Iterator[str]:
    """The issuer of an authorization server on loopback."""
    with warnings.catch_warnings(record=True):
        from oidc_provider_mock import run_server_in_thread

    with run_server_in_thread() as server:
        yield f"http://localhost:{server.server_port}"


@pytest.fixture(scope="module")
def guarded(login: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Program]:
    """The program, with the example data, who trusts that issuer."""
    settings = {"MHD_AUTH": "smart", "MHD_AUTH_ISSUER": login, "MHD_AUTH_AUDIENCE": AUDIENCE}
    with served(tmp_path_factory.mktemp("guarded"), **settings) as program:
        yield program


def token(login: str, audience: str = AUDIENCE, **said: Any) -> str:
    """Log somebody in; return what was signed for them."""
    known = {"client_id": "app", "jti": "j-1", "scope": "user/DocumentReference.rs user/Patient.s", **said}
    httpx.put(f"{login}/users/u-5521", json=known).raise_for_status()
    asked = {"client_id": audience, "redirect_uri": REDIRECT, "response_type": "code", "scope": "openid"}
    answer = httpx.post(f"{login}/oauth2/authorize", params=asked, data={"sub": "u-5521"})
    (code,) = parse_qs(urlsplit(answer.headers["location"]).query)["code"]
    form = {"grant_type": "authorization_code", "code": code, "redirect_uri": REDIRECT}
    given = httpx.post(f"{login}/oauth2/token", data=form, auth=(audience, "any"))
    return str(given.raise_for_status().json()["id_token"])


def test_token_of_a_real_server(guarded: Program, login: str) -> None:
    """IUA-01, IUA-07, IUA-98, EHDS-11, EHDS-17: its keys are found by its metadata; its token opens its scopes only."""
    headers = {"Authorization": f"Bearer {token(login)}"}

    assert httpx.get(f"{guarded.url}/Patient?family=example", headers=headers).status_code == 200
    found = httpx.get(f"{guarded.url}/DocumentReference?patient=ida&status=current", headers=headers)
    assert found.status_code == 200
    assert found.json()["total"] > 0
    refused = httpx.get(f"{guarded.url}/List?patient=ida&status=current", headers=headers)
    assert (refused.status_code, refused.json()["issue"][0]["code"]) == (403, "forbidden")
    assert 'scope="user/List.s"' in refused.headers["www-authenticate"]


def test_token_for_somebody_else(guarded: Program, login: str) -> None:
    """IUA-22, EHDS-11: the same server's token for another audience, and none at all: 401."""
    other = {"Authorization": f"Bearer {token(login, 'another-server')}"}

    assert httpx.get(f"{guarded.url}/Patient?family=example", headers=other).status_code == 401
    assert httpx.get(f"{guarded.url}/Patient?family=example").status_code == 401
    assert httpx.get(f"{guarded.url}/metadata").status_code == 200


def test_tokens_are_not_logged(guarded: Program, login: str) -> None:
    """MHD-SEC-07: neither a good token nor a bad one is in the log."""
    text = token(login)
    for shown in (text, text[:-4] + "abcd"):
        httpx.get(f"{guarded.url}/Patient?family=example", headers={"Authorization": f"Bearer {shown}"})

    assert text.split(".")[1] not in guarded.log.read_text()


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"MHD_AUTH": "iua"}, ("MHD_AUTH", "MHD_AUTH_ISSUER")),
        ({"MHD_AUTH_ISSUER": "https://login.example.org"}, ("MHD_AUTH is off",)),
        ({"MHD_AUTH": "on"}, ("MHD_AUTH", "static", "smart", "iua")),
    ],
)
def test_wrong_authorization_stops_the_start(folder: Path, settings: dict[str, str], words: tuple[str, ...]) -> None:
    """EHDS-23: what was configured and makes no sense is told in one sentence, and nothing is served."""
    ended = run("serve", "--port", "0", "--data", str(folder), **settings)

    assert (ended.returncode, ended.stdout) == (1, ""), ended.stderr
    assert ended.stderr.count("\n") == 1, ended.stderr
    assert all(word in ended.stderr for word in words), ended.stderr


def test_line_of_the_file_is_told(folder: Path) -> None:
    """EHDS-23, IUA-07: a mistake in the file of authorization is told by its line."""
    file = folder / "auth.toml"
    file.write_text('[[issuer]]\nissuer = "https://login.example.org"\nkeys = "x"\n')

    ended = run("serve", "--port", "0", "--data", str(folder / "data"), MHD_AUTH="iua", MHD_AUTH_FILE=str(file))

    assert ended.returncode == 1
    assert f"{file}, line 3" in ended.stderr


def test_guarded_server_may_listen_to_the_network(folder: Path) -> None:
    """EHDS-23, MHD-SEC-01: open, it refuses other addresses; with tokens it asks who comes, and listens."""
    refused = run("serve", "--port", "0", "--data", str(folder), MHD_HOST="0.0.0.0")
    assert refused.returncode == 1
    assert "MHD_AUTH" in refused.stderr

    settings = {"MHD_HOST": "127.0.0.2", "MHD_AUTH": "static", "MHD_AUTH_TOKEN": "a-token-for-curl-0123"}
    with served(folder, "--no-examples", **settings) as program:
        assert httpx.get(f"{program.url}/Patient?family=x").status_code == 401
        shown = {"Authorization": "Bearer a-token-for-curl-0123"}
        assert httpx.get(f"{program.url}/Patient?family=x", headers=shown).status_code == 200
