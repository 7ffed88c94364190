"""The commands: `serve`, `settings`, `withdraw` a document, `reindex` for search parameters that came later.

Start-up failures are one sentence on standard error and a non-zero exit. Standard output has one line, where the server
answers; with the example data, also requests to try.
"""

from __future__ import annotations

import asyncio
import os
import signal
import socket
import sys
import threading
import time
from argparse import ArgumentParser, Namespace
from collections.abc import Callable
from contextlib import ExitStack
from getpass import getuser
from types import FrameType
from typing import Any
from urllib.error import URLError
from urllib.request import urlopen

import uvicorn
from pydantic import SecretStr
from uvicorn.supervisors import Multiprocess

from app.capability import MissingDefinitionError
from app.document.value_sets import ValueSetsError
from app.document.withdrawal import Withdrawn, withdraw
from app.domains import DomainsError
from app.examples.load import load as load_examples
from app.fhir.outcome import FhirError
from app.main import TRANSACTIONS, create_app, resource_types, running
from app.patient import commands as patients
from app.rest.log import configure, log
from app.rest.pages import tour_of
from app.rest.table import DoubleRouteError
from app.settings import PREFIX, SettingError, Settings, load, table
from app.store.managed import MongodUnavailableError, present_mongodb, private_mongodb
from app.store.reindex import Progress
from app.transaction import complete

# Option of the command line -> setting.
OPTIONS = {"host": "host", "port": "port", "data": "data_dir", "workers": "workers", "base_url": "base_url"}

READY_WITHIN_S = 120.0

FOLDER = "folder of the private mongod"

REINDEX = "let search parameters of packages that came later find what is stored already; the server may run meanwhile"

WITHDRAW = (
    "Take a published document back: its DocumentReference becomes entered-in-error, its bytes are removed for good, "
    "and its URL answers 410."
)


PATIENTS = "look after the patient index: review, link, unlink, undo, explain, rebuild keys"


class StartError(Exception):
    """Something else that stops the start: one sentence for the operator."""


def main(arguments: list[str] | None = None) -> int:
    """Run one command; return the exit status of the process."""
    options = _parser().parse_args(arguments)
    given = _given(options)
    try:
        settings = load(given)
        if options.command == "withdraw":
            return _withdraw(settings, options)
        if options.command == "reindex":
            return _reindex(settings)
        if options.command == "patients":
            return _patients(settings, options)
        return _list(settings, given) if options.command == "settings" else _serve(settings)
    except (
        SettingError,
        DomainsError,
        ValueSetsError,
        StartError,
        MongodUnavailableError,
        MissingDefinitionError,
        DoubleRouteError,
    ) as error:
        print(error, file=sys.stderr)
        return 1


def _parser() -> ArgumentParser:
    parser = ArgumentParser(prog="python -m app", description="A FHIR server for IHE document sharing.")
    commands = parser.add_subparsers(dest="command", required=True)
    patients.add_commands(commands.add_parser("patients", help=PATIENTS, description=PATIENTS))
    commands.add_parser("reindex", help=REINDEX, description=REINDEX).add_argument("--data", help=FOLDER)
    _add_withdraw(commands.add_parser("withdraw", help="take a published document back", description=WITHDRAW))
    for name, text in (("serve", "run the server"), ("settings", "list the settings and where they come from")):
        command = commands.add_parser(name, help=text, description=text)
        command.add_argument("--host", help="address to listen on")
        command.add_argument("--port", help="port to listen on")
        command.add_argument("--base-url", help="public FHIR base")
        command.add_argument("--data", help=FOLDER)
        command.add_argument("--workers", help="server processes")
        command.add_argument("--no-examples", action="store_true", help="do not load the example data")
    return parser


def _add_withdraw(command: ArgumentParser) -> None:
    command.add_argument("document", help="DocumentReference/ID, an id, or the uniqueId of a document")
    command.add_argument("--reason", required=True, help="why; goes into the log")
    command.add_argument("--delete", action="store_true", help="remove the DocumentReference and its versions as well")
    command.add_argument("--data", help=FOLDER)


