"""Folders: new ones, and documents that are added to those that are stored.

Spec: ITI-65, 2:3.65.4.1.3; ITI TF-3:4.2.1.3; MHD-65-90..98, MHD-XDS-07.
"""

from __future__ import annotations

from collections.abc import AsyncIterator

from app.document.accepted import renamed, with_subject
from app.document.communities import with_home_community
from app.document.entry import Entry, Submission, is_list_of
from app.document.identifier import with_entry_uuid, with_unique_id
from app.document.keys import keys_of
from app.document.meaning import Meaning
from app.document.patients import are_same
from app.document.publication import Publication
from app.document.stored import Stored, stored, subject_of, those_stored
from app.document.submission import refuse
from app.document.vocabulary import DEPRECATED, FOLDER, METADATA_ERROR, PATIENTS_DIFFER, UNRESOLVED
from app.fhir.outcome import Issue
from app.fhir.resource import Resource, instant
from app.transaction import Context

# What an update of a Folder leaves as it is; its subject too, since a merge moves nothing (docs/decisions/0022).
_KEPT = ("id", "identifier", "subject")


async def file_in_folders(submission: Submission, meaning: Meaning, publication: Publication, context: Context) -> None:
    """Add to `publication` the Folders that the submission creates or updates.

    Raises:
        FhirError: `not-found` (400) for a member that is not stored, `business-rule` (422) when one is superseded or of
            another patient, or when an update takes something away.
    """
    for entry in submission.folders:
        resource = with_subject(renamed(entry, meaning.links), meaning.subjects[entry.index])
        resource = with_home_community(resource, context.switches)
        known = meaning.folders.get(entry.index)
        issues = [issue async for issue in _check_members(entry, resource, known, meaning, context)]
        issues += [issue async for issue in _check_update(entry, resource, known, context)] if known else []
        refuse(issues)
        if known:
            publication.touch(entry, known.name, known.version)
            changed = resource | {name: known.resource[name] for name in _KEPT if name in known.resource}
            publication.change_folder(known.name, changed, known.version, context.now())
        else:
            resource = with_unique_id(with_entry_uuid(resource, context.new_id()), context.new_id())
            if resource.get("entry"):
                resource["date"] = instant(context.now())
            keys = keys_of(resource, warn=context.switches.unique_id_conflict == "warn")
            publication.create(entry, resource, keys)


async def _check_members(
    entry: Entry, resource: Resource, known: Stored | None, meaning: Meaning, context: Context
) -> AsyncIterator[Issue]:
    """A Folder holds DocumentReferences of its own patient; those it gains are current (MHD-65-94, 95)."""
    before = _members(known.resource) if known else set()
    there = await those_stored(_members(resource) - before, "DocumentReference", context)
    for position, item in enumerate(resource.get("entry", ())):
        text, at = str(item["item"].get("reference", "")), f"entry[{position}].item"
        if text in before or meaning.is_new(text):
            continue
        member = await stored(text, "DocumentReference", context) if text in there else None
        if member is None:
            yield entry.issue("not-found", f"`{text[:200]}` is not a DocumentReference stored here.", at, UNRESOLVED)
        elif not await are_same(subject_of(member.resource), meaning.subjects[entry.index], context):
            yield entry.issue("business-rule", f"`{member.name}` belongs to another patient.", at, PATIENTS_DIFFER)
        elif member.resource["status"] != "current":
            yield entry.issue("business-rule", f"`{member.name}` is not current.", at, DEPRECATED)


async def _check_update(entry: Entry, resource: Resource, known: Stored, context: Context) -> AsyncIterator[Issue]:
    """An update only adds members; what the Folder is and whose it is stays (MHD-65-93, 98)."""
    if not is_list_of(known.resource, FOLDER):
        yield entry.issue("business-rule", "Only a Folder can be updated.", "code", METADATA_ERROR)
    if not await are_same(subject_of(known.resource), subject_of(resource), context):
        yield entry.issue("business-rule", "A Folder stays with its patient.", "subject", PATIENTS_DIFFER)
    if resource.get("status") != "current":
        yield entry.issue("business-rule", "A Folder stays `current`.", "status", METADATA_ERROR)
    if context.switches.folder_additive_only and not _members(known.resource) <= _members(resource):
        yield entry.issue("business-rule", "An update of a Folder takes no member away.", "entry", METADATA_ERROR)
    if not _identifiers(resource) <= _identifiers(known.resource):
        yield entry.issue("business-rule", "An update of a Folder keeps its identifiers.", "identifier", METADATA_ERROR)


def _members(folder: Resource) -> set[str]:
    return {str(item["item"].get("reference", "")) for item in folder.get("entry", ())}


def _identifiers(folder: Resource) -> set[tuple[str, str]]:
    return {(str(one.get("system", "")), str(one.get("value", ""))) for one in folder.get("identifier", ())}
