"""Retrieve ATNA Audit Event [ITI-81]: the side of the Audit Record Repository.

An Audit Consumer asks for the AuditEvents of a time, and narrows them further; the answer is a searchset Bundle. Asking
is itself an event, kept before the answer is sent.

Spec: IHE ITI Add RESTful ATNA, ITI-81; AUD-90 to AUD-99; MHD-AU-62.
"""

from __future__ import annotations

from dataclasses import replace

from app.audit.log_query import IDENTIFIED, UNTOLD, identified, on_record
from app.audit.person_log import read_access_log
from app.fhir.outcome import FhirError
from app.interaction import query_of, read_resource, search_resources
from app.search.page import Paging
from app.search.query import Query, Scope
from app.transaction import Context, Interaction, RequestMessage, ResponseMessage, Transaction, read, search_type

DEFAULT_COUNT, MAX_COUNT = 50, 500

# AUD-92 in the order of its table, and what R4 has besides (AUD-93).
SEARCH_PARAMETERS = (
    "_id",
    "_lastUpdated",
    "date",
    "address",
    "agent.identifier",
    "patient.identifier",
    "entity.identifier",
    "entity-type",
    "entity-role",
    "source.identifier",
    "type",
    "subtype",
    "outcome",
    "agent",
    "patient",
    "entity",
    "source",
    "action",
    "site",
    "policy",
    "altid",
    "agent-role",
    "agent-name",
    "entity-name",
)

_BALP = "https://profiles.ihe.net/ITI/BALP/StructureDefinition"
_BASIC = f"{_BALP}/IHE.BasicAudit"
PROFILES = tuple(f"{_BASIC}.{each}" for each in ("Create", "Read", "Update", "Delete", "Query")) + tuple(
    f"{_BASIC}.Patient{each}" for each in ("Create", "Read", "Update", "Delete", "Query")
)


async def search_audit_events(message: RequestMessage, context: Context) -> ResponseMessage:
    """Answer a Retrieve ATNA Audit Event request.

    Returns:
        200 and a Bundle of type searchset, newest first unless `_sort` says otherwise (AUD-95).

    Raises:
        FhirError: `required` (400) without `date`, unless the switch `audit_require_date` is off (AUD-91);
            `value` (400) for a value that its parameter cannot read (AUD-99).
    """
    query = await log_query(message, context)
    if context.switches.audit_require_date and not any(name == "date" for name, _ in query.applied):
        raise FhirError("required", "The search parameter `date` is required: `date=ge2026-01-15&date=lt2026-01-16`.")
    return await search_resources(query, context)


async def log_query(message: RequestMessage, context: Context) -> Query:
    """Return what `message` asks of the log."""
    plain = tuple(pair for pair in message.query if pair[0] not in IDENTIFIED)
    within = await identified([pair for pair in message.query if pair[0] in IDENTIFIED], context)
    paging = Paging(context.paging.key, default_count=DEFAULT_COUNT, max_count=MAX_COUNT)
    query = query_of(replace(message, query=plain), context, "AuditEvent", Scope(within=within, without=UNTOLD), paging)
    known = {*query.applied}
    applied = tuple(pair for pair in message.query if pair in known or (pair[0] in IDENTIFIED and pair[1]))
    return on_record(replace(query, applied=applied))


ITI81 = Transaction(
    code="ITI-81",
    name="Retrieve ATNA Audit Event",
    client="Audit Consumer",
    server="Audit Record Repository",
    interactions=(
        *search_type("AuditEvent", search_audit_events),
        *read("AuditEvent", read_resource),
        Interaction(
            "operation",
            "GET",
            "Patient/{id}/$access-log",
            read_access_log,
            "Patient",
            "AuditEvent.s",
            summary="Who opened what of a patient's: FHIR, or a page with `Accept: text/html`",
        ),
    ),
    search_parameters={"AuditEvent": SEARCH_PARAMETERS},
    supported_profiles={"AuditEvent": PROFILES},
    option="audit",
)
