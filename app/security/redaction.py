"""What is left out of a record that a caller sees.

An event repeats the request that led to it, and a request may name several people: each has an event, and each event
the whole request. Who is bound to one of them is shown that somebody searched, when and why, but not for whom else.

Spec: AUD-98, EHDS-106; IUA-32. The label is FHIR R4's, security-labels.html (v3-ObservationValue).
"""

from __future__ import annotations

from app.fhir.resource import Resource, parse_json, to_json

REDACTED = {"system": "http://terminology.hl7.org/CodeSystem/v3-ObservationValue", "code": "REDACTED"}
_REQUEST = frozenset({"query", "description"})


def without_request(json: bytes) -> bytes:
    """Return an AuditEvent, stored JSON, without the request, labelled, and without the claim to be of its profile."""
    event = parse_json(json)
    entities: list[Resource] = event.get("entity", [])
    if not any(_REQUEST & one.keys() for one in entities):
        return json
    left = [{name: value for name, value in one.items() if name not in _REQUEST} for one in entities]
    meta = {name: value for name, value in event.get("meta", {}).items() if name != "profile"}
    labels = [*meta.get("security", ()), REDACTED]
    return to_json({**event, "meta": {**meta, "security": labels}, "entity": left})
