"""The line that says where the server answers, once it really does."""

from __future__ import annotations

import socket
import ssl
import threading
import time
from collections.abc import Callable

from app.commands.who_may import who_may, with_token
from app.rest.pages import tour_of
from app.settings import Settings

READY_WITHIN_S = 120.0
_POLL_S = 0.05

Wrap = Callable[[socket.socket], socket.socket]

# Asked of the server itself. `Host` is its own business, and a certificate for 127.0.0.1 is nobody's.
_QUESTION = b"GET /health/ready HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"


def announce(settings: Settings) -> None:
    """Print where the server answers as soon as it does; with the example data, also requests to try."""
    lines = [f"Ready at {settings.url}"]
    if settings.example_data:
        lines += [f"\n{title}:\n{with_token(command, settings)}" for title, command in tour_of(settings.url)]
        lines.append(who_may(settings))
    host = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(settings.host, settings.host)  # noqa: S104 - compared, not bound
    wrap = _wrapping(settings)
    arguments = (lambda: _answers(host, settings.port, wrap), "\n".join(lines))
    threading.Thread(target=_print_when, args=arguments, daemon=True).start()


def _print_when(condition: Callable[[], bool], text: str) -> None:
    end = time.monotonic() + READY_WITHIN_S
    while time.monotonic() < end:
        if condition():
            print(text, flush=True)
            return
        time.sleep(_POLL_S)


def _answers(host: str, port: int, wrap: Wrap | None) -> bool:
    """Whether the server is ready; where it asks for a certificate that we have not, whether it takes connections."""
    try:
        with socket.create_connection((host, port), timeout=5) as plain:
            return wrap is None or _is_ready(wrap(plain))
    except OSError:
        return False


def _is_ready(connection: socket.socket) -> bool:
    connection.sendall(_QUESTION)
    return b" 200 " in connection.recv(64)


def _wrapping(settings: Settings) -> Wrap | None:
    """Return what makes a connection that can be asked; None when there is no such thing."""
    if settings.tls_certificate is None:
        return lambda plain: plain
    if settings.tls_client_ca and settings.tls_client_certificate == "required":
        return None
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    return context.wrap_socket
