"""Documents that describe themselves, for tests: a CDA document and a FHIR document, with what follows from them."""

from __future__ import annotations

import copy
from typing import Any

from app.fhir.resource import Resource
from tests.submissions import urn

DOMAIN_OID = "2.999.40.1"
LOINC = "http://loinc.org"

# Everything in it is invented.
CDA = """<?xml version="1.0" encoding="UTF-8"?>
<ClinicalDocument xmlns="urn:hl7-org:v3" xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance"
    xmlns:sdtc="urn:hl7-org:sdtc">
  <realmCode code="AT"/>
  <typeId root="2.16.840.1.113883.1.3" extension="POCD_HD000040"/>
  <templateId root="1.3.6.1.4.1.19376.1.5.3.1.1.1"/>
  <templateId root="1.3.6.1.4.1.19376.1.5.3.1.1.2"/>
  <id root="2.999.7.1" extension="{number}"/>
  <code code="18842-5" codeSystem="2.16.840.1.113883.6.1" displayName="Discharge summary">
    <translation code="DISCH" codeSystem="2.999.8"/>
  </code>
  <title>An invented <br/>discharge letter</title>
  <effectiveTime value="202503141540+0100"/>
  <confidentialityCode code="R" codeSystem="2.16.840.1.113883.5.25"/>
  <languageCode code="de-AT"/>
  <setId root="2.999.7.2" extension="set-1"/>
  <recordTarget><patientRole>
    <id root="2.999.40.1" extension="{patient}"/>
    <id root="2.999.9" extension="W-77"/>
    <addr><streetAddressLine>1 Sample Street</streetAddressLine><city>Exampleton</city></addr>
    <telecom value="tel:+43-000"/>
    <patient>
      <name><prefix>Dr.</prefix><given>Ida</given><given>Eva</given><family>Musterfrau</family></name>
      <administrativeGenderCode code="F" codeSystem="2.16.840.1.113883.5.1"/>
      <birthTime value="19570823"/>
      <sdtc:deceasedInd value="false"/>
    </patient>
  </patientRole></recordTarget>
  <author>
    <time value="20250314"/>
    <assignedAuthor>
      <id root="2.999.1.2" extension="DOC-7"/>
      <code code="207RC0000X" codeSystem="2.16.840.1.113883.6.101"/>
      <telecom value="mailto:otto@example.org"/>
      <assignedPerson><name>Otto Beispiel</name></assignedPerson>
      <representedOrganization><id root="2.999.1.3"/><name>An invented house</name></representedOrganization>
    </assignedAuthor>
  </author>
  <author>
    <time value="20250314"/>
    <assignedAuthor>
      <id root="2.999.1.9"/>
      <assignedAuthoringDevice><softwareName>An invented program</softwareName></assignedAuthoringDevice>
    </assignedAuthor>
  </author>
  <custodian><assignedCustodian><representedCustodianOrganization>
    <id root="2.999.1.3"/><name>An invented house</name>
  </representedCustodianOrganization></assignedCustodian></custodian>
  <legalAuthenticator>
    <time value="20250314"/><signatureCode code="S"/>
    <assignedEntity>
      <id root="2.999.1.2" extension="DOC-8"/>
      <assignedPerson><name><given>Resi</given><family>Probe</family></name></assignedPerson>
    </assignedEntity>
  </legalAuthenticator>
  <documentationOf><serviceEvent>
    <code code="32485007" codeSystem="2.16.840.1.113883.6.96"/>
    <effectiveTime><low value="20250308"/><high value="20250314"/></effectiveTime>
  </serviceEvent></documentationOf>
  <relatedDocument typeCode="RPLC"><parentDocument><id root="2.999.7.1" extension="older"/></parentDocument></relatedDocument>
  <componentOf><encompassingEncounter>
    <id root="2.999.5" extension="V-1"/>
    <effectiveTime value="20250308"/>
    <location><healthCareFacility><code code="22232009" codeSystem="2.16.840.1.113883.6.96"/></healthCareFacility></location>
  </encompassingEncounter></componentOf>
  <component><structuredBody><component><section><text>Nothing of note.</text></section></component></structuredBody></component>
</ClinicalDocument>
"""


def cda(number: str = "1", patient: str = "4711") -> bytes:
    """Return a CDA document of the patient whose number is `patient`."""
    return CDA.format(number=number, patient=patient).encode()


def coded(system: str, code: str, display: str = "") -> Resource:
    """Return a CodeableConcept of one coding."""
    return {"coding": [{"system": system, "code": code} | ({"display": display} if display else {})]}


