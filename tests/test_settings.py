"""The one table of settings: where a value came from, and what is said about a wrong one."""

from __future__ import annotations

import dataclasses
import tomllib
from pathlib import Path

import pytest

from app import __version__
from app.settings import SettingError, Settings, load, table
from app.switches import Switches

NOWHERE = "no-such-file.env"


@pytest.fixture(autouse=True)
def _no_settings(monkeypatch: pytest.MonkeyPatch) -> None:
    import os

    for name in [name for name in os.environ if name.startswith("MHD_")]:
        monkeypatch.delenv(name)


def origins(given: dict[str, object] | None = None, env_file: str | Path = NOWHERE) -> dict[str, tuple[str, str]]:
    return {row.name: (row.value, row.origin) for row in table(load(given, env_file), given, env_file)}


def test_defaults_listen_on_loopback() -> None:
    """style.md 1: names and defaults that others rely on."""
    settings = load(env_file=NOWHERE)
    assert (settings.host, settings.port, settings.url) == ("127.0.0.1", 8080, "http://127.0.0.1:8080/fhir")
    assert (settings.mongodb_url.get_secret_value(), settings.mongodb_driver) == ("", "pymongo")
    assert settings.data_dir == Path("data")


def test_command_line_wins_over_environment_over_file(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Settings are listed with their values' origin."""
    env_file = tmp_path / ".env"
    env_file.write_text("MHD_PORT=1\nMHD_WORKERS=2\nMHD_LOG_LEVEL=error\nOTHER=x\n")
    monkeypatch.setenv("MHD_PORT", "3")
    monkeypatch.setenv("MHD_WORKERS", "4")
    found = origins({"port": "5"}, env_file)
    assert found["MHD_PORT"] == ("5", "the command line")
    assert found["MHD_WORKERS"] == ("4", "the environment")
    assert found["MHD_LOG_LEVEL"] == ("error", f"the file {env_file}")
    assert found["MHD_HOST"] == ("127.0.0.1", "the default")


@pytest.mark.parametrize(
    ("name", "value", "words"),
    [
        ("MHD_PORT", "abc", ["MHD_PORT", "the environment", "`abc`", "integer", "8080"]),
        ("MHD_PORT", "70000", ["MHD_PORT", "65535"]),
        ("MHD_MONGODB_DRIVER", "mysql", ["MHD_MONGODB_DRIVER", "`mysql`", "'pymongo'", "'motor'"]),
        ("MHD_BASE_URL", "example.org", ["MHD_BASE_URL", "https://example.org/fhir"]),
        ("MHD_SUPERSEDED_RETRIEVAL", "500", ["MHD_SUPERSEDED_RETRIEVAL", "410"]),
        ("MHD_EXTERNAL_DOCUMENTS", "a.example.org,https://b.example.org/x", ["MHD_EXTERNAL_DOCUMENTS", "host name"]),
        ("MHD_EXTERNAL_REFERENCES", "abc:80", ["MHD_EXTERNAL_REFERENCES", "host name"]),
        ("MHD_EXTERNAL_REFERENCES", "*.example.org", ["MHD_EXTERNAL_REFERENCES", "host name"]),
        ("MHD_PAGE_KEY", "fifteen-letters", ["MHD_PAGE_KEY", "16 characters"]),
        ("MHD_TRUSTED_PROXIES", "10.0.0.0/8, proxy.example.org", ["MHD_TRUSTED_PROXIES", "10.1.2.0/24"]),
        ("MHD_CORS_ORIGINS", "https://app.example.org/", ["MHD_CORS_ORIGINS", "https://app.example.org"]),
        ("MHD_TLS_CERTIFICATE", "/nowhere/server.pem", ["MHD_TLS_CERTIFICATE", "/nowhere/server.pem"]),
        ("mhd_port", "abc", ["MHD_PORT", "the environment", "`abc`"]),
        ("mhd_prot", "1", ["MHD_PROT", "not a setting", "MHD_PORT"]),
        ("MHD_PORT_FILE", "port", ["MHD_PORT_FILE", "not a setting"]),
        ("MHD_PAGE_KEY_FILE", "/nowhere/key", ["MHD_PAGE_KEY_FILE", "/nowhere/key", "No such file"]),
        ("MHD_PROT", "1", ["MHD_PROT", "not a setting", "MHD_PORT"]),
        ("MHD_ZZZZZZZZ", "1", ["MHD_ZZZZZZZZ", "python -m app settings"]),
    ],
)
def test_wrong_setting_is_one_sentence_with_name_origin_and_remedy(
    monkeypatch: pytest.MonkeyPatch, name: str, value: str, words: list[str]
) -> None:
    """style.md 10: start-up failures name the setting, its value's origin and the remedy."""
    monkeypatch.setenv(name, value)
    with pytest.raises(SettingError) as caught:
        load(env_file=NOWHERE)
    assert [word for word in words if word not in str(caught.value)] == []


def test_secrets_are_neither_listed_nor_repeated(monkeypatch: pytest.MonkeyPatch) -> None:
    """Secrets are masked."""
    monkeypatch.setenv("MHD_MONGODB_URL", "mongodb://user:hunter2@db.example.org")
    monkeypatch.setenv("MHD_PAGE_KEY", "hunter3-hunter3-hunter3")
    assert not any("hunter" in value for value, _ in origins().values())


def test_secret_from_a_file(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Secrets come from the environment, or from files."""
    secret = tmp_path / "key"
    secret.write_text("sixteen-letters-or-more\n")
    monkeypatch.setenv("MHD_PAGE_KEY_FILE", str(secret))
    assert load(env_file=NOWHERE).page_key.get_secret_value() == "sixteen-letters-or-more"
    assert not any("sixteen" in value for value, _ in origins().values())
    monkeypatch.setenv("MHD_PAGE_KEY", "another-key-of-sixteen")
    with pytest.raises(SettingError, match="MHD_PAGE_KEY and MHD_PAGE_KEY_FILE"):
        load(env_file=NOWHERE)


def test_names_in_small_letters_are_the_same_settings(monkeypatch: pytest.MonkeyPatch) -> None:
    """style.md 10: a setting is found however its name is written."""
    monkeypatch.setenv("mhd_port", "4711")
    assert load(env_file=NOWHERE).port == 4711


def test_open_address_needs_a_decision(monkeypatch: pytest.MonkeyPatch) -> None:
    """MHD-SEC-01: nobody serves patient data to a whole network by mistake."""
    monkeypatch.setenv("MHD_HOST", "192.0.2.1")
    with pytest.raises(SettingError, match="MHD_ALLOW_OPEN"):
        load(env_file=NOWHERE)
    monkeypatch.setenv("MHD_ALLOW_OPEN", "true")
    assert load(env_file=NOWHERE).host == "192.0.2.1"


def test_tokens_do_not_travel_in_the_clear(monkeypatch: pytest.MonkeyPatch) -> None:
    """IUA-29: with authorization on, other machines are listened to by TLS, or behind proxies where it ends."""
    monkeypatch.setenv("MHD_HOST", "192.0.2.1")
    monkeypatch.setenv("MHD_AUTH", "static")
    monkeypatch.setenv("MHD_AUTH_TOKEN", "a-token-for-curl-0123")
    with pytest.raises(SettingError, match=r"192\.0\.2\.1.*MHD_TLS_CERTIFICATE.*MHD_TRUSTED_PROXIES"):
        load(env_file=NOWHERE)
    monkeypatch.setenv("MHD_TRUSTED_PROXIES", "192.0.2.2")
    assert load(env_file=NOWHERE).host == "192.0.2.1"
    monkeypatch.delenv("MHD_TRUSTED_PROXIES")
    monkeypatch.setenv("MHD_HOST", "127.0.0.2")
    assert load(env_file=NOWHERE).host == "127.0.0.2"


def test_switches_and_their_settings_agree() -> None:
    """MHD section 20: each switch is a setting of the same name, default and type."""
    assert load(env_file=NOWHERE).switches == Switches()
    assert {field.name for field in dataclasses.fields(Switches)} <= set(Settings.model_fields)


def test_switches_reach_handlers_as_typed_values(monkeypatch: pytest.MonkeyPatch) -> None:
    """A list is written with commas, a status as a number, a truth as a word."""
    monkeypatch.setenv("MHD_EXTERNAL_DOCUMENTS", "a.example.org, b.example.org")
    monkeypatch.setenv("MHD_SUPERSEDED_RETRIEVAL", "410")
    monkeypatch.setenv("MHD_STRICT_IDENTIFIER_TYPE", "true")
    switches = load(env_file=NOWHERE).switches
    assert switches.external_documents == ("a.example.org", "b.example.org")
    assert (switches.superseded_retrieval, switches.strict_identifier_type) == (410, True)


def test_every_setting_says_what_it_means() -> None:
    """style.md 1: every environment variable has name, default, unit, meaning."""
    assert [row.name for row in table(load(env_file=NOWHERE), env_file=NOWHERE) if not row.meaning] == []


def test_version_is_that_of_the_project() -> None:
    """The CapabilityStatement names the version that `pyproject.toml` does."""
    project = tomllib.loads((Path(__file__).parent.parent / "pyproject.toml").read_text())
    assert project["project"]["version"] == __version__
