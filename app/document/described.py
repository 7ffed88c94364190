"""What a document says of itself, in the words of a DocumentReference: what readers of CDA and FHIR documents return.

Spec: ITI-106, 2:3.106.4.1.3; MHD-106-15.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import Any

from app.document.vocabulary import INVALID_CONTENT
from app.fhir.outcome import FhirError, Issue
from app.fhir.resource import Resource


@dataclass(slots=True)
class Described:
    """What a document says of itself.

    Attributes:
        elements: of a DocumentReference; neither `subject` nor `attachment.url`, which only this server knows.
        patient_identifiers: of whom it is about.
        patient_reference: the patient by reference, where the document does not hold the Patient.
        contained: copies of persons and organizations that `elements` refer to.
    """

    elements: Resource = field(default_factory=dict)
    patient_identifiers: list[Resource] = field(default_factory=list)
    patient_reference: str = ""
    contained: list[Resource] = field(default_factory=list)
    _numbers: Counter[str] = field(default_factory=Counter)

    def contain(self, resource: Resource, name: str) -> Resource:
        """Return a reference to `resource`, which becomes a contained resource with the id `name` and a number."""
        self._numbers[name] += 1
        own_id = f"{name}{self._numbers[name]}"
        self.contained.append({"resourceType": resource["resourceType"], "id": own_id} | without_empty(resource))
        self.contained[-1]["id"] = own_id
        return {"reference": f"#{own_id}"}


def without_empty(value: Any) -> Any:
    """Return `value` without members and items that are empty, at every depth."""
    if isinstance(value, dict):
        pairs = ((name, without_empty(item)) for name, item in value.items())
        return {name: item for name, item in pairs if item not in (None, "", [], {})}
    if isinstance(value, list):
        return [item for item in map(without_empty, value) if item not in (None, "", [], {})]
    return value


def unreadable(text: str, expression: str) -> FhirError:
    """Return the refusal of a document that cannot be described: 422 `invalid`, `InvalidDocumentContent`."""
    return FhirError.of([Issue("invalid", text, expression, details=INVALID_CONTENT)], status=422)
