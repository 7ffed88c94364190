"""What a request says by itself of what it is about: for searches, and for requests that failed.

A request that failed may have any shape, so that nothing here relies on one: what is not there is left out (AUD-06).
References and identifiers are all that is taken from it, never a name (AUD-07).

Spec: AUD-31, AUD-34, AUD-36, AUD-51, AUD-72; MHD-AU-11, MHD-AU-21.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any
from urllib.parse import parse_qsl

from app.audit import named
from app.document.vocabulary import SUBMISSION_SET, UNIQUE_ID
from app.fhir.reference import parse as parse_reference
from app.fhir.resource import Resource
from app.search.escape import split
from app.transaction import NOTHING_KNOWN, About, Occurrence

Read = Callable[[str, str], Resource | None]

# A search that names more patients than this is for none of them in particular.
_MOST_NAMED = 100


def _identifier(text: str, base_url: str) -> Resource | None:
    return named.token(text)


# Search parameter -> how its value names a patient; by what is searched for.
OF_RECORDS: Mapping[str, Read] = {
    **dict.fromkeys(("patient", "subject", "patient:Patient", "subject:Patient"), named.patient),
    **dict.fromkeys(("patient.identifier", "subject.identifier", "patient:identifier"), _identifier),
    **dict.fromkeys(("subject:identifier", "patient:Patient.identifier", "subject:Patient.identifier"), _identifier),
}
OF_PATIENTS: Mapping[str, Read] = {"_id": named.patient, "identifier": _identifier}
OF_EVENTS: Mapping[str, Read] = {**OF_RECORDS, "entity.identifier": _identifier}


def nothing(occurrence: Occurrence, base_url: str) -> About:
    """Return that the request says nothing."""
    return NOTHING_KNOWN


def patients_of_search(occurrence: Occurrence, base_url: str) -> About:
    """Return the patients whom a search names: by parameter, by compartment, or through the token it came with."""
    message = occurrence.message
    if message is not None and "id" in message.variables:  # Patient/[id]/DocumentReference
        return _about(named.patient(message.variables["id"]))
    return _searched(occurrence, base_url, OF_RECORDS)


def patient_searched(occurrence: Occurrence, base_url: str) -> About:
    """Return the patient whom a search for patients names: an id, or a whole identifier (AUD-51)."""
    return _searched(occurrence, base_url, OF_PATIENTS)


def patients_of_log(occurrence: Occurrence, base_url: str) -> About:
    """Return the patients whose events are searched (AUD-72)."""
    return _searched(occurrence, base_url, OF_EVENTS)


def record(occurrence: Occurrence, base_url: str) -> About:
    """Return the record that the path names; what cannot be the id of one is told by the request alone."""
    name = occurrence.message.url.partition("?")[0].strip("/") if occurrence.message else ""
    return About(data=({"reference": name},)) if parse_reference(name).kind == "literal" else NOTHING_KNOWN


def source_identifier(occurrence: Occurrence, base_url: str) -> About:
    """Return the patient whom `sourceIdentifier` names, in the query or in a Parameters body (AUD-31)."""
    texts = [text for name, text in (*_query(occurrence), *_parameters(occurrence)) if name == "sourceIdentifier"]
    return _about(named.whole_token(texts[0]) if texts else None)


def fed(occurrence: Occurrence, base_url: str) -> About:
    """Return the key under which a source feeds a record, and the condition as data: it may be of no record."""
    condition = _conditions(occurrence)
    keys = [text for name, text in parse_qsl(condition, keep_blank_values=True) if name == "identifier"]
    key = named.token(keys[0]) if keys else None
    return About(_patients(key), ({"reference": f"Patient?{condition}"},) if key else ())


def submission(occurrence: Occurrence, base_url: str) -> About:
    """Return the patient and the uniqueId of the SubmissionSet in a Bundle, as they were sent (MHD-AU-11)."""
    found = list(_entries(occurrence))
    sets = [resource for _, resource in found if _is_submission_set(resource)]
    if not sets:
        return NOTHING_KNOWN
    people = {url: resource for url, resource in found if resource.get("resourceType") == "Patient"}
    subject = _subject(sets[0], people, base_url)
    return About(_patients(subject), _patients(named.identified(_unique_id(sets[0]))))


def published(occurrence: Occurrence, base_url: str) -> About:
    """Return the patient and the uniqueId of a DocumentReference, as they were sent."""
    resource = _resource(occurrence)
    about = named.identified(resource.get("masterIdentifier") or _unique_id(resource))
    return About(_patients(_subject(resource, {}, base_url)), _patients(about))


def oauth_client(occurrence: Occurrence, base_url: str) -> About:
    """Return the `client_id` that was sent."""
    pairs = dict(_query(occurrence))
    pairs |= dict(parse_qsl(occurrence.request.body.decode("utf-8", "replace")))
    return About(client=pairs.get("client_id", "")[:256])


def _about(patient: Resource | None) -> About:
    return About(patients=(patient,)) if patient else NOTHING_KNOWN


def _patients(one: Resource | None) -> tuple[Resource, ...]:
    return (one,) if one else ()


def _query(occurrence: Occurrence) -> tuple[tuple[str, str], ...]:
    return occurrence.message.query if occurrence.message else ()


def _searched(occurrence: Occurrence, base_url: str, parameters: Mapping[str, Read]) -> About:
    for name, text in _query(occurrence):
        if read := parameters.get(name):
            values = [text] if "," not in text else split(text, ",")
            found = [one for value in values[:_MOST_NAMED] if (one := read(value, base_url))]
            if len(found) == len(values):
                return About(patients=tuple(found))
    bound = occurrence.access.principal.patient
    return _about(named.claimed(bound, base_url)) if bound else NOTHING_KNOWN


def _resource(occurrence: Occurrence) -> Resource:
    resource = occurrence.message.resource if occurrence.message else None
    return resource if isinstance(resource, dict) else {}


def _parameters(occurrence: Occurrence) -> Iterator[tuple[str, str]]:
    for one in _objects(_resource(occurrence).get("parameter")):
        text = one.get("valueString", one.get("valueUri"))
        if isinstance(text, str):
            yield str(one.get("name")), text


def _conditions(occurrence: Occurrence) -> str:
    """Return the query that names a record: that of the URL, or that of If-None-Exist."""
    condition = occurrence.request.headers.get("if-none-exist", "")
    return condition.rpartition("?")[2] or occurrence.request.url.partition("?")[2]


def _entries(occurrence: Occurrence) -> Iterator[tuple[str, Resource]]:
    for entry in _objects(_resource(occurrence).get("entry")):
        if isinstance(resource := entry.get("resource"), dict):
            yield str(entry.get("fullUrl")), resource


def _is_submission_set(resource: Resource) -> bool:
    code = resource.get("code")
    codings = _objects(code.get("coding") if isinstance(code, dict) else None)
    return resource.get("resourceType") == "List" and any(one.get("code") == SUBMISSION_SET for one in codings)


def _unique_id(resource: Resource) -> Any:
    """Return the identifier that says it is the uniqueId, or that MHD 4.2.3 called the usual one."""
    found = _objects(resource.get("identifier"))
    return next((one for one in found if UNIQUE_ID in str(one.get("type")) or one.get("use") == "usual"), None)


def _subject(resource: Resource, people: Mapping[str, Resource], base_url: str) -> Resource | None:
    """Return the subject as it was sent; of a Patient that came along, the first identifier."""
    subject = resource.get("subject")
    if not isinstance(subject, dict):
        return None
    there = people.get(str(subject.get("reference")))
    if there is not None:
        return next(filter(None, map(named.identified, _objects(there.get("identifier")))), None)
    return named.reference(subject.get("reference"), "Patient", base_url) or named.identified(subject.get("identifier"))


def _objects(value: Any) -> list[Resource]:
    return [one for one in value if isinstance(one, dict)] if isinstance(value, list) else []
