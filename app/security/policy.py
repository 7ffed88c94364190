"""Policy: what confidentiality, and the patients' restrictions, withhold from whom; and what lifts both.

What a deployment says stands in a file in TOML; without one, every token is cleared for everything, and the purposes of
an emergency lift restrictions.

    [[clearance]]                               # nobody is cleared for more than the rows that fit
    level = "N"                                 # U, L, M, N, R or V of v3-Confidentiality; this row fits everybody

    [[clearance]]
    level = "R"                                 # all that is said must fit; of a list, one
    scope = "ITI-67 ITI-68 system/DocumentReference.rs"
    roles = ["http://terminology.hl7.org/CodeSystem/practitioner-role|doctor"]
    purposes = ["http://terminology.hl7.org/CodeSystem/v3-ActReason|TREAT"]
    clients = ["ward-viewer"]

    [[break_glass]]                             # who names one of these purposes sees everything, and it is told
    purposes = ["http://terminology.hl7.org/CodeSystem/v3-ActReason|BTG"]
    roles = []                                  # only for these; empty: for all

Spec: MHD-SEC-05, MHD-SEC-13; EHDS-110; PDQM-SEC-03; AUD-73; v3-Confidentiality and v3-ActReason of THO.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from app.search.criteria import Not, Terms, any_of
from app.security.access import Layer
from app.security.decision import Decision
from app.security.principal import Principal
from app.security.rules import Codes
from app.security.scope import ALLOWED, Grant, granting

__all__ = ["Decision", "Policy", "Restriction"]

CONFIDENTIALITY = "http://terminology.hl7.org/CodeSystem/v3-Confidentiality"
# The same code system, as documents of XDS origin spell it.
SPELLINGS = (CONFIDENTIALITY, "urn:oid:2.16.840.1.113883.5.25")
LEVELS = ("U", "L", "M", "N", "R", "V")

ACT_REASON = "http://terminology.hl7.org/CodeSystem/v3-ActReason"
EMERGENCY = frozenset((ACT_REASON, code) for code in ("BTG", "ETREAT", "PATSFTY"))
# What a token is for that does not say; and what it says when the patient asks for their own.
TREATMENT = (ACT_REASON, "TREAT")
OWN_REQUEST = (ACT_REASON, "PATRQT")

# The types that policy looks at, and the parameters that hold their labels. Documents follow their DocumentReference.
LABELLED: Mapping[str, tuple[str, ...]] = {
    "DocumentReference": ("security-label", "_security"),
    "List": ("_security",),
    "Patient": ("_security",),
}
# The types that a patient's restriction withholds: Patients must be found by whoever publishes.
RESTRICTED = ("DocumentReference", "List")


@dataclass(frozen=True, slots=True)
class Fit:
    """To whom a row applies: all that is said must fit; what is empty fits everybody."""

    grants: tuple[Grant, ...] = ()
    purposes: Codes = frozenset()
    roles: Codes = frozenset()
    clients: frozenset[str] = frozenset()

    def fits(self, principal: Principal, granted: Iterable[Grant]) -> bool:
        """Tell whether the row applies to `principal`, who came in by `granted`."""
        return (
            (not self.grants or any(_opens(self.grants, one) for one in granted))
            and (not self.purposes or not self.purposes.isdisjoint(principal.purposes))
            and (not self.roles or not self.roles.isdisjoint(principal.roles))
            and (not self.clients or principal.client in self.clients)
        )


def _opens(grants: Sequence[Grant], one: Grant) -> bool:
    """Tell whether `one` is, or is a part of, one of `grants`."""
    if one.transaction:
        allowed = ALLOWED[one.transaction]
        is_named = any(grant.transaction == one.transaction for grant in grants)
        return is_named or (bool(allowed) and all(granting(grants, "", each) for each in allowed))
    return any(granting(grants, "", f"{one.resource_type}.{right}") for right in one.rights)


@dataclass(frozen=True, slots=True)
class Clearance:
    """Who may see documents up to which level."""

    level: str
    fit: Fit = Fit()


@dataclass(frozen=True, slots=True)
class Restriction:
    """What a patient's Consent says.

    Attributes:
        consent: its name, `Consent/1`.
        patients: names of all Patients that are the person.
        is_permit: access is permitted where it fits, and denied elsewhere; else denied where it fits.
        purposes, actors: empty: any. An actor is a client, a subject, or the organization of a token.
    """

    consent: str
    patients: tuple[str, ...]
    is_permit: bool = False
    purposes: Codes = frozenset()
    actors: frozenset[str] = frozenset()

    def denies(self, principal: Principal) -> bool:
        """Tell whether `principal` sees nothing of the patient."""
        purposes = principal.purposes or (TREATMENT,)
        fits = (not self.purposes or not self.purposes.isdisjoint(purposes)) and (
            not self.actors or not self.actors.isdisjoint(_names(principal))
        )
        return fits != self.is_permit


def _names(principal: Principal) -> set[str]:
    claims = principal.claims.get("ihe_iua", {})
    told = (claims.get(name) for name in ("subject_organization_id", "national_provider_identifier"))
    return {each for each in (principal.client, principal.subject, *told) if isinstance(each, str) and each}


@dataclass(frozen=True, slots=True)
class Policy:
    """What a deployment has decided."""

    clearances: tuple[Clearance, ...] = ()
    emergencies: tuple[Fit, ...] = (Fit(purposes=EMERGENCY),)

    def is_emergency(self, principal: Principal, granted: Sequence[Grant]) -> bool:
        """Tell whether `principal` breaks the glass."""
        return any(row.fits(principal, granted) for row in self.emergencies)

    def level(self, principal: Principal, granted: Sequence[Grant]) -> str:
        """Return the most confidential level that `principal` may see; "" when none; V where nothing is said."""
        if not self.clearances:
            return LEVELS[-1]
        levels = [row.level for row in self.clearances if row.fit.fits(principal, granted)]
        return max(levels, key=LEVELS.index, default="")

    def confidentiality(self, principal: Principal, granted: Sequence[Grant]) -> Layer | None:
        """Return what the level of `principal` withholds; None when nothing is. What has no label is seen."""
        level = self.level(principal, granted)
        above = LEVELS[LEVELS.index(level) + 1 :] if level else LEVELS
        if not above:
            return None
        labels = tuple(f"{system}|{code}" for system in SPELLINGS for code in above)
        return Layer(
            "confidentiality",
            {
                kind: Not(any_of(Terms(parameter, labels) for parameter in parameters))
                for kind, parameters in LABELLED.items()
            },
        )


def restriction_layer(
    restrictions: Iterable[Restriction], principal: Principal, own: frozenset[str] | None
) -> Layer | None:
    """Return what the patients' restrictions withhold from `principal`; None when nothing is.

    Args:
        own: names of the Patients to whom the token is bound. A patient who asks for their own is not restricted.
    """
    consents: dict[str, tuple[str, ...]] = {}
    for restriction in restrictions:
        if restriction.denies(principal) and not (OWN_REQUEST in principal.purposes and _is_own(restriction, own)):
            for name in restriction.patients:
                consents[name] = (*consents.get(name, ()), restriction.consent)
    if not consents:
        return None
    hidden = Not(Terms("patient", tuple(consents)))
    return Layer("consent", dict.fromkeys(RESTRICTED, hidden), consents=consents)


def _is_own(restriction: Restriction, own: frozenset[str] | None) -> bool:
    return own is not None and not own.isdisjoint(restriction.patients)
