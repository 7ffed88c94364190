"""Patient Identifier Cross-reference Query [ITI-83]: the Patient Identifier Cross-reference Manager's side.

A Consumer has a patient's identifier of one domain and asks for those of others; the answer is a Parameters resource.
The order of the refusals and their sentences are prescribed, to the letter.

Spec: IHE ITI TF-2:3.83 (https://profiles.ihe.net/ITI/PIXm/ITI-83.html).
"""

from __future__ import annotations

from collections.abc import Sequence

from app.domains import Domain
from app.fhir.outcome import FhirError
from app.fhir.resource import Resource
from app.patient.correspondence import Asked, correspondence
from app.patient.record_key import halves, told
from app.security.withholding import unknown
from app.transaction import Context, Interaction, RequestMessage, ResponseMessage, Transaction

PIXM = "https://profiles.ihe.net/ITI/PIXm"
OPERATION = f"{PIXM}/OperationDefinition/IHE.PIXm.pix"

UNKNOWN_SOURCE_DOMAIN = "sourceIdentifier Assigning Authority not found"
UNKNOWN_SOURCE = "sourceIdentifier Patient Identifier not found"
UNKNOWN_TARGET = "targetSystem not found"

PARAMETERS = frozenset({"sourceIdentifier", "targetSystem", "_format", "_pretty"})


async def patient_identifier_cross_reference_query(message: RequestMessage, context: Context) -> ResponseMessage:
    """Answer `$ihe-pix` (2:3.83.4.1.3 Expected Actions).

    Args:
        message: the parameters are in `query`, or in the body as a Parameters resource.

    Returns:
        200 and Parameters; without entries when the patient has no counterpart (2:3.83.4.2.2).

    Raises:
        FhirError: `required`, `invalid`, or `code-invalid` (400) for the source; `code-invalid` (403) for a target;
            `not-found` (404) for a patient that is not known; `forbidden` (401, 403) to a caller who is bound to one.
    """
    pairs = message.query if message.method == "GET" else parameters_of(message.resource)
    if "handling=strict" in message.headers.get("prefer", ""):
        _require_known(pairs)
    asked = _asked(pairs, context)
    found = await correspondence(asked, context)
    if found is None:
        raise unknown(message.access, told("not-found", UNKNOWN_SOURCE))
    if found.is_deprecated and context.switches.deprecated_query == "not-found":
        raise told("not-found", UNKNOWN_SOURCE)
    entries: list[Resource] = [{"name": "targetIdentifier", "valueIdentifier": one} for one in found.identifiers]
    if context.switches.pix_target_id:
        entries += [{"name": "targetId", "valueReference": {"reference": one}} for one in found.references]
    answer: Resource = {"resourceType": "Parameters"}
    return ResponseMessage(200, {**answer, "parameter": entries} if entries else answer, {"Cache-Control": "no-store"})


def parameters_of(resource: Resource | None) -> tuple[tuple[str, str], ...]:
    """Return the pairs that a Parameters resource holds (PIXM-DAT-12).

    Raises:
        FhirError: `required`, `invalid` (400).
    """
    if resource is None:
        raise told("required", "the body is missing; a Parameters resource was expected")
    if resource.get("resourceType") != "Parameters":
        raise told("invalid", "the body is not a Parameters resource")
    found = resource.get("parameter")
    parts = [one for one in found if isinstance(one, dict)] if isinstance(found, list) else []
    return tuple((str(one.get("name", "")), value) for one in parts if (value := _text(one)) is not None)


def _text(parameter: Resource) -> str | None:
    value = parameter.get("valueString", parameter.get("valueUri"))
    return value if isinstance(value, str) else None


def _require_known(pairs: Sequence[tuple[str, str]]) -> None:
    for name, _ in pairs:
        if name not in PARAMETERS:
            raise told("invalid", f"parameter {name[:64]} is not known to $ihe-pix")


def _asked(pairs: Sequence[tuple[str, str]], context: Context) -> Asked:
    """Return what is asked, once its form is right and its domains are recognised (PIXM-83-30 to PIXM-83-33)."""
    sources = [value for name, value in pairs if name == "sourceIdentifier"]
    if not sources:
        raise told("required", "sourceIdentifier is required: system|value")
    if len(sources) > 1:
        raise told("invalid", "sourceIdentifier may be given once")
    system, value = halves("sourceIdentifier", sources[0], is_list=True)
    source = context.domains.find(system)
    if source is None:
        raise told("code-invalid", UNKNOWN_SOURCE_DOMAIN)
    targets = [context.domains.find(value) for name, value in pairs if name == "targetSystem"]
    return Asked(source, value, tuple(_known(one) for one in targets))


def _known(domain: Domain | None) -> Domain:
    if domain is None:
        raise _unknown_target()
    return domain


def _unknown_target() -> FhirError:
    return told("code-invalid", UNKNOWN_TARGET, status=403)


def _operation(method: str) -> Interaction:
    return Interaction(
        "operation",
        method,
        "Patient/$ihe-pix",
        patient_identifier_cross_reference_query,
        "Patient",
        "ITI-83",
        OPERATION,
        "Identifiers of the same patient in other domains",
    )


ITI83 = Transaction(
    code="ITI-83",
    name="Patient Identifier Cross-reference Query",
    client="Patient Identifier Cross-reference Consumer",
    server="Patient Identifier Cross-reference Manager",
    interactions=(_operation("GET"), _operation("POST")),
    supported_profiles={"Patient": (f"{PIXM}/StructureDefinition/IHE.PIXm.Patient",)},
    instantiates=(f"{PIXM}/CapabilityStatement/IHE.PIXm.Manager",),
    audit_profile=f"{PIXM}/StructureDefinition/IHE.PIXm.Query.Audit.Manager",
)
