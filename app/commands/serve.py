"""`python -m app serve`: the socket, the private mongod, the first start, and then the workers."""

from __future__ import annotations

import asyncio
import os
import signal
import socket
import sys
from argparse import Namespace
from contextlib import ExitStack
from types import FrameType

from pydantic import SecretStr

from app.commands.announce import announce
from app.commands.command import Command, add_serving
from app.commands.workers import run, tls_of
from app.examples.load import load as load_examples
from app.fhir.outcome import FhirError
from app.main import create_app, running, tell_problems
from app.rest.log import configure
from app.rest.tls import context_of
from app.settings import PREFIX, Settings
from app.store.managed import private_mongodb


class StartError(Exception):
    """Something else that stops the start: one sentence for the operator."""


class Ending:
    """How this process will end: with status 0 when it is asked to, with 1 when it cannot go on."""

    def __init__(self) -> None:
        self.status = 0

    def asked(self, number: int, frame: FrameType | None) -> None:
        """End in order; uvicorn hands a signal on when it is done, and the mongod is to be stopped."""
        sys.exit(self.status)

    def give_up(self, sentence: str) -> None:
        """Say why, and end; called from another thread."""
        print(sentence, file=sys.stderr, flush=True)
        self.status = 1
        os.kill(os.getpid(), signal.SIGTERM)


def serve(settings: Settings, options: Namespace) -> int:
    """Serve until told to stop; the private mongod and the socket belong to this process, workers inherit them."""
    ending = Ending()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, ending.asked)
    configure(settings.log_level)
    if tls := tls_of(settings):
        context_of(tls)  # its files are looked at before anything is started
    with ExitStack() as stack:
        listening = stack.enter_context(_listening(settings))
        settings = settings.model_copy(update={"port": listening.getsockname()[1]})
        if not settings.mongodb_url.get_secret_value():
            url = stack.enter_context(private_mongodb(settings.data_dir, ending.give_up))
            key = SecretStr(settings.signing_key)  # that of the folder: the URL is another one after each start
            settings = settings.model_copy(update={"mongodb_url": SecretStr(url), "page_key": key})
        asyncio.run(_prepare(settings))
        announce(settings)
        return run(settings, listening) or ending.status


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
            if settings.workers > 1:
                await tell_problems(context, settings.profiles_dir)
            if settings.example_data:
                await load_examples(context)
    except FhirError as error:
        raise StartError(f"MongoDB cannot be used: {error} Check {PREFIX}MONGODB_URL.") from None


SERVE = Command("serve", "run the server", add_serving, serve)
