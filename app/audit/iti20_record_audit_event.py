"""Record Audit Event [ITI-20], the FHIR feed: the side of the Audit Record Repository.

An Audit Creator posts one AuditEvent, or several as a Bundle of type batch. What is legal FHIR is kept, whether it
follows a profile or not.

Spec: IHE ITI Add RESTful ATNA, ITI-20; AUD-80 to AUD-87.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from typing import Any

from app.fhir.outcome import FhirError, outcome_of, require_none
from app.fhir.resource import Resource, to_json
from app.security.entries import require_granted
from app.transaction import (
    About,
    Context,
    Handler,
    Interaction,
    RequestMessage,
    ResponseMessage,
    Transaction,
    create,
)

MAX_ENTRIES = 1_000
MAX_BYTES = 5 * 1024 * 1024

CODE = "ITI-20"
_TYPE = "AuditEvent"


async def record_audit_event(message: RequestMessage, context: Context) -> ResponseMessage:
    """Answer a Record Audit Event request with one event.

    Returns:
        201 and its `Location`.

    Raises:
        FhirError: 400 for what is no AuditEvent of FHIR R4; `too-long` (413).
    """
    _require_size(message)
    event = _legal(message.resource, context, _TYPE)
    (event_id,) = await context.recorder.keep([event])
    about = About(data=({"reference": f"{_TYPE}/{event_id}"},))
    return ResponseMessage(201, headers={"Location": f"{_TYPE}/{event_id}", "ETag": 'W/"1"'}, about=about)


async def record_batch(message: RequestMessage, context: Context) -> ResponseMessage:
    """Answer a Record Audit Event request with a Bundle of type batch; each entry is looked at alone.

    Returns:
        200 and a Bundle of type batch-response, one entry for each of the request, in its order.

    Raises:
        FhirError: `too-long` (413) for more than `MAX_ENTRIES` entries or `MAX_BYTES` bytes.
    """
    require_granted(message.access, CODE, f"{_TYPE}.c")  # it came the way of ITI-65 (AUD-85)
    _require_size(message)
    entries = (message.resource or {}).get("entry", [])
    if len(entries) > MAX_ENTRIES:
        raise FhirError("too-long", f"A batch has {len(entries)} entries; at most {MAX_ENTRIES} are taken.")
    read = [_entry(each, place, context) for place, each in enumerate(entries)]
    kept = iter(await context.recorder.keep([each for each in read if isinstance(each, dict)]) if entries else ())
    answers = [_created(next(kept), context) if isinstance(each, dict) else _refused(each) for each in read]
    about = About(transaction=CODE, interaction="batch")
    return ResponseMessage(200, {"resourceType": "Bundle", "type": "batch-response", "entry": answers}, about=about)


def taking_batches(transactions: Iterable[Transaction]) -> tuple[Transaction, ...]:
    """Return `transactions` in which a batch that is posted to `[base]` is one of audit events (AUD-87)."""
    return tuple(
        replace(each, interactions=tuple(_taking_batches(one) for one in each.interactions)) for each in transactions
    )


def _taking_batches(interaction: Interaction) -> Interaction:
    return (
        replace(interaction, handle=_handing_over(interaction.handle))
        if interaction.code == "transaction"
        else interaction
    )


def _handing_over(handle: Handler) -> Handler:
    async def either(message: RequestMessage, context: Context) -> ResponseMessage:
        """Answer a Bundle that is posted to `[base]`, by what it is."""
        sent = message.resource or {}
        is_batch = sent.get("resourceType") == "Bundle" and sent.get("type") == "batch"
        return await (record_batch if is_batch else handle)(message, context)

    return either


def _entry(entry: Any, place: int, context: Context) -> Resource | FhirError:
    """Return the event of an entry, or why it is refused."""
    path = f"Bundle.entry[{place}]"
    try:
        request = entry.get("request", {}) if isinstance(entry, dict) else {}
        method, url = str(request.get("method", "")), str(request.get("url", "")).strip("/")
        if (method, url) != ("POST", _TYPE):
            status = 405 if url.partition("/")[0] == _TYPE and method else 400
            text = f"A batch brings audit events: `POST {_TYPE}` was expected, `{method[:16]} {url[:64]}` came."
            raise FhirError("not-supported", text, status=status, expression=f"{path}.request")
        return _legal(entry.get("resource"), context, f"{path}.resource")
    except FhirError as error:
        return error


def _legal(resource: Any, context: Context, path: str) -> Resource:
    """Return `resource` when it is an AuditEvent as FHIR R4 has it; profiles are not asked for (AUD-82, AUD-83).

    Raises:
        FhirError: what is wrong with it.
    """
    if not isinstance(resource, dict) or resource.get("resourceType") != _TYPE:
        raise FhirError("structure", f"An `{_TYPE}` was expected.", expression=path)
    require_none(context.validator.validate(resource, root=path), status=400)
    return {name: value for name, value in resource.items() if name != "id"}


def _require_size(message: RequestMessage) -> None:
    declared = message.headers.get("content-length", "")
    size = int(declared) if declared.isdecimal() else len(to_json(message.resource))
    if size > MAX_BYTES:
        raise FhirError("too-long", f"The body has {size} bytes; at most {MAX_BYTES} are taken of audit events.")


def _created(event_id: str, context: Context) -> Resource:
    return {
        "response": {"status": "201 Created", "location": f"{context.base_url}/{_TYPE}/{event_id}", "etag": 'W/"1"'}
    }


def _refused(error: FhirError) -> Resource:
    status = {400: "400 Bad Request", 405: "405 Method Not Allowed"}.get(error.status, f"{error.status} Refused")
    return {"response": {"status": status, "outcome": outcome_of(error)[1]}}


ITI20 = Transaction(
    code=CODE,
    name="Record Audit Event",
    client="Audit Creator",
    server="Audit Record Repository",
    interactions=(
        *create(_TYPE, record_audit_event),
        # It comes the way of a transaction (`taking_batches`); where there is none, by itself.
        Interaction("batch", "POST", "", record_batch, scope=f"{_TYPE}.c"),
    ),
    documentation="One AuditEvent, or several in a Bundle of type `batch` posted to `[base]`.",
    option="audit",
)
