"""Whom a token is bound to: every record of the person that its claim names.

Spec: IUA-23, IUA-33; EHDS-20; SMART App Launch 2.2, `patient`.
"""

from __future__ import annotations

import re

from app.domains import Domains
from app.fhir.reference import parse as parse_reference
from app.patient.derived import OWN_FIELD, own_token
from app.patient.persons import everybody
from app.store.facts import Facts

_ID = re.compile(r"[A-Za-z0-9\-.]{1,64}")
# value^^^namespace&oid&ISO
_CX = re.compile(r"(?P<value>[^^&|]+)\^\^\^[^^&]*&(?P<oid>[0-9.]+)&ISO")


async def records_of(claim: str, facts: Facts, domains: Domains) -> tuple[str, ...]:
    """Return the ids of all records of the person whom `claim` names; none that exists when nobody is known so.

    An identifier names whose own it is; a record that merely mentions it is not shown for it.

    Examples:
        `Patient/1`, `1`, `[base]/Patient/1`; `N-1001^^^&2.999.10.1&ISO`; `urn:oid:2.999.10.1|N-1001`
    """
    if identifier := _identifier(claim):
        system, value = identifier
        if domains.find(system) is domains.own:
            return await everybody(facts, [value.removeprefix("Patient/")])
        token = own_token(domains.canonical(system), value)
        found = await facts.having("Patient", OWN_FIELD, [token], fields=("_id",))
        return await everybody(facts, ids) if (ids := [str(one["_id"]) for one in found]) else ()
    reference = parse_reference(claim, domains.own.system)
    if reference.kind == "literal" and reference.resource_type == "Patient":
        return await everybody(facts, [reference.id])
    return await everybody(facts, [claim]) if _ID.fullmatch(claim) else ()


def _identifier(claim: str) -> tuple[str, str] | None:
    if found := _CX.fullmatch(claim):
        return f"urn:oid:{found['oid']}", found["value"]
    system, bar, value = claim.rpartition("|")
    return (system, value) if bar and system and value else None
