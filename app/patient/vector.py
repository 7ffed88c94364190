"""The match vector: what matching knows of a Patient, computed when the record is written.

Spec: MAT-10, MAT-21; matching.md section 3.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import orjson

from app.fhir.resource import Resource
from app.patient.address import Place, places
from app.patient.contact import Check, email, national_number, phone
from app.patient.normalise import birth_date, codes, family_codes, fold, given_parts, name_parts
from app.patient.words import PLACEHOLDER_DATES

# Raise it when the same Patient gives another vector or other keys: records are then computed anew (MAT-10).
NORM_VERSION = 2

MOTHERS_MAIDEN_NAME = "http://hl7.org/fhir/StructureDefinition/patient-mothersMaidenName"

# More repetitions than these are not compared: a pair stays a matter of microseconds.
_NAMES, _PLACES, _TELECOMS, _IDENTIFIERS = 6, 6, 8, 32
_FORMER = ("old", "maiden")


@dataclass(frozen=True, slots=True)
class Conventions:
    """What a deployment says about its data."""

    # ISO 3166 alpha-2: where telephone numbers without a country code belong; "" for nowhere.
    home_country: str = ""
    # Identifier system of a trusted person identifier -> its scheme, see `national_number`.
    trusted: Mapping[str, str] = field(default_factory=dict)
    # Other spellings of identifier systems -> the one that counts.
    aliases: Mapping[str, str] = field(default_factory=dict)
    placeholder_dates: frozenset[str] = PLACEHOLDER_DATES


class Given(NamedTuple):
    """The given names of one HumanName: all parts, the first, and the first one's codes."""

    text: str
    first: str
    primary: str
    secondary: str


class Family(NamedTuple):
    """A surname: its parts without particles, and the codes of all parts."""

    text: str
    parts: list[str]
    codes: list[str]


class Number(NamedTuple):
    """A trusted person identifier."""

    system: str
    value: str
    check: Check


class MatchVector(NamedTuple):
    """What matching compares of one record; every member may be empty.

    A tuple rather than a dataclass, because a query unpacks hundreds: `unpack` costs 2 µs. The members hold lists
    where `pack` and `unpack` went by; nothing changes them.
    """

    given: Sequence[Given] = ()
    family: Sequence[Family] = ()
    # Surnames whose use is `old` or `maiden`.
    former: Sequence[Family] = ()
    # YYYYMMDD, YYYYMM, YYYY or "".
    birth: str = ""
    # First letter of the FHIR code, "" for `unknown`.
    gender: str = ""
    places: Sequence[Place] = ()
    # Telephone numbers in E.164, e-mail addresses.
    telecom: Sequence[str] = ()
    # Surnames of the mother before marriage.
    maiden: Sequence[str] = ()
    numbers: Sequence[Number] = ()
    # "system|value" of every identifier that is not trusted.
    identifiers: Sequence[str] = ()
    # "no", "yes", the date of death as digits, or "".
    deceased: str = ""
    # Birth order; 0 for a single birth, -1 for a multiple one of unknown order, None when nothing is said.
    multiple: int | None = None


def match_vector(patient: Resource, conventions: Conventions) -> MatchVector:
    """Return the match vector of a Patient. What cannot be read counts as missing.

    The Patient need not be valid (PDQM-119-07).
    """
    names = [name for name in _objects(patient, "name") if name.get("use") != "anonymous"][:_NAMES]
    numbers, identifiers = _identifiers(patient, conventions)
    return MatchVector(
        given=_unique(_given(name) for name in names),
        family=_unique(_family(name) for name in names if name.get("use") not in _FORMER),
        former=_unique(_family(name) for name in names if name.get("use") in _FORMER),
        birth=birth_date(patient.get("birthDate"), conventions.placeholder_dates),
        gender="" if patient.get("gender") == "unknown" else _text(patient.get("gender"))[:1],
        places=_unique(place for address in _objects(patient, "address") for place in places(address))[:_PLACES],
        telecom=_unique(_telecom(point, conventions.home_country) for point in _objects(patient, "telecom"))[
            :_TELECOMS
        ],
        maiden=_unique(_maiden_names(patient)),
        numbers=numbers,
        identifiers=identifiers,
        deceased=_deceased(patient),
        multiple=_multiple(patient),
    )


