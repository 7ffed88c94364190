"""What an access token says, checked, and who that makes its bearer.

Spec: IUA-22, IUA-23, IUA-33, IUA-42 to IUA-45; RFC 7519 section 4.1; SMART App Launch 2.2; EHDS-18, EHDS-20.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from app.security.principal import Means, Principal
from app.security.refusal import unusable
from app.security.scope import Aliases, is_iua, parse

ScopeStatus = Literal["dialect", "401", "403"]
Claims = Mapping[str, Any]
Codes = tuple[tuple[str, str], ...]

REQUIRED = ("iss", "sub", "client_id", "aud", "jti", "exp", "iat", "scope")
LENIENT = ("iss", "sub", "aud", "exp")  # what a token cannot do without, whoever issues it
EXTENSIONS = ("ihe_iua", "ihe_bppc")
TAIL = 32


@dataclass(frozen=True, slots=True)
class Reading:
    """How a deployment reads tokens.

    Attributes:
        skew_s: how far the clocks of others may be off (IUA-03).
        scope_status: what denials get: by the token's dialect (IUA-24), or always the same.
        conceal: denials get 404 instead (EHDS-11).
        bind_person_id: `ihe_iua.person_id` binds a token to that patient (IUA-23, EHDS-18).
    """

    aliases: Aliases = field(default_factory=Aliases)
    skew_s: int = 30
    scope_status: ScopeStatus = "dialect"
    conceal: bool = False
    bind_person_id: bool = True

    def denial(self, *, is_iua: bool) -> int:
        """Return the status of what a bearer may not do."""
        if self.conceal:
            return 404
        return {"401": 401, "403": 403}.get(self.scope_status, 401 if is_iua else 403)


def require_members(claims: Claims, *, is_lenient: bool) -> None:
    """Refuse a JWT that lacks a claim, or has an empty one.

    Raises:
        RefusedError: `security` (401).
    """
    for name in LENIENT if is_lenient else REQUIRED:
        if claims.get(name) in (None, "", []):
            raise unusable(f"the claim `{name}` is missing")


def require_current(claims: Claims, now: float, skew_s: int) -> None:
    """Refuse a token before and after its time.

    Raises:
        RefusedError: `expired` or `security` (401).
    """
    if (expires := _instant(claims, "exp")) is not None and now >= expires + skew_s:
        raise unusable("it has expired", code="expired")
    for name in ("nbf", "iat"):
        if (begins := _instant(claims, name)) is not None and now < begins - skew_s:
            raise unusable(f"the time of its claim `{name}` is yet to come")


def require_audience(claims: Claims, audiences: Iterable[str]) -> None:
    """Refuse a token that is for somebody else; one that is for nobody in particular is taken.

    Raises:
        RefusedError: `security` (401).
    """
    said = claims.get("aud")
    named = [said] if isinstance(said, str) else said
    if named is None:
        return
    if not isinstance(named, list) or not set(audiences).intersection(one for one in named if isinstance(one, str)):
        raise unusable("its audience is somebody else")


def principal_of(claims: Claims, token: str, reading: Reading, means: Means = "token") -> Principal:
    """Return who bears a token that says `claims`.

    Raises:
        RefusedError: `security` (401) when a claim cannot be read that might restrict the bearer.
    """
    scope, extensions = _scope(claims), _extensions(claims)
    speaks_iua = is_iua(scope) or "ihe_iua" in extensions
    patient = _patient(claims, extensions, reading)
    iua, subject = extensions.get("ihe_iua", {}), _text(claims, "sub")
    grants = parse(scope, reading.aliases)
    return Principal(
        client=_text(claims, "client_id") or _text(claims, "azp") or subject,
        issuer=_text(claims, "iss"),
        subject=subject,
        token_id=_text(claims, "jti"),
        token_tail=token[len(token) - min(TAIL, len(token) // 2) :],  # of a short token half at most is told
        grants=tuple(one for one in grants if one.context != "patient" or patient),  # of no patient: of nobody
        patient=patient,
        purposes=tuple(_codes(iua.get("purpose_of_use"))),
        roles=tuple(_codes(iua.get("subject_role"))),
        fhir_user=_text(claims, "fhirUser"),
        claims=extensions,
        is_iua=speaks_iua,
        means=means,
        denial=reading.denial(is_iua=speaks_iua),
    )


def expiry(claims: Claims) -> float | None:
    """Return when a token ends, in seconds since 1970; None when it does not say."""
    return _instant(claims, "exp")


def _instant(claims: Claims, name: str) -> float | None:
    value = claims.get(name)
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        raise unusable(f"the claim `{name}` is no number of seconds")
    return float(value)


def _text(claims: Claims, name: str) -> str:
    value = claims.get(name, "")
    if not isinstance(value, str):
        raise unusable(f"the claim `{name}` is no text")
    return value


def _scope(claims: Claims) -> str:
    """Return the scopes, blank-separated; some issuers send a list."""
    said = claims.get("scope", "")
    if isinstance(said, list) and all(isinstance(one, str) and " " not in one for one in said):
        return " ".join(said)
    return _text(claims, "scope")


def _extensions(claims: Claims) -> Mapping[str, Mapping[str, Any]]:
    said = claims.get("extensions", {})
    found = {name: said[name] for name in EXTENSIONS if name in said} if isinstance(said, dict) else None
    if found is None or not all(isinstance(one, dict) for one in found.values()):
        raise unusable("the claim `extensions` is no object of objects")
    return found


def _patient(claims: Claims, extensions: Mapping[str, Mapping[str, Any]], reading: Reading) -> str:
    """Return the one patient that a token is bound to; empty when it is bound to none."""
    named: dict[str, Any] = {"patient": claims["patient"]} if "patient" in claims else {}
    if (consent := extensions.get("ihe_bppc")) is not None:  # which is about a patient, or about nothing
        named["ihe_bppc.patient_id"] = consent.get("patient_id")
    if reading.bind_person_id and "person_id" in (person := extensions.get("ihe_iua", {})):
        named["ihe_iua.person_id"] = person["person_id"]
    for name, value in named.items():
        if not isinstance(value, str) or not value.strip():
            raise unusable(f"the claim `{name}` names no patient")
    different = {_spelled(value) for value in named.values()}
    if len(different) > 1:
        raise unusable("its claims name different patients")
    return different.pop() if different else ""


def _spelled(patient: str) -> str:
    """Return a patient's name as a reference, an identifier `system|value`, or as it is: a bare id is SMART's."""
    value, _, rest = patient.partition("^^^")
    if rest:
        parts = rest.split("&")
        return f"urn:oid:{parts[1]}|{value}" if len(parts) == 3 and parts[2] == "ISO" else patient
    return patient if any(one in patient for one in "/|:") else f"Patient/{patient}"


def _codes(said: Any) -> Iterator[tuple[str, str]]:
    """Yield (system, code) of Codings, as far as they are some."""
    for one in said if isinstance(said, list) else [said]:
        if isinstance(one, dict) and isinstance(code := one.get("code"), str) and code:
            system = one.get("system", "")
            yield (system if isinstance(system, str) else "", code)
