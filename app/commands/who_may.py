"""What `serve` says of authorization: that it is off and how it is switched on, or how a token is got."""

from __future__ import annotations

import sys
from pathlib import Path

from app.settings import PREFIX, Settings

_OPEN = """
Anybody on this machine may ask: authorization is off. To have tokens asked for, stop and start again with
{prefix}AUTHORITY=on make run"""

_OWN = """
Authorization is on: each request needs a token, here in $TOKEN. To get one, register a client; what this prints gets
a token:
{python} -m app clients register my-app --scope "ITI-65 ITI-67 ITI-68 ITI-78" {options}"""

_OTHER = """
Authorization is on: each request needs a token, here in $TOKEN."""


def who_may(settings: Settings) -> str:
    """Return what to print."""
    if settings.authority:
        return _OWN.format(python=_python(), options=_options(settings))
    return _OPEN.format(prefix=PREFIX) if settings.authorization.mode == "off" else _OTHER


def with_token(command: str, settings: Settings) -> str:
    """Return a command of the tour as it works here: with the token in the shell's variable, where one is needed."""
    if not settings.authority and settings.authorization.mode == "off":
        return command
    return command.replace("curl -s", 'curl -s -H "Authorization: Bearer $TOKEN"')


def _options(settings: Settings) -> str:
    """Return the options that let the command find this server's database, and say its address."""
    where = f"--base-url {settings.base_url}" if settings.base_url else f"--port {settings.port}"
    return f"{where} --data '{settings.data_dir}'"


def _python() -> str:
    """Return how this Python is called from here."""
    here, path = Path.cwd(), Path(sys.executable)
    return str(path.relative_to(here) if path.is_relative_to(here) else path)
