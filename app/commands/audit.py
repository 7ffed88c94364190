"""`python -m app audit verify` tells whether the audit events are those that were kept, and all of them."""

from __future__ import annotations

import sys
from argparse import ArgumentParser, Namespace

from app.audit.verify import verify
from app.commands.command import Command, add_data, on_database
from app.rest.log import configure
from app.settings import Settings
from app.store.audit import AuditStore
from app.store.driver import connect

TEXT = "look after the audit events: verify that none was changed, removed or added"

BROKEN = 2


def add_options(parser: ArgumentParser) -> None:
    """Add the actions and their options."""
    actions = parser.add_subparsers(dest="action", required=True)
    verifying = actions.add_parser("verify", help="check every chain from its beginning to its end")
    add_data(verifying)


def run(settings: Settings, options: Namespace) -> int:
    """Verify all chains, whether the server runs or not; name what is broken. The exit status is 2 then."""
    configure(settings.log_level)
    faults: list[str] = []

    async def work(settings: Settings) -> None:
        url = settings.audit_mongodb_url.get_secret_value() or settings.mongodb_url.get_secret_value()
        connection = connect(url, settings.mongodb_driver, settings.mongodb_database)
        try:
            found = await verify(AuditStore(connection))
        finally:
            await connection.close()
        faults.extend(found.faults)
        print(f"{found.events} events in {found.chains} chains: {'broken' if faults else 'as they were kept'}")

    status = on_database(settings, work)
    if faults:
        print("\n".join(faults), file=sys.stderr)
    return status or (BROKEN if faults else 0)


AUDIT = Command("audit", TEXT, add_options, run)
