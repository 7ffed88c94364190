"""Resources for tests: the smallest that mean something, with obviously fictitious people."""

from __future__ import annotations

from typing import Any

from app.fhir.resource import Resource


def patient(id: str, **elements: Any) -> Resource:
    """Return a Patient; `elements` replace or add to it."""
    base: Resource = {"resourceType": "Patient", "id": id, "name": [{"family": "Example", "given": ["Ada"]}]}
    return base | elements


def binary(id: str, content_type: str = "text/plain", **elements: Any) -> Resource:
    """Return a Binary without its data, as the store takes it."""
    return {"resourceType": "Binary", "id": id, "contentType": content_type} | elements


def document_reference(id: str, patient_id: str = "p1", **elements: Any) -> Resource:
    """Return a DocumentReference of the patient."""
    base: Resource = {
        "resourceType": "DocumentReference",
        "id": id,
        "status": "current",
        "subject": {"reference": f"Patient/{patient_id}"},
        "content": [{"attachment": {"contentType": "text/plain", "url": f"\x00/Binary/{id}"}}],
    }
    return base | elements
