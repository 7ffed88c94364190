"""Is the server up, and does its store answer: for load balancers and container platforms."""

from __future__ import annotations

from fastapi import FastAPI
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from app.fhir.outcome import FhirError
from app.rest.caller import credentials
from app.rest.exchange import refuse
from app.rest.metrics import CONTENT_TYPE
from app.rest.proxies import address_of, is_loopback
from app.security.scope import ADMIN
from app.transaction import Context

# A proxy on this very machine that nobody declared would make everybody local.
_FORWARDED = ("forwarded", "x-forwarded-for")


def add_health(app: FastAPI) -> None:
    """Serve `/health/live`, `/health/ready` and `/health/metrics`."""
    app.router.routes += [
        Route("/health/live", live, name="live"),
        Route("/health/ready", ready, name="ready"),
        Route("/health/metrics", metrics, name="metrics"),
    ]


async def live(http: Request) -> JSONResponse:
    """Return 200 as long as the process answers at all."""
    return JSONResponse({"status": "up"})


async def ready(http: Request) -> JSONResponse:
    """Return 200 when requests can be answered, 503 while the store cannot be reached."""
    context: Context = http.app.state.context
    try:
        await context.store.ping()
    except Exception:  # noqa: BLE001 - whatever the reason, requests would fail
        return JSONResponse({"status": "down", "store": "does not answer"}, status_code=503)
    return JSONResponse({"status": "up"})


async def metrics(http: Request) -> Response:
    """Return the numbers of this worker: to somebody on this machine, or with the scope `admin`."""
    context: Context = http.app.state.context
    numbers = http.app.state.front.metrics
    try:
        if not _is_local(http):
            await _require_admin(http, context)
    except FhirError as error:
        return refuse(http, error, context, numbers)
    return Response(numbers.text(), media_type=CONTENT_TYPE)


def _is_local(http: Request) -> bool:
    is_direct = "proxy" in http.scope or not any(name in http.headers for name in _FORWARDED)
    return is_direct and is_loopback(address_of(http.scope))


async def _require_admin(http: Request, context: Context) -> None:
    if context.guard.mode in ("off", "external"):
        raise FhirError("forbidden", "The numbers are told to this machine only, as long as nobody shows a token.")
    await context.guard.admit(credentials(http), "", ADMIN)
