"""A CDA R2 document, described: its header in the words of a DocumentReference.

Spec: ITI-106, 2:3.106.4.1.3; IHE PCC TF-2:4.1 (CDA binding); MHD-106-05, 14, 15.
"""

from __future__ import annotations

from collections.abc import AsyncIterator

from app.document.cda_header import CdaHeaderReader, Element
from app.document.cda_types import (
    addresses,
    concept,
    date,
    date_time,
    gender,
    human_names,
    identifier,
    identifiers,
    period,
    telecoms,
)
from app.document.derivation import class_of, format_of
from app.document.described import Described, without_empty
from app.fhir.resource import Resource


async def read_cda(pieces: AsyncIterator[bytes]) -> Element:
    """Return the header of the CDA document that `pieces` yields.

    Raises:
        CdaError: it is none, or cannot be read.
    """
    reader = CdaHeaderReader()
    async for piece in pieces:
        reader.feed(piece)
    return reader.close()


def missing_in(header: Element) -> list[str]:
    """Return what a document of this `header` lacks to be described: id, coded type, patient."""
    needed = {
        "id": identifier(header.first("id")),
        "code": (concept(header.first("code")) or {}).get("coding"),
        "recordTarget/patientRole/id": header.first("recordTarget/patientRole/id"),
    }
    return [path for path, found in needed.items() if not found]


def described_cda(header: Element) -> Described:
    """Return what the document of `header` says of itself; a relatedDocument is not acted on (MHD-106-14)."""
    made = Described()
    role = header.first("recordTarget/patientRole")
    document_type = concept(header.first("code")) or {}
    event = header.first("documentationOf/serviceEvent")
    made.elements = without_empty(
        {
            "masterIdentifier": identifier(header.first("id")),
            "identifier": identifiers(header, "setId"),
            "type": document_type,
            "category": [class_of(document_type)],
            "author": [_author(author, made) for author in header.all("author/assignedAuthor")],
            "authenticator": _entity(header.first("legalAuthenticator/assignedEntity"), made, "authenticator"),
            "custodian": _organization(
                header.first("custodian/assignedCustodian/representedCustodianOrganization"), made, "custodian"
            ),
            "securityLabel": [concept(header.first("confidentialityCode"))],
            "content": [{"attachment": _attachment(header), "format": format_of(_templates(header))}],
            "context": _context(header, event, role, made),
        }
    )
    made.patient_identifiers = identifiers(role) if role else []
    return made


def _attachment(header: Element) -> Resource:
    return {
        "language": (code.get("code") if (code := header.first("languageCode")) else ""),
        "title": header.string("title"),
        "creation": date_time(header.first("effectiveTime")),
    }


def _templates(header: Element) -> list[str]:
    found = [(one.get("root"), one.get("extension")) for one in header.all("templateId")]
    return [root for root, _ in found] + [f"{root} {extension}" for root, extension in found if extension]


def _context(header: Element, event: Element | None, role: Element | None, made: Described) -> Resource:
    encounter = header.first("componentOf/encompassingEncounter")
    return {
        "encounter": [{"identifier": found} for found in identifiers(encounter)] if encounter else [],
        "event": [concept(one) for one in header.all("documentationOf/serviceEvent/code")],
        "period": period(event.first("effectiveTime")) if event else None,
        "facilityType": concept(encounter.first("location/healthCareFacility/code")) if encounter else None,
        "sourcePatientInfo": made.contain(_patient(role), "patient") if role else None,
    }


def _patient(role: Element) -> Resource:
    person = role.first("patient") or Element("patient")
    return {
        "resourceType": "Patient",
        "identifier": identifiers(role),
        "name": human_names(person),
        "telecom": telecoms(role),
        "gender": gender(person.first("administrativeGenderCode")),
        "birthDate": date(person.first("birthTime")),
        "address": addresses(role),
    }


def _author(assigned: Element, made: Described) -> Resource:
    """Return a reference to the author: a person, alone or in a role, or a device."""
    device = assigned.first("assignedAuthoringDevice")
    if device is not None and assigned.first("assignedPerson") is None:
        names = [("softwareName", "user-friendly-name"), ("manufacturerModelName", "model-name")]
        resource = {
            "resourceType": "Device",
            "identifier": identifiers(assigned),
            "deviceName": [{"name": text, "type": kind} for path, kind in names if (text := device.string(path))],
        }
        return made.contain(resource, "author")
    return _entity(assigned, made, "author") or {}


def _entity(assigned: Element | None, made: Described, name: str) -> Resource | None:
    """Return a reference to an assigned person: a Practitioner, or a PractitionerRole when more is told."""
    if assigned is None:
        return None
    person = assigned.first("assignedPerson") or Element("assignedPerson")
    practitioner = {
        "resourceType": "Practitioner",
        "identifier": identifiers(assigned),
        "name": human_names(person),
        "telecom": telecoms(assigned),
        "address": addresses(assigned),
    }
    organization = _organization(assigned.first("representedOrganization"), made, f"{name}-organization")
    specialty = concept(assigned.first("code"))
    reference = made.contain(practitioner, name)
    if organization is None and specialty is None:
        return reference
    role = {"practitioner": reference, "organization": organization, "specialty": [specialty]}
    return made.contain({"resourceType": "PractitionerRole", **role}, f"{name}-role")


def _organization(element: Element | None, made: Described, name: str) -> Resource | None:
    if element is None:
        return None
    resource = {
        "resourceType": "Organization",
        "identifier": identifiers(element),
        "name": element.string("name"),
        "telecom": telecoms(element),
        "address": addresses(element),
    }
    return made.contain(resource, name) if resource["identifier"] or resource["name"] else None
