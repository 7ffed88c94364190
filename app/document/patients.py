"""Whose documents a submission brings: every way in which a subject may name a patient, resolved to one record.

The functions here await the store, unlike the rest of this folder: which patient is meant cannot be
told from the submission alone, and both ways to publish ask it (docs/decisions/0004).

Spec: ITI-65, 2:3.65.4.1.2.1 and 2:3.65.4.1.3; MHD-65-30, 40..49.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from urllib.parse import parse_qsl

from app.document.entry import Entry
from app.document.identifier import token
from app.document.vocabulary import METADATA_ERROR, PATIENTS_DIFFER, UNKNOWN_PATIENT, UNRESOLVED
from app.fhir.bundle import Links
from app.fhir.outcome import FhirError, Issue
from app.fhir.reference import parse as parse_reference
from app.fhir.resource import Resource, parse_json
from app.search.criteria import Criterion, Terms, all_of
from app.search.query import parse as parse_query
from app.store.change import Change, Create, Update
from app.store.merged import survivors_of
from app.store.resources import Kept
from app.transaction import Context


@dataclass(frozen=True, slots=True)
class PatientEntry:
    """What becomes of a Patient entry: the record it means, and the change that makes it so.

    Attributes:
        kept: the record as it is stored; None when `change` creates it.
    """

    id: str
    kept: Kept | None
    change: Change | None


async def resolve_patient_entry(entry: Entry, context: Context) -> PatientEntry:
    """Return which record the Patient `entry` means (MHD-65-46).

    A POST means the known patient who has one of its identifiers, else a new one; PUT and GET name theirs.

    Raises:
        FhirError: `not-supported` (422) when this server takes no Patient entries, or none that it does not know;
            `multiple-matches` (412); `not-found` (404).
    """
    policy = context.switches.patient_in_bundle
    if policy == "reject":
        raise entry.error("not-supported", "This server takes no Patient entries.", "", UNKNOWN_PATIENT, status=422)
    if entry.method != "POST":
        return await _named(entry, context)
    keys = _keys(entry)
    # Looked up before the patients: a key that is held by now, and leads to nobody below, has lost its meaning.
    held = await context.store.holders(keys)
    known = await _known(entry, context)
    if known:
        return PatientEntry(known, await context.store.read("Patient", known), None)
    if policy == "match":
        raise entry.error(
            "not-found", "No known patient has this identifier.", "identifier", UNKNOWN_PATIENT, status=400
        )
    new_id = context.new_id()
    unique = tuple(key for key in keys if key not in held)
    return PatientEntry(new_id, None, Create({**entry.resource, "id": new_id}, unique=unique))


async def _named(entry: Entry, context: Context) -> PatientEntry:
    reference = parse_reference(entry.url, context.base_url)
    if reference.resource_type != "Patient" or not reference.id:
        text = f"`request.url` of {entry.method} names one Patient. Came: `{entry.url}`, expected: `Patient/[id]`."
        raise FhirError("value", text, expression=f"Bundle.entry[{entry.index}].request.url")
    kept = await context.store.read("Patient", reference.id)
    if entry.method == "GET":
        return PatientEntry(reference.id, kept, None)
    if any(record.get("beside") for record in await context.store.facts.having("Patient", "_id", [reference.id])):
        text = f"`Patient/{reference.id}` is fed by an identity source, which alone revises it (ITI-104)."
        raise entry.error("business-rule", text, "", METADATA_ERROR)
    return PatientEntry(reference.id, kept, Update({**entry.resource, "id": reference.id}, if_version=kept.version))


def _keys(entry: Entry) -> tuple[str, ...]:
    """Return what keeps two submissions from creating one patient twice at the same instant."""
    identifiers = entry.resource.get("identifier", ())
    return tuple(dict.fromkeys(f"patient {token(one)}" for one in identifiers if one.get("value")))


async def _known(entry: Entry, context: Context) -> str:
    """Return the id of the patient whom a POST means, by its condition (MHD-65-32), else by its identifiers."""
    if entry.if_none_exist:
        return await _by_condition(entry, context)
    found: set[str] = set()
    for identifier in entry.resource.get("identifier", ()):
        if identifier.get("system") and identifier.get("value"):
            found.update(await patients_with(identifier, context))
    if len(found) > 1:
        text = "More than one known patient has an identifier of this Patient."
        raise entry.error("multiple-matches", text, "identifier", UNKNOWN_PATIENT)
    return next(iter(found), "")


async def _by_condition(entry: Entry, context: Context) -> str:
    at = f"Bundle.entry[{entry.index}].request.ifNoneExist"
    criterion = _asked("Patient", entry.if_none_exist.rpartition("?")[2], at, UNKNOWN_PATIENT, context)
    found = await context.store.find_ids("Patient", criterion, 2)
    if len(found) > 1:
        text = "`ifNoneExist` matches more than one known patient."
        raise FhirError("multiple-matches", text, expression=at, details=UNKNOWN_PATIENT)
    return next(iter(found), "")


async def patients_with(identifier: Resource, context: Context) -> tuple[str, ...]:
    """Return the ids of at most two patients who have `identifier`, system and value."""
    asked = [("identifier", token(identifier))]
    query = parse_query(context.definitions, "Patient", asked, base_url=context.base_url)
    found = await context.store.find_ids("Patient", query.criterion, 2)
    if len(found) < 2:
        return found
    # Of records that merely mention the identifier, and its owner, the owner is meant (PIXM-DOM-06).
    owner = Terms("identifier:own", (f"{identifier['system']}|{identifier['value']}",))
    return await context.store.find_ids("Patient", all_of([query.criterion, owner]), 2) or found


async def resolve_subject(entry: Entry, links: Links, context: Context) -> str:
    """Return the id of the patient whom the subject of `entry` means; "" when it has none that can be told.

    Raises:
        FhirError: `not-found` (400) with `XDSUnknownPatientId`; `multiple-matches` (412).
    """
    subject = entry.resource.get("subject") or {}
    text = str(subject.get("reference", ""))
    if not text:
        return await _logical(entry, subject.get("identifier"), context)
    reference = parse_reference(links.new_name(text, entry.full_url) or text, context.base_url)
    if reference.resource_type != "Patient" or reference.kind != "literal":
        raise unknown_patient(entry, f"`{text}` is not a Patient of this server.")
    return reference.id


async def _logical(entry: Entry, identifier: Resource | None, context: Context) -> str:
    element = "subject.identifier"
    if identifier is None:
        identifier, element = _source_identifier(entry.resource), ""
    if identifier is None:
        return ""
    found = await patients_with(identifier, context)
    if len(found) == 1:
        return found[0]
    if not element:
        return ""
    if found:
        raise entry.error("multiple-matches", "More than one patient has this identifier.", element, UNKNOWN_PATIENT)
    raise unknown_patient(entry, "No known patient has this identifier.", element)


def _source_identifier(document: Resource) -> Resource | None:
    """Return the first identifier of the contained sourcePatientInfo, by which a subject may be told (MHD-65-48)."""
    identifiers = (source_patient(document) or {}).get("identifier", ())
    return next((one for one in identifiers if one.get("system") and one.get("value")), None)


def source_patient(document: Resource) -> Resource | None:
    """Return the contained Patient that `sourcePatientInfo` of a DocumentReference refers to, None when none is."""
    link = str(document.get("context", {}).get("sourcePatientInfo", {}).get("reference", ""))
    return next((one for one in document.get("contained", ()) if f"#{one.get('id')}" == link), None)


async def resolve_conditional(text: str, expression: str, context: Context) -> str:
    """Return the id of the one record that the conditional reference `text` (`Type?parameter=value`) matches.

    Raises:
        FhirError: `not-found` (400) when none does, `multiple-matches` (412) when several do (MHD-65-30); `value` or
            `not-supported` (400) for a condition that this server does not understand.
    """
    resource_type, _, asked = text.partition("?")
    criterion = _asked(resource_type, asked, expression, UNRESOLVED, context)
    found = await context.store.find_ids(resource_type, criterion, 2)
    if len(found) == 1:
        return found[0]
    if found:
        text = f"The conditional reference to a {resource_type} matches more than one record."
        raise FhirError("multiple-matches", text, expression=expression, details=UNRESOLVED)
    text = f"The conditional reference to a {resource_type} matches no record."
    raise FhirError("not-found", text, status=400, expression=expression, details=UNRESOLVED)


def _asked(resource_type: str, asked: str, expression: str, details: str, context: Context) -> Criterion:
    """Return what the query `asked` of a condition means; its refusal names the place in the Bundle."""
    pairs = parse_qsl(asked, keep_blank_values=True)
    try:
        query = parse_query(context.definitions, resource_type, pairs, base_url=context.base_url, strict=True)
    except FhirError as error:
        issues = [replace(one, expression=expression, details=details) for one in error.issues]
        raise FhirError.of(issues, status=400) from error
    return query.criterion


async def require_active(patient: str, entry: Entry, context: Context) -> Kept:
    """Return the record of `patient`; one that is unknown, inactive or merged away ends the submission (MHD-65-43)."""
    try:
        kept = await context.store.read("Patient", patient)
    except FhirError as error:
        raise unknown_patient(entry, f"`Patient/{patient}` is not known.") from error
    resource = parse_json(kept.json)
    if resource.get("active") is False or any(link.get("type") == "replaced-by" for link in resource.get("link", ())):
        raise unknown_patient(entry, f"`Patient/{patient}` is no longer active.")
    return kept


async def are_same(one: str, other: str, context: Context) -> bool:
    """Tell whether two ids mean one patient: the same, or one that was merged and its survivor (MHD-XDS-04)."""
    if one == other or not one or not other:
        return one == other
    ends = await survivors_of(context.store.facts, (one, other))
    return ends.get(one, one) == ends.get(other, other)


def unknown_patient(entry: Entry, text: str, element: str = "subject.reference") -> FhirError:
    """Return the refusal of a submission for a patient whom this server does not know."""
    return entry.error("not-found", text, element, UNKNOWN_PATIENT, status=400)


def check_same_patient(subjects: Mapping[int, str], entries: Mapping[int, Entry]) -> list[Issue]:
    """All subjects of one submission are the same patient (MHD-65-41); a missing one agrees with all.

    Args:
        subjects: index of an entry -> id of the patient, "" for none; DocumentReferences first.
    """
    named = [(index, patient) for index, patient in subjects.items() if patient]
    if not named:
        return []
    first_index, first = named[0]
    first_type = entries[first_index].resource["resourceType"]
    return [
        entries[index].issue(
            "business-rule",
            f"The subject `Patient/{patient}` of the {entries[index].resource['resourceType']} differs from "
            f"`Patient/{first}` of the {first_type} in entry {first_index}.",
            "subject",
            PATIENTS_DIFFER,
        )
        for index, patient in named[1:]
        if patient != first
    ]
