"""How documents relate over time: which one replaces, transforms, appends or signs which, and what that changes.

The functions await the store, since a relation's target is a record (docs/decisions/0004).

Spec: ITI-65, 2:3.65.4.1.3; ITI TF-3:4.2.2 (associations); MHD-65-70..85, MHD-XDS-05.
"""

from __future__ import annotations

from collections.abc import AsyncIterator

from app.document.entry import Entry, Submission, is_list_of
from app.document.meaning import Meaning
from app.document.patients import are_same
from app.document.publication import Publication
from app.document.stored import Stored, stored, subject_of, those_stored
from app.document.submission import refuse
from app.document.vocabulary import DEPRECATED, FOLDER, METADATA_ERROR, PATIENTS_DIFFER, UNRESOLVED
from app.fhir.outcome import Issue
from app.fhir.reference import parse as parse_reference
from app.fhir.resource import Resource
from app.search.query import parse as parse_query
from app.store.change import Change, Require, Update
from app.transaction import Context

# A replaced document takes these of its descendants with it; a signature stays (MHD-65-79, A-25).
_CASCADING = frozenset({"transforms", "appends"})
_MOST = 1000

# The parts of the one FHIRPath Patch that MHD knows (IHE.MHD.Patch.Parameters), in the order of their names.
_SUPERSEDE = [
    ("path", "valueString DocumentReference.status"),
    ("type", "valueCode replace"),
    ("value", "valueCode superseded"),
]


async def relate(submission: Submission, meaning: Meaning, publication: Publication, context: Context) -> None:
    """Add to `publication` what the relations of the new documents change: replaced ones become superseded.

    Raises:
        FhirError: `not-found` (400) for a target that is not stored, `business-rule` (422) for one that is not
            current or of another patient; `value` (400) for a PATCH that no replacement calls for.
    """
    issues: list[Issue] = []
    there = await those_stored(_targets(submission, meaning), "DocumentReference", context)
    for entry in submission.documents:
        for position, relation in enumerate(entry.resource.get("relatesTo", ())):
            at, target = f"relatesTo[{position}].target", _target(entry, relation, meaning)
            if target in there or meaning.is_new(target):
                issues += [issue async for issue in _relation(entry, relation, at, meaning, publication, context)]
            else:
                issues.append(entry.issue("not-found", f"`{target[:200]}` is not stored here.", at, UNRESOLVED))
    issues += [issue async for issue in _patches(submission, publication, context)]
    refuse(issues)


def _targets(submission: Submission, meaning: Meaning) -> set[str]:
    return {_target(one, each, meaning) for one in submission.documents for each in one.resource.get("relatesTo", ())}


def _target(entry: Entry, relation: Resource, meaning: Meaning) -> str:
    """Return the reference to a relation's target: the name that it has here, else as it was sent."""
    text = str(relation["target"].get("reference", ""))
    return meaning.links.new_name(text, entry.full_url) or text


async def _relation(
    entry: Entry, relation: Resource, at: str, meaning: Meaning, publication: Publication, context: Context
) -> AsyncIterator[Issue]:
    text, code = _target(entry, relation, meaning), relation["code"]
    if meaning.is_new(text):
        if code == "replaces":
            yield entry.issue("not-found", "`replaces` points to a document that is stored already.", at, UNRESOLVED)
        return
    target = await stored(text, "DocumentReference", context)
    if target is None:
        yield entry.issue("not-found", f"`{text[:200]}` is not stored here.", at, UNRESOLVED)
        return
    found = await _check_target(entry, target, code, at, meaning, context)
    for issue in found:
        yield issue
    if found:
        return
    if code == "replaces":
        await _replace(target, meaning.links.new_name(entry.full_url, "") or "", publication, context)
    elif target.name not in publication.changes:
        resource_type, _, record_id = target.name.partition("/")
        publication.requirements[target.name] = Require(resource_type, record_id, target.version)


async def _check_target(
    entry: Entry, target: Stored, code: str, at: str, meaning: Meaning, context: Context
) -> list[Issue]:
    issues = []
    if target.resource["status"] != "current":
        text = f"`{target.name}` is not current; a document that was superseded is related to no new one."
        issues.append(entry.issue("business-rule", text, at, DEPRECATED))
    if not await are_same(subject_of(target.resource), meaning.subjects[entry.index], context):
        text = f"`{target.name}` belongs to another patient."
        issues.append(entry.issue("business-rule", text, at, PATIENTS_DIFFER))
    if code == "appends" and any(one["code"] == "transforms" for one in target.resource.get("relatesTo", ())):
        text = f"`{target.name}` is a transformation; an addendum belongs to the document it was made from."
        issues.append(entry.issue("business-rule", text, at, METADATA_ERROR))
    return issues


