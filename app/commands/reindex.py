"""`python -m app reindex`: lets search parameters that came later find what is stored already."""

from __future__ import annotations

import sys
from argparse import Namespace

from app.commands.command import Command, add_data, on_database
from app.main import TRANSACTIONS, resource_types, running
from app.settings import Settings
from app.store.reindex import Progress
from app.transaction import complete

TEXT = "let search parameters of packages that came later find what is stored already; the server may run meanwhile"


def run(settings: Settings, options: Namespace) -> int:
    """Find the terms of all records anew; tell on standard error how far it is, on standard output what was done."""
    return on_database(settings, _reindex)


async def _reindex(settings: Settings) -> None:
    done: dict[str, Progress] = {}
    async with running(settings) as context:
        async for progress in context.store.reindex(resource_types(complete(TRANSACTIONS))):
            print(f"{progress.resource_type}: {progress.read} records read", file=sys.stderr)
            done[progress.resource_type] = progress
    for progress in done.values():
        print(f"{progress.resource_type}: {progress.changed} of {progress.read} records have other terms now")


REINDEX = Command("reindex", TEXT, add_data, run)
