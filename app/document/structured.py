"""A document that describes itself: read as what it is, CDA or FHIR, or refused.

Spec: ITI-106, 2:3.106.4.1.2 and 2:3.106.4.1.3; MHD-106-02..07, MHD-SEC-08.
"""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from dataclasses import dataclass

from app.document.cda import described_cda, missing_in, read_cda
from app.document.cda_header import CdaError
from app.document.composition import Document, described_document, is_fhir_document
from app.document.content import hash_text
from app.document.described import Described, unreadable
from app.document.entry import Entry
from app.document.fhir_document import fingerprint_of
from app.document.staging import staged_binary, whole_resource
from app.document.vocabulary import STRUCTURE_DEFINITION
from app.fhir.media_type import FHIR_TYPES, JSON, split
from app.fhir.outcome import FhirError, require_none
from app.fhir.resource import Resource, parse_json
from app.fhir.xml import XmlError, from_xml
from app.store.content import StagedContent
from app.transaction import Context, RequestMessage

PARAMETERS = f"{STRUCTURE_DEFINITION}/IHE.MHD.GenerateMetadata.Parameters.In"
NEITHER = "The document is neither a CDA document nor a FHIR document"


@dataclass(frozen=True, slots=True)
class Structured:
    """A document that was read.

    Attributes:
        holder: the Binary or the Bundle that holds it.
        media_type: as it is kept.
        identity: what tells documents of one uniqueId apart.
        place: FHIRPath of `holder` in the request.
    """

    described: Described
    holder: Resource
    media_type: str
    identity: str
    place: str


async def structured_document(message: RequestMessage, context: Context) -> Structured:
    """Return the document that `message` brings: in Parameters, or as the body itself (MHD-106-03).

    Raises:
        FhirError: 400 for a request that its profile refuses; `invalid` (422) with `InvalidDocumentContent` for a
            document that does not say enough of itself.
    """
    holder, place = _holder(message.resource, context)
    if holder["resourceType"] == "Binary":
        return await _in_binary(holder, place, message, context)
    bundle = await whole_resource(holder, message, context)
    described = _described(bundle, place, context)
    media_type = FHIR_TYPES.get(split(message.headers.get("content-type", ""))[0], JSON)
    return Structured(described, bundle, media_type, fingerprint_of(bundle), place)


def _holder(resource: Resource | None, context: Context) -> tuple[Resource, str]:
    """Return the Binary or Bundle of a request, and where it stands."""
    kind = str((resource or {}).get("resourceType", ""))
    if resource is None or kind not in ("Parameters", "Binary", "Bundle"):
        text = f"Parameters with the parameter `document` were expected. Came: `{kind[:64] or 'an empty body'}`."
        raise FhirError("structure", text)
    if kind != "Parameters":
        require_none(context.validator.validate(resource), status=400)
        return resource, kind
    require_none(context.validator.validate(resource, PARAMETERS, is_strict=True), status=400)
    found: Resource = resource["parameter"][0]["resource"]
    return found, "Parameters.parameter[0].resource"


def _described(bundle: Resource, place: str, context: Context) -> Described:
    if not is_fhir_document(bundle):
        raise unreadable(f"{NEITHER}: a Bundle of type `document` begins with a Composition.", place)
    return described_document(Document(bundle, context.packages.structures))


async def _in_binary(binary: Resource, place: str, message: RequestMessage, context: Context) -> Structured:
    content = await staged_binary(Entry(0, "", "POST", "Binary", binary, place=place), message, context)
    media_type = str(binary["contentType"])
    kind = split(media_type)[0]
    if FHIR_TYPES.get(kind) == JSON:
        described = await _fhir_json(content, place, context)
    elif kind.endswith(("/xml", "+xml")):
        described = await _xml(content, place, context)
    else:
        raise unreadable(f"{NEITHER}: it is `{media_type}`.", place)
    return Structured(described, binary, media_type, f"document {hash_text(content)} {content.size}", place)


async def _xml(content: StagedContent, place: str, context: Context) -> Described:
    try:
        header = await read_cda(context.store.content.open(content))
    except CdaError as error:
        if error.root.startswith("http://hl7.org/fhir "):
            return await _fhir_xml(content, place, context)
        raise unreadable(f"{NEITHER}. {error}", place) from error
    if missing := missing_in(header):
        names = ", ".join(f"`{name}`" for name in missing)
        raise unreadable(f"The header of the CDA document says too little; missing: {names}.", place)
    return described_cda(header)


async def _fhir_xml(content: StagedContent, place: str, context: Context) -> Described:
    try:
        bundle = from_xml(await _whole(content, context), context.packages.structures)
    except XmlError as error:
        raise unreadable(f"The document is not FHIR XML: line {error.line}, column {error.column}.", place) from error
    return _valid(bundle, place, context)


async def _fhir_json(content: StagedContent, place: str, context: Context) -> Described:
    try:
        bundle = parse_json(await _whole(content, context))
    except (json.JSONDecodeError, UnicodeDecodeError, RecursionError) as error:
        raise unreadable("The document is not JSON.", place) from error
    return _valid(bundle, place, context)


def _valid(bundle: Resource, place: str, context: Context) -> Described:
    """Return what a FHIR document inside a Binary says of itself; nothing has looked at it yet."""
    errors = [issue for issue in context.validator.validate(bundle) if issue.is_error]
    if errors:
        at = f" at `{errors[0].expression}`" if errors[0].expression else ""
        raise unreadable(f"The document is not valid FHIR{at}: {errors[0].diagnostics}", place)
    return _described(bundle, place, context)


async def _whole(content: StagedContent, context: Context) -> bytes:
    limit = context.switches.max_resource_bytes
    if content.size > limit:
        raise FhirError("too-long", f"A FHIR document is read up to {limit} bytes.")
    return b"".join(await _pieces(context.store.content.open(content)))


async def _pieces(chunks: AsyncIterator[bytes]) -> list[bytes]:
    return [piece async for piece in chunks]
