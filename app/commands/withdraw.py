"""`python -m app withdraw`: takes a published document back, whether the server runs or not."""

from __future__ import annotations

from argparse import ArgumentParser, Namespace
from getpass import getuser

from app.commands.command import Command, add_data, on_database
from app.commands.told import tell
from app.document.withdrawal import Withdrawn, withdraw
from app.main import running
from app.rest.log import configure, log
from app.settings import Settings

DESCRIPTION = (
    "Take a published document back: its DocumentReference becomes entered-in-error, its bytes are removed for good, "
    "and its URL answers 410."
)


def add_options(parser: ArgumentParser) -> None:
    """Add the options of the command."""
    parser.add_argument("document", help="DocumentReference/ID, an id, or the uniqueId of a document")
    parser.add_argument("--reason", required=True, help="why; goes into the log")
    parser.add_argument("--delete", action="store_true", help="remove the DocumentReference and its versions as well")
    add_data(parser)


def run(settings: Settings, options: Namespace) -> int:
    """Withdraw a document; tell what became of it, and log why."""
    configure(settings.log_level)

    async def work(settings: Settings) -> None:
        async with running(settings) as context:
            for one in await withdraw(options.document, context, is_deleted=options.delete):
                await tell(settings, context, "withdraw", (one.name, *one.changed), reason=options.reason)
                _tell(one, options)

    return on_database(settings, work)


def _tell(one: Withdrawn, options: Namespace) -> None:
    what = {"document": one.name, "purged": one.purged, "unlisted": one.changed}
    log.info("withdrawn", extra={"fields": {**what, "reason": options.reason, "by": getuser()}})
    print(f"{one.name} {'deleted' if options.delete else 'withdrawn'}; purged: {', '.join(one.purged) or 'nothing'}")
    if one.related:
        print(f"These refer to it, and stay as they are: {', '.join(one.related)}")


WITHDRAW = Command("withdraw", "take a published document back", add_options, run, DESCRIPTION)