async def _replace(target: Stored, successor: str, publication: Publication, context: Context) -> None:
    """Supersede `target` and what hangs on it; its Folders gain the successor (MHD-65-74, 79, 80)."""
    _supersede(target, publication)
    async for folder in folders_with(target.name, context):
        members = [*folder.resource["entry"], {"item": {"reference": successor}}]
        publication.change_folder(folder.name, folder.resource | {"entry": members}, folder.version, context.now())
    if context.switches.replace_cascade:
        async for descendant in _found("DocumentReference", [("relatesto", target.name)], context):
            codes = {
                one["code"] for one in descendant.resource["relatesTo"] if _names(one["target"], target.name, context)
            }
            if codes & _CASCADING and descendant.resource["status"] == "current":
                _supersede(descendant, publication)


def _supersede(document: Stored, publication: Publication) -> None:
    """Supersede `document`, unless another one was related to it since it was read, which would be missed."""
    if document.name not in publication.changes:
        superseded = document.resource | {"status": "superseded"}
        publication.changes[document.name] = Update(superseded, document.version, document.required)


async def _patches(submission: Submission, publication: Publication, context: Context) -> AsyncIterator[Issue]:
    """A PATCH says what the replacement does anyway, and once (MHD-65-22, 75); any other is refused (MHD-65-76, 77)."""
    for entry in submission.patches:
        reference = parse_reference(entry.url, context.base_url)
        name, at = f"{reference.resource_type}/{reference.id}", f"Bundle.entry[{entry.index}].request.url"
        if not _supersedes(entry.resource):
            text = "A PATCH has one operation: it replaces `DocumentReference.status` by `superseded`."
            yield entry.issue("value", text, "parameter")
        elif await stored(entry.url, "DocumentReference", context) is None:
            yield Issue("not-found", f"`{entry.url[:200]}` is not stored here.", at, details=UNRESOLVED)
        elif name not in publication.changes:
            text = f"`{entry.url[:200]}` is not replaced by a document of this Bundle; nothing else can be patched."
            yield Issue("value", text, at, details=METADATA_ERROR)
        else:
            publication.touch(entry, name, _version_before(publication.changes[name]))


def _version_before(change: Change) -> int:
    return (change.if_version or 0) if isinstance(change, Update) else 0


def _supersedes(parameters: Resource) -> bool:
    """Tell whether `parameters` are the one patch of MHD; its profile cannot say of which type a value is."""
    parts = [_part(part) for one in parameters["parameter"] for part in one.get("part", ())]
    return [one["name"] for one in parameters["parameter"]] == ["operation"] and sorted(parts) == _SUPERSEDE


def _part(part: Resource) -> tuple[str, ...]:
    return (part["name"], *(f"{key} {value}" for key, value in part.items() if key.startswith("value")))


async def folders_with(document: str, context: Context) -> AsyncIterator[Stored]:
    """Yield the Folders of which `document`, a name `DocumentReference/id`, is a member."""
    async for found in _found("List", [("item", document)], context):
        if is_list_of(found.resource, FOLDER):
            yield found


async def referring(resource_type: str, parameter: str, name: str, context: Context) -> AsyncIterator[Stored]:
    """Yield the records of `resource_type` whose reference `parameter` is to `name`, `Type/id`."""
    async for found in _found(resource_type, [(parameter, name)], context):
        yield found


async def _found(resource_type: str, asked: list[tuple[str, str]], context: Context) -> AsyncIterator[Stored]:
    query = parse_query(context.definitions, resource_type, asked, base_url=context.base_url, strict=True)
    for record_id in await context.store.find_ids(resource_type, query.criterion, _MOST):
        if found := await stored(f"{resource_type}/{record_id}", resource_type, context):
            yield found


def _names(reference: Resource, name: str, context: Context) -> bool:
    parsed = parse_reference(str(reference.get("reference", "")), context.base_url)
    return f"{parsed.resource_type}/{parsed.id}" == name
