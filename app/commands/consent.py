"""`python -m app consent`: an operator denies access to a patient's documents, lifts that, and lists what holds."""

from __future__ import annotations

from argparse import ArgumentParser, Namespace
from getpass import getuser

from app.commands.command import Command, add_data, on_database
from app.commands.told import tell
from app.main import running
from app.privacy.commands import deny, lift, listed
from app.rest.log import configure, log
from app.settings import Settings
from app.transaction import Context

DESCRIPTION = (
    "Patients' restrictions, in force for the next request when MHD_CONSENTS is on: deny access to a patient's "
    "documents, lift a restriction, list those that hold."
)


def add_options(parser: ArgumentParser) -> None:
    """Add the actions and their options."""
    actions = parser.add_subparsers(dest="action", required=True)
    denying = actions.add_parser("deny", help="deny access to a patient's documents")
    denying.add_argument("patient", metavar="PATIENT", help="Patient/ID or an id")
    denying.add_argument(
        "--purpose", action="append", default=[], help="only for this purpose, SYSTEM|CODE; repeatable"
    )
    denying.add_argument("--actor", action="append", default=[], help="only for this client, person or organization")
    lifting = actions.add_parser("lift", help="let a restriction hold no longer")
    lifting.add_argument("consent", metavar="CONSENT", help="Consent/ID or an id")
    listing = actions.add_parser("list", help="list the restrictions that hold")
    for action in (denying, lifting):
        action.add_argument("--reason", required=True, help="why; goes into the log")
    for action in (denying, lifting, listing):
        add_data(action)


def run(settings: Settings, options: Namespace) -> int:
    """Carry out one action; who did it, and why, is in the log."""
    configure(settings.log_level)

    async def work(settings: Settings) -> None:
        async with running(settings) as context:
            for line in await _done(options, context):
                print(line)
            await tell(settings, context, f"consent {options.action}", _named(options), reason=_reason(options))

    return on_database(settings, work)


async def _done(options: Namespace, context: Context) -> list[str]:
    if options.action == "list":
        return await listed(context) or ["nothing is restricted"]
    name = options.consent if options.action == "lift" else ""
    if options.action == "lift":
        await lift(name, context)
    else:
        name = await deny(options.patient, options.purpose, options.actor, context)
    fields = {"action": options.action, "consent": name, "reason": options.reason, "by": getuser()}
    log.info("consent", extra={"fields": fields})
    return [f"{name} {'lifted' if options.action == 'lift' else 'denies access'}"]


def _named(options: Namespace) -> list[str]:
    """Return the patient or the Consent that the command names."""
    if consent := getattr(options, "consent", ""):
        return [consent if "/" in consent else f"Consent/{consent}"]
    return [patient] if (patient := getattr(options, "patient", "")) else []


def _reason(options: Namespace) -> str:
    return str(getattr(options, "reason", ""))


CONSENT = Command(
    "consent", "deny access to a patient's documents, lift that, list what holds", add_options, run, DESCRIPTION
)
