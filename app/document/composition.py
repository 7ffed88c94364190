"""A FHIR document, described: its Composition in the words of a DocumentReference.

Spec: ITI-106, 2:3.106.4.1.3; IHE PCC TF-2:4.1 (FHIR document binding); FHIR R4 documents.html; MHD-106-04, 15.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

from app.document.derivation import CONFIDENTIALITY, class_of, format_of
from app.document.described import Described, without_empty
from app.fhir.bundle import Links
from app.fhir.resource import Resource
from app.fhir.structure import Structures

# What the elements of a DocumentReference may refer to (FHIR R4 documentreference.html).
AUTHORS = frozenset({"Practitioner", "PractitionerRole", "Organization", "Device", "Patient", "RelatedPerson"})
AUTHENTICATORS = frozenset({"Practitioner", "PractitionerRole", "Organization"})


@dataclass(frozen=True, slots=True)
class Found:
    """An entry of a document: what it is called there, and its resource."""

    full_url: str
    resource: Resource


class Document:
    """A Bundle of type document, whose references can be followed.

    Attributes:
        bundle: as it came.
        composition: its first entry.
    """

    def __init__(self, bundle: Resource, structures: Structures) -> None:
        """Read `bundle`, which is one (see `is_fhir_document`)."""
        self.bundle = bundle
        entries = [Found(str(one.get("fullUrl", "")), one["resource"]) for one in bundle["entry"] if "resource" in one]
        self.composition = entries[0]
        self._entries = {one.full_url: one for one in entries if one.full_url}
        self._links = Links(structures, {url: url for url in self._entries}, "")

    def find(self, reference: Any, holder: Found) -> Found | None:
        """Return the entry that a Reference in `holder` means (FHIR R4 bundle.html#references)."""
        text = reference.get("reference", "") if isinstance(reference, dict) else ""
        if text.startswith("#"):
            held = (one for one in holder.resource.get("contained", ()) if f"#{one.get('id')}" == text)
            return next((Found(holder.full_url, one) for one in held), None)
        name = self._links.new_name(text, holder.full_url) if text else None
        return self._entries.get((name or "").partition("/_history/")[0])


def is_fhir_document(resource: Any) -> bool:
    """Tell whether `resource` is a Bundle of type document whose first entry is a Composition (bdl-11)."""
    if not isinstance(resource, dict) or resource.get("resourceType") != "Bundle" or resource.get("type") != "document":
        return False
    first = next(iter(resource.get("entry") or ()), None)
    return isinstance(first, dict) and (first.get("resource") or {}).get("resourceType") == "Composition"


def described_document(document: Document) -> Described:
    """Return what `document` says of itself."""
    made = Described()
    bundle, holder = document.bundle, document.composition
    composition = holder.resource
    copy = _Copy(document, made)
    subject = document.find(composition.get("subject"), holder)
    patient = subject if subject and subject.resource["resourceType"] == "Patient" else None
    made.elements = without_empty(
        {
            "masterIdentifier": bundle["identifier"],
            "identifier": [composition.get("identifier")],
            "type": composition.get("type"),
            "category": [_category(composition)],
            "author": copy.all(composition.get("author", ()), holder, AUTHORS, "a"),
            "authenticator": next(iter(copy.all(_legal(composition), holder, AUTHENTICATORS, "authenticator")), None),
            "custodian": copy.one(composition.get("custodian"), holder, {"Organization"}, "custodian"),
            "securityLabel": list(_labels(bundle, composition)),
            "content": [{"attachment": _attachment(bundle, composition), "format": format_of(_profiles(document))}],
            "context": _context(document, patient, made),
        }
    )
    if patient:
        made.patient_identifiers = [one for one in patient.resource.get("identifier", ()) if _is_whole(one)]
    else:
        reference = composition.get("subject") or {}
        made.patient_reference = str(reference.get("reference", ""))
        made.patient_identifiers = [one for one in [reference.get("identifier") or {}] if _is_whole(one)]
    return made


def _is_whole(identifier: Resource) -> bool:
    return bool(identifier.get("system") and identifier.get("value"))


def _category(composition: Resource) -> Resource | None:
    return next(iter(composition.get("category", ())), None) or class_of(composition.get("type", {}))


def _legal(composition: Resource) -> list[Resource]:
    return [one["party"] for one in composition.get("attester", ()) if one.get("mode") == "legal" and "party" in one]


def _labels(bundle: Resource, composition: Resource) -> Iterator[Resource]:
    """Yield confidentiality and security labels, each once."""
    codings = [{"system": CONFIDENTIALITY, "code": code}] if (code := composition.get("confidentiality")) else []
    for resource in (bundle, composition):
        codings += resource.get("meta", {}).get("security", ())
    seen = {(one.get("system"), one.get("code")): one for one in reversed(codings)}
    yield from ({"coding": [one]} for one in reversed(seen.values()))


def _attachment(bundle: Resource, composition: Resource) -> Resource:
    return {
        "language": composition.get("language") or bundle.get("language"),
        "title": composition.get("title"),
        "creation": composition.get("date"),
    }


def _profiles(document: Document) -> list[str]:
    resources = (document.bundle, document.composition.resource)
    return [url for resource in resources for url in resource.get("meta", {}).get("profile", ())]


def _context(document: Document, patient: Found | None, made: Described) -> Resource:
    holder = document.composition
    events = holder.resource.get("event", ())
    encounter = document.find(holder.resource.get("encounter"), holder)
    visit = encounter.resource if encounter else {}
    custodian = document.find(holder.resource.get("custodian"), holder)
    return {
        "encounter": [{"type": "Encounter", "identifier": one} for one in visit.get("identifier", ())[:1]],
        "event": [code for event in events for code in event.get("code", ())],
        "period": next((event["period"] for event in events if "period" in event), None),
        "facilityType": next(iter((custodian.resource if custodian else {}).get("type", ())), None),
        "practiceSetting": visit.get("serviceType"),
        "sourcePatientInfo": made.contain(detached(patient.resource), "patient") if patient else None,
    }


class _Copy:
    """Copies what a document's references mean into the DocumentReference, each resource once for each purpose."""

    def __init__(self, document: Document, made: Described) -> None:
        self._document = document
        self._made = made
        self._copied: dict[tuple[str, str], Resource] = {}

    def all(self, references: Iterable[Any], holder: Found, types: Iterable[str], name: str) -> list[Resource]:
        """Return references to contained copies, without those that cannot be followed."""
        made = [self.one(one, holder, types, name) for one in references]
        return list({one["reference"]: one for one in made if one}.values())

    def one(self, reference: Any, holder: Found, types: Iterable[str], name: str) -> Resource | None:
        """Return a reference to a contained copy of what `reference` means, when it is of one of `types`."""
        found = self._document.find(reference, holder)
        if found is None or found.resource["resourceType"] not in types:
            return None
        if known := self._copied.get((found.full_url, name)):
            return known
        resource = detached(found.resource)
        if found.resource["resourceType"] == "PractitionerRole":
            for element, kind in (("practitioner", "Practitioner"), ("organization", "Organization")):
                inner = self.one(found.resource.get(element), found, {kind}, f"{name}-{element}")
                resource |= {element: inner} if inner else {}
        self._copied[found.full_url, name] = self._made.contain(resource, name)
        return self._copied[found.full_url, name]


def detached(resource: Resource) -> Resource:
    """Return a copy of `resource` that can be contained: without text, meta, contained resources and references."""
    left_out = ("id", "meta", "text", "contained", "implicitRules")
    return {name: _without_references(item) for name, item in resource.items() if name not in left_out}


def _without_references(value: Any) -> Any:
    """A reference counts from where it stands; away from there only what it says in words is left of it."""
    if isinstance(value, list):
        return [_without_references(one) for one in value]
    if isinstance(value, dict):
        return {
            name: _without_references(item)
            for name, item in value.items()
            if not (name == "reference" and isinstance(item, str))
        }
    return value
