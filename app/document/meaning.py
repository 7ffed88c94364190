"""What the names in a submission mean here: new ids, known patients, records that other entries refer to.

Spec: ITI-65, 2:3.65.4.1.3; MHD-65-23..31, 40..49, 101; FHIR R4 http.html#trules.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from app.document.entry import Entry, Submission
from app.document.patients import (
    PatientEntry,
    check_same_patient,
    require_active,
    resolve_conditional,
    resolve_patient_entry,
    resolve_subject,
)
from app.document.patients_elsewhere import patients_elsewhere
from app.document.stored import Stored, stored_folder
from app.document.submission import refuse
from app.document.vocabulary import UNKNOWN_PATIENT, UNRESOLVED
from app.fhir.bundle import Links
from app.fhir.outcome import FhirError, Issue
from app.fhir.reference import parse as parse_reference
from app.transaction import Context


@dataclass(frozen=True, slots=True)
class Meaning:
    """What the names in a submission mean here.

    Attributes:
        links: the new name of every entry, and the record that a conditional reference matches.
        subjects: index of an entry with a subject -> id of the patient; "" when it is not known.
        patient: what becomes of the Patient entry, or of a Patient of another server.
        warnings: pairs (index of an entry, issue).
        created: the names of what the submission creates.
        folders: index of an entry that updates a Folder -> that Folder, as it is stored.
    """

    links: Links
    subjects: dict[int, str]
    patient: PatientEntry | None
    warnings: tuple[tuple[int, Issue], ...]
    created: frozenset[str]
    folders: dict[int, Stored]

    def is_new(self, name: str) -> bool:
        """Tell whether `name`, `Type/id`, is what an entry that creates something is called here."""
        return name in self.created


async def meaning_of(submission: Submission, context: Context) -> Meaning:
    """Return what the names in `submission` mean.

    Raises:
        FhirError: `not-found` (400) for a patient or a member that is not known, (404) for a Folder that is updated;
            `multiple-matches` (412) for a condition that several records meet; `business-rule` (422) when the
            patients differ.
    """
    names = {entry.full_url: f"{entry.resource['resourceType']}/{context.new_id()}" for entry in _created(submission)}
    created = frozenset(names.values())
    folders = {one.index: await stored_folder(one, context) for one in submission.folders if one.method == "PUT"}
    names |= {one.full_url: folders[one.index].name for one in submission.folders if one.index in folders}
    names.pop("", None)  # what has no fullUrl is named by nothing
    patient = await resolve_patient_entry(submission.patient, context) if submission.patient else None
    if submission.patient and patient:
        names[submission.patient.full_url] = f"Patient/{patient.id}"
    for url, one in (await patients_elsewhere(submission, context)).items():
        names[url], patient = f"Patient/{one.id}", patient or one
    for text, expression in _conditional_references(submission):
        if text not in names:
            found = await resolve_conditional(text, expression, context)
            names[text] = f"{text.partition('?')[0]}/{found}"
    links = Links(context.packages.structures, names, context.base_url)
    subjects = await _subjects(submission, links, patient, context)
    if not context.switches.queue_unmatched:
        _require_patient(submission, subjects)
    await _require_members(submission, links, context)
    return Meaning(links, subjects, patient, tuple(_queued(submission, subjects)), created, folders)


def _created(submission: Submission) -> Iterator[Entry]:
    return (entry for entry in submission.entries if entry.method == "POST" and entry is not submission.patient)


def _conditional_references(submission: Submission) -> Iterator[tuple[str, str]]:
    """Yield every reference of the form `Type?parameter=value`, and where it stands (MHD-65-30)."""
    for entry in submission.entries:
        if entry.resource["resourceType"] != "Bundle":
            yield from _conditional(entry.resource, entry.expression)


def _conditional(value: Any, expression: str) -> Iterator[tuple[str, str]]:
    if isinstance(value, list):
        for index, item in enumerate(value):
            yield from _conditional(item, f"{expression}[{index}]")
    elif isinstance(value, dict):
        reference = value.get("reference")
        if isinstance(reference, str) and "?" in reference and parse_reference(reference).kind == "conditional":
            yield reference, f"{expression}.reference"
        for name, item in value.items():
            yield from _conditional(item, f"{expression}.{name}")


async def _subjects(
    submission: Submission, links: Links, patient: PatientEntry | None, context: Context
) -> dict[int, str]:
    """Return whom each entry is about; all are the same known patient (MHD-65-41, 43)."""
    about = (*submission.documents, submission.submission_set, *submission.folders)
    subjects = {entry.index: await resolve_subject(entry, links, context) for entry in about}
    refuse(check_same_patient(subjects, {entry.index: entry for entry in about}))
    for entry in about:
        is_new = patient is not None and patient.kept is None and subjects[entry.index] == patient.id
        if subjects[entry.index] and not is_new:
            await require_active(subjects[entry.index], entry, context)
            break
    one = next((subject for subject in subjects.values() if subject), "")
    return {index: subject or one for index, subject in subjects.items()}


async def _require_members(submission: Submission, links: Links, context: Context) -> None:
    """What the SubmissionSet lists beside the entries of this Bundle is stored here (MHD-65-101)."""
    owner = submission.submission_set
    for position, item in enumerate(owner.resource.get("entry", ())):
        text = str(item["item"].get("reference", ""))
        if links.new_name(text, owner.full_url) is not None:
            continue
        reference = parse_reference(text, context.base_url)
        try:
            if reference.kind != "literal":
                raise FhirError("not-found", text)
            await context.store.read(reference.resource_type, reference.id)
        except FhirError as error:
            if error.status not in (404, 410):
                raise
            message = f"`{text[:200]}` is neither an entry of this Bundle nor stored here."
            raise owner.error("not-found", message, f"entry[{position}].item", UNRESOLVED, status=400) from error


def _queued(submission: Submission, subjects: dict[int, str]) -> Iterator[tuple[int, Issue]]:
    """A submission whose patient cannot be told waits for one, and says so (MHD-65-48)."""
    entry = submission.submission_set
    if not any(subjects.values()):
        text = "No patient is named, and none could be told: the submission is kept without a subject."
        yield entry.index, Issue("incomplete", text, f"{entry.expression}.subject", "warning", "DocumentQueued")


def _require_patient(submission: Submission, subjects: dict[int, str]) -> None:
    """Refuse a submission whose patient cannot be told (the switch `queue_unmatched` off)."""
    if not any(subjects.values()):
        entry = submission.submission_set
        text = "No patient is named, and none could be told."
        raise entry.error("not-found", text, "subject", UNKNOWN_PATIENT, status=400)
