"""A FHIR document once more, as a Binary with a hash: for consumers that know no Bundle (the switch decides).

Spec: MHD 1:33.2.6; MHD-OPT-33, 35, A-09.
"""

from __future__ import annotations

from dataclasses import replace
from uuid import UUID

from app.document.content import attachment_of, with_content
from app.document.entry import Entry, Submission
from app.document.fhir_document import EXTRA_MEDIA_TYPES, has_transformed, serialised
from app.document.identifier import typed, with_entry_uuid
from app.document.keys import keys_of
from app.document.publication import Publication
from app.document.staging import staged
from app.document.submission import content_of
from app.document.vocabulary import UNIQUE_ID, URI_SYSTEM
from app.fhir.bundle import Links
from app.fhir.resource import BASE, Resource
from app.store.change import Create
from app.transaction import Context


async def add_transformed(submission: Submission, links: Links, publication: Publication, context: Context) -> None:
    """Add to `publication`, for each FHIR document and format that the switch names, a Binary and its metadata.

    The new DocumentReference says what the original says, transforms it, has its own identifiers and is listed in the
    SubmissionSet; it has no entry in the answer.
    """
    if not has_transformed(submission, context.switches):
        return
    for entry in submission.documents:
        document = content_of(entry, submission, links)
        if document is None or document not in submission.fhir_documents:
            continue
        for media_type in EXTRA_MEDIA_TYPES[context.switches.fhir_document_extra_docref]:
            name = await _add(entry, document, media_type, publication, context)
            _list(submission.submission_set, name, publication)


async def _add(entry: Entry, document: Entry, media_type: str, publication: Publication, context: Context) -> str:
    original = publication.names[entry.index]
    name, binary = f"DocumentReference/{context.new_id()}", f"Binary/{context.new_id()}"
    data = serialised(document.resource, "", media_type, context.packages.structures)
    content = await staged(data, context)
    metadata = with_content(_metadata(publication, original, name, binary, media_type, context), content)
    publication.add(metadata, keys_of(metadata, warn=False))
    kept = {"resourceType": "Binary", "id": binary.partition("/")[2], "contentType": media_type}
    publication.add(kept | {"securityContext": {"reference": name}}, content=content)
    return name


def _metadata(
    publication: Publication, original: str, name: str, binary: str, media_type: str, context: Context
) -> Resource:
    resource = publication.created(original)
    attachment = {**attachment_of(resource), "contentType": media_type, "url": f"{BASE}/{binary}"}
    unique = typed({"system": URI_SYSTEM, "value": f"urn:uuid:{UUID(context.new_id())}"}, UNIQUE_ID)
    copy = {key: value for key, value in resource.items() if key not in ("identifier", "relatesTo")} | {
        "id": name.partition("/")[2],
        "masterIdentifier": unique,
        "relatesTo": [{"code": "transforms", "target": {"reference": original}}],
        "content": [{**resource["content"][0], "attachment": attachment}],
    }
    return with_entry_uuid(copy, context.new_id())


def _list(submission_set: Entry, name: str, publication: Publication) -> None:
    """Add `name` to what the SubmissionSet lists."""
    owner = publication.names[submission_set.index]
    change = publication.changes[owner]
    if isinstance(change, Create):
        members = [*change.resource.get("entry", ()), {"item": {"reference": name}}]
        publication.changes[owner] = replace(change, resource={**change.resource, "entry": members})
