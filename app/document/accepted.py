"""An accepted submission as changes: what becomes of each of its entries.

Spec: ITI-65, 2:3.65.4.1.3; MHD-65-20..28, 54, 56, 64, 100, 115, 116.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from app.document.communities import with_home_community
from app.document.content import (
    attachment_of,
    elsewhere_binary,
    is_elsewhere,
    with_content,
    with_url,
    without_content,
)
from app.document.entry import Entry, Submission
from app.document.fhir_document import bundle_record, fingerprint_of, has_transformed, media_type_of, warnings_about
from app.document.identifier import with_entry_uuid, with_unique_id
from app.document.keys import Keys, keys_of
from app.document.meaning import Meaning
from app.document.publication import Publication
from app.document.submission import content_of, missing_members, owner_of
from app.fhir.bundle import Links
from app.fhir.outcome import Issue
from app.fhir.resource import BASE, Resource
from app.store.change import Create
from app.store.content import StagedContent
from app.transaction import Context


def publication_of(
    submission: Submission, meaning: Meaning, contents: Mapping[int, StagedContent], context: Context
) -> Publication:
    """Return the changes that store the documents, their Binaries, the SubmissionSet and the patient.

    Args:
        contents: index of a Binary entry -> its document.
    """
    publication, links = Publication(), meaning.links
    if meaning.patient:
        publication.patient(submission.patient, meaning.patient)
    warn = context.switches.unique_id_conflict == "warn"
    for entry in (submission.submission_set, *submission.documents):
        resource = with_subject(renamed(entry, links), meaning.subjects[entry.index])
        resource = with_home_community(with_entry_uuid(resource, context.new_id()), context.switches)
        if entry is submission.submission_set:
            resource = with_unique_id(resource, context.new_id())
            publication.create(entry, _with_members(resource, submission, links), keys_of(resource, warn=warn))
        else:
            holder = content_of(entry, submission, links)
            resource = _described(resource, holder, contents, publication, context)
            if _identity(holder) and has_transformed(submission, context.switches):
                resource = without_content(resource)  # hash and size stand in those that are added (MHD-OPT-33)
            publication.create(entry, resource, keys_of(resource, _identity(holder), warn=warn))
    for holder in (*submission.binaries, *submission.fhir_documents):
        owner = owner_of(holder, submission, links)
        publication.create(holder, _kept(holder, owner, links), Keys(), contents[holder.index])
    for index, issue in (*_odd(submission, links), *meaning.warnings):
        publication.warnings.setdefault(index, []).append(issue)
    return publication


def _described(
    document: Resource,
    holder: Entry | None,
    contents: Mapping[int, StagedContent],
    publication: Publication,
    context: Context,
) -> Resource:
    """Return a DocumentReference with what follows from where its document is."""
    if holder is None:
        is_led = is_elsewhere(document) and context.switches.external_retrieval != "link"
        return _led_through_here(document, publication, context) if is_led else document
    return with_content(document, contents[holder.index])


def _identity(holder: Entry | None) -> str:
    """Return what tells a FHIR document apart from others of its uniqueId; "" where hash and size do."""
    return fingerprint_of(holder.resource) if holder and holder.resource["resourceType"] == "Bundle" else ""


def _odd(submission: Submission, links: Links) -> Iterator[tuple[int, Issue]]:
    for holder in submission.fhir_documents:
        owner = owner_of(holder, submission, links)
        yield from ((owner.index, issue) for issue in warnings_about(owner, holder))


def _with_members(submission_set: Resource, submission: Submission, links: Links) -> Resource:
    """Return the SubmissionSet with what it should list and does not, where that was not refused (MHD-65-97, 100)."""
    missing = [links.new_name(entry.full_url, "") for entry in missing_members(submission, links)]
    if not missing:
        return submission_set
    added = [{"item": {"reference": name}} for name in missing]
    return {**submission_set, "entry": [*submission_set.get("entry", ()), *added]}


def renamed(entry: Entry, links: Links) -> Resource:
    """Return the entry's resource as it is stored: a new id, and links to what this server calls the other entries."""
    name = links.new_name(entry.full_url, "") or ""
    return {**links.rewritten(entry.resource, entry.full_url), "id": name.partition("/")[2]}


def _kept(holder: Entry, owner: Entry, links: Links) -> Resource:
    """Return the Binary without its data, or what the record of a FHIR document says of it.

    Access to it follows the DocumentReference that owns it (MHD-65-64).
    """
    owner_name = links.new_name(owner.full_url, "") or ""
    if holder.resource["resourceType"] == "Bundle":
        record_id = (links.new_name(holder.full_url, "") or "").partition("/")[2]
        return bundle_record(holder.resource, record_id, media_type_of(owner), owner_name)
    resource = renamed(holder, links)
    resource.pop("data", None)
    return {**resource, "securityContext": {"reference": owner_name}}


def _led_through_here(document: Resource, publication: Publication, context: Context) -> Resource:
    """Return a DocumentReference whose document is asked for here, and add the Binary that knows where it is.

    The choice is made when it is published, so that what was told to somebody stays true (MHD-65-58).
    """
    attachment, new_id = attachment_of(document), context.new_id()
    binary = elsewhere_binary(attachment["url"], attachment["contentType"]) | {
        "id": new_id,
        "securityContext": {"reference": f"DocumentReference/{document['id']}"},
    }
    publication.changes[f"Binary/{new_id}"] = Create(binary)
    return with_url(document, f"{BASE}/Binary/{new_id}")


def with_subject(resource: Resource, patient: str) -> Resource:
    """Return `resource` with a literal subject where it came as a logical or conditional one, or not at all."""
    subject = resource.get("subject") or {}
    sent = str(subject.get("reference", ""))
    if not patient or (sent and "?" not in sent):
        return resource
    return {**resource, "subject": {**subject, "reference": f"Patient/{patient}"}}
