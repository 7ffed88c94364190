"""What an operator does with restrictions: deny, lift, list.

Spec: MHD-SEC-13.
"""

from __future__ import annotations

from collections.abc import Sequence

from app.fhir.outcome import FhirError
from app.fhir.resource import Resource, instant, parse_json
from app.privacy.register import in_force, keep
from app.privacy.restriction import ACTIVE, PRIVACY, SCOPES
from app.security.policy import Restriction
from app.store.change import Create, Update
from app.transaction import Context

_ROLES = "http://terminology.hl7.org/CodeSystem/v3-RoleClass"


async def deny(patient: str, purposes: Sequence[str], actors: Sequence[str], context: Context) -> str:
    """Keep a Consent that denies access to the documents of `patient`; return its name.

    Args:
        patient: `Patient/id`, or an id.
        purposes: `system|code`; empty: for all.
        actors: clients, persons or organizations; empty: all.

    Raises:
        FhirError: `not-found` (404) for a patient who is not known.
    """
    known = await context.store.read("Patient", patient.removeprefix("Patient/"))
    consent = consent_of(f"Patient/{known.id}", purposes, actors, instant(context.now()))
    kept = await keep(Create(consent | {"id": context.new_id()}), context.store, context.now())
    return f"Consent/{kept.id}"


async def lift(consent: str, context: Context) -> None:
    """Let `consent`, `Consent/id` or an id, be in force no longer.

    Raises:
        FhirError: `not-found` (404).
    """
    found = await context.store.read("Consent", consent.removeprefix("Consent/"))
    change = Update(parse_json(found.json) | {"status": "inactive"}, if_version=found.version)
    await keep(change, context.store, context.now())


async def listed(context: Context) -> list[str]:
    """Return a line for each restriction that is in force."""
    return [_line(one) for one in await in_force(context.store.facts)]


def consent_of(patient: str, purposes: Sequence[str], actors: Sequence[str], now: str) -> Resource:
    """Return a Consent that denies access.

    Raises:
        FhirError: `value` (400) for a purpose that is not `system|code`.
    """
    for each in purposes:
        if not all(each.partition("|")):
            raise FhirError("value", f"`{each}` was expected as `system|code`.")
    provision: Resource = {"type": "deny"}
    if purposes:
        provision["purpose"] = [{"system": system, "code": code} for system, _, code in map(_parted, purposes)]
    if actors:
        role = {"coding": [{"system": _ROLES, "code": "AGNT"}]}
        provision["actor"] = [{"role": role, "reference": {"identifier": {"value": each}}} for each in actors]
    return {
        "resourceType": "Consent",
        "status": ACTIVE,
        "scope": {"coding": [{"system": SCOPES, "code": PRIVACY}]},
        "category": [{"coding": [{"system": "http://loinc.org", "code": "59284-0"}]}],
        "patient": {"reference": patient},
        "dateTime": now,
        "policyRule": {"text": "The restriction of the patient"},
        "provision": provision,
    }


def _parted(text: str) -> tuple[str, str, str]:
    return text.rpartition("|")


def _line(one: Restriction) -> str:
    purposes = " ".join(sorted(code for _, code in one.purposes)) or "any purpose"
    actors = " ".join(sorted(one.actors)) or "anybody"
    return f"{one.consent}  {'permit' if one.is_permit else 'deny'}  {one.patients[0]}  {purposes}  {actors}"
