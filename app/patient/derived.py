"""What is derived from each Patient when it is written, whoever writes it: keys, match vector, the identifiers it owns.

A record that a source fed has `beside.feed`: the source, and the identifier under which it feeds the record. Its *own*
identifiers are those of the source's domains, and those of domains whose numbers anybody may assert; other numbers that
it mentions help matching and are not told as its own (PIXM-DOM-06). A record that nobody fed owns all that it has.

Spec: PIXM-DOM-04 to PIXM-DOM-07, PDQM-78-28, PDQM-78-40; MAT-10, MAT-20, MAT-21.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import lru_cache
from typing import Any, Literal

from app.domains import Domains
from app.fhir.reference import parse as parse_reference
from app.fhir.resource import Resource
from app.patient.contact import email, phone
from app.patient.keys import match_keys
from app.patient.vector import Conventions, as_document, match_vector
from app.search.string_type import normalise
from app.store.record import Derive

# Index terms that no client names: identifiers that a record owns, and its state.
OWN, STATE = "identifier:own", "active:state"
# Each surname behind the day of birth: MongoDB cannot index two lists together, and each alone finds too many.
BORN = "birthdate:family"
OWN_FIELD = f"index.{OWN}"

# active: compared and told; merged: another record replaced it; inactive: kept, and neither compared nor told.
State = Literal["active", "merged", "inactive"]


def deriving(domains: Domains, home_country: str) -> Derive:
    """Return the function that derives, for the store, what is kept with a Patient."""

    def derive(patient: Resource, beside: Mapping[str, Any]) -> dict[str, Any]:
        vector, state = match_vector(patient, conventions(domains, home_country)), state_of(patient)
        own = dict.fromkeys(_tokens(patient, str(beside.get("feed", {}).get("source", "")), domains))
        found: dict[str, Any] = {
            "state": state,
            "mv": as_document(vector),
            "index": {OWN: list(own), STATE: [state], **_born_terms(patient), **_telecom_terms(patient, home_country)},
        }
        if state != "inactive":
            found["keys"] = match_keys(vector)
        if survivor := survivor_of(patient):
            found["replacedBy"] = survivor
        return found

    return derive


@lru_cache(maxsize=16)
def conventions(domains: Domains, home_country: str) -> Conventions:
    """Return what matching must know of a deployment."""
    listed = domains.all()
    return Conventions(
        home_country=home_country,
        trusted={one.system: one.check for one in listed if one.trusted},
        aliases={alias: one.system for one in listed for alias in one.aliases},
    )


def state_of(patient: Resource) -> State:
    """Return whether a record is compared and told."""
    if replaced_by(patient):
        return "merged"
    return "inactive" if patient.get("active") is False else "active"


def replaced_by(patient: Resource) -> Resource | None:
    """Return the first link that says which record replaces this one, None when none does."""
    links = patient.get("link") or ()
    return next((one for one in links if isinstance(one, dict) and one.get("type") == "replaced-by"), None)


def survivor_of(patient: Resource) -> str:
    """Return the id of the record that replaced this one, "" when none did."""
    reference = ((replaced_by(patient) or {}).get("other") or {}).get("reference", "")
    found = parse_reference(str(reference))
    return found.id if found.resource_type == "Patient" and found.kind == "literal" else ""


def own_token(system: str, value: str) -> str:
    """Return how an own identifier is kept; with an empty value, how its domain is."""
    return f"{system}|{value}"


def owns(identifier: Resource, source: str, domains: Domains) -> bool:
    """Tell whether a record of `source` may assert `identifier`; an unfed record, without a source, asserts all."""
    domain = domains.find(str(identifier.get("system", "")))
    if not source:
        return True
    return domain is not None and (domain.assertion == "any" or domain.source == source)


def _tokens(patient: Resource, source: str, domains: Domains) -> Iterator[str]:
    for identifier in patient.get("identifier", ()):
        if identifier.get("system") and identifier.get("value") and owns(identifier, source, domains):
            system = domains.canonical(identifier["system"])
            yield own_token(system, identifier["value"])
            yield own_token(system, "")


def born_term(day: str, family: str) -> str:
    """Return how a normalised surname is kept with a day of birth, `YYYY-MM-DD`; of its beginning, how that begins."""
    return f"{day} {family}"


def _born_terms(patient: Resource) -> dict[str, list[str]]:
    day, names = str(patient.get("birthDate", "")), patient.get("name", ())
    if len(day) != len("YYYY-MM-DD"):
        return {}
    terms = dict.fromkeys(born_term(day, normalise(str(one["family"]))) for one in names if one.get("family"))
    return {BORN: list(terms)} if terms else {}


def _telecom_terms(patient: Resource, home_country: str) -> dict[str, list[str]]:
    """Return the terms of telephone numbers and e-mail addresses in their normal form, beside those as written."""
    terms: dict[str, list[str]] = {}
    for point in patient.get("telecom", ()):
        system, value = point.get("system", ""), str(point.get("value", ""))
        for normal in filter(None, (normal_telecom(value, home_country),)):
            spelled = [normal, f"|{normal}", *([f"{system}|{normal}"] if system else [])]
            for parameter in ("telecom", *({"phone": ["phone"], "email": ["email"]}.get(system, []))):
                terms.setdefault(parameter, []).extend(spelled)
    return terms


def normal_telecom(text: str, home_country: str) -> str:
    """Return a telephone number in international form, an e-mail address in lower case, "" for anything else."""
    return email(text) if "@" in text else phone(text, home_country)
