"""Patients of another server: a subject may be the URL of a Patient on a host that this deployment trusts.

The Patient is fetched and becomes one of this server's own: the known one with one of its identifiers, or a new one
where Patient entries may create one. References to the URL are rewritten to it, so that every search for the patient
finds the documents.

Spec: ITI-65, 2:3.65.4.1.2.1; MHD-65-45, MHD-65-63, MHD-SEC-09.
"""

from __future__ import annotations

import asyncio
import json

from app.document.elsewhere import references_elsewhere
from app.document.entry import Entry, Submission
from app.document.patients import PatientEntry, resolve_patient_entry, unknown_patient
from app.fhir.media_type import JSON
from app.fhir.outcome import FhirError
from app.fhir.reference import parse as parse_reference
from app.fhir.resource import Resource, parse_json
from app.transaction import Context

# What is taken over of a new patient: what says who it is. Relative references of another server would mean nothing.
ELEMENTS = frozenset(
    "identifier active name telecom gender birthDate deceasedBoolean deceasedDateTime address maritalStatus".split()  # noqa: SIM905
)


async def patients_elsewhere(submission: Submission, context: Context) -> dict[str, PatientEntry]:
    """Return whom the subjects of `submission` on other, listed hosts mean: URL without version -> the patient.

    Raises:
        FhirError: `not-found` (400), `XDSUnknownPatientId`, when there is no such active patient; `transient` (502)
            when the host cannot be used; what a Patient entry is refused with.
    """
    found: dict[str, PatientEntry] = {}
    listed = references_elsewhere(context.switches)
    names = {entry.full_url for entry in submission.entries}
    for entry in (*submission.documents, submission.submission_set, *submission.folders):
        text = str((entry.resource.get("subject") or {}).get("reference", ""))
        reference = parse_reference(text, context.base_url)
        is_patient = reference.kind == "absolute" and reference.resource_type == "Patient"
        if is_patient and text not in names and reference.url not in found and listed.is_listed(reference.url):
            person = await _fetched(entry, reference.url, context)
            found[reference.url] = await _own(entry, reference.url, person, context)
    return found


async def _own(entry: Entry, url: str, person: Resource, context: Context) -> PatientEntry:
    if context.switches.patient_in_bundle == "reject":
        raise unknown_patient(entry, "This server takes no patients that it does not know.")
    return await resolve_patient_entry(Entry(entry.index, url, "POST", "Patient", person), context)


async def _fetched(entry: Entry, url: str, context: Context) -> Resource:
    """Return what is taken over of the Patient at `url`."""
    try:
        async with asyncio.timeout(context.switches.external_timeout_s):
            opened = await references_elsewhere(context.switches).open(url, JSON)
            person = parse_json(b"".join([chunk async for chunk in opened.chunks]))
    except TimeoutError as error:
        raise FhirError("transient", "The server of the patient does not answer in time.", status=502) from error
    except json.JSONDecodeError as error:
        raise unknown_patient(entry, f"`{url[:200]}` leads to no Patient.") from error
    except FhirError as error:
        if error.status != 404:
            raise
        raise unknown_patient(entry, f"`{url[:200]}` leads to no Patient.") from error
    if not isinstance(person, dict) or person.get("resourceType") != "Patient" or person.get("active") is False:
        raise unknown_patient(entry, f"`{url[:200]}` leads to no active Patient.")
    taken = {name: value for name, value in person.items() if name in ELEMENTS}
    patient: Resource = {"resourceType": "Patient", "meta": {"source": url}} | taken
    if any(issue.is_error for issue in context.validator.validate(patient)):
        raise unknown_patient(entry, f"`{url[:200]}` leads to a Patient that is not valid.")
    return patient
