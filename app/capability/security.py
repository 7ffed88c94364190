"""What the statement says of who may ask: true in each mode.

Spec: FHIR R4 capabilitystatement.html (`rest.security`); EHDS-05, EHDS-06; IUA-04, IUA-05; PIXM-CAP-04; MHD-CS-11.
"""

from __future__ import annotations

from collections.abc import Mapping

from app.fhir.resource import Resource
from app.security.guard import Mode

_FHIR_SERVICE = "http://terminology.hl7.org/CodeSystem/restful-security-service"
_IHE_TYPES = "http://profiles.ihe.net/fhir/ihe.securityTypes/CodeSystem/securityTypes"

# How somebody shows who asks: exactly one coding, or none where it is not this server who looks.
SERVICES: Mapping[Mode, tuple[str, str]] = {
    "static": (_FHIR_SERVICE, "OAuth"),
    "smart": (_FHIR_SERVICE, "SMART-on-FHIR"),
    "iua": (_IHE_TYPES, "IUA"),
}

_TOKENS = "Every request but for this statement needs a bearer token"
_ATNA = "Beneath it IHE recommends node authentication (ATNA, TLS 1.2 or newer)."

SECURITY: Mapping[Mode, str] = {
    "off": "This server does not check who asks: access control belongs in front of it. "
    "IHE recommends node authentication (ATNA, TLS 1.2 or newer) and encourages IUA or SMART on FHIR.",
    "external": f"A gateway in front of this server decides who may ask; nobody else is answered. {_ATNA}",
    "static": f"{_TOKENS} that the operator hands out. {_ATNA}",
    "smart": f"{_TOKENS} of a trusted authorization server, with SMART scopes; "
    f"`.well-known/smart-configuration` below the FHIR base says where it comes from. {_ATNA}",
    "iua": f"{_TOKENS} of a trusted authorization server (IHE IUA, ITI-71 and ITI-72); its scopes are the names of "
    f"transactions, such as ITI-67, or SMART's. {_ATNA}",
}


def security(mode: Mode, *, cors: bool) -> Resource:
    """Return `rest.security`."""
    said: Resource = {"cors": cors, "description": SECURITY[mode]}
    if mode in SERVICES:
        system, code = SERVICES[mode]
        said["service"] = [{"coding": [{"system": system, "code": code}]}]
    return said
