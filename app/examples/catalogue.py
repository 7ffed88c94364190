"""Which people and documents there are. Every name, number and finding is invented.

The identifier systems lie below 2.999, the arc that ISO set aside for examples.
"""

from __future__ import annotations

from dataclasses import dataclass

from app.fhir.resource import Resource

DOMAIN = "urn:oid:2.999.1.1"
FORMATS = "http://ihe.net/fhir/ihe.formatcode.fhir/CodeSystem/formatcode"
LOINC = "http://loinc.org"
SNOMED = "http://snomed.info/sct"


@dataclass(frozen=True, slots=True)
class Example:
    """One document.

    Attributes:
        file: its name in `documents/`.
        type, category, format: code and display.
        unique_id: suffix of the OIDs that name the document (`.1`) and its submission (`.2`).
        creation: FHIR dateTime.
    """

    file: str
    media_type: str
    title: str
    patient: str
    type: tuple[str, str]
    category: tuple[str, str]
    format: tuple[str, str]
    unique_id: str
    creation: str


def patient(name: str, number: str, family: str, given: str, gender: str, born: str) -> Resource:
    """Return a Patient with the id `name`."""
    return {
        "resourceType": "Patient",
        "id": name,
        "identifier": [{"use": "official", "system": DOMAIN, "value": number}],
        "active": True,
        "name": [{"use": "official", "family": family, "given": [given]}],
        "gender": gender,
        "birthDate": born,
        "address": [{"use": "home", "line": ["1 Sample Street"], "city": "Exampleton", "country": "AT"}],
    }


PATIENTS = (
    patient("ida", "EX-0001", "Musterfrau", "Ida", "female", "1957-08-23"),
    patient("luka", "EX-0002", "Mustermann", "Luka", "male", "1984-02-11"),
    patient("zoe", "EX-0003", "Probová", "Zoë", "female", "2019-12-01"),
    patient("jose", "EX-0004", "Ejemplo", "José", "male", "1946-05-30"),
)

_SUMMARY = ("422735006", "Summary clinical document")
_DISCHARGE = ("373942005", "Discharge summary")
_IMAGING = ("4201000179104", "Imaging report")
_BY_MEDIA_TYPE = ("urn:ihe:iti:xds:2017:mimeTypeSufficient", "Media type sufficient")

DOCUMENTS = (
    Example(
        "patient-summary.json",
        "application/fhir+json",
        "Patient summary",
        "ida",
        ("60591-5", "Patient summary Document"),
        _SUMMARY,
        _BY_MEDIA_TYPE,
        "10",
        "2025-03-20T08:00:00+01:00",
    ),
    Example(
        "discharge-letter.pdf",
        "application/pdf",
        "Discharge letter, cardiology",
        "ida",
        ("18842-5", "Discharge summary"),
        _DISCHARGE,
        ("urn:ihe:iti:xds-sd:pdf:2008", "PDF"),
        "11",
        "2025-03-14T15:40:00+01:00",
    ),
    Example(
        "imaging-report.xml",
        "application/hl7-v3+xml",
        "Chest radiograph, report",
        "ida",
        ("18748-4", "Diagnostic imaging study"),
        _IMAGING,
        ("urn:ihe:iti:xds-sd:text:2008", "CDA"),
        "12",
        "2025-03-10T09:30:00+01:00",
    ),
    Example(
        "chest-image.png",
        "image/png",
        "Chest radiograph, image",
        "ida",
        ("18748-4", "Diagnostic imaging study"),
        _IMAGING,
        _BY_MEDIA_TYPE,
        "13",
        "2025-03-10T09:20:00+01:00",
    ),
    Example(
        "discharge-letter.pdf",
        "application/pdf",
        "Discharge letter, surgery",
        "luka",
        ("18842-5", "Discharge summary"),
        _DISCHARGE,
        ("urn:ihe:iti:xds-sd:pdf:2008", "PDF"),
        "14",
        "2024-11-02T11:00:00+01:00",
    ),
)
