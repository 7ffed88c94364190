"""The two formats of a document that is FHIR itself: which one is wanted, and the other one made from its bytes.

Spec: ITI-68, 2:3.68.4.1.3; MHD-68-07, 21; FHIR R4 http.html#mime-type.
"""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Sequence

from app.document.representation import raw_document
from app.fhir.media_type import FHIR_TYPES, JSON, XML, MediaRange, fhir_format, quality, split
from app.fhir.outcome import FhirError
from app.fhir.resource import parse_json, to_json
from app.fhir.xml import XmlError, from_xml, to_xml
from app.store.resources import Kept
from app.transaction import Content, Context


def wanted_form(media_type: str, accept: Sequence[MediaRange], asked_format: str) -> str:
    """Return the format in which a FHIR document is wanted that is kept as `media_type`; that one without a preference.

    Raises:
        FhirError: `not-supported` (406) when neither is acceptable.
    """
    form = fhir_format(tuple(accept), asked_format, FHIR_TYPES[split(media_type)[0]])
    if form is None:
        raise FhirError("not-supported", f"The document is sent as `{JSON}` or `{XML}`.", status=406)
    return form


def other_form(media_type: str, accept: Sequence[MediaRange], asked_format: str) -> str:
    """Return the FHIR format into which a document kept in a Binary is to be made; "" when it can stay as it is.

    `_format` asks for the Binary (MHD-68-05), and who takes the document's own type gets that (MHD-68-02).
    """
    if asked_format or split(media_type)[0] not in (JSON, XML) or quality(accept, media_type) > 0:
        return ""
    return fhir_format(tuple(accept), "", JSON) or ""


async def in_other_form(kept: Kept, form: str, context: Context) -> Content:
    """Return the FHIR document of `kept` in the format `form`.

    Raises:
        FhirError: `not-supported` (406) when it is no FHIR resource, or too large to be read.
    """
    source = raw_document(kept, context)
    if (source.size or 0) > context.switches.max_resource_bytes:
        raise _refused("is too large to be made into another format")
    body = b"".join([piece async for piece in source.chunks])
    structures = context.packages.structures
    try:
        made = to_xml(parse_json(body), structures) if form == XML else to_json(from_xml(body, structures))
    except (json.JSONDecodeError, UnicodeDecodeError, XmlError, ValueError, TypeError, KeyError, RecursionError):
        raise _refused("cannot be made into another format") from None
    return Content(form, len(made), _once(made))


async def _once(body: bytes) -> AsyncIterator[bytes]:
    yield body


def _refused(why: str) -> FhirError:
    return FhirError("not-supported", f"The document {why}; ask for the media type that it has.", status=406)
