"""What is written when a submission is accepted, one change for each record; and when it cannot be.

Spec: ITI-65, 2:3.65.4.1.3; MHD-65-22, 32, 96, 112..114, 121..125, 128.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime

from app.document.content import attachment_of
from app.document.entry import Entry
from app.document.keys import Keys
from app.document.patients import PatientEntry
from app.document.vocabulary import METADATA_ERROR
from app.fhir.bundle import Written
from app.fhir.outcome import FhirError, Issue
from app.fhir.resource import Resource, fill_in_base, instant, parse_json
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
    if document and held.startswith("DocumentReference/") and (other := await _seen(held, context)):
        hashes = [attachment_of(one).get("hash") for one in (document, other)]
        code = "XDSNonIdenticalHash" if hashes[0] != hashes[1] else "XDSNonIdenticalSize"
    return entry.error("duplicate", f"The {kind} `{value.rpartition('|')[2]}` is in use.", element, code)


async def _seen(name: str, context: Context) -> Resource | None:
    """Return the record `name` when the caller may see it: of what they may not, nothing but the collision is told."""
    try:
        return dict(parse_json((await context.store.read(*name.split("/"))).json))
    except FhirError as error:
        if error.status not in (401, 403, 404, 410):
            raise
        return None
