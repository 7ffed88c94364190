"""`python -m app clients …`: what an administrator does with the authorization server, whether the server runs or not.

Spec: IUA-51, IUA-59, IUA-65, IUA-70, IUA-92; EHDS-14, EHDS-15.
"""

from __future__ import annotations

from argparse import ArgumentParser, Namespace
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import replace
from pathlib import Path

from app.fhir.outcome import FhirError
from app.iua.register import Administration, add_user, register
from app.iua.registration import keep_client, key_of, read_client
from app.iua.revoked import client_mark, revoke
from app.store.authority import CLIENTS, USERS

TEXTS = {
    "register": "register a client, or change one; prints how it gets a token",
    "list": "list clients and users",
    "revoke": "let a client, or a user, get nothing any more; tokens it has are good for nothing",
    "sign": "sign an assertion with the private key of a client: for curl, good for one request within 5 minutes",
    "user": "register a user for the login form, or change one; a password is made, or read with --password-stdin",
    "rotate-keys": "sign tokens with a new key from now on",
}


def add_commands(parser: ArgumentParser) -> None:
    """Add the commands to `parser`; those that reach for the database take `--data`."""
    commands = parser.add_subparsers(dest="action", required=True)
    for name, text in TEXTS.items():
        command = commands.add_parser(name, help=text, description=text)
        if name != "sign":
            command.add_argument("--data", help="folder of the private mongod")
        if name in ("register", "revoke", "user"):
            command.add_argument("name", metavar="NAME", help="`client_id`, or the user's name")
            command.add_argument("--tenant", default="", help="of the authorization server; without it, the main one")
        if name in _MORE:
            _MORE[name](command)


def _add_register(command: ArgumentParser) -> None:
    command.add_argument("--port", help="port of the server, when it is not that of the settings")
    command.add_argument("--base-url", help="public FHIR base of the server, likewise")
    command.add_argument("--scope", default="", help='what it may have: "ITI-67 ITI-68", "system/*.rs"')
    command.add_argument("--jwks", default="", help="URL or file of its public keys; without it, a pair is made here")
    command.add_argument("--secret", action="store_true", help="a shared secret instead; taken in MHD_DEV_MODE")
    command.add_argument("--allow-basic", action="store_true", help="take the shared secret otherwise as well")
    command.add_argument("--public", action="store_true", help="neither key nor secret: an app that users have")
    command.add_argument("--redirect-uri", action="append", default=[], help="where codes may go; may be repeated")
    command.add_argument("--resource", default="", help="it is a resource server: the audience of tokens for it")
    _add_claims(command)


def _add_user(command: ArgumentParser) -> None:
    command.add_argument("--password-stdin", action="store_true", help="read the password from standard input")
    command.add_argument("--full-name", default="", help="as audit events show it")
    command.add_argument("--role", action="append", default=[], help="code, or system|code; may be repeated")
    command.add_argument("--purpose", action="append", default=[], help="purpose of use: code, or system|code")
    command.add_argument("--patient", default="", help="the one patient the user may see: Patient/ID")
    command.add_argument("--person-id", default="", help="the same as IUA's claim: CX, or system|value")
    _add_claims(command)


def _add_claims(command: ArgumentParser) -> None:
    command.add_argument("--organization", default="", help="its name, a claim of the tokens")
    command.add_argument("--organization-id", default="", help="its id as a URI, such as urn:oid:2.999.10")


def _add_sign(command: ArgumentParser) -> None:
    command.add_argument("key", type=Path, metavar="FILE", help="as `register` wrote it")
    command.add_argument("--lives", type=int, default=240, help="seconds for which the assertion is good")


_MORE: dict[str, Callable[[ArgumentParser], None]] = {
    "register": _add_register,
    "user": _add_user,
    "sign": _add_sign,
}


async def run(options: Namespace, administration: Administration) -> AsyncIterator[str]:
    """Carry out the command that `options` name; yields the lines that it prints.

    Raises:
        FhirError: it cannot be done, and why.
    """
    await administration.context.store.authority.ensure()
    for line in await ACTIONS[options.action](options, administration):
        yield line


async def _list(options: Namespace, administration: Administration) -> list[str]:
    store = administration.context.store.authority
    lines = []
    for client in map(read_client, await store.all(CLIENTS)):
        shown = [*(["key"] if client.has_keys else []), *(["secret"] if client.secret else [])] or ["public"]
        state = "revoked" if client.is_revoked else "+".join(shown)
        lines.append("  ".join(["client", _called(client.tenant, client.name), state, " ".join(client.scopes)]))
    lines += ["  ".join(["user", _called(one["tenant"], one["name"])]) for one in await store.all(USERS)]
    return lines or ["nobody is registered"]


def _called(tenant: str, name: str) -> str:
    return f"{tenant}/{name}" if tenant else name


async def _revoke(options: Namespace, administration: Administration) -> list[str]:
    context, key = administration.context, key_of(options.tenant, options.name)
    store = context.store.authority
    if await store.remove(USERS, key):
        return [f"The user `{options.name}` is no more; access tokens end by themselves within the hour."]
    found = await store.one(CLIENTS, key)
    if found is None:
        raise FhirError("not-found", f"There is no client and no user `{options.name}`.")
    await keep_client(store, replace(read_client(found), is_revoked=True))
    await revoke(store, client_mark(options.tenant, options.name), context.now())
    return [f"Revoked `{options.name}`, and all tokens that it has."]


async def _rotate(options: Namespace, administration: Administration) -> list[str]:
    context = administration.context
    kid = await administration.authority("").keys.rotate(context.store.authority, context.now())
    return [f"Tokens are signed with the key {kid} from now on; the one before is published for a day."]


ACTIONS: dict[str, Callable[[Namespace, Administration], Awaitable[list[str]]]] = {
    "register": register,
    "list": _list,
    "revoke": _revoke,
    "user": add_user,
    "rotate-keys": _rotate,
}
