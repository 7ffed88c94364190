"""FHIR documents that are kept as what they are: a Bundle with its own URL, whose bytes never change.

The record of such a Bundle says of it what a Binary says of a document (`contentType`, `securityContext`), and the
Bundle itself is its content (docs/decisions/0012). What it holds is not touched: it may be signed.

Spec: MHD 1:33.2.6, ITI-65 2:3.65.4.1.2.3; MHD-OPT-30..35, MHD-65-27, 62, A-09; FHIR R4 documents.html.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from typing import Any

import orjson

from app.document.composition import is_fhir_document
from app.document.content import attachment_of
from app.document.entry import Entry, Submission
from app.document.vocabulary import INVALID_CONTENT
from app.fhir.media_type import JSON, XML, split
from app.fhir.outcome import Issue
from app.fhir.resource import Resource, to_json
from app.fhir.structure import Structures
from app.fhir.xml import to_xml
from app.switches import Switches

# Switch `fhir_document_extra_docref` -> the media types.
EXTRA_MEDIA_TYPES = {"off": (), "json": (JSON,), "xml": (XML,), "both": (JSON, XML)}


def has_transformed(submission: Submission, switches: Switches) -> bool:
    """Tell whether the FHIR documents of `submission` become Binaries as well: those of ITI-65, by the switch."""
    return switches.fhir_document_extra_docref != "off" and not submission.is_derived


def check_fhir_document(entry: Entry, document: Entry) -> Iterator[Issue]:
    """The entry `document` is a FHIR document, and the DocumentReference `entry` says so (MHD-OPT-32)."""
    if not is_fhir_document(document.resource):
        text = "A Bundle in a submission is of type `document`, and its first entry is a Composition."
        yield document.issue("invalid", text, "type", INVALID_CONTENT)
    media_type = media_type_of(entry)
    if media_type not in (JSON, XML):
        text = f"contentType `{media_type}` is not that of a FHIR document: `{JSON}` or `{XML}`."
        yield entry.issue("invalid", text, "content[0].attachment.contentType", INVALID_CONTENT)


def warnings_about(entry: Entry, document: Entry) -> Iterator[Issue]:
    """What is odd about a FHIR document, and does not matter here: hash and size, another identifier (A-09)."""
    given = [name for name in ("hash", "size") if name in attachment_of(entry.resource)]
    if given:
        text = "hash and size of a FHIR document follow from how this server writes it; those that came are ignored."
        at = f"{entry.expression}.content[0].attachment.{given[0]}"
        yield Issue("business-rule", text, at, "warning")
    own, master = document.resource.get("identifier", {}), entry.resource["masterIdentifier"]
    if (own.get("system"), own.get("value")) != (master.get("system"), master.get("value")):
        text = "The masterIdentifier is not the identifier of the FHIR document."
        yield Issue("business-rule", text, f"{entry.expression}.masterIdentifier", "warning")


def media_type_of(entry: Entry) -> str:
    """Return type and subtype of the document that the DocumentReference `entry` describes."""
    return split(str(attachment_of(entry.resource)["contentType"]))[0]


def serialised(document: Resource, record_id: str, media_type: str, structures: Structures) -> bytes:
    """Return the bytes of `document` in JSON or XML.

    Args:
        record_id: becomes its `id`, which no signature covers (FHIR R4 datatypes.html#Signature); "" for none.
    """
    head: Resource = {"resourceType": "Bundle"} | ({"id": record_id} if record_id else {})
    whole = head | {name: value for name, value in document.items() if name not in ("resourceType", "id")}
    return to_xml(whole, structures) if media_type == XML else to_json(whole)


def fingerprint_of(document: Resource) -> str:
    """Return what tells FHIR documents of one uniqueId apart: all they say, in whichever format, but their `id`."""
    said = {name: value for name, value in document.items() if name != "id"}
    text = orjson.dumps(said, default=str, option=orjson.OPT_SORT_KEYS)
    return f"FHIR document {hashlib.sha1(text, usedforsecurity=False).hexdigest()}"


def bundle_record(document: Resource, record_id: str, media_type: str, owner: str) -> Resource:
    """Return what the record of `document` says of it: the Bundle without entries, and what a Binary would say.

    Args:
        owner: name of its DocumentReference, whom access to it follows (MHD-65-64).
    """
    kept: dict[str, Any] = {
        name: document[name] for name in ("identifier", "type", "timestamp", "language") if name in document
    }
    head = {"resourceType": "Bundle", "id": record_id}
    return head | kept | {"contentType": media_type, "securityContext": {"reference": owner}}
