"""Retrieve Document [ITI-68]: the Document Responder's side.

A Document Consumer gets the document at `DocumentReference.content.attachment.url`: its bytes as they were
published, or the FHIR Binary that holds them when a FHIR format is asked for.

Spec: IHE ITI TF-2:3.68 (https://profiles.ihe.net/ITI/MHD/ITI-68.html).
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import replace

from app.document.content import attachment_of, place_elsewhere
from app.document.elsewhere import documents_elsewhere
from app.document.fhir_forms import in_other_form, other_form, wanted_form
from app.document.file_name import content_disposition, is_shown
from app.document.ranges import asked_parts, is_named, multipart, one_range
from app.document.representation import (
    binary_resource,
    fetched_document,
    is_wrapper_wanted,
    raw_document,
    reference_resource,
)
from app.document.vocabulary import MHD, STRUCTURE_DEFINITION
from app.fhir.media_type import split
from app.fhir.outcome import HTTP_STATUS, FhirError
from app.fhir.reference import parse as parse_reference
from app.fhir.resource import Resource, parse_json
from app.interaction import find, is_known, patient_of, version_headers
from app.security.entries import require_granted
from app.store.resources import Kept
from app.transaction import About, Content, Context, Option, RequestMessage, ResponseMessage, Transaction, read

# A document holds health data; it is what it says it is, and depends on what was asked for.
HEADERS = {"X-Content-Type-Options": "nosniff", "Cache-Control": "private", "Vary": "Accept"}


async def retrieve_document(message: RequestMessage, context: Context) -> ResponseMessage:
    """Answer a Retrieve Document request (2:3.68.4.1.3 Expected Actions).

    Returns:
        200 and the document with the media type that it was published with; 206 and the parts that `Range` names; 200
        and a Binary resource when the request names a FHIR format; 304 when the client has it already; 307 when the
        document lies elsewhere and this server does not fetch it.

    Raises:
        FhirError: `not-found` (404), `deleted` (410), `not-supported` (406) when nothing acceptable can be sent,
            `invalid` (416) for parts that the document does not have, `transient` (502) when another server does not
            deliver it.
    """
    kept = await find(message, context)
    binary = parse_json(kept.json)
    require_granted(message.access, ITI68.code, scope_of(str(binary["contentType"])))
    owner = await _owner(binary, context)
    _require_current(owner, context)
    return _about(await _retrieved(binary, owner, message, context, kept), owner, kept)


async def _retrieved(
    binary: Resource, owner: Resource, message: RequestMessage, context: Context, kept: Kept
) -> ResponseMessage:
    if form := other_form(binary["contentType"], message.accept, message.asked_format):
        return await _in(form, binary, owner, message, context, kept)
    as_resource = is_wrapper_wanted(binary["contentType"], message.accept, message.asked_format)
    headers = HEADERS if as_resource else HEADERS | _shown_as(binary, owner)
    if kept.content is None:
        return await _from_elsewhere(binary, headers, message, context, kept, as_resource=as_resource)
    headers = headers | version_headers(kept)
    if not as_resource:
        return _document(str(binary["contentType"]), headers, message, context, kept)
    if is_known(message, kept):
        return ResponseMessage(304, headers=headers)
    return ResponseMessage(200, binary_resource(kept, raw_document(kept, context), message, context), headers)


async def retrieve_fhir_document(message: RequestMessage, context: Context) -> ResponseMessage:
    """Answer a Retrieve Document request for a FHIR document that is kept as a Bundle.

    Returns:
        200 and the document, in the format that it is kept in unless the other one is asked for; never a Binary.
        206 and 304 as for any document.

    Raises:
        FhirError: `not-found` (404), `deleted` (410), `not-supported` (406), `invalid` (416).
    """
    kept = await find(message, context)
    record = parse_json(kept.json)
    require_granted(message.access, ITI68.code, "Bundle.r")
    owner = await _owner(record, context)
    _require_current(owner, context)
    return _about(await _fhir_document(record, owner, message, context, kept), owner, kept)


async def _fhir_document(
    record: Resource, owner: Resource, message: RequestMessage, context: Context, kept: Kept
) -> ResponseMessage:
    media_type = str(record["contentType"])
    form = wanted_form(media_type, message.accept, message.asked_format)
    if form != media_type:
        return await _in(form, record, owner, message, context, kept)
    headers = HEADERS | _shown_as(record, owner) | version_headers(kept)
    return _document(media_type, headers, message, context, kept)


def scope_of(media_type: str) -> str:
    """Return what the retrieval of a document needs: what it is decides, not the path (EHDS-17)."""
    return "Bundle.r" if split(media_type)[0].startswith("application/fhir+") else "Binary.r"


def _about(answer: ResponseMessage, owner: Resource, kept: Kept) -> ResponseMessage:
    """Return `answer` with what the audit tells of it: whose document it is, and where it was retrieved (MHD-AU-30)."""
    about = About(patient_of(owner), ({"reference": f"{kept.resource_type}/{kept.id}"},))
    return replace(answer, about=about)


async def _in(
    form: str, record: Resource, owner: Resource, message: RequestMessage, context: Context, kept: Kept
) -> ResponseMessage:
    """Return a FHIR document in the format that it is not kept in; hash and size are not those of that (MHD-68-07)."""
    headers = HEADERS | _shown_as(record | {"contentType": form}, owner) | version_headers(kept)
    if is_known(message, kept):
        return ResponseMessage(304, headers=headers)
    return ResponseMessage(200, await in_other_form(kept, form, context), headers)


def _document(
    media_type: str, headers: dict[str, str], message: RequestMessage, context: Context, kept: Kept
) -> ResponseMessage:
    """Return the document as it was published, or the parts of it that are asked for.

    Its bytes never change, so that its ETag is a strong one (RFC 9110, 8.8.3), and parts of it fit together. It is not
    that of the Binary resource at the same URL (docs/decisions/0015).
    """
    headers |= {"ETag": f'"{kept.version}.document"', "Accept-Ranges": "bytes"}
    if is_named(headers["ETag"], message.headers) if "if-none-match" in message.headers else is_known(message, kept):
        return ResponseMessage(304, headers=headers)

    def read(start: int, end: int) -> AsyncIterator[bytes]:
        return raw_document(kept, context, start, end).chunks

    whole = raw_document(kept, context)
    size = whole.size or 0
    parts = asked_parts(message.method, message.headers, headers, size)
    if not parts:
        return ResponseMessage(200, Content(media_type, size, whole.chunks), headers)
    if len(parts) > 1:
        return ResponseMessage(206, multipart(parts, media_type, size, context.new_id(), read), headers)
    start, end = parts[0].start, parts[0].end
    headers |= {"Content-Range": parts[0].content_range(size)}
    return ResponseMessage(206, Content(media_type, end - start, read(start, end)), headers)


def _shown_as(binary: Resource, owner: Resource) -> dict[str, str]:
    """Return what the document is called, and that what a browser would run is neither shown nor run (MHD-SEC-11)."""
    media_type = str(binary["contentType"])
    title = str(attachment_of(owner).get("title", "")) if owner else ""
    headers = {"Content-Disposition": content_disposition(title, media_type, str(binary["id"]))}
    return headers if is_shown(media_type) else headers | {"Content-Security-Policy": "sandbox"}


async def _from_elsewhere(
    binary: Resource,
    headers: dict[str, str],
    message: RequestMessage,
    context: Context,
    kept: Kept,
    *,
    as_resource: bool,
) -> ResponseMessage:
    """Return a document that lies on another host: where it is, or what that host delivers (MHD-65-58)."""
    place, elsewhere = place_elsewhere(binary), documents_elsewhere(context.switches)
    if not place or not elsewhere.is_listed(place):
        raise FhirError("not-found", "The document cannot be delivered from here.", details="XDSDocumentUniqueIdError")
    if context.switches.external_retrieval != "proxy":
        if as_resource:
            return ResponseMessage(200, reference_resource(kept, context), HEADERS)
        return ResponseMessage(307, None, HEADERS | {"Location": place})
    is_head = message.method == "HEAD"
    asked = {} if is_head or as_resource else one_range(message.headers)
    fetched = await fetched_document(binary, place, elsewhere, asked, is_head=is_head)
    if as_resource and isinstance(fetched.body, Content):
        return ResponseMessage(200, binary_resource(kept, fetched.body, message, context), headers)
    return replace(fetched, headers={**headers, **fetched.headers})


async def _owner(binary: Resource, context: Context) -> Resource:
    """Return the DocumentReference that a document belongs to; empty when there is none."""
    owner = parse_reference(binary.get("securityContext", {}).get("reference", ""), context.base_url)
    if owner.kind != "literal":
        return {}
    try:
        return dict(parse_json((await context.store.read(owner.resource_type, owner.id)).json))
    except FhirError as error:
        if error.status != 404:
            raise
        return {}


def _require_current(owner: Resource, context: Context) -> None:
    """Refuse the document of a superseded DocumentReference when the deployment wants that (A-04)."""
    status = context.switches.superseded_retrieval
    if status != 200 and owner.get("status") == "superseded":
        code = next(code for code in ("deleted", "not-found") if HTTP_STATUS[code] == status)
        raise FhirError(code, "The document was superseded.", details="XDSDocumentUniqueIdError")


# Two options keep FHIR documents as Bundles.
BUNDLES = read("Bundle", retrieve_fhir_document)

ITI68 = Transaction(
    code="ITI-68",
    name="Retrieve Document",
    client="Document Consumer",
    server="Document Responder",
    interactions=read("Binary", retrieve_document),
    instantiates=(f"{MHD}/CapabilityStatement/IHE.MHD.DocumentResponder",),
    audit_profile=f"{STRUCTURE_DEFINITION}/IHE.MHD.RetrieveDocument.Audit.Responder",
    options={
        "fhir_documents": Option(interactions=BUNDLES),
        "generate_metadata": Option(interactions=BUNDLES),
    },
)
