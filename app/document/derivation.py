"""Codes of a DocumentReference that follow from codes of its document: tables in `derivation.toml`.

Spec: ITI-106, 2:3.106.4.1.3; IHE PCC TF-2:4.1; MHD-106-15.
"""

from __future__ import annotations

import tomllib
from collections.abc import Iterable, Mapping
from functools import cache
from pathlib import Path

from app.fhir.resource import Resource

LOINC = "http://loinc.org"
FORMATS = "http://ihe.net/fhir/ihe.formatcode.fhir/CodeSystem/formatcode"
CONFIDENTIALITY = "http://terminology.hl7.org/CodeSystem/v3-Confidentiality"

# "The media type says it all": what a document of no known template has.
BY_MEDIA_TYPE = "urn:ihe:iti:xds:2017:mimeTypeSufficient"

NORMAL: Resource = {"coding": [{"system": CONFIDENTIALITY, "code": "N"}]}


@cache
def _tables() -> Mapping[str, Mapping[str, str]]:
    return tomllib.loads(Path(__file__).with_name("derivation.toml").read_text())


def code_system(oid: str) -> str:
    """Return the URI of the code system that HL7 v3 calls `oid`."""
    return _tables()["code_system"].get(oid) or f"urn:oid:{oid}"


def format_of(marks: Iterable[str]) -> Resource:
    """Return the format code for a document of the templates or profiles `marks`; the most special one decides."""
    given = {mark.partition("|")[0] for mark in marks}
    found = next((code for mark, code in _tables()["format"].items() if mark in given), BY_MEDIA_TYPE)
    return {"system": FORMATS, "code": found}


def class_of(document_type: Resource) -> Resource | None:
    """Return the class of documents of a type, None when the table does not know the type."""
    for coding in document_type.get("coding", ()):
        if coding.get("system") == LOINC and (code := _tables()["class"].get(str(coding.get("code")))):
            return {"coding": [{"system": LOINC, "code": code}]}
    return None