def _given(options: Namespace) -> dict[str, Any]:
    """Return the settings that the command line names, by field name."""
    named = {field: getattr(options, option, None) for option, field in OPTIONS.items()}
    given = {field: value for field, value in named.items() if value is not None}
    return given | ({"example_data": "false"} if getattr(options, "no_examples", False) else {})


def _list(settings: Settings, given: dict[str, Any]) -> int:
    rows = [("name", "value", "origin", "default", "unit", "meaning")]
    rows += [(row.name, row.value, row.origin, row.default, row.unit, row.meaning) for row in table(settings, given)]
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    for row in rows:
        print("  ".join(text.ljust(width) for text, width in zip(row, widths, strict=True)).rstrip())
    return 0


def _withdraw(settings: Settings, options: Namespace) -> int:
    """Withdraw a document, whether the server runs or not; tell what became of it, and log why."""
    configure(settings.log_level)
    with ExitStack() as stack:
        try:
            done = asyncio.run(_withdrawn(_with_database(settings, stack), options))
        except FhirError as error:
            print(error, file=sys.stderr)
            return 1
    for one in done:
        what = {"document": one.name, "purged": one.purged, "unlisted": one.changed}
        log.info("withdrawn", extra={"fields": {**what, "reason": options.reason, "by": getuser()}})
        print(
            f"{one.name} {'deleted' if options.delete else 'withdrawn'}; purged: {', '.join(one.purged) or 'nothing'}"
        )
        if one.related:
            print(f"These refer to it, and stay as they are: {', '.join(one.related)}")
    return 0


def _with_database(settings: Settings, stack: ExitStack) -> Settings:
    """Return the settings with the URL of a database, whether the server runs or not."""
    if settings.mongodb_url.get_secret_value():
        return settings
    url = stack.enter_context(present_mongodb(settings.data_dir))
    return settings.model_copy(update={"mongodb_url": SecretStr(url)})


async def _withdrawn(settings: Settings, options: Namespace) -> tuple[Withdrawn, ...]:
    async with running(settings) as context:
        return await withdraw(options.document, context, is_deleted=options.delete)


def _reindex(settings: Settings) -> int:
    """Find the terms of all records anew; tell on standard error how far it is, on standard output what was done."""
    with ExitStack() as stack:
        try:
            done = asyncio.run(_reindexed(_with_database(settings, stack)))
        except FhirError as error:
            print(error, file=sys.stderr)
            return 1
    for progress in done.values():
        print(f"{progress.resource_type}: {progress.changed} of {progress.read} records have other terms now")
    return 0


async def _reindexed(settings: Settings) -> dict[str, Progress]:
    done = {}
    async with running(settings) as context:
        async for progress in context.store.reindex(resource_types(complete(TRANSACTIONS))):
            print(f"{progress.resource_type}: {progress.read} records read", file=sys.stderr)
            done[progress.resource_type] = progress
    return done


def _patients(settings: Settings, options: Namespace) -> int:
    """Carry out a command of the patient index; who decided what is in the log as well."""
    configure(settings.log_level)
    with ExitStack() as stack:
        try:
            asyncio.run(_patients_done(_with_database(settings, stack), options))
        except FhirError as error:
            print(error, file=sys.stderr)
            return 1
    return 0


async def _patients_done(settings: Settings, options: Namespace) -> None:
    async with running(settings) as context:
        async for line in patients.run(options, context):
            print(line)
    log.info("patients", extra={"fields": {"action": options.action, "by": getattr(options, "author", getuser())}})