# What MHD-106-15 says of it: everything but what this server assigns.
CDA_METADATA: Resource = {
    "masterIdentifier": {"system": "urn:oid:2.999.7.1", "value": "1"},
    "status": "current",
    "type": {
        "coding": [
            {"system": LOINC, "code": "18842-5", "display": "Discharge summary"},
            {"system": "urn:oid:2.999.8", "code": "DISCH"},
        ]
    },
    "category": [coded(LOINC, "18842-5")],
    "subject": {"reference": "Patient/p1"},
    "author": [{"reference": "#author-role1"}, {"reference": "#author2"}],
    "authenticator": {"reference": "#authenticator1"},
    "custodian": {"reference": "#custodian1"},
    "securityLabel": [coded("http://terminology.hl7.org/CodeSystem/v3-Confidentiality", "R")],
    "content": [
        {
            "attachment": {
                "contentType": "text/xml",
                "language": "de-AT",
                "title": "An invented discharge letter",
                "creation": "2025-03-14T15:40:00+01:00",
            },
            "format": {
                "system": "http://ihe.net/fhir/ihe.formatcode.fhir/CodeSystem/formatcode",
                "code": "urn:ihe:pcc:xds-ms:2007",
            },
        }
    ],
    "context": {
        "encounter": [{"identifier": {"system": "urn:oid:2.999.5", "value": "V-1"}}],
        "event": [coded("http://snomed.info/sct", "32485007")],
        "period": {"start": "2025-03-08", "end": "2025-03-14"},
        "facilityType": coded("http://snomed.info/sct", "22232009"),
        "sourcePatientInfo": {"reference": "#patient1"},
    },
}

CDA_PEOPLE: dict[str, Resource] = {
    "patient1": {
        "resourceType": "Patient",
        "id": "patient1",
        "identifier": [
            {"system": "urn:oid:2.999.40.1", "value": "4711"},
            {"system": "urn:oid:2.999.9", "value": "W-77"},
        ],
        "name": [{"family": "Musterfrau", "given": ["Ida", "Eva"], "prefix": ["Dr."]}],
        "telecom": [{"system": "phone", "value": "+43-000"}],
        "gender": "female",
        "birthDate": "1957-08-23",
        "address": [{"line": ["1 Sample Street"], "city": "Exampleton"}],
    },
    "author-role1": {
        "resourceType": "PractitionerRole",
        "id": "author-role1",
        "practitioner": {"reference": "#author1"},
        "organization": {"reference": "#author-organization1"},
        "specialty": [coded("http://nucc.org/provider-taxonomy", "207RC0000X")],
    },
    "author1": {
        "resourceType": "Practitioner",
        "id": "author1",
        "identifier": [{"system": "urn:oid:2.999.1.2", "value": "DOC-7"}],
        "name": [{"text": "Otto Beispiel"}],
        "telecom": [{"system": "email", "value": "otto@example.org"}],
    },
    "author-organization1": {
        "resourceType": "Organization",
        "id": "author-organization1",
        "identifier": [{"system": "urn:ietf:rfc:3986", "value": "urn:oid:2.999.1.3"}],
        "name": "An invented house",
    },
    "author2": {
        "resourceType": "Device",
        "id": "author2",
        "identifier": [{"system": "urn:ietf:rfc:3986", "value": "urn:oid:2.999.1.9"}],
        "deviceName": [{"name": "An invented program", "type": "user-friendly-name"}],
    },
}


