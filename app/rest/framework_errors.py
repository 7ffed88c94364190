"""What FastAPI raises by itself - 404 and 405 outside `[base]`, a bug that escaped - as OperationOutcome."""

from __future__ import annotations

from fastapi import FastAPI
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response

from app.fhir.outcome import FhirError
from app.rest.exchange import refuse


def add_framework_errors(app: FastAPI) -> None:
    """Let every error that is raised outside of an exchange answer in FHIR's words.

    A slash at the end of a page's path is one of them: the redirect that FastAPI answers with goes where `Host` says.
    """
    app.router.redirect_slashes = False
    app.add_exception_handler(HTTPException, _http_error)
    app.add_exception_handler(Exception, _escaped)


async def _http_error(http: Request, error: Exception) -> Response:
    context = http.app.state.context
    status = error.status_code if isinstance(error, HTTPException) else 500
    if status == 404:
        told = FhirError("not-found", f"Nothing is offered at this path. The FHIR base is `{context.base_url}`.")
    else:
        told = FhirError("not-supported", f"`{http.method[:16]}` is not offered at this path.", status=status)
    told.headers.update(getattr(error, "headers", None) or {})
    return refuse(http, told, context, http.app.state.front.metrics)


async def _escaped(http: Request, error: Exception) -> Response:
    return refuse(http, error, http.app.state.context, http.app.state.front.metrics)
