"""What a command is, and what commands share: options that are settings, a database, a refusal in one sentence."""

from __future__ import annotations

import asyncio
import sys
from argparse import ArgumentParser, Namespace
from collections.abc import Awaitable, Callable
from contextlib import ExitStack
from dataclasses import dataclass
from typing import Any

from pydantic import SecretStr

from app.fhir.outcome import FhirError
from app.settings import Settings
from app.store.managed import present_mongodb

# Option of the command line -> setting.
OPTIONS = {"host": "host", "port": "port", "data": "data_dir", "workers": "workers", "base_url": "base_url"}

FOLDER = "folder of the private mongod"


@dataclass(frozen=True, slots=True)
class Command:
    """One word of the command line.

    Attributes:
        text: one line for `--help`; what the command itself says there when `description` is empty.
        add: adds its options to its parser.
        run: carries it out; returns the exit status. What stops it in order is said on standard error.
    """

    name: str
    text: str
    add: Callable[[ArgumentParser], None]
    run: Callable[[Settings, Namespace], int]
    description: str = ""


def given(options: Namespace) -> dict[str, Any]:
    """Return the settings that the command line names, by field name."""
    named = {field: getattr(options, option, None) for option, field in OPTIONS.items()}
    found = {field: value for field, value in named.items() if value is not None}
    return found | ({"example_data": "false"} if getattr(options, "no_examples", False) else {})


def add_data(parser: ArgumentParser) -> None:
    """Add `--data`, which every command has that reaches for the database."""
    parser.add_argument("--data", help=FOLDER)


def add_serving(parser: ArgumentParser) -> None:
    """Add the options that are settings of the server."""
    parser.add_argument("--host", help="address to listen on")
    parser.add_argument("--port", help="port to listen on")
    parser.add_argument("--base-url", help="public FHIR base")
    parser.add_argument("--data", help=FOLDER)
    parser.add_argument("--workers", help="server processes")
    parser.add_argument("--no-examples", action="store_true", help="do not load the example data")


def on_database(settings: Settings, work: Callable[[Settings], Awaitable[None]]) -> int:
    """Let `work` reach the database, whether the server runs or not; return the exit status.

    Args:
        work: gets the settings with the URL of the database.
    """
    with ExitStack() as stack:
        if not settings.mongodb_url.get_secret_value():
            url = stack.enter_context(present_mongodb(settings.data_dir))
            settings = settings.model_copy(update={"mongodb_url": SecretStr(url)})
        try:
            asyncio.run(_awaited(work(settings)))
        except FhirError as error:
            print(error, file=sys.stderr)
            return 1
    return 0


async def _awaited(work: Awaitable[None]) -> None:
    await work
