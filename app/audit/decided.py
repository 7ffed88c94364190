"""What was decided about a request beside its scopes, as events: withheld by consent or policy, or opened in need.

Spec: AUD-73, BALP IHE.BasicAudit.AuthZconsent; EHDS-110; DICOM CID 401 (Emergency Override Started).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from app.audit import agents, codes, entities
from app.audit.failure import SERIOUS, SUCCESS
from app.audit.settings import AuditSettings
from app.fhir.resource import Resource, instant
from app.security.decision import Decision
from app.security.principal import Principal
from app.transaction import Occurrence

_CONSENT_PROFILE = f"{codes.BALP}/StructureDefinition/IHE.BasicAudit.AuthZconsent"

# Reason -> kind of the decision, and what it was. The profile of BALP is that of the first.
_REASONS: Mapping[str, tuple[Resource, str]] = {
    "consent": (codes.AUTHZ_CONSENT, "withheld by the patient's restriction"),
    "confidentiality": (codes.AUTHZ_ROLE, "more confidential than what the access is cleared for"),
    "patient": (codes.AUTHZ_ROLE, "the access is bound to another patient"),
    "scope": (codes.AUTHZ_ROLE, "the query of the scope leaves it out"),
    "break-glass": (codes.EMERGENCY_OVERRIDE, "opened for an emergency, as the purpose of use says"),
}

# Client, user, where the user works, and who decided.
_ALL_AGENTS = 4

# Beyond this, patients of one decision share an event.
_MOST_PATIENTS = 50


def decisions_of(occurrence: Occurrence, settings: AuditSettings) -> Iterator[Resource]:
    """Yield an event for each decision, and each patient that it is about."""
    for decision in occurrence.access.decisions:
        patients = decision.patients if len(decision.patients) <= _MOST_PATIENTS else ()
        for patient in patients or ("",):
            yield _event(decision, patient, occurrence, settings)


def _event(decision: Decision, patient: str, occurrence: Occurrence, settings: AuditSettings) -> Resource:
    kind, text = _REASONS[decision.reason]
    principal = occurrence.access.principal
    found = _agents(principal, occurrence, settings)
    made: Resource = {"resourceType": "AuditEvent"}
    is_whole = len(found) == _ALL_AGENTS and bool(occurrence.request.peer)
    if decision.reason == "consent" and decision.consents and patient and is_whole:
        made["meta"] = {"profile": [_CONSENT_PROFILE]}
    site = {"site": settings.site} if settings.site else {}
    return made | {
        "type": codes.SECURITY_ALERT,
        "subtype": [kind],
        "action": "E",
        "recorded": instant(occurrence.ended),
        "outcome": SUCCESS if decision.is_permitted else SERIOUS,
        "outcomeDesc": text,
        "agent": found,
        "source": {**site, "observer": agents.observer(settings), "type": [codes.SECURITY_SERVER]},
        **_entities(decision, patient, principal),
    }


def _agents(principal: Principal, occurrence: Occurrence, settings: AuditSettings) -> list[Resource]:
    """Return client, user, where the user works, and this server as the one who decided; the middle two if known."""
    asks = not principal.is_person
    found = [agents.client(codes.concept(codes.APPLICATION), principal.client, occurrence.request.peer, asks=asks)]
    found += agents.of_decision(principal, settings.claims)
    decider = {"type": codes.concept(codes.AUTHORIZER), "who": agents.observer(settings), "requestor": False}
    return [*found, decider]


def _entities(decision: Decision, patient: str, principal: Principal) -> Resource:
    """Return whose data, by which consents, through which token; the records only where the profile has room."""
    found = [entities.patient({"reference": patient})] if patient else []
    found += [{"what": {"reference": each}, "type": codes.CONSENT} for each in decision.consents]
    if decision.reason != "consent":
        found += [entities.data({"reference": each}, codes.DOMAIN_RESOURCE) for each in decision.data]
    if principal.token_id:
        found.append({"what": {"identifier": {"value": principal.token_id}}, "type": codes.TOKEN_USE})
    return {"entity": found} if found else {}
