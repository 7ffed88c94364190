"""`python -m app patients`: an administrator looks after the patient index."""

from __future__ import annotations

from argparse import Namespace
from getpass import getuser

from app.commands.command import Command, on_database
from app.commands.told import tell
from app.main import running
from app.patient import commands
from app.rest.log import configure, log
from app.settings import Settings

TEXT = "look after the patient index: review, link, unlink, undo, explain, rebuild keys"


def run(settings: Settings, options: Namespace) -> int:
    """Carry out a command of the patient index; who decided what is in the log as well."""
    configure(settings.log_level)

    async def work(settings: Settings) -> None:
        async with running(settings) as context:
            async for line in commands.run(options, context):
                print(line)
            by = getattr(options, "author", getuser())
            names = getattr(options, "records", None) or [getattr(options, "record", "")]
            await tell(settings, context, f"patients {options.action}", filter(None, names), by=by)
        log.info("patients", extra={"fields": {"action": options.action, "by": by}})

    return on_database(settings, work)


PATIENTS = Command("patients", TEXT, commands.add_commands, run)
