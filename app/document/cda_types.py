"""Datatypes of HL7 v3 as datatypes of FHIR.

Spec: HL7 v3 data types R1 as CDA R2 uses them; ITI TF-2 Appendix Z.9.1 (identifiers); MHD-PR-03, MHD-106-15, 17.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from app.document.cda_header import Element
from app.document.derivation import code_system
from app.document.vocabulary import URI_SYSTEM
from app.fhir.resource import Resource

_UUID = re.compile(r"[0-9A-Fa-f]{8}(-[0-9A-Fa-f]{4}){3}-[0-9A-Fa-f]{12}")
_TIME = re.compile(
    r"(?P<year>\d{4})(?:(?P<month>\d\d)(?:(?P<day>\d\d)"
    r"(?:(?P<hour>\d\d)(?:(?P<minute>\d\d)(?:(?P<second>\d\d)(?P<fraction>\.\d+)?)?)?)?)?)?"
    r"(?P<zone>[+-]\d{4})?"
)
_GENDERS = {"M": "male", "F": "female", "UN": "other"}
_TELECOMS = {"tel": "phone", "mailto": "email", "fax": "fax", "http": "url", "https": "url"}


def identifier(element: Element | None) -> Resource | None:
    """Return an II as Identifier.

    Examples:
        root 1.2.3 and extension 4711 -> system urn:oid:1.2.3, value 4711
        root 1.2.3 alone              -> system urn:ietf:rfc:3986, value urn:oid:1.2.3
    """
    root = element.get("root").strip() if element else ""
    if element is None or not root:
        return None
    uri = f"urn:uuid:{root.lower()}" if _UUID.fullmatch(root) else f"urn:oid:{root}"
    extension = element.get("extension").strip()
    return {"system": uri, "value": extension} if extension else {"system": URI_SYSTEM, "value": uri}


def identifiers(owner: Element, path: str = "id") -> list[Resource]:
    """Return all II at `path` that say something."""
    return [found for found in map(identifier, owner.all(path)) if found]


def concept(element: Element | None) -> Resource | None:
    """Return a CD or CE, and its translations, as CodeableConcept; None when it says nothing."""
    if element is None:
        return None
    codings = [coding for one in (element, *element.all("translation")) if (coding := _coding(one))]
    text = element.string("originalText")
    made: Resource = {"coding": codings} if codings else {}
    return made | ({"text": text} if text else {}) or None


def _coding(element: Element) -> Resource | None:
    if not (element.get("code") and element.get("codeSystem")):
        return None
    coding = {"system": code_system(element.get("codeSystem")), "code": element.get("code")}
    return coding | ({"display": element.get("displayName")} if element.get("displayName") else {})


def date_time(element: Element | None) -> str:
    """Return a TS as dateTime, as precise as it is; "" when it says nothing.

    A time without a zone cannot be said in FHIR: then the day is what is left.

    Examples:
        20250314             -> 2025-03-14
        202503141540+0100    -> 2025-03-14T15:40:00+01:00
        20250314154012       -> 2025-03-14
    """
    match = _TIME.fullmatch(element.get("value").strip()) if element else None
    if match is None:
        return ""
    date = "-".join(filter(None, (match["year"], match["month"], match["day"])))
    if not (match["minute"] and match["zone"]):
        return date
    seconds = f"{match['second'] or '00'}{match['fraction'] or ''}"
    return f"{date}T{match['hour']}:{match['minute']}:{seconds}{match['zone'][:3]}:{match['zone'][3:]}"


def date(element: Element | None) -> str:
    """Return the day of a TS."""
    return date_time(element).partition("T")[0]


def period(element: Element | None) -> Resource | None:
    """Return an IVL_TS as Period; a single time is both ends."""
    if element is None:
        return None
    low, high = (date_time(element.first(name)) for name in ("low", "high"))
    if not low and not high:
        low = high = date_time(element)
    return {name: value for name, value in (("start", low), ("end", high)) if value} or None


def human_names(owner: Element) -> list[Resource]:
    """Return the PN of `owner`."""
    return [made for element in owner.all("name") if (made := _human_name(element))]


def _human_name(element: Element) -> Resource:
    parts = {name: [one.string() for one in element.all(name)] for name in ("family", "given", "prefix", "suffix")}
    made: Resource = {name: texts for name, texts in parts.items() if any(texts)}
    if "family" in made:
        made["family"] = " ".join(made["family"])
    return made or ({"text": element.string()} if element.string() else {})


def telecoms(owner: Element) -> list[Resource]:
    """Return the TEL of `owner`."""
    return list(_telecoms(owner))


def _telecoms(owner: Element) -> Iterator[Resource]:
    for element in owner.all("telecom"):
        scheme, colon, rest = element.get("value").partition(":")
        system = _TELECOMS.get(scheme.lower()) if colon else None
        if system and rest:
            yield {"system": system, "value": element.get("value") if system == "url" else rest}


def addresses(owner: Element) -> list[Resource]:
    """Return the AD of `owner`."""
    made = []
    for element in owner.all("addr"):
        lines = [one.string() for one in element.all("streetAddressLine")]
        parts = {name: element.string(name) for name in ("city", "state", "postalCode", "country")}
        made.append({"line": lines} | parts)
    return made


def gender(element: Element | None) -> str:
    """Return an administrativeGenderCode as AdministrativeGender."""
    return _GENDERS.get(element.get("code"), "unknown") if element and element.get("code") else ""