def _serve(settings: Settings) -> int:
    """Serve until told to stop; the private mongod and the socket belong to this process, workers inherit them."""
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, _stop)  # uvicorn hands the signal on when it is done, and the mongod is to be stopped
    configure(settings.log_level)
    with ExitStack() as stack:
        listening = stack.enter_context(_listening(settings))
        settings = settings.model_copy(update={"port": listening.getsockname()[1]})
        if not settings.mongodb_url.get_secret_value():
            url = stack.enter_context(private_mongodb(settings.data_dir))
            key = SecretStr(settings.signing_key)  # that of the folder: the URL is another one after each start
            settings = settings.model_copy(update={"mongodb_url": SecretStr(url), "page_key": key})
        asyncio.run(_prepare(settings))
        _announce(settings)
        return _run(settings, listening)


def _stop(number: int, frame: FrameType | None) -> None:
    sys.exit(0)


def _listening(settings: Settings) -> socket.socket:
    """Return the socket that the server answers on.

    Raises:
        StartError: the address cannot be used.
    """
    family = socket.AF_INET6 if ":" in settings.host else socket.AF_INET
    found = socket.socket(family, socket.SOCK_STREAM)
    found.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        found.bind((settings.host, settings.port))
    except OSError as error:
        found.close()
        raise StartError(
            f"Cannot listen on {settings.host} port {settings.port}: {error.strerror or error}. "
            f"Stop what uses it, or choose another with --port or {PREFIX}PORT."
        ) from None
    found.set_inheritable(True)
    return found


async def _prepare(settings: Settings) -> None:
    """Do once what workers need not repeat: reach the database, make its collections, load the example data.

    Raises:
        StartError: the database does not answer.
    """
    create_app(settings)
    try:
        async with running(settings) as context:
            if settings.example_data:
                await load_examples(context)
    except FhirError as error:
        raise StartError(f"MongoDB cannot be used: {error} Check {PREFIX}MONGODB_URL.") from None


def _run(settings: Settings, listening: socket.socket) -> int:
    """Run the workers, or serve in this very process when there is to be one; return the exit status."""
    os.environ |= _environment(settings)
    config = uvicorn.Config(
        "app.main:from_environment",
        factory=True,
        workers=settings.workers,
        log_config=None,
        access_log=False,
        server_header=False,
        timeout_graceful_shutdown=settings.shutdown_grace_s,
    )
    if settings.workers > 1:
        Multiprocess(config, sockets=[listening]).run()
        return 0
    server = uvicorn.Server(config)
    server.run(sockets=[listening])
    return 0 if server.started else 3


def _environment(settings: Settings) -> dict[str, str]:
    """Return the settings as workers read them."""
    values = {name: getattr(settings, name) for name in Settings.model_fields}
    return {f"{PREFIX}{name.upper()}": _text(value) for name, value in values.items()}


def _text(value: object) -> str:
    if isinstance(value, SecretStr):
        return value.get_secret_value()
    return ",".join(map(str, value)) if isinstance(value, tuple) else str(value)


def _announce(settings: Settings) -> None:
    """Print where the server answers, once it really does."""
    host = "127.0.0.1" if settings.host in ("0.0.0.0", "::") else settings.host  # noqa: S104 - compared, not bound
    address = f"http://[{host}]:{settings.port}" if ":" in host else f"http://{host}:{settings.port}"
    lines = [f"Ready at {settings.url}"]
    if settings.example_data:
        lines += [f"\n{title}:\n{command}" for title, command in tour_of(settings.url)]
    ready = f"{address}/health/ready"
    threading.Thread(target=_print_when, args=(lambda: _answers(ready), "\n".join(lines)), daemon=True).start()


def _print_when(condition: Callable[[], bool], text: str) -> None:
    end = time.monotonic() + READY_WITHIN_S
    while time.monotonic() < end:
        if condition():
            print(text, flush=True)
            return
        time.sleep(0.05)


def _answers(url: str) -> bool:
    try:
        with urlopen(url, timeout=5) as answer:  # noqa: S310 - our own address
            return bool(answer.status == 200)
    except (URLError, OSError):
        return False


if __name__ == "__main__":
    sys.exit(main())
