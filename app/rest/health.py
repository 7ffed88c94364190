"""Is the server up, and does its store answer: for load balancers and container platforms."""

from __future__ import annotations

from fastapi import FastAPI
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import Route

from app.transaction import Context


def add_health(app: FastAPI) -> None:
    """Serve `/health/live` and `/health/ready`."""
    app.router.routes += [Route("/health/live", live, name="live"), Route("/health/ready", ready, name="ready")]


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
