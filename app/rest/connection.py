"""One connection to a client, with an end to all waiting: for the head of a request, and for a reader who stopped.

uvicorn waits for ever for both, and keeps whatever arrives until then. Bodies are timed where they are read, in
`app/rest/arrival.py`.

Spec: MHD-SEC-08; RFC 9110 section 15.5.9, RFC 6585 section 5.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any

from uvicorn.config import Config
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol
from uvicorn.server import ServerState

from app.fhir.media_type import JSON
from app.fhir.outcome import Issue, operation_outcome
from app.fhir.resource import to_json
from app.rest.tls import subject_of


@dataclass(frozen=True, slots=True)
class Patience:
    """How much is taken from a client that has not finished its sentence.

    Attributes:
        head_s: seconds for the head of a request; a new connection has as long for its first.
        head_bytes: bytes of a head that is not complete.
        stall_s: seconds in which the reader of an answer must take something.
        connections: that may be open at a time.
    """

    head_s: float = 10
    head_bytes: int = 65_536
    stall_s: float = 60
    connections: int = 4_096


class Connection(HttpToolsProtocol):
    """uvicorn's connection, and its limits."""

    def __init__(
        self,
        config: Config,
        server_state: ServerState,
        app_state: dict[str, Any],
        _loop: asyncio.AbstractEventLoop | None = None,
        *,
        patience: Patience,
    ) -> None:
        super().__init__(config, server_state, app_state, _loop)
        self._patience = patience
        self._in_head = False
        self._head_bytes = 0
        self._head_due: asyncio.TimerHandle | None = None
        self._stalled: asyncio.TimerHandle | None = None
        self._subject = ""

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Begin, unless there are too many connections already."""
        super().connection_made(transport)
        if len(self.connections) > self._patience.connections:
            transport.abort()
            return
        if tls := transport.get_extra_info("ssl_object"):
            self._subject = subject_of(tls.getpeercert())
        self._expect_head()

    def data_received(self, data: bytes) -> None:
        """Read on; a head may grow only so long, and take only so long."""
        was_in_head = self._in_head
        super().data_received(data)
        if not self._in_head or self.transport.is_closing():
            return
        if was_in_head:
            self._head_bytes += len(data)
        if self._head_bytes > self._patience.head_bytes:
            text = f"The head of the request is larger than the {self._patience.head_bytes} bytes that are taken."
            self._refuse(431, "too-long", text)
        elif self._head_due is None:
            self._expect_head()

    def on_message_begin(self) -> None:
        """Enter a head."""
        super().on_message_begin()
        self._in_head, self._head_bytes = True, 0
        if self._subject:
            self.scope["extensions"] = {"tls": {"client_cert_name": self._subject}}

    def on_headers_complete(self) -> None:
        """Leave a head."""
        self._in_head = False
        self._cancel_head()
        super().on_headers_complete()

    def pause_writing(self) -> None:
        """Begin to wait for the reader."""
        super().pause_writing()
        self._stalled = self.loop.call_later(self._patience.stall_s, self.transport.abort)

    def resume_writing(self) -> None:
        """Go on writing: the reader took something."""
        self._cancel_stalled()
        super().resume_writing()

    def connection_lost(self, exc: Exception | None) -> None:
        """End; nothing is waited for any more."""
        self._cancel_head()
        self._cancel_stalled()
        super().connection_lost(exc)

    def send_400_response(self, msg: str) -> None:
        """Refuse what is not HTTP."""
        self._refuse(400, "structure", "This is not a request of HTTP/1.1.")

    def _expect_head(self) -> None:
        self._head_due = self.loop.call_later(self._patience.head_s, self._head_is_late)

    def _head_is_late(self) -> None:
        self._head_due = None
        self._refuse(408, "timeout", f"The head of the request did not arrive within {self._patience.head_s} s.")

    def _cancel_head(self) -> None:
        if self._head_due is not None:
            self._head_due.cancel()
            self._head_due = None

    def _cancel_stalled(self) -> None:
        if self._stalled is not None:
            self._stalled.cancel()
            self._stalled = None

    def _refuse(self, status: int, code: str, text: str) -> None:
        """Answer what never became a request, and hang up; an answer that is on its way already is not disturbed."""
        if self.transport.is_closing():
            return
        if self.cycle is None or self.cycle.response_complete:
            body = to_json(operation_outcome([Issue(code, text)]))
            head = f"HTTP/1.1 {status} {HTTPStatus(status).phrase}\r\nContent-Type: {JSON}; charset=utf-8\r\n"
            self.transport.write(f"{head}Content-Length: {len(body)}\r\nConnection: close\r\n\r\n".encode() + body)
        self.transport.close()
