"""One request from HTTP to HTTP, in the order in which it happens."""

from __future__ import annotations

from time import perf_counter

from starlette.requests import Request
from starlette.responses import Response

from app.fhir.outcome import FhirError, outcome_of
from app.rest.body import Limits
from app.rest.caller import credentials, raw_request
from app.rest.decode import decode
from app.rest.log import log_failure, log_request
from app.rest.long_strings import discard_all
from app.rest.media import encode, wanted
from app.security.access import UNRESTRICTED
from app.security.refusal import RefusedError
from app.store.writer import begin_writing
from app.transaction import About, Context, Interaction, Occurrence, RequestMessage, ResponseMessage, Transaction


async def exchange(
    http: Request, transaction: Transaction, interaction: Interaction, context: Context, limits: Limits
) -> Response:
    """Answer `http` with `interaction`, and record that it happened.

    Nothing is answered that is not audited: the events are kept after the handler, whether it returned or raised, and
    before the answer is sent.
    """
    started, form, message, access = perf_counter(), wanted(http), None, UNRESTRICTED
    begin_writing()
    try:
        access = await context.guard.admit(credentials(http), transaction.code, interaction.scope)
        message, form = await decode(http, interaction, form, access, context, limits)
        response = await interaction.handle(message, context)
    except Exception as error:  # noqa: BLE001 - whatever happens becomes an OperationOutcome
        if not isinstance(error, FhirError):
            log_failure(transaction, form.request_id)
        access = error.access if isinstance(error, RefusedError) else access
        response = failure(error)
    await _discard_refused(message, response, context)
    request = raw_request(http, form, message, context)
    happened = Occurrence(transaction, interaction, access, request, message, response, context.now())
    response = await _recorded(happened, context)
    log_request((transaction, interaction), response.status, started, form.request_id)
    return encode(response, http, form, context)


async def _recorded(happened: Occurrence, context: Context) -> ResponseMessage:
    """Return the answer once its events are kept; when they cannot be, what is said instead."""
    try:
        await context.recorder.record(happened)
    except FhirError as error:
        return failure(error)
    return happened.response


def refuse(http: Request, error: Exception, context: Context) -> Response:
    """Answer a request that no interaction is there for."""
    started, form, response = perf_counter(), wanted(http), failure(error)
    log_request(None, response.status, started, form.request_id)
    return encode(response, http, form, context)


def failure(error: Exception) -> ResponseMessage:
    """Return the answer to a request that `error` ended."""
    about = About(is_refusal=isinstance(error, RefusedError))
    return ResponseMessage(*outcome_of(error), error.headers if isinstance(error, FhirError) else {}, about)


async def _discard_refused(message: RequestMessage | None, response: ResponseMessage, context: Context) -> None:
    """Remove the documents of a refused submission; after a fault of ours it is not known whether they were committed.

    What is left then is swept later, once it is certain that no record refers to it.
    """
    if message and message.content and 400 <= response.status < 500:
        await discard_all(context.store.content, dict(message.content))
