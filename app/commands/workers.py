"""Runs the HTTP server: in this very process, or in several that it starts and looks after."""

from __future__ import annotations

import os
import socket
from functools import partial

import uvicorn
from pydantic import SecretStr
from uvicorn.supervisors import Multiprocess

from app.rest.connection import Connection, Patience
from app.rest.tls import Tls, server_context
from app.settings import PREFIX, Settings


def run(settings: Settings, listening: socket.socket) -> int:
    """Serve until told to stop; return the exit status."""
    for name in [name for name in os.environ if name.upper().startswith(PREFIX)]:
        del os.environ[name]
    os.environ |= environment(settings)
    config = configuration(settings)
    if settings.workers > 1:
        Multiprocess(config, sockets=[listening]).run()
        return 0
    server = uvicorn.Server(config)
    server.run(sockets=[listening])
    return 0 if server.started else 3


def configuration(settings: Settings) -> uvicorn.Config:
    """Return how uvicorn runs: whom to believe, and what to log, is decided by ourselves."""
    patience = Patience(
        head_s=settings.head_timeout_s,
        head_bytes=settings.max_header_bytes,
        stall_s=settings.send_timeout_s,
        connections=settings.max_connections,
    )
    return uvicorn.Config(
        "app.main:from_environment",
        factory=True,
        workers=settings.workers,
        http=partial(Connection, patience=patience),  # type: ignore[arg-type]
        ws="none",
        log_config=None,
        access_log=False,
        server_header=False,
        proxy_headers=False,
        timeout_keep_alive=settings.keep_alive_s,
        timeout_graceful_shutdown=settings.shutdown_grace_s,
        ssl_context_factory=partial(server_context, tls) if (tls := tls_of(settings)) else None,
    )


def tls_of(settings: Settings) -> Tls | None:
    """Return what TLS is made of; None when it is not spoken here."""
    if settings.tls_certificate is None:
        return None
    return Tls(
        settings.tls_certificate,
        settings.tls_key,
        settings.tls_key_password.get_secret_value(),
        settings.tls_client_ca,
        settings.tls_client_certificate == "required",
    )


def environment(settings: Settings) -> dict[str, str]:
    """Return the settings as workers read them; what came from a file of its own comes from the environment now."""
    values = {name: getattr(settings, name) for name in Settings.model_fields}
    return {f"{PREFIX}{name.upper()}": _text(value) for name, value in values.items()}


def _text(value: object) -> str:
    if isinstance(value, SecretStr):
        return value.get_secret_value()
    if value is None:
        return ""
    return ",".join(map(str, value)) if isinstance(value, tuple) else str(value)
