"""The smallest Patient of each kind, varied by keyword."""

from __future__ import annotations

from typing import Any

from app.patient.parameters import NameFrequencies, Parameters, load
from app.patient.vector import MOTHERS_MAIDEN_NAME, Conventions, MatchVector, match_vector

NATIONAL = "urn:oid:2.999.42"
INSURANCE = "urn:oid:2.999.43"
SLOVAK = "urn:oid:2.999.44"
HOSPITAL = "urn:oid:2.999.10.1"

CONVENTIONS = Conventions(
    home_country="SK",
    trusted={NATIONAL: "", INSURANCE: "unverified", SLOVAK: "sk.rc"},
    aliases={"http://national.example.org/id": NATIONAL},
)

MILLION = load().for_population(1_000_000)


def patient(given: str | list[str] = "", family: str = "", birth: str = "", **more: Any) -> dict[str, Any]:
    """Return a Patient; `number` is in the national domain, `maiden` the mother's, `old` a former surname.

    `house`, `city` and `postcode` make an address, `phone` a telecom; other keywords are Patient elements.
    """
    givens = [given] if isinstance(given, str) else given
    name = {"family": family, "given": [each for each in givens if each]}
    names: list[dict[str, Any]] = [{key: value for key, value in name.items() if value}]
    if old := more.pop("old", ""):
        names.append({"use": "old", "family": old})
    found: dict[str, Any] = {"resourceType": "Patient", "name": names}
    if birth:
        found["birthDate"] = birth
    address = {"line": [more.pop("house", "")], "city": more.pop("city", ""), "postalCode": more.pop("postcode", "")}
    if any(value not in ("", [""]) for value in address.values()):
        found["address"] = [{key: value for key, value in address.items() if value not in ("", [""])}]
    if phone := more.pop("phone", ""):
        found["telecom"] = [{"system": "phone", "value": phone}]
    if number := more.pop("number", ""):
        found["identifier"] = [{"system": NATIONAL, "value": number}]
    if maiden := more.pop("maiden", ""):
        found["extension"] = [{"url": MOTHERS_MAIDEN_NAME, "valueString": maiden}]
    return found | more


def vector(given: str | list[str] = "", family: str = "", birth: str = "", **more: Any) -> MatchVector:
    """Return the match vector of `patient(...)`."""
    return match_vector(patient(given, family, birth, **more), CONVENTIONS)


def with_frequencies(given: dict[str, float], family: dict[str, float]) -> Parameters:
    """Return the parameters of a million records among which names have these shares."""
    return load().for_population(1_000_000, NameFrequencies(given, family))
