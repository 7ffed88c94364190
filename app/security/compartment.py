"""What of each type belongs to one person: what a token sees that is bound to a patient.

Lists and DocumentReferences by whose they are; audit events in which the person is named; of Patients their own
records, all that are linked. Who works somewhere is no patient's: directories are seen by everybody. Of types that
nobody thought of, nothing is seen.

Spec: IUA-23, IUA-32; EHDS-20, EHDS-106; AUD-98; FHIR R4 compartmentdefinition-patient.html. Own choice: directories.
"""

from __future__ import annotations

from collections.abc import Sequence

from app.search.criteria import EVERYTHING, NOTHING, Terms
from app.security.access import Layer

# Types that are found by whose they are, and the parameter that says so.
WHOSE = {"DocumentReference": "patient", "List": "patient", "AuditEvent": "patient", "Consent": "patient"}

# Who works where: no patient's data.
DIRECTORY = frozenset(
    {"Practitioner", "PractitionerRole", "Organization", "Location", "HealthcareService", "Endpoint", "Device"}
)


def of_person(ids: Sequence[str]) -> Layer:
    """Return what belongs to the person whose Patients have `ids`; without ids nothing does."""
    names = tuple(f"Patient/{each}" for each in ids)
    whose = {kind: Terms(parameter, names) if names else NOTHING for kind, parameter in WHOSE.items()}
    own = {"Patient": Terms("_id", tuple(ids)) if ids else NOTHING}
    return Layer("patient", {**dict.fromkeys(DIRECTORY, EVERYTHING), **whose, **own}, NOTHING)
