"""The command line: `python -m app COMMAND`.

What stops a start is one sentence on standard error and a non-zero exit. `serve` prints one line on standard output,
where the server answers; with the example data, also requests to try.
"""

from __future__ import annotations

import os
import signal
import sys
from argparse import ArgumentParser

from app.capability import MissingDefinitionError
from app.commands.audit import AUDIT
from app.commands.clients import CLIENTS
from app.commands.command import Command, given
from app.commands.consent import CONSENT
from app.commands.patients import PATIENTS
from app.commands.reindex import REINDEX
from app.commands.serve import SERVE, StartError
from app.commands.settings import SETTINGS
from app.commands.withdraw import WITHDRAW
from app.document.value_sets import ValueSetsError
from app.domains import DomainsError
from app.iua.signing_keys import KeyFileError
from app.rest.table import DoubleRouteError
from app.rest.tls import TlsError
from app.security.configuration import AuthorizationError
from app.settings import SettingError, load
from app.store.managed import MongodUnavailableError

COMMANDS: tuple[Command, ...] = (SERVE, SETTINGS, WITHDRAW, REINDEX, PATIENTS, CONSENT, CLIENTS, AUDIT)

# Each is one sentence for the operator.
REFUSALS = (
    SettingError,
    DomainsError,
    AuthorizationError,
    KeyFileError,
    ValueSetsError,
    StartError,
    TlsError,
    MongodUnavailableError,
    MissingDefinitionError,
    DoubleRouteError,
)


def main(arguments: list[str] | None = None) -> int:
    """Run one command; return the exit status of the process."""
    options = _parser().parse_args(arguments)
    command: Command = options.chosen
    try:
        status = command.run(load(given(options)), options)
        sys.stdout.flush()
    except REFUSALS as error:
        print(error, file=sys.stderr)
        return 1
    except BrokenPipeError:
        return _reader_is_gone()
    return status


def _parser() -> ArgumentParser:
    parser = ArgumentParser(prog="python -m app", description="A FHIR server for IHE document sharing.")
    words = parser.add_subparsers(dest="command", required=True)
    for command in COMMANDS:
        word = words.add_parser(command.name, help=command.text, description=command.description or command.text)
        word.set_defaults(chosen=command)
        command.add(word)
    return parser


def _reader_is_gone() -> int:
    """Return the status of a program whose reader, `head` say, has seen enough; nothing is left to be written."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    return 128 + signal.SIGPIPE


if __name__ == "__main__":
    sys.exit(main())
