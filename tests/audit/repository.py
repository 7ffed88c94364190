"""Somebody else's audit record repository: takes ITI-20 batches over HTTP, or syslog over TLS, when it is up."""

from __future__ import annotations

import asyncio
import json
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any


@dataclass(slots=True)
class Repository:
    """What a repository got.

    Attributes:
        events: in the order in which they came, duplicates too.
        tokens: the `Authorization` of each message.
        refuse: ids that are refused for good; is_up: whether it answers at all.
    """

    events: list[dict[str, Any]] = field(default_factory=list)
    tokens: list[str] = field(default_factory=list)
    refuse: set[str] = field(default_factory=set)
    is_up: bool = True
    asked: int = 0
    messages: list[bytes] = field(default_factory=list)
    port: int = 0

    @property
    def ids(self) -> list[str]:
        """The ids of the events, each where it came first."""
        return list(dict.fromkeys(each["id"] for each in self.events))

    @property
    def url(self) -> str:
        """Its FHIR base."""
        return f"http://127.0.0.1:{self.port}/fhir"


@asynccontextmanager
async def repository() -> AsyncIterator[Repository]:
    """Run a repository that speaks FHIR."""
    got = Repository()
    server = await asyncio.start_server(lambda reader, writer: _answer(got, reader, writer), "127.0.0.1", 0)
    got.port = server.sockets[0].getsockname()[1]
    try:
        yield got
    finally:
        server.close()


@asynccontextmanager
async def collector(context: ssl.SSLContext) -> AsyncIterator[Repository]:
    """Run a collector that speaks syslog over TLS."""
    got = Repository()
    server = await asyncio.start_server(
        lambda reader, writer: _collect(got, reader, writer), "127.0.0.1", 0, ssl=context
    )
    got.port = server.sockets[0].getsockname()[1]
    try:
        yield got
    finally:
        server.close()


async def _answer(got: Repository, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    try:
        while head := await reader.readuntil(b"\r\n\r\n"):
            first, *lines = head.decode().split("\r\n")
            headers = {name.lower(): value.strip() for name, _, value in (one.partition(":") for one in lines)}
            body = await reader.readexactly(int(headers.get("content-length", "0")))
            got.asked += 1
            status, answer = _taken(got, first, headers, body)
            text = json.dumps(answer).encode()
            writer.write(
                f"HTTP/1.1 {status} X\r\nContent-Type: application/json\r\nContent-Length: {len(text)}\r\n\r\n".encode()
                + text
            )
            await writer.drain()
    except (asyncio.IncompleteReadError, ConnectionError):
        pass
    finally:
        writer.close()


def _taken(got: Repository, first: str, headers: dict[str, str], body: bytes) -> tuple[int, Any]:
    if first.startswith("POST /token"):
        return 200, {"access_token": "from-the-endpoint", "token_type": "bearer", "expires_in": 300}
    if not got.is_up:
        return 503, {}
    got.tokens.append(headers.get("authorization", ""))
    bundle = json.loads(body)
    answers = []
    for entry in bundle["entry"]:
        assert entry["request"] == {"method": "POST", "url": "AuditEvent"}
        is_refused = entry["resource"]["id"] in got.refuse
        if not is_refused:
            got.events.append(entry["resource"])
        answers.append({"response": {"status": "400 Bad Request" if is_refused else "201 Created"}})
    return 200, {"resourceType": "Bundle", "type": "batch-response", "entry": answers}


async def _collect(got: Repository, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    try:
        while length := await reader.readuntil(b" "):
            message = await reader.readexactly(int(length))
            got.messages.append(message)
            got.events.append(json.loads(message.partition(b"\xef\xbb\xbf")[2]))
    except (asyncio.IncompleteReadError, ConnectionError):
        pass
    finally:
        writer.close()
