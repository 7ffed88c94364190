"""Puts the example data into a server, by the door through which everybody publishes.

Idempotent: what is there already, by its id or uniqueId, is left as it is.
"""

from __future__ import annotations

from app.examples.catalogue import DOCUMENTS, PATIENTS
from app.examples.submission import submission_of
from app.fhir.outcome import FhirError
from app.mhd.iti65_provide_document_bundle import provide_document_bundle
from app.store.change import Create, KeyTaken
from app.transaction import Context, RequestMessage


async def load(context: Context) -> None:
    """Store the example patients and publish the example documents that are missing."""
    for patient in PATIENTS:
        try:
            await context.store.commit([Create(patient)], context.now())
        except KeyTaken:
            continue
    for example in DOCUMENTS:
        bundle = submission_of(example, f"urn:oid:2.999.1.{example.unique_id}")
        try:
            await provide_document_bundle(RequestMessage("POST", "", resource=bundle), context)
        except FhirError as error:
            if error.status != 409:
                raise
