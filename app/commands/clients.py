"""`python -m app clients`: an administrator looks after the authorization server."""

from __future__ import annotations

import sys
from argparse import Namespace
from getpass import getuser

from app.commands.command import Command, on_database
from app.commands.told import tell
from app.fhir.outcome import FhirError
from app.iua import commands
from app.iua.private_file import signed
from app.iua.register import Administration
from app.main import new_id, own_authorities, running, utc_now
from app.rest.log import configure, log
from app.settings import Settings

TEXT = "look after the authorization server: register, list and revoke clients, users, keys"


def run(settings: Settings, options: Namespace) -> int:
    """Carry out a command of the authorization server, also while the server runs without one."""
    configure(settings.log_level)
    if options.action == "sign":
        return _sign(options)
    settings = settings.model_copy(update={"authority": True})

    async def work(settings: Settings) -> None:
        async with running(settings) as context:
            async for line in commands.run(options, Administration(context, own_authorities(settings))):
                print(line)
            await tell(settings, context, f"clients {options.action}")
        log.info("clients", extra={"fields": {"action": options.action, "by": getuser()}})

    return on_database(settings, work)


def _sign(options: Namespace) -> int:
    try:
        print(signed(options.key, options.lives, new_id(), int(utc_now().timestamp())))
    except FhirError as error:
        print(error, file=sys.stderr)
        return 1
    return 0


CLIENTS = Command("clients", TEXT, commands.add_commands, run)
