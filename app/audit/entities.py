"""The entities of an event: whose data, which data, what was asked, and as part of what.

Spec: AUD-09, AUD-14, AUD-20 to AUD-26; MHD section 14; docs/decisions/0029 for `traceparent`.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence

from app.audit import codes
from app.fhir.resource import Resource

# Of the OperationOutcome that an event of a failure contains.
OUTCOME = "outcome"

_TRACEPARENT = re.compile(r"[0-9a-f]{2}-[0-9a-f]{32}-[0-9a-f]{16}-[0-9a-f]{2}")
_LONGEST_ID = 256


def patient(what: Resource) -> Resource:
    """Return the entity of a patient."""
    return {"what": what, "type": codes.PERSON, "role": codes.PATIENT}


def data(what: Resource, role: Resource, details: Sequence[tuple[str, str]] = ()) -> Resource:
    """Return the entity of a record."""
    made: Resource = {"what": what, "type": codes.SYSTEM_OBJECT, "role": role}
    if details:
        made["detail"] = [{"type": name, "valueString": value} for name, value in details]
    return made


def query(text: str, description: str = "") -> Resource:
    """Return the entity of a request, in base64."""
    made: Resource = {"type": codes.SYSTEM_OBJECT, "role": codes.QUERY, "query": text}
    return {**made, "description": description} if description else made


def outcome() -> Resource:
    """Return the entity of the contained OperationOutcome."""
    return {"what": {"reference": f"#{OUTCOME}"}, "type": codes.SYSTEM_OBJECT, "role": codes.REPORT}


def correlated(headers: Mapping[str, str]) -> Iterator[Resource]:
    """Yield what connects the event with others: the request id and the trace that were received."""
    if "x-request-id" in headers and (sent := headers["x-request-id"].strip()):
        yield {"what": {"identifier": {"value": sent[:_LONGEST_ID]}}, "type": codes.REQUEST_ID}
    if "traceparent" in headers and _TRACEPARENT.fullmatch(sent := headers["traceparent"].strip()):
        yield {"what": {"identifier": {"system": codes.TRACE_CONTEXT, "value": sent}}, "type": codes.TRACE}


def consents(claims: Mapping[str, Mapping[str, object]]) -> Iterator[Resource]:
    """Yield the consent that a token speaks of, and whose it is (audit.md section 6).

    Own choice: the latter has a role and no type, since the profiles leave room for one entity of the type Person.
    """
    bppc, home = claims.get("ihe_bppc", {}), claims.get("ihe_iua", {}).get("home_community_id")
    identifier: Resource = {"value": str(bppc["doc_id"])} if bppc.get("doc_id") else {}
    if home:
        identifier["assigner"] = {"identifier": {"value": str(home)}}
    if identifier:
        made: Resource = {"what": {"identifier": identifier}, "type": codes.CONSENT}
        yield made | ({"detail": [{"type": _ACP, "valueString": str(bppc["acp"])}]} if bppc.get("acp") else {})
    if bppc.get("patient_id"):
        yield {"what": {"identifier": {"value": str(bppc["patient_id"])}}, "role": codes.PATIENT}


# Type of the detail as in the SAML examples of BALP: the policy that the person acknowledged.
_ACP = "urn:ihe:iti:xua:2012:acp"
