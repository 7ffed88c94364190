"""Where the value of a setting comes from, and what is said when it cannot be used.

The command line comes before the environment, the environment before the file `.env`, and that before the default.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from ipaddress import ip_address
from pathlib import Path
from typing import Any

from dotenv import dotenv_values
from pydantic import ValidationError
from pydantic.fields import FieldInfo

from app.settings.fields import PREFIX, Settings
from app.settings.secrets import SettingError, is_secret, with_secrets

ENV_FILE = ".env"
LOOPBACK = frozenset({"127.0.0.1", "::1", "localhost"})


@dataclass(frozen=True, slots=True)
class Row:
    """One setting as `python -m app settings` shows it; secrets are masked."""

    name: str
    value: str
    origin: str
    default: str
    unit: str
    meaning: str


def load(given: Mapping[str, Any] | None = None, env_file: str | Path = ENV_FILE) -> Settings:
    """Return the settings; `given` are those of the command line, by field name, and win.

    Raises:
        SettingError: an unknown `MHD_` name, or a value that its setting cannot take.
    """
    sources = _sources(given or {}, env_file)
    for origin, values in sources.items():
        for name in values:
            if name not in Settings.model_fields:
                raise SettingError(_unknown(name, origin))
    chosen = {name: value for values in reversed(sources.values()) for name, value in values.items()}
    try:
        settings = Settings.model_validate(chosen)
    except ValidationError as error:
        raise SettingError(_wrong(error, sources)) from None
    _require_closed(settings, sources)
    _require_tls(settings, sources)
    return settings


def table(settings: Settings, given: Mapping[str, Any] | None = None, env_file: str | Path = ENV_FILE) -> list[Row]:
    """Return every setting with its value and where that came from."""
    sources = _sources(given or {}, env_file)
    return [
        _row(name, info, getattr(settings, name), _origin(name, sources))
        for name, info in Settings.model_fields.items()
    ]


Sources = dict[str, Mapping[str, Any]]


def _sources(given: Mapping[str, Any], env_file: str | Path) -> Sources:
    """Return origin -> the values it gives by field name; the strongest origin first."""
    return {
        "the command line": given,
        "the environment": with_secrets(_prefixed(os.environ), "the environment"),
        f"the file {env_file}": with_secrets(_prefixed(dotenv_values(env_file)), f"the file {env_file}"),
    }


def _prefixed(values: Mapping[str, str | None]) -> dict[str, str]:
    """Return field -> value of the names that are ours, however they are written: `MHD_PORT`, `mhd_port`."""
    return {name[len(PREFIX) :].lower(): text or "" for name, text in values.items() if name.upper().startswith(PREFIX)}


def _origin(name: str, sources: Sources) -> str:
    return next((origin for origin, values in sources.items() if name in values), "the default")


def _unknown(name: str, origin: str) -> str:
    near = get_close_matches(name, Settings.model_fields, n=1)
    hint = f"Did you mean {PREFIX}{near[0].upper()}?" if near else "`python -m app settings` lists those there are."
    return f"{PREFIX}{name.upper()} (from {origin}) is not a setting. {hint}"


def _wrong(error: ValidationError, sources: Sources) -> str:
    first = error.errors(include_url=False, include_context=False)[0]
    name = str(first["loc"][0])
    info = Settings.model_fields[name]
    came = "" if is_secret(name) else f"`{first['input']}` is wrong: "
    problem = first["msg"].removeprefix("Value error, ")
    return (
        f"{PREFIX}{name.upper()} (from {_origin(name, sources)}): {came}{problem}. "
        f"It means: {info.description}. Correct it, or remove it to use the default {_shown(info.default)!r}."
    )


def _require_closed(settings: Settings, sources: Sources) -> None:
    """Refuse to serve everybody on the network."""
    if settings.host in LOOPBACK or settings.allow_open or settings.authorization.mode != "off":
        return
    raise SettingError(
        f"{PREFIX}HOST (from {_origin('host', sources)}) is `{settings.host}`, which other machines can reach, and "
        f"this server does not check who asks. Set {PREFIX}AUTH to let in tokens only, listen on 127.0.0.1 behind a "
        f"gateway that checks, or set {PREFIX}ALLOW_OPEN=true."
    )


def _require_tls(settings: Settings, sources: Sources) -> None:
    """Refuse to take tokens from other machines that everybody on the way can read (IUA-29)."""
    with_tokens = settings.authorization.mode in ("static", "smart", "iua")
    if not with_tokens or _is_loopback(settings.host) or settings.tls_certificate or settings.trusted_proxies:
        return
    raise SettingError(
        f"{PREFIX}HOST (from {_origin('host', sources)}) is `{settings.host}`, and tokens would come there without "
        f"TLS. Set {PREFIX}TLS_CERTIFICATE, or {PREFIX}TRUSTED_PROXIES to the proxies where TLS ends."
    )


def _is_loopback(host: str) -> bool:
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host in LOOPBACK


def _row(name: str, info: FieldInfo, value: object, origin: str) -> Row:
    extra = info.json_schema_extra
    unit = str(extra.get("unit", "")) if isinstance(extra, dict) else ""
    meaning = info.description or ""
    return Row(f"{PREFIX}{name.upper()}", _shown(value), origin, _shown(info.default), unit, meaning)


def _shown(value: object) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, tuple):
        return ",".join(map(str, value))
    return str(value)
