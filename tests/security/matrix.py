"""What each scope opens: the one table of scopes, transactions and kinds of tokens."""

from __future__ import annotations

import base64
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from app.fhir.resource import Resource
from tests.mhd.documents import cda
from tests.patients import KATARINA, NORTH
from tests.security.conftest import Known
from tests.security.submitted import of_patient
from tests.submissions import HELLO, binary, document_reference, identifier, oid, submission


@dataclass(frozen=True, slots=True)
class Call:
    """One request that succeeds when it is let in; `{patient}` and the like stand for ids."""

    method: str
    url: str
    body: Callable[[Known], Resource] | None = None


def simplified(known: Known) -> Resource:
    """What ITI-105 takes."""
    made = document_reference("", masterIdentifier=identifier("uniqueId", oid()))
    attachment = made["content"][0]["attachment"]
    del attachment["url"]
    attachment["data"] = base64.b64encode(HELLO).decode()
    return of_patient(made, known.patient)


def provided(known: Known) -> Resource:
    """What ITI-65 takes."""
    return of_patient(submission(), known.patient)


def generated(known: Known) -> Resource:
    """What ITI-106 takes: a document that describes itself."""
    document = binary(cda(oid()[-12:], "N-1001").replace(b"2.999.40.1", b"2.999.10.1"), "text/xml")
    return {"resourceType": "Parameters", "parameter": [{"name": "document", "resource": document}]}


def matched(known: Known) -> Resource:
    """What ITI-119 takes."""
    asked = {name: value for name, value in KATARINA.items() if name != "active"}
    return {"resourceType": "Parameters", "parameter": [{"name": "resource", "resource": asked}]}


CALLS: Mapping[str, Call] = {
    "67": Call("GET", "DocumentReference?patient={patient}&status=current"),
    "67-post": Call("POST", "DocumentReference/_search"),
    "67-read": Call("GET", "DocumentReference/{reference}"),
    "67-compartment": Call("GET", "Patient/{patient}/DocumentReference?status=current"),
    "66": Call("GET", "List?code=submissionset&patient={patient}&status=current"),
    "66-read": Call("GET", "List/{submission_set}"),
    "68-binary": Call("GET", "Binary/{binary}"),
    "68-bundle": Call("GET", "Bundle/{bundle}"),
    "105": Call("POST", "DocumentReference", simplified),
    "65": Call("POST", "", provided),
    "106": Call("POST", "DocumentReference/$generate-metadata", generated),
    "78": Call("GET", "Patient?family=novak"),
    "78-read": Call("GET", "Patient/{patient}"),
    "83": Call("GET", f"Patient/$ihe-pix?sourceIdentifier={NORTH}|N-1001"),
    "119": Call("POST", "Patient/$match", matched),
    "104": Call("PUT", f"Patient?identifier={NORTH}|N-1001", lambda known: KATARINA),
    "validate": Call("POST", "$validate", lambda known: KATARINA),
    "definitions": Call("GET", "StructureDefinition?name=PatientUvIps"),
    "definition": Call("GET", "OperationDefinition?code=match"),
}

# What any valid token opens (IUA-06).
ALWAYS = "validate definitions definition"

DOCUMENTS = "67 67-post 67-read 67-compartment"

# Scopes -> what they open, beside what every token does.
SCOPES: Mapping[str, str] = {
    # IHE's names (IUA-10, MHD-SEC-02, PIXM-SEC-02, PDQM-SEC-02, EHDS-18)
    "ITI-65": "65 105",
    "ITI-66": "66 66-read",
    "ITI-67": DOCUMENTS,
    "ITI-68": "68-binary 68-bundle",
    "ITI-78": "78 78-read",
    "ITI-83": "83",
    "ITI-104": "104",
    "ITI-105": "105",
    "ITI-106": "106",
    "ITI-119": "119",
    "ITI-83 ITI-78": "83 78 78-read",
    "ITI-83 foo openid": "83",
    "ITI-20 ITI-81": "",
    # SMART v2 (EHDS-16, EHDS-17)
    "system/DocumentReference.rs": DOCUMENTS,
    "system/DocumentReference.s": "67 67-post 67-compartment",
    "system/DocumentReference.r": "67-read",
    "system/DocumentReference.sr": "",
    "system/DocumentReference.c": "105 106",
    "system/DocumentReference.c system/List.c system/Binary.c": "105 106 65",
    "system/List.c": "",
    "system/Binary.r": "68-binary",
    "system/Bundle.r": "68-bundle",
    "system/Patient.s": "78 83 119",
    "system/Patient.rs": "78 78-read 83 119",
    "system/Patient.cud": "",
    "system/*.rs": f"{DOCUMENTS} 66 66-read 68-binary 68-bundle 78 78-read 83 119",
    "user/*.r": "67-read 66-read 68-binary 68-bundle 78-read",
    "system/*.cruds": f"{DOCUMENTS} 66 66-read 68-binary 68-bundle 78 78-read 83 119 65 105 106",
    # SMART v1, and the words of the EHDS guides
    "user/DocumentReference.read": DOCUMENTS,
    "system/DocumentReference.write": "105 106",
    "system/*.*": f"{DOCUMENTS} 66 66-read 68-binary 68-bundle 78 78-read 83 119 65 105 106",
    "system/DocumentReference.read system/DocumentReference.search": DOCUMENTS,
    "system/DocumentReference.search": "67 67-post 67-compartment",
    "system/DocumentReference.create": "105 106",
    # what grants nothing
    "patient/DocumentReference.rs": "",  # no patient
    "openid profile": "",
    "iti-67": "",
    "SYSTEM/DocumentReference.rs": "",
    "system/DocumentReference.rs?": "",
}

KINDS = ("signed", "opaque")
