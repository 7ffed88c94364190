"""The line that says where the server answers, once it really does."""

from __future__ import annotations

import socket
import ssl
import threading
import time
from collections.abc import Callable

from app.rest.pages import tour_of
from app.settings import Settings

READY_WITHIN_S = 120.0
_POLL_S = 0.05

# Asked of the server itself. `Host` is its own business, and a certificate for 127.0.0.1 is nobody's.
_QUESTION = b"GET /health/ready HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"


def announce(settings: Settings) -> None:
    """Print where the server answers as soon as it does; with the example data, also requests to try."""
    lines = [f"Ready at {settings.url}"]
    if settings.example_data:
        lines += [f"\n{title}:\n{command}" for title, command in tour_of(settings.url)]
    host = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(settings.host, settings.host)  # noqa: S104 - compared, not bound
    is_tls = bool(settings.tls_certificate)
    arguments = (lambda: _answers(host, settings.port, is_tls=is_tls), "\n".join(lines))
    threading.Thread(target=_print_when, args=arguments, daemon=True).start()


def _print_when(condition: Callable[[], bool], text: str) -> None:
    end = time.monotonic() + READY_WITHIN_S
    while time.monotonic() < end:
        if condition():
            print(text, flush=True)
            return
        time.sleep(_POLL_S)


def _answers(host: str, port: int, *, is_tls: bool) -> bool:
    """Whether the server is ready; with a certificate of the caller demanded, whether it listens at all."""
    try:
        with socket.create_connection((host, port), timeout=5) as plain:
            return _is_ready(_unverified().wrap_socket(plain) if is_tls else plain)
    except ssl.SSLError:
        return True
    except OSError:
        return False


def _is_ready(connection: socket.socket) -> bool:
    connection.sendall(_QUESTION)
    return b" 200 " in connection.recv(64)


def _unverified() -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    return context