def fhir_document(**elements: Any) -> Resource:
    """Return a FHIR document that uses what can be derived; keywords replace elements of its Composition."""
    composition: Resource = {
        "resourceType": "Composition",
        "id": "c1",
        "meta": {"profile": ["http://hl7.org/fhir/uv/ips/StructureDefinition/Composition-uv-ips"]},
        "language": "nl",
        "identifier": {"system": "urn:ietf:rfc:3986", "value": "urn:uuid:4a13398b-9d72-5268-9e73-4ec456515f68"},
        "status": "final",
        "type": coded(LOINC, "60591-5", "Patient summary Document"),
        "subject": {"reference": "Patient/x1"},
        "encounter": {"reference": "Encounter/x1"},
        "date": "2025-06-01T08:55:00+02:00",
        "author": [{"reference": "PractitionerRole/x1"}, {"reference": "Patient/x1"}, {"reference": "Device/missing"}],
        "title": "An invented summary",
        "confidentiality": "R",
        "attester": [{"mode": "legal", "party": {"reference": "Practitioner/x1"}}],
        "custodian": {"reference": "Organization/x1"},
        "event": [{"code": [coded("http://snomed.info/sct", "32485007")], "period": {"start": "2025-03-08"}}],
        "section": [
            {
                "title": "Weight",
                "text": {"status": "generated", "div": '<div xmlns="http://www.w3.org/1999/xhtml">72.50 kg</div>'},
            }
        ],
    }
    organization = {"resourceType": "Organization", "id": "x1", "name": "An invented house"}
    people: list[Resource] = [
        {
            "resourceType": "Patient",
            "id": "x1",
            "identifier": [{"system": "urn:oid:2.999.40.1", "value": "4711"}],
            "name": [{"family": "Musterfrau", "given": ["Ida"]}],
            "managingOrganization": {"reference": "Organization/x1"},
        },
        {
            "resourceType": "Encounter",
            "id": "x1",
            "identifier": [{"system": "urn:oid:2.999.5", "value": "V-1"}],
            "status": "finished",
            "class": {"system": "http://terminology.hl7.org/CodeSystem/v3-ActCode", "code": "IMP"},
            "serviceType": coded("http://snomed.info/sct", "394579002"),
        },
        {
            "resourceType": "PractitionerRole",
            "id": "x1",
            "practitioner": {"reference": "Practitioner/x1"},
            "organization": {"reference": "Organization/x1"},
        },
        {"resourceType": "Practitioner", "id": "x1", "name": [{"family": "Beispiel", "given": ["Otto"]}]},
        organization | {"type": [coded("http://snomed.info/sct", "22232009")]},
    ]
    base = "http://author.example/fhir"
    entries = [
        {"fullUrl": f"{base}/{one['resourceType']}/{one['id']}", "resource": one} for one in [composition, *people]
    ]
    composition |= elements
    return copy.deepcopy(
        {
            "resourceType": "Bundle",
            "meta": {"security": [{"system": "http://terminology.hl7.org/CodeSystem/v3-ActReason", "code": "HTEST"}]},
            "identifier": {"system": "urn:ietf:rfc:3986", "value": urn()},
            "type": "document",
            "timestamp": "2025-06-01T09:00:00Z",
            "entry": entries,
        }
    )


FHIR_METADATA: Resource = {
    "identifier": [{"system": "urn:ietf:rfc:3986", "value": "urn:uuid:4a13398b-9d72-5268-9e73-4ec456515f68"}],
    "status": "current",
    "type": coded(LOINC, "60591-5", "Patient summary Document"),
    "category": [coded(LOINC, "34133-9")],
    "subject": {"reference": "Patient/p1"},
    "author": [{"reference": "#a1"}, {"reference": "#a2"}],
    "authenticator": {"reference": "#authenticator1"},
    "custodian": {"reference": "#custodian1"},
    "securityLabel": [
        coded("http://terminology.hl7.org/CodeSystem/v3-Confidentiality", "R"),
        coded("http://terminology.hl7.org/CodeSystem/v3-ActReason", "HTEST"),
    ],
    "content": [
        {
            "attachment": {
                "contentType": "application/fhir+json",
                "language": "nl",
                "title": "An invented summary",
                "creation": "2025-06-01T08:55:00+02:00",
            },
            "format": {
                "system": "http://ihe.net/fhir/ihe.formatcode.fhir/CodeSystem/formatcode",
                "code": "urn:ihe:pcc:ips:2020",
            },
        }
    ],
    "context": {
        "encounter": [{"type": "Encounter", "identifier": {"system": "urn:oid:2.999.5", "value": "V-1"}}],
        "event": [coded("http://snomed.info/sct", "32485007")],
        "period": {"start": "2025-03-08"},
        "facilityType": coded("http://snomed.info/sct", "22232009"),
        "practiceSetting": coded("http://snomed.info/sct", "394579002"),
        "sourcePatientInfo": {"reference": "#patient1"},
    },
}

FHIR_PEOPLE: dict[str, Resource] = {
    "a1": {
        "resourceType": "PractitionerRole",
        "id": "a1",
        "practitioner": {"reference": "#a-practitioner1"},
        "organization": {"reference": "#a-organization1"},
    },
    "a-practitioner1": {
        "resourceType": "Practitioner",
        "id": "a-practitioner1",
        "name": [{"family": "Beispiel", "given": ["Otto"]}],
    },
    "patient1": {
        "resourceType": "Patient",
        "id": "patient1",
        "identifier": [{"system": "urn:oid:2.999.40.1", "value": "4711"}],
        "name": [{"family": "Musterfrau", "given": ["Ida"]}],
    },
}