def pack(vector: MatchVector) -> bytes:
    """Return the vector as bytes for the store: one binary value costs a query less than a hundred BSON elements."""
    return orjson.dumps(tuple(vector), default=tuple)


def unpack(packed: bytes) -> MatchVector:
    """Return the vector that `pack` packed."""
    return MatchVector._make(orjson.loads(packed))


def as_document(vector: MatchVector) -> dict[str, Any]:
    """Return the sub-document `mv` of a record: `norm_version` and the packed vector."""
    return {"norm_version": NORM_VERSION, "vector": pack(vector)}


def from_document(document: Mapping[str, Any]) -> MatchVector:
    """Return the vector of a sub-document `mv`.

    Raises:
        ValueError: it was computed by other rules; the record must be computed anew (MAT-10).
    """
    if document["norm_version"] != NORM_VERSION:
        raise ValueError(f"A match vector of norm_version {document['norm_version']}; this is {NORM_VERSION}.")
    return unpack(document["vector"])


def _given(name: dict[str, Any]) -> Given | None:
    given = [text for text in name.get("given") or () if isinstance(text, str)]
    parts = given_parts(given or [_split_text(name)[0]])
    return Given(" ".join(parts), parts[0], *codes(parts[0])) if parts else None


def _family(name: dict[str, Any]) -> Family | None:
    parts = name_parts(_text(name.get("family")) or _split_text(name)[1])
    if not parts:
        return None
    return Family(" ".join(parts), parts, _unique(code for part in parts for code in family_codes(part)))


def _split_text(name: dict[str, Any]) -> tuple[str, str]:
    """Return given names and surname of a name that is text only: "Anna Malá", "Malá, Anna"."""
    text = _text(name.get("text")).strip()
    if name.get("family") or name.get("given") or not text:
        return "", ""
    if "," in text:
        family, _, given = text.partition(",")
        return given, family
    given, _, family = text.rpartition(" ")
    return given, family


def _maiden_names(patient: Resource) -> Iterator[str]:
    for extension in _objects(patient, "extension"):
        if extension.get("url") == MOTHERS_MAIDEN_NAME:
            yield " ".join(name_parts(_text(extension.get("valueString"))))


def _telecom(point: dict[str, Any], home_country: str) -> str:
    value = _text(point.get("value"))
    if point.get("system") == "email" or "@" in value:
        return email(value)
    return phone(value, home_country) if point.get("system", "phone") in ("phone", "sms", "other", "pager") else ""


def _identifiers(patient: Resource, conventions: Conventions) -> tuple[list[Number], list[str]]:
    numbers: list[Number] = []
    others: list[str] = []
    for identifier in _objects(patient, "identifier")[:_IDENTIFIERS]:
        system, value = _text(identifier.get("system")), _text(identifier.get("value")).strip()
        system = conventions.aliases.get(system, system)
        if not system or not value:
            continue
        if (scheme := conventions.trusted.get(system)) is None:
            others.append(f"{system}|{value}")
            continue
        compact, check = national_number(value, scheme)
        if compact and fold(compact).strip("0") != "":
            numbers.append(Number(system, compact, check))
    return _unique(numbers), _unique(others)


def _deceased(patient: Resource) -> str:
    if "deceasedDateTime" in patient:
        return birth_date(patient["deceasedDateTime"], frozenset()) or "yes"
    told = patient.get("deceasedBoolean")
    return ("yes" if told else "no") if isinstance(told, bool) else ""


def _multiple(patient: Resource) -> int | None:
    order, told = patient.get("multipleBirthInteger"), patient.get("multipleBirthBoolean")
    if isinstance(order, int) and not isinstance(order, bool) and order > 0:
        return order
    return (-1 if told else 0) if isinstance(told, bool) else None


def _objects(parent: Mapping[str, Any], name: str) -> list[dict[str, Any]]:
    found = parent.get(name)
    return [each for each in found if isinstance(each, dict)] if isinstance(found, list) else []


def _text(value: object) -> str:
    return value if isinstance(value, str) else ""


def _unique(values: Any) -> list[Any]:
    """Return what is not empty, each once, in order."""
    kept: list[Any] = []
    for value in values:
        if value and value not in kept:
            kept.append(value)
    return kept
