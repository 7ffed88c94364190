"""The file of policy, in TOML: read once, at the start; what it says stands in `app.security.policy`.

Spec: MHD-SEC-05; EHDS-110. Own choice: form of the file.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from app.security.policy import LEVELS, Clearance, Fit, Policy
from app.security.rules import Codes
from app.security.scope import parse
from app.security.toml_tables import Shape, Table, Words, read_tables

SHAPES: Mapping[str, Shape] = {
    "clearance": {"level": Words(*LEVELS), "scope": str, "purposes": list, "roles": list, "clients": list},
    "break_glass": {"scope": str, "purposes": list, "roles": list, "clients": list},
}


def load(path: Path | None) -> Policy:
    """Return the policy of the file at `path`; without one, the default.

    Raises:
        AuthorizationError: the file cannot be read, or says something that is not understood.
    """
    if path is None:
        return Policy()
    tables = read_tables(path, SHAPES)
    clearances = tuple(_clearance(one) for one in tables if one.name == "clearance")
    emergencies = tuple(_emergency(one) for one in tables if one.name == "break_glass")
    return Policy(clearances, emergencies or Policy().emergencies)


def _clearance(table: Table) -> Clearance:
    if "level" not in table.values:
        raise table.wrong("", "this clearance has no `level`")
    return Clearance(table.values["level"], _fit(table))


def _emergency(table: Table) -> Fit:
    if not table.values.get("purposes"):
        raise table.wrong("", "`break_glass` needs `purposes`: nobody breaks the glass without saying so")
    return _fit(table)


def _fit(table: Table) -> Fit:
    scope = table.values.get("scope", "")
    grants = parse(scope)
    if scope and not grants:
        raise table.wrong("scope", f"`{scope}` is no scope")
    clients = frozenset(table.values.get("clients", ()))
    return Fit(grants, _codes(table, "purposes"), _codes(table, "roles"), clients)


def _codes(table: Table, member: str) -> Codes:
    for text in table.values.get(member, ()):
        if not all(text.partition("|")):
            raise table.wrong(member, f"`{text}` was expected as `system|code`")
    parts = (text.rpartition("|") for text in table.values.get(member, ()))
    return frozenset((system, code) for system, _, code in parts)
