"""Submissions about whoever is meant."""

from __future__ import annotations

import json

from app.fhir.resource import Resource
from tests.mhd.documents import fhir_document
from tests.submissions import UNIQUE_ID, bundle, document_reference, entry, identifier, submission_set, urn


def fhir_submission() -> Resource:
    """A submission of a FHIR document."""
    document, reference, file = fhir_document(), urn(), urn()
    master = identifier(UNIQUE_ID, document["identifier"]["value"])
    described = document_reference(file, masterIdentifier=master)
    described["content"][0]["attachment"]["contentType"] = "application/fhir+json"
    return bundle(entry(submission_set(reference), urn()), entry(described, reference), entry(document, file))


def of_patient(resource: Resource, patient: str) -> Resource:
    """Return `resource` about that patient, where it is about `Patient/p1`."""
    found: Resource = json.loads(json.dumps(resource).replace('"Patient/p1"', f'"Patient/{patient}"'))
    return found
