"""Events as syslog messages over TLS: RFC 5424 in the frames of RFC 5425, the event itself as JSON.

Syslog acknowledges nothing. A batch counts as sent when the other end has closed its side of the connection too, behind
everything that came: then it has read all of it. What it loses after that, nobody learns of; a repository that speaks
FHIR is the safer one.

Spec: RFC 5424, RFC 5425; ATNA's facility and severity (ITI TF-2:3.20.7).
"""

from __future__ import annotations

import asyncio
import os
import ssl
from collections.abc import Sequence
from contextlib import suppress
from socket import gethostname

from app.audit.forward import Outgoing
from app.fhir.resource import instant

# Facility 10 (security), severity 5 (notice), version 1 of the format.
_PRIORITY = b"<85>1"
_BOM = b"\xef\xbb\xbf"
PORT = 6514


class SyslogFeed:
    """Sends events to a syslog collector."""

    def __init__(self, host: str, port: int, context: ssl.SSLContext, *, timeout_s: float = 30.0) -> None:
        """Send to `host`, whose certificate `context` trusts."""
        self._host, self._port, self._context, self._timeout_s = host, port, context, timeout_s
        self._sender = f"{gethostname()} fhir-server {os.getpid()}".encode("ascii", "replace")

    async def send(self, events: Sequence[Outgoing]) -> Sequence[str]:
        """Return when the other end has read `events`; it refuses none.

        Raises:
            OSError, TimeoutError: it could not be reached, or went away before it had read all.
        """
        async with asyncio.timeout(self._timeout_s):
            reader, writer = await asyncio.open_connection(
                self._host, self._port, ssl=self._context, server_hostname=self._host
            )
            try:
                writer.writelines(frame(each, self._sender) for each in events)
                await writer.drain()
                writer.close()
                await writer.wait_closed()
            except BaseException:
                with suppress(Exception):
                    writer.transport.abort()
                raise
        if reader.exception():
            raise OSError("the collector went away")
        return ()

    async def close(self) -> None:
        """Do nothing: no connection stays open."""


def frame(event: Outgoing, sender: bytes) -> bytes:
    """Return the message of `event` behind its length; its MSGID is the event's id, by which a duplicate is known."""
    head = b" ".join((_PRIORITY, instant(event.recorded).encode(), sender, event.id.encode(), b"-"))
    message = b"%b %b%b" % (head, _BOM, event.json)
    return b"%d %b" % (len(message), message)
