"""`python -m app settings`: every setting with its value, and where that came from."""

from __future__ import annotations

from argparse import Namespace

from app.commands.command import Command, add_serving, given
from app.settings import Settings, table


def list_settings(settings: Settings, options: Namespace) -> int:
    """Print the table."""
    rows = [("name", "value", "origin", "default", "unit", "meaning")]
    rows += [
        (row.name, row.value, row.origin, row.default, row.unit, row.meaning) for row in table(settings, given(options))
    ]
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    for row in rows:
        print("  ".join(text.ljust(width) for text, width in zip(row, widths, strict=True)).rstrip())
    return 0


SETTINGS = Command("settings", "list the settings and where they come from", add_serving, list_settings)
