"""What a deployment asks of submissions beyond their profiles: known sources, configured codes, identified patients.

Spec: ITI-42, 2:3.42.4.1.3.3; TF-3 Table 4.3.1-3; MHD-65-104, MHD-XDS-01, MHD-XDS-03, MHD-MHDS-06.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from app.document.entry import Entry, Submission
from app.document.level import MINIMAL
from app.document.patients import source_patient
from app.document.value_sets import check_codes, load
from app.document.vocabulary import SOURCE_ID
from app.fhir.outcome import Issue
from app.switches import Switches
from app.transaction import Context


def check_policy(submission: Submission, context: Context) -> Iterator[tuple[Entry, Issue]]:
    """Yield what the switches `known_sources`, `value_sets` and `require_source_patient_id` find, warnings among it."""
    yield from check_source(submission, context.switches)
    yield from check_codes(submission, load(context.switches.value_sets, context.packages))
    yield from check_source_patients(submission, context.switches)


def check_source(submission: Submission, switches: Switches) -> Iterator[tuple[Entry, Issue]]:
    """The SubmissionSet is from a source that this deployment knows, where it lists them (MHD-65-104)."""
    known = {one.removeprefix("urn:oid:") for one in switches.known_sources}
    if not known or submission.is_derived:  # the source of a derived SubmissionSet is this server
        return
    entry = submission.submission_set
    for position, extension in enumerate(entry.resource.get("extension", ())):
        if extension.get("url") == SOURCE_ID:
            came = str(extension.get("valueIdentifier", {}).get("value", ""))
            if came.removeprefix("urn:oid:") not in known:
                text = f"`{came[:200]}` is none of the sources whose submissions this server takes."
                yield entry, entry.issue("business-rule", text, f"extension[{position}].value")


def check_source_patients(submission: Submission, switches: Switches) -> Iterator[tuple[Entry, Issue]]:
    """A contained sourcePatientInfo says under which number the source knows the patient (MHD-XDS-01).

    It is an error where the deployment is strict, else a warning.
    """
    if submission.level == MINIMAL:
        return
    severity = "error" if switches.require_source_patient_id else "warning"
    for entry in submission.documents:
        patient = source_patient(entry.resource)
        if patient is not None and not any(one.get("value") for one in patient.get("identifier", ())):
            text = "The Patient has no `identifier`: it is not told under which number the source knows the patient."
            yield entry, replace(entry.issue("required", text, "context.sourcePatientInfo"), severity=severity)
