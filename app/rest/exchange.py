"""One request from HTTP to HTTP, in the order in which it happens."""

from __future__ import annotations

from dataclasses import replace
from time import perf_counter

from starlette.requests import Request
from starlette.responses import Response

from app.fhir.outcome import FhirError, outcome_of
from app.rest.caller import credentials, raw_request
from app.rest.decode import decode
from app.rest.front import Front
from app.rest.log import log_failure, log_request
from app.rest.long_strings import discard_all
from app.rest.media import encode, wanted
from app.rest.metrics import Metrics
from app.rest.table import Served
from app.rest.throttle import ThrottledError
from app.security.access import UNRESTRICTED, Access
from app.security.refusal import RefusedError
from app.security.withholding import Withholding
from app.store.sight import Sighted
from app.store.writer import begin_writing
from app.transaction import About, Context, Interaction, Occurrence, RequestMessage, ResponseMessage, Transaction

# What any token opens that holds, as definitions and `$validate` do: there is no such interaction.
ANYBODY_KNOWN = "*.v"


async def exchange(
    http: Request, transaction: Transaction, interaction: Interaction, context: Context, front: Front
) -> Response:
    """Answer `http` with `interaction`, and record that it happened.

    Nothing is answered that is not audited: the events are kept after the handler, whether it returned or raised, and
    before the answer is sent.
    """
    started, form, message, access = perf_counter(), wanted(http), None, UNRESTRICTED
    begin_writing()
    try:
        access = await context.guard.admit(credentials(http), transaction.code, interaction.scope)
        http.scope["turn"].identify(access.principal.client)
        message, form = await decode(http, interaction, form, access, context, front.limits)
        response = await interaction.handle(message, context if access.is_whole else _as_seen(context, access))
    except ThrottledError as error:
        return refuse(http, error, context, front.metrics)
    except Exception as error:  # noqa: BLE001 - whatever happens becomes an OperationOutcome
        if not isinstance(error, FhirError):
            log_failure(transaction, form.request_id)
        access = error.access if isinstance(error, RefusedError) else access
        response = failure(error)
    await _discard_refused(message, response, context)
    request = raw_request(http, form, message, context)
    happened = Occurrence(transaction, interaction, access, request, message, response, context.now())
    response = await _recorded(happened, context)
    front.metrics.count((transaction, interaction), response.status, perf_counter() - started)
    log_request((transaction, interaction), response.status, started, form.request_id)
    return encode(response, http, form, context)


def _as_seen(context: Context, access: Access) -> Context:
    """Return what a handler may reach for a caller from whom something is withheld."""
    return replace(context, store=Sighted(context.store, Withholding(access)))


async def _recorded(happened: Occurrence, context: Context) -> ResponseMessage:
    """Return the answer once its events are kept; when they cannot be, what is said instead."""
    try:
        await context.recorder.record(happened)
    except FhirError as error:
        return failure(error)
    return happened.response


async def decline(http: Request, error: FhirError, near: Served | None, context: Context, front: Front) -> Response:
    """Answer a request below `[base]` that no interaction is there for: 404, 405.

    That there is none is told only to whom the server answers at all (IUA-06); and where the path belongs to a
    transaction, what was tried with it is recorded (AUD-84).

    Args:
        near: what the path belongs to, with another method; None for a path of nobody's.
    """
    started, form, access, told = perf_counter(), wanted(http), UNRESTRICTED, error
    try:
        access = await context.guard.admit(credentials(http), "", ANYBODY_KNOWN)
        http.scope["turn"].identify(access.principal.client)
    except FhirError as refused:
        access = refused.access if isinstance(refused, RefusedError) else access
        told = refused
    response = failure(told)
    if near and near[0].code and not isinstance(told, ThrottledError):
        request = raw_request(http, form, None, context)
        response = await _recorded(Occurrence(*near, access, request, None, response, context.now()), context)
    front.metrics.count(near, response.status, perf_counter() - started)
    log_request(None, response.status, started, form.request_id)
    return encode(response, http, form, context)


def refuse(http: Request, error: Exception, context: Context, metrics: Metrics) -> Response:
    """Answer a request that goes no further than the edge, whoever sent it."""
    started, form, response = perf_counter(), wanted(http), failure(error)
    metrics.count(None, response.status, perf_counter() - started)
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
