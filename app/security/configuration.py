"""What a deployment says of who may ask: settings, and a file in TOML for several issuers, certificates and tokens.

    [[issuer]]
    issuer = "https://login.example.org"        # as `iss` has it; its metadata document names its keys
    audience = ["https://fhir.example.org/fhir"]  # what this server is called in `aud`; without it, `[base]`
    algorithms = ["RS256", "ES256"]             # the signatures that are taken
    jwks_url = "https://login.example.org/keys" # or jwks_file, secret_env, secret_file
    opaque = false                              # true: it gives no JWTs
    introspection_url = "https://login.example.org/introspect"
    introspection_client = "fhir-server"
    introspection_secret_env = "AS_SECRET"      # or introspection_secret_file
    introspection_auth = "basic"                # "token": by a token of this server's own, from the metadata's endpoint
    introspect = "opaque"                       # "all": JWTs too
    lenient = false                             # claims may be missing that only IUA requires

    [[token]]                                   # a bearer string for curl and Postman
    client = "postman"
    env = "POSTMAN_TOKEN"                       # or file
    scope = "system/*.rs"
    patient = ""

    [[certificate]]                             # a client that TLS knows
    subject = "CN=adt,O=North Hospital"
    client = "north-adt"
    scope = "ITI-104"

    [[rule]]                                    # a scope counts for these purposes and roles only
    scope = "ITI-67 ITI-68"
    purposes = ["http://terminology.hl7.org/CodeSystem/v3-ActReason|TREAT"]
    roles = []

Secrets stand in the environment or in files of their own, never in this one.

Spec: IUA-07, IUA-31, IUA-86, IUA-98; EHDS-19, EHDS-23.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from app.security.claims import Reading
from app.security.guard import Mode
from app.security.toml_tables import AuthorizationError, Shape, Table, Words, read_tables

__all__ = ["AuthorizationError", "CertificateEntry", "Entries", "IssuerEntry", "Options", "RuleEntry", "TokenEntry"]

SHAPES: Mapping[str, Shape] = {
    "issuer": {
        "issuer": str,
        "audience": list,
        "algorithms": list,
        "jwks_url": str,
        "jwks_file": str,
        "secret_env": str,
        "secret_file": str,
        "opaque": bool,
        "introspection_url": str,
        "introspection_client": str,
        "introspection_secret_env": str,
        "introspection_secret_file": str,
        "introspection_auth": Words("basic", "token"),
        "introspect": Words("opaque", "all"),
        "lenient": bool,
    },
    "token": {"client": str, "env": str, "file": str, "scope": str, "patient": str, "purposes": list, "roles": list},
    "certificate": {"subject": str, "client": str, "scope": str, "patient": str, "purposes": list, "roles": list},
    "rule": {"scope": str, "purposes": list, "roles": list},
}
NEEDED: Mapping[str, tuple[str, ...]] = {
    "issuer": ("issuer",),
    "token": ("client", "scope"),
    "certificate": ("subject", "client", "scope"),
    "rule": ("scope",),
}


@dataclass(frozen=True, slots=True)
class IssuerEntry:
    """An `[[issuer]]`; the members are those of the file, secrets read."""

    issuer: str
    audience: tuple[str, ...] = ()
    algorithms: tuple[str, ...] = ()
    jwks_url: str = ""
    jwks_file: str = ""
    secret: str = ""
    opaque: bool = False
    introspection_url: str = ""
    introspection_client: str = ""
    introspection_secret: str = ""
    introspection_auth: str = "basic"
    introspect: str = "opaque"
    lenient: bool = False
    place: str = ""


@dataclass(frozen=True, slots=True)
class TokenEntry:
    """A `[[token]]`, or a `[[certificate]]`: who it is, and what shows it.

    Attributes:
        proof: the bearer string, or the subject.
        place: where this is said, for messages.
    """

    proof: str
    client: str
    scope: str
    patient: str = ""
    purposes: tuple[str, ...] = ()
    roles: tuple[str, ...] = ()
    place: str = ""


CertificateEntry = TokenEntry


@dataclass(frozen=True, slots=True)
class RuleEntry:
    """A `[[rule]]`."""

    scope: str
    purposes: tuple[str, ...] = ()
    roles: tuple[str, ...] = ()
    place: str = ""


@dataclass(frozen=True, slots=True)
class Entries:
    """What a file says."""

    issuers: tuple[IssuerEntry, ...] = ()
    tokens: tuple[TokenEntry, ...] = ()
    certificates: tuple[CertificateEntry, ...] = ()
    rules: tuple[RuleEntry, ...] = ()


@dataclass(frozen=True, slots=True)
class Options:
    """The settings of authorization.

    Attributes:
        mode: how it is found out who asks.
        reading: how tokens are read.
        entries: what the settings themselves say: one issuer, one token.
        file: where more of it stands.
        keys_max_age_s: how long key sets are kept at most.
        introspected_for_s: how long the answer to an introspection counts.
        gateways: networks from which anybody is let in, in mode `external`.
    """

    mode: Mode = "off"
    reading: Reading = field(default_factory=Reading)
    entries: Entries = field(default_factory=Entries)
    file: Path | None = None
    keys_max_age_s: float = 3600.0
    introspected_for_s: float = 30.0
    gateways: tuple[str, ...] = ()


def read_entries(path: Path | None, environment: Mapping[str, str]) -> Entries:
    """Return what the file at `path` says; nothing without one.

    Raises:
        AuthorizationError: names the file, the line and the remedy.
    """
    if path is None:
        return Entries()
    tables = read_tables(path, SHAPES)
    for table in tables:
        _require(table)
    return Entries(
        tuple(_issuer(one, environment) for one in _named(tables, "issuer")),
        tuple(_token(one, environment) for one in _named(tables, "token")),
        tuple(_certificate(one) for one in _named(tables, "certificate")),
        tuple(RuleEntry(**_values(one)) for one in _named(tables, "rule")),
    )


def _named(tables: list[Table], name: str) -> Iterator[Table]:
    return (one for one in tables if one.name == name)


def _require(table: Table) -> None:
    for name in NEEDED[table.name]:
        if not table.values.get(name):
            raise table.wrong("", f"this `[[{table.name}]]` has no `{name}`")


def _issuer(table: Table, environment: Mapping[str, str]) -> IssuerEntry:
    values = _values(table)
    for name in ("secret", "introspection_secret"):
        values[name] = _secret(table, f"{name}_env", f"{name}_file", environment)
        values.pop(f"{name}_env", None)
        values.pop(f"{name}_file", None)
    return IssuerEntry(**values)


def _token(table: Table, environment: Mapping[str, str]) -> TokenEntry:
    values = _values(table)
    values["proof"] = _secret(table, "env", "file", environment)
    if not values["proof"]:
        raise table.wrong("", "this `[[token]]` has neither `env` nor `file`")
    return TokenEntry(**{name: value for name, value in values.items() if name not in ("env", "file")})


def _certificate(table: Table) -> CertificateEntry:
    values = _values(table)
    return CertificateEntry(proof=values.pop("subject"), **values)


def _values(table: Table) -> dict[str, Any]:
    found = {name: tuple(one) if isinstance(one, list) else one for name, one in table.values.items()}
    return {**found, "place": table.place("")}


def _secret(table: Table, env: str, file: str, environment: Mapping[str, str]) -> str:
    """Return the secret that a variable of the environment or a file holds; empty when the table names neither."""
    if name := table.values.get(env):
        if found := environment.get(str(name)):
            return found
        raise table.wrong(env, f"the environment has no variable `{name}`")
    if name := table.values.get(file):
        try:
            return (table.path.parent / str(name)).read_text(encoding="utf-8").strip()
        except (OSError, UnicodeDecodeError):
            raise table.wrong(file, f"the file `{name}` cannot be read") from None
    return ""
