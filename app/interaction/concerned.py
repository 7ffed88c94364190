"""Whose data an answer holds, for the audit: told from stored bytes, without reading them as a whole.

Spec: AUD-08, AUD-26, AUD-55; MHD-AU-21, MHD-AU-30.
"""

from __future__ import annotations

import re
from collections.abc import Iterable

from app.fhir.resource import Resource
from app.search.query import Query
from app.store.record import Kept, Match
from app.transaction import NOTHING_KNOWN, About

# As the store writes it: no space, and the type of this server's own references without a base in front.
_SUBJECT = re.compile(rb'"(?:subject|patient)":\{"reference":"(Patient/[A-Za-z0-9.\-]{1,64})["/]')

# A search by one of these is about the patient that it names, whatever it finds.
_NAMING = frozenset({"patient", "subject"})


def about_record(kept: Kept) -> About:
    """Return what a read of `kept` is about: the version, and the patient whose it is."""
    return About(patients_of([kept]), (versioned(kept),))


def about_found(found: Iterable[Match], query: Query) -> About:
    """Return what the page `found` is about: its patients, unless `query` names them."""
    if _NAMING.intersection(name for name, _ in query.applied) or (query.path or "").startswith("Patient/"):
        return NOTHING_KNOWN
    return About(patients_of(found))


def patients_of(records: Iterable[Kept | Match]) -> tuple[Resource, ...]:
    """Return References to the patients of `records`, each once: the records themselves, or their subjects."""
    names = dict.fromkeys(filter(None, map(_patient, records)))
    return tuple({"reference": name} for name in names)


def patient_of(resource: Resource) -> tuple[Resource, ...]:
    """Return a Reference to the subject of `resource`, when that is a patient: literal or by identifier, no name."""
    subject = resource.get("subject") or {}
    if str(subject.get("reference", "")).startswith("Patient/"):
        return ({"reference": subject["reference"]},)
    identifier = subject.get("identifier") or {}
    kept = {name: identifier[name] for name in ("system", "value") if name in identifier}
    return ({"identifier": kept},) if "value" in kept else ()


def versioned(kept: Kept) -> Resource:
    """Return a Reference to the version `kept`."""
    return {"reference": f"{kept.resource_type}/{kept.id}/_history/{kept.version}"}


def _patient(record: Kept | Match) -> str:
    if record.resource_type == "Patient":
        return f"Patient/{record.id}"
    found = _SUBJECT.search(record.json)
    return found[1].decode() if found else ""
