"""A submission as changes: what is written when it is accepted, one change for each record.

Spec: ITI-65, 2:3.65.4.1.3; MHD-65-20..28, 32, 54, 56, 64, 96, 100, 115, 116, 121..125, 128.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime

from app.document.communities import with_home_community
from app.document.content import (
    attachment_of,
    elsewhere_binary,
    fingerprint,
    is_elsewhere,
    with_content,
    with_url,
    without_content,
)
from app.document.entry import Entry, Submission
from app.document.fhir_document import bundle_record, fingerprint_of, has_transformed, media_type_of, warnings_about
from app.document.identifier import of_kind, unique_id, with_entry_uuid, with_unique_id
from app.document.meaning import Meaning
from app.document.patients import PatientEntry
from app.document.submission import content_of, missing_members, owner_of
from app.document.vocabulary import ENTRY_UUID, METADATA_ERROR
from app.fhir.bundle import Links, Written
from app.fhir.outcome import FhirError, Issue
from app.fhir.resource import BASE, Resource, fill_in_base, instant, parse_json
from app.store.change import Change, Create, Require, Update
from app.store.content import StagedContent
from app.store.resources import Kept
from app.transaction import Context


class Overtaken(Exception):  # noqa: N818 - what happened; read anew, the submission may be fine
    """A record that the submission refers to was changed by another submission at the same time."""


@dataclass(slots=True)
class Publication:
    """What a submission changes.

    Attributes:
        changes: name of the record, `Type/id` -> its one change, however many rules touch it.
        names: index of an entry -> name of the record that it is about.
        unchanged: name -> record that an entry is about and that stays as it is.
        claims: unique key -> the entry that claims it, and its DocumentReference, for the answer when it is taken.
        warnings: index of an entry -> issues for its own outcome.
        requirements: records that must not change before the commit, by name.
    """

    changes: dict[str, Change] = field(default_factory=dict)
    names: dict[int, str] = field(default_factory=dict)
    unchanged: dict[str, Kept] = field(default_factory=dict)
    claims: dict[str, tuple[Entry, Resource | None]] = field(default_factory=dict)
    warnings: dict[int, list[Issue]] = field(default_factory=dict)
    requirements: dict[str, Require] = field(default_factory=dict)

    def create(self, entry: Entry, resource: Resource, keys: Keys, content: StagedContent | None = None) -> None:
        """Add the new record of `entry`; `resource` has its id."""
        name = f"{resource['resourceType']}/{resource['id']}"
        self.changes[name] = Create(resource, content, keys.unique, keys.shared)
        self.names[entry.index] = name
        document = resource if resource["resourceType"] == "DocumentReference" else None
        self.claims.update((key, (entry, document)) for key in (*keys.unique, *(key for key, _ in keys.shared)))

    def add(self, resource: Resource, keys: Keys | None = None, content: StagedContent | None = None) -> None:
        """Add a new record that no entry of the request is about; `resource` has its id."""
        keys = keys or Keys()
        name = f"{resource['resourceType']}/{resource['id']}"
        self.changes[name] = Create(resource, content, keys.unique, keys.shared)

    def created(self, name: str) -> Resource:
        """Return the new record `name`."""
        change = self.changes[name]
        if not isinstance(change, Create):
            raise TypeError(f"{name} is not new")
        return change.resource

    def claim(self, entry: Entry, keys: Sequence[str]) -> None:
        """Let the new record of `entry` hold `keys` as well; who comes second is `Overtaken`."""
        name = self.names[entry.index]
        change = self.changes[name]
        if isinstance(change, Create) and keys:
            self.changes[name] = replace(change, unique=(*change.unique, *keys))

    def warn(self, entry: Entry, issues: Iterable[Issue]) -> None:
        """Add `issues`, which are no errors, to the outcome of `entry`."""
        if found := list(issues):
            self.warnings.setdefault(entry.index, []).extend(found)

    def touch(self, entry: Entry, name: str, version: int) -> None:
        """Say that `entry` is about the stored record `name`, which is at `version`.

        Raises:
            FhirError: `value` (400) when another entry is too (MHD-65-22); `conflict` (412) when the entry's
                `ifMatch` names another version (MHD-65-32).
        """
        at = f"Bundle.entry[{entry.index}].request"
        if name in self.names.values():
            text = f"`{name}` is touched by two entries of this Bundle."
            raise FhirError("value", text, expression=f"{at}.url", details=METADATA_ERROR)
        if entry.if_match and entry.if_match.removeprefix("W/").strip('"') != str(version):
            text = f"`{name}` is at version {version}. Came: `{entry.if_match[:64]}`."
            raise FhirError("conflict", text, expression=f"{at}.ifMatch")
        self.names[entry.index] = name

    def update(self, name: str, resource: Resource, version: int) -> None:
        """Add the next version of the record `name`, which is at `version`."""
        self.changes[name] = Update(resource, if_version=version)

    def change_folder(self, name: str, resource: Resource, version: int, now: datetime) -> None:
        """Add the next version of a Folder, its date the time of the change; a second change joins the first."""
        earlier = self.changes.get(name)
        if isinstance(earlier, Update):
            members = [*earlier.resource.get("entry", ()), *resource.get("entry", ())]
            unique = {str(member["item"].get("reference")): member for member in members}
            resource = earlier.resource | resource | {"entry": list(unique.values())}
        self.update(name, resource | {"date": instant(now)}, version)

    def patient(self, entry: Entry | None, patient: PatientEntry) -> None:
        """Add the patient: of a Patient entry, or of another server."""
        name = f"Patient/{patient.id}"
        if entry:
            self.touch(entry, name, patient.kept.version if patient.kept else 0)
        if patient.change:
            self.changes[name] = patient.change
        elif patient.kept:
            self.unchanged[name] = patient.kept

    def written(
        self, kept: Mapping[str, Kept], entries: tuple[Entry, ...], base_url: str, *, is_shown: bool
    ) -> list[Written]:
        """Return what became of each entry, in the order of the request (MHD-65-121).

        Args:
            base_url: `[base]` in the resources that are sent back.
            is_shown: send back every resource, not only those of GET entries (MHD-65-128).
        """
        return [self._written(entry, kept, base_url if is_shown or entry.method == "GET" else "") for entry in entries]

    def _written(self, entry: Entry, kept: Mapping[str, Kept], shown_at: str) -> Written:
        name = self.names[entry.index]
        record = kept.get(name) or self.unchanged[name]
        status = 201 if isinstance(self.changes.get(name), Create) else 200
        warnings = tuple(self.warnings.get(entry.index, ()))
        shown_at = "" if record.resource_type == "Bundle" else shown_at  # its document is left out, as a Binary's is
        resource = parse_json(fill_in_base(record.json, shown_at)) if shown_at else None
        return Written(status, record.resource_type, record.id, record.version, record.updated, warnings, resource)


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


@dataclass(frozen=True, slots=True)
class Keys:
    """What no other record may hold, and what only records with the same document may share."""

    unique: tuple[str, ...] = ()
    shared: tuple[tuple[str, str], ...] = ()


def keys_of(resource: Resource, identity: str = "", *, warn: bool) -> Keys:
    """Return the keys of `resource`: its entryUUID and its uniqueId (MHD-65-112..115).

    Two DocumentReferences may share a uniqueId when their documents are the same; a List shares its with nobody.

    Args:
        identity: what tells documents of one uniqueId apart; empty: hash and size.
        warn: uniqueIds need not be unique here.
    """
    entry_uuid, identifier = of_kind(resource, ENTRY_UUID), unique_id(resource)
    unique = [f"entryUUID {entry_uuid['value']}"] if entry_uuid else []
    if identifier is None or warn:
        return Keys(tuple(unique))
    key = f"uniqueId {identifier.get('system', '')}|{identifier['value']}"
    if resource["resourceType"] == "DocumentReference":
        return Keys(tuple(unique), ((key, identity or fingerprint(resource)),))
    return Keys((*unique, key))


async def key_taken(key: str, publication: Publication, context: Context) -> FhirError:
    """Return the refusal of a submission whose uniqueId or entryUUID another object has (2:3.65.4.1.3).

    Codes: `XDSNonIdenticalHash`, `XDSNonIdenticalSize` when another document has the uniqueId,
    `XDSDuplicateUniqueIdInRegistry` when any other object has it; all 409 `duplicate`.
    """
    if key not in publication.claims:
        raise Overtaken
    entry, document = publication.claims[key]
    kind, _, value = key.partition(" ")
    element = "masterIdentifier" if kind == "uniqueId" and document else "identifier"
    held = (await context.store.holders([key])).get(key, "")
    code = "XDSDuplicateUniqueIdInRegistry"
    if document and held.startswith("DocumentReference/"):
        other = parse_json((await context.store.read(*held.split("/"))).json)
        hashes = [attachment_of(one).get("hash") for one in (document, other)]
        code = "XDSNonIdenticalHash" if hashes[0] != hashes[1] else "XDSNonIdenticalSize"
    return entry.error("duplicate", f"The {kind} `{value.rpartition('|')[2]}` is in use.", element, code)
