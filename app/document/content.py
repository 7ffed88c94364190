"""What a DocumentReference says of its document, held against the document itself.

Spec: ITI-65, 2:3.65.4.1.2.3; MHD-65-50..62. The hash is SHA-1 over the document's bytes, in base64 (FHIR R4
datatypes.html#Attachment), never over the base64 text.
"""

from __future__ import annotations

import base64
from collections.abc import Iterator

from app.document.entry import Entry
from app.document.vocabulary import METADATA_ERROR, MISSING_DOCUMENT
from app.fhir.outcome import Issue
from app.fhir.resource import Resource
from app.store.content import StagedContent


def attachment_of(document: Resource) -> Resource:
    """Return the one attachment of a DocumentReference."""
    return document["content"][0]["attachment"]  # type: ignore[no-any-return]


def hash_text(content: StagedContent) -> str:
    """Return the SHA-1 of `content` as `Attachment.hash` spells it: base64, 28 characters."""
    return base64.b64encode(content.sha1).decode()


def same_media_type(one: str, other: str) -> bool:
    """Tell whether two media types name the same type and subtype; parameters do not count."""
    return one.split(";", maxsplit=1)[0].strip().lower() == other.split(";", maxsplit=1)[0].strip().lower()


def check_content(entry: Entry, binary: Entry, content: StagedContent) -> Iterator[Issue]:
    """Hash, size and media type of the attachment are those of the document (MHD-65-52, 53, 57).

    Own choice: a Binary without `data` was forgotten, unless the attachment says that the document has no bytes.
    Kept in silence, it would look like one that is assembled later (MHD-65-61).
    """
    attachment = attachment_of(entry.resource)
    at = "content[0].attachment"
    if content.size == 0 and attachment.get("size") != 0:
        yield binary.issue("required", "The document is missing: `Binary.data`.", "", MISSING_DOCUMENT)
        return
    unique = f", uniqueId {entry.resource['masterIdentifier'].get('value', '')}"
    if "hash" in attachment and attachment["hash"] != hash_text(content):
        text = (
            f"hash does not match the document{unique}. Came: `{attachment['hash'][:64]}`, expected the SHA-1 of the "
            f"document's bytes in base64: `{hash_text(content)}`."
        )
        yield entry.issue("business-rule", text, f"{at}.hash", METADATA_ERROR)
    if "size" in attachment and attachment["size"] != content.size:
        text = f"size does not match the document{unique}. Came: {attachment['size']}, expected: {content.size} bytes."
        yield entry.issue("business-rule", text, f"{at}.size", METADATA_ERROR)
    declared, actual = str(attachment["contentType"]), str(binary.resource["contentType"])
    if not same_media_type(declared, actual):
        text = f"contentType `{declared}` is not that of the document, `{actual}`{unique}."
        yield entry.issue("business-rule", text, f"{at}.contentType", "InvalidDocumentContent")


def with_content(document: Resource, content: StagedContent) -> Resource:
    """Return `document` with hash and size of its document, so that nobody takes it for On-Demand (MHD-65-54)."""
    attachment = {**attachment_of(document), "size": content.size, "hash": hash_text(content)}
    return {**document, "content": [{**document["content"][0], "attachment": attachment}]}


def without_content(document: Resource) -> Resource:
    """Return `document` without hash and size."""
    attachment = {name: value for name, value in attachment_of(document).items() if name not in ("hash", "size")}
    return {**document, "content": [{**document["content"][0], "attachment": attachment}]}


def fingerprint(document: Resource) -> str:
    """Return what tells documents of one uniqueId apart: hash and size (MHD-65-112)."""
    attachment = attachment_of(document)
    return f"document {attachment.get('hash', '')} {attachment.get('size', '')}"


def with_url(document: Resource, url: str) -> Resource:
    """Return `document` with `url` as the place of its document."""
    return {**document, "content": [{**document["content"][0], "attachment": {**attachment_of(document), "url": url}}]}


def is_elsewhere(document: Resource) -> bool:
    """Tell whether the document of a DocumentReference lies on another host."""
    return str(attachment_of(document).get("url", "")).startswith(("http://", "https://"))


def elsewhere_binary(url: str, media_type: str) -> Resource:
    """Return the Binary, without id, that stands for a document at `url` on another host."""
    return {"resourceType": "Binary", "meta": {"source": url}, "contentType": media_type}


def place_elsewhere(binary: Resource) -> str:
    """Return the URL on another host at which the document of `binary` lies; "" when it is here."""
    return str(binary.get("meta", {}).get("source", ""))
