"""Retrieve Document [ITI-68]: the Document Responder's side.

A Document Consumer gets the document at `DocumentReference.content.attachment.url`: its bytes as they were
published, or the FHIR Binary that holds them when a FHIR format is asked for.

Spec: IHE ITI TF-2:3.68 (https://profiles.ihe.net/ITI/MHD/ITI-68.html).
"""

from __future__ import annotations

from app.document.representation import binary_resource, is_wrapper_wanted, raw_document
from app.document.vocabulary import MHD, STRUCTURE_DEFINITION
from app.fhir.outcome import HTTP_STATUS, FhirError
from app.fhir.reference import parse as parse_reference
from app.fhir.resource import Resource, parse_json
from app.interaction import find, is_known, version_headers
from app.transaction import Context, RequestMessage, ResponseMessage, Transaction, read


async def retrieve_document(message: RequestMessage, context: Context) -> ResponseMessage:
    """Answer a Retrieve Document request (2:3.68.4.1.3 Expected Actions).

    Returns:
        200 and the document with the media type that it was published with; 200 and a Binary resource when the
        request names a FHIR format; 304 when the client has it already.

    Raises:
        FhirError: `not-found` (404), `deleted` (410), `not-supported` (406) when nothing acceptable can be sent.
    """
    kept = await find(message, context)
    binary = parse_json(kept.json)
    await _require_current(binary, context)
    as_resource = is_wrapper_wanted(binary["contentType"], message.accept, message.asked_format)
    headers = version_headers(kept) | {"X-Content-Type-Options": "nosniff", "Cache-Control": "private"}
    if is_known(message, kept):
        return ResponseMessage(304, headers=headers)
    make = binary_resource if as_resource else raw_document
    return ResponseMessage(200, make(binary, kept, message, context), headers)


async def _require_current(binary: Resource, context: Context) -> None:
    """Refuse the document of a superseded DocumentReference when the deployment wants that (A-04)."""
    status = context.switches.superseded_retrieval
    owner = parse_reference(binary.get("securityContext", {}).get("reference", ""), context.base_url)
    if status == 200 or owner.kind != "literal":
        return
    document = parse_json((await context.store.read(owner.resource_type, owner.id)).json)
    if document.get("status") == "superseded":
        code = next(code for code in ("deleted", "not-found") if HTTP_STATUS[code] == status)
        raise FhirError(code, "The document was superseded.", details="XDSDocumentUniqueIdError")


ITI68 = Transaction(
    code="ITI-68",
    name="Retrieve Document",
    client="Document Consumer",
    server="Document Responder",
    interactions=read("Binary", retrieve_document),
    instantiates=(f"{MHD}/CapabilityStatement/IHE.MHD.DocumentResponder",),
    audit_profile=f"{STRUCTURE_DEFINITION}/IHE.MHD.RetrieveDocument.Audit.Responder",
)
