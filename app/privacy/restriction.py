"""A Consent as a restriction: to deny access to a patient's documents, or to permit it to some alone.

Understood are `provision.type`, `provision.purpose` and `provision.actor.reference.identifier.value`: a client, a
subject, or the organization of a token. Whatever else would narrow a provision is refused: a restriction that is
half understood protects nobody.

Spec: FHIR R4 consent.html; MHD-SEC-13. Own choice: the subset.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from app.fhir.outcome import FhirError, Issue
from app.fhir.reference import parse as parse_reference
from app.fhir.resource import Resource
from app.security.policy import Restriction

SCOPES = "http://terminology.hl7.org/CodeSystem/consentscope"
PRIVACY = "patient-privacy"
ACTIVE = "active"

_UNDERSTOOD = frozenset({"id", "type", "purpose", "actor"})


def restriction_of(consent: Resource, base_url: str = "") -> Restriction:
    """Return what `consent`, which is valid FHIR, says.

    Raises:
        FhirError: `business-rule`, `not-supported` (422): it is no restriction, or says more than is understood.
    """
    if issues := list(_issues(consent, base_url)):
        raise FhirError.of(issues, status=422)
    provision = consent["provision"]
    purposes = frozenset((str(one.get("system", "")), str(one.get("code", ""))) for one in provision.get("purpose", ()))
    actors = frozenset(str(_actor(one)) for one in provision.get("actor", ()))
    patient = parse_reference(consent["patient"]["reference"], base_url).url
    name = f"Consent/{consent.get('id', '')}"
    return Restriction(name, (patient,), provision["type"] == "permit", purposes, actors)


def derived(consent: Resource, beside: Mapping[str, Any]) -> dict[str, Any]:
    """Return what the store keeps with a Consent: whether it is in force."""
    return {"active": True} if consent.get("status") == ACTIVE else {}


def _issues(consent: Resource, base_url: str) -> Iterator[Issue]:
    if (SCOPES, PRIVACY) not in [(one.get("system"), one.get("code")) for one in consent["scope"].get("coding", ())]:
        yield Issue("business-rule", f"A Consent of the scope `{PRIVACY}` was expected.", "Consent.scope")
    patient = parse_reference(str(consent.get("patient", {}).get("reference", "")), base_url)
    if (patient.kind, patient.resource_type) != ("literal", "Patient"):
        yield Issue("business-rule", "A reference to a Patient of this server was expected.", "Consent.patient")
    provision = consent.get("provision", {})
    if "type" not in provision:
        yield Issue("business-rule", "`deny` or `permit` was expected.", "Consent.provision.type")
    for name in sorted(provision.keys() - _UNDERSTOOD):
        text = f"`{name}` is not understood here, and the Consent would mean less than it says."
        yield Issue("not-supported", text, f"Consent.provision.{name}")
    for at, actor in enumerate(provision.get("actor", ())):
        if not _actor(actor):
            text = "Who is meant was expected as `reference.identifier.value`: a client, a person or an organization."
            yield Issue("not-supported", text, f"Consent.provision.actor[{at}].reference")


def _actor(actor: Mapping[str, Any]) -> str:
    return str(actor.get("reference", {}).get("identifier", {}).get("value", ""))
