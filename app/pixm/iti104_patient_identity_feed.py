"""Patient Identity Feed [ITI-104]: the Patient Identifier Cross-reference Manager's side.

A Patient Identity Source adds, revises, merges and removes the records of its domain. Each is named by the identifier
that the source knows it by; nobody changes a record of another source.

Spec: IHE ITI TF-2:3.104 (https://profiles.ihe.net/ITI/PIXm/ITI-104.html);
FHIR R4 http.html#cond-update, #cdelete, #ccreate.
"""

from __future__ import annotations

import re
from dataclasses import replace
from urllib.parse import parse_qsl

from app.fhir.outcome import FhirError, Issue, operation_outcome
from app.fhir.resource import etag, fill_in_base
from app.interaction import version_headers
from app.patient.fed_patient import PROFILE, prepared, require_patient
from app.patient.feed import Fed, put, remove
from app.patient.record_key import record_key, told
from app.pixm.told import about_fed, about_removed
from app.transaction import (
    Body,
    Context,
    FhirJson,
    Option,
    RequestMessage,
    ResponseMessage,
    Transaction,
    conditional_create,
    conditional_delete,
    conditional_update,
)

PIXM = "https://profiles.ihe.net/ITI/PIXm"

_ETAG = re.compile(r'(?:W/)?"([1-9][0-9]{0,17})"')
_RETURN = re.compile(r"return=(minimal|representation|OperationOutcome)")


async def patient_identity_feed(message: RequestMessage, context: Context) -> ResponseMessage:
    """Add, revise or merge a record: conditional update (2:3.104.4.1, 2:3.104.4.2).

    Returns:
        201 for a new record, else 200, with what `Prefer` asks for: the Patient, an OperationOutcome, or nothing.

    Raises:
        FhirError: `required`, `invalid`, `not-supported`, `code-invalid` (400), `forbidden` (403) for the key; 400 and
            422 for the Patient; `multiple-matches`, `conflict` (412); `business-rule` (405) for undoing a merge.
    """
    key = record_key(message.query, message.access.principal.client, context)
    patient = prepared(require_patient(message.resource), key, context)
    fed = await put(patient, key, context, if_version=_expected(message))
    return replace(_answer(fed, message, context), about=about_fed(fed, key))


async def add_patient(message: RequestMessage, context: Context) -> ResponseMessage:
    """Add a record, unless it is there: conditional create (PIXM-104-22).

    Returns:
        201, or 200 when the record is there; it is not changed then.

    Raises:
        FhirError: `not-supported` (405) without If-None-Exist; else as `patient_identity_feed`.
    """
    condition = message.headers.get("if-none-exist", "")
    if not condition:
        error = told("not-supported", "a Patient is created only with If-None-Exist, or by PUT", status=405)
        error.headers["Allow"] = "GET, HEAD, PUT"
        raise error
    pairs = parse_qsl(condition.partition("?")[2] or condition, keep_blank_values=True)
    key = record_key(pairs, message.access.principal.client, context)
    patient = prepared(require_patient(message.resource), key, context)
    fed = await put(patient, key, context, only_create=True)
    return replace(_answer(fed, message, context), about=about_fed(fed, key))


async def remove_patient(message: RequestMessage, context: Context) -> ResponseMessage:
    """Remove a record: conditional delete (2:3.104.4.3, Remove Patient Option).

    Returns:
        204, also when there is no such record; 200 and an OperationOutcome when `Prefer` asks for one.

    Raises:
        FhirError: as for the key in `patient_identity_feed`; `multiple-matches` (412).
    """
    key = record_key(message.query, message.access.principal.client, context)
    about = about_removed(await remove(key, context), key)
    if _preferred(message) == "OperationOutcome":
        return ResponseMessage(200, _told("Removed, if it was there."), {"Cache-Control": "no-store"}, about)
    return ResponseMessage(204, headers={"Cache-Control": "no-store"}, about=about)


def _answer(fed: Fed, message: RequestMessage, context: Context) -> ResponseMessage:
    headers = {**version_headers(fed.kept), "Cache-Control": "no-store"}
    name = f"{context.base_url}/Patient/{fed.kept.id}/_history/{fed.kept.version}"
    headers["Location" if fed.created else "Content-Location"] = name
    status = 201 if fed.created else 200
    body: Body = FhirJson(fill_in_base(fed.kept.json, context.base_url))
    if (wanted := _preferred(message)) == "minimal":
        body = None
    elif wanted == "OperationOutcome":
        body = _told(f"Patient/{fed.kept.id} is at version {etag(fed.kept.version)}.")
    return ResponseMessage(status, body, headers)


def _told(text: str) -> Body:
    return operation_outcome([Issue("informational", text, severity="information")])


def _preferred(message: RequestMessage) -> str:
    found = _RETURN.search(message.headers.get("prefer", ""))
    return found[1] if found else "representation"


def _expected(message: RequestMessage) -> int | None:
    """Return the version that If-Match names, None without one."""
    sent = message.headers.get("if-match")
    if sent is None:
        return None
    if not (found := _ETAG.fullmatch(sent.strip())):
        raise FhirError("conflict", "If-Match does not name the current version")
    return int(found[1])


ITI104 = Transaction(
    code="ITI-104",
    name="Patient Identity Feed",
    client="Patient Identity Source",
    server="Patient Identifier Cross-reference Manager",
    interactions=(
        *conditional_update("Patient", patient_identity_feed),
        *conditional_create("Patient", add_patient),
    ),
    supported_profiles={"Patient": (PROFILE,)},
    instantiates=(f"{PIXM}/CapabilityStatement/IHE.PIXm.Manager",),
    audit_profile=f"{PIXM}/StructureDefinition/IHE.PIXm.Feed.Update.Audit.Manager",
    options={"remove_patient": Option(interactions=conditional_delete("Patient", remove_patient))},
)
