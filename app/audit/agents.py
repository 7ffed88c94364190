"""The agents of an event: the client, this server, and the person behind the client as their token tells them.

One agent serves the slice of the interaction and that of the token: its type has two codings (AUD-64).

Spec: AUD-27 to AUD-29, AUD-60 to AUD-65; BALP OAUTHaccessTokenUse profiles; MHD-AU-04, MHD-AU-05.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from app.audit import codes
from app.audit.patterns import Pattern
from app.audit.settings import AuditSettings, Claims
from app.fhir.resource import Resource
from app.security.principal import Principal

_JTI = "urn:ietf:params:oauth:jti:"
_OTHER_ID = f"{codes.BALP}/StructureDefinition/ihe-otherId"

# Claim of `ihe_iua` -> type of the identifier that it is (HL7 table 0203).
_OTHER_IDS = {"national_provider_identifier": "NPI", "person_id": "PRN"}

# What R4 calls the forms of a network address: valueset-network-type.
_NAME, _ADDRESS, _URI = "1", "2", "5"


def server(settings: AuditSettings, kind: Resource) -> Resource:
    """Return this server as an agent of the type `kind`; `who` is what `source.observer` is, too (AUD-05, AUD-29)."""
    return {
        "type": codes.concept(kind),
        "who": observer(settings),
        "requestor": False,
        "network": {"address": settings.base_url, "type": _URI},
    }


def observer(settings: AuditSettings) -> Resource:
    """Return the Reference to this server."""
    return {"identifier": {"value": settings.server}, "display": settings.base_url}


def client(kind: Resource, client_id: str, peer: str, *, asks: bool) -> Resource:
    """Return the client as an agent (AUD-27, AUD-28).

    Args:
        kind: CodeableConcept of its part in the interaction.
        asks: nobody stands behind it.
    """
    who: Resource = {"identifier": {"value": client_id}} if client_id else {"display": peer or "unknown"}
    made: Resource = {"type": kind, "who": who, "requestor": asks}
    return {**made, "network": {"address": peer, "type": _form_of(peer)}} if peer else made


def client_type(pattern: Pattern, principal: Principal, style: Claims) -> Resource:
    """Return what the client is: in the comprehensive style also the application that a token was given (AUD-63)."""
    if style == "comprehensive" and principal.client and pattern.client is not codes.APPLICATION:
        return codes.concept(pattern.client, codes.APPLICATION)
    return codes.concept(pattern.client)


def of_token(pattern: Pattern, principal: Principal, style: Claims) -> Iterator[Resource]:
    """Yield the person behind the client, or else the token alone; and where the person works."""
    policy = _policy(principal, style)
    if style == "opaque":
        if policy:
            yield {"type": codes.concept(codes.TOKEN_USE), "requestor": True, "policy": [policy]}
        return
    if policy or principal.is_person:
        yield _user(pattern, principal, policy, style)
    if style == "comprehensive" and (organization := _organization(principal.claims.get("ihe_iua", {}))):
        yield organization


def of_decision(principal: Principal, claims: Claims) -> Iterator[Resource]:
    """Yield the person on whom it was decided, and where they work: by number, by name in the comprehensive style."""
    if not principal.is_person:
        return
    made: Resource = {
        "type": codes.concept(codes.RECIPIENT),
        "who": {"identifier": _identifier(principal)},
        "requestor": True,
    }
    if policy := _policy(principal, claims):
        made["policy"] = [policy]
    if principal.purposes:
        made["purposeOfUse"] = [codes.concept(codes.coding(*one)) for one in principal.purposes]
    yield made
    told = principal.claims.get("ihe_iua", {})
    kept = told if claims == "comprehensive" else {"subject_organization_id": told.get("subject_organization_id")}
    if organization := _organization(kept):
        yield organization


def _policy(principal: Principal, style: Claims) -> str:
    """Return what identifies the token, and lets nobody in: its `jti`, else its end; a static token has no end."""
    tail = "" if principal.means == "static" else principal.token_tail[-32:]
    if style == "opaque" or not principal.token_id:
        return tail
    return _JTI + principal.token_id


def _user(pattern: Pattern, principal: Principal, policy: str, style: Claims) -> Resource:
    kinds = [pattern.user] if principal.is_person else []
    made: Resource = {"type": codes.concept(*kinds, *([codes.TOKEN_USE] if policy else []))}
    if roles := [codes.concept(codes.coding(*role)) for role in principal.roles]:
        made["role"] = roles
    who: Resource = {"identifier": _identifier(principal)} if principal.subject else {}
    if style == "comprehensive":
        claims = principal.claims.get("ihe_iua", {})
        if name := str(claims.get("subject_name") or ""):
            who["display"] = made["name"] = name
        if others := list(_other_ids(claims)):
            made["extension"] = others
    if who:
        made["who"] = who
    made["requestor"] = True
    if policy:
        made["policy"] = [policy]
    if principal.purposes:
        made["purposeOfUse"] = [codes.concept(codes.coding(*one)) for one in principal.purposes]
    return made


def _identifier(principal: Principal) -> Resource:
    system = {"system": principal.issuer} if principal.issuer else {}
    return {**system, "value": principal.subject}


def _other_ids(claims: Mapping[str, object]) -> Iterator[Resource]:
    for claim, code in _OTHER_IDS.items():
        if value := claims.get(claim):
            kind = codes.concept(codes.coding(codes.IDENTIFIER_TYPE, code))
            yield {"url": _OTHER_ID, "valueIdentifier": {"type": kind, "value": str(value)}}


def _organization(claims: Mapping[str, object]) -> Resource | None:
    name, number = claims.get("subject_organization"), claims.get("subject_organization_id")
    who: Resource = {"identifier": {"value": str(number)}} if number else {}
    who |= {"display": str(name)} if name else {}
    return {"type": codes.concept(codes.ORGANIZATION), "who": who, "requestor": False} if who else None


def _form_of(peer: str) -> str:
    return _ADDRESS if ":" in peer or peer.replace(".", "").isdecimal() else _NAME
