"""A client that costs little: a few connections to 127.0.0.1, a request on each at a time, and nothing remembered."""

from __future__ import annotations

import socket
from collections.abc import Iterable, Sequence
from types import TracebackType

CONNECTIONS = 4
FHIR, ANYTHING = "application/fhir+json", "*/*"
_TIMEOUT_S = 120.0


class Client:
    """Connections to one server that stay open."""

    def __init__(self, port: int, connections: int = CONNECTIONS) -> None:
        self._sockets = [_connected(port) for _ in range(connections)]

    def __enter__(self) -> Client:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        for each in self._sockets:
            each.close()

    def get(self, path: str) -> tuple[int, bytes]:
        """Return status and body of `path`."""
        return self._one(_get(path))

    def post(self, path: str, body: bytes) -> tuple[int, bytes]:
        """Return status and body of the answer to a FHIR `body`."""
        return self._one(_post(path, body))

    def get_all(self, paths: Sequence[str], *, accept: str = FHIR, status: int = 200, token: str = "") -> None:
        """Ask for all `paths`, as many at once as there are connections; with a bearer token when there is one.

        Raises:
            RuntimeError: an answer has not the `status`.
        """
        self._all([_get(path, accept, token) for path in paths], status)

    def post_all(self, path: str, bodies: Iterable[bytes], *, status: int = 200) -> None:
        """Post all `bodies`, as many at once as there are connections."""
        self._all([_post(path, body) for body in bodies], status)

    def send(self, head: bytes, chunks: Iterable[bytes]) -> tuple[int, bytes]:
        """Send a request whose body comes in `chunks`; return status and body of the answer."""
        connection = self._sockets[0]
        connection.sendall(head)
        for chunk in chunks:
            connection.sendall(chunk)
        return _answer(connection)

    def size_of(self, path: str) -> int:
        """Return the size of the body at `path`, of which nothing is kept."""
        connection = self._sockets[0]
        connection.sendall(_get(path, ANYTHING))
        status, length, begun = _head(connection)
        _require(status, 200, begun)
        size = len(begun)
        while size < length:
            size += len(_received(connection))
        return size

    def _one(self, request: bytes) -> tuple[int, bytes]:
        self._sockets[0].sendall(request)
        return _answer(self._sockets[0])

    def _all(self, requests: Sequence[bytes], status: int) -> None:
        for start in range(0, len(requests), len(self._sockets)):
            asked = list(zip(self._sockets, requests[start:], strict=False))
            for connection, request in asked:
                connection.sendall(request)
            for connection, _ in asked:
                came, body = _answer(connection)
                _require(came, status, body)


def _connected(port: int) -> socket.socket:
    connection = socket.create_connection(("127.0.0.1", port), timeout=_TIMEOUT_S)
    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return connection


def _get(path: str, accept: str = FHIR, token: str = "") -> bytes:
    shown = f"Authorization: Bearer {token}\r\n" if token else ""
    return f"GET {path} HTTP/1.1\r\nHost: 127.0.0.1\r\nAccept: {accept}\r\n{shown}\r\n".encode()


def _post(path: str, body: bytes) -> bytes:
    return post_head(path, len(body)) + body


def post_head(path: str, size: int) -> bytes:
    """Return the head of a request with a FHIR body of `size` bytes."""
    head = f"POST {path} HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/fhir+json\r\n"
    return f"{head}Content-Length: {size}\r\n\r\n".encode()


def _answer(connection: socket.socket) -> tuple[int, bytes]:
    status, length, begun = _head(connection)
    parts, size = [begun], len(begun)
    while size < length:
        parts.append(_received(connection))
        size += len(parts[-1])
    return status, b"".join(parts)


def _head(connection: socket.socket) -> tuple[int, int, bytes]:
    """Return status, length of the body, and what came of the body already."""
    received = b""
    while b"\r\n\r\n" not in received:
        received += _received(connection)
    head, _, begun = received.partition(b"\r\n\r\n")
    first, *lines = head.lower().split(b"\r\n")
    length = next((int(line[15:]) for line in lines if line.startswith(b"content-length:")), 0)
    return int(first.split()[1]), length, begun


def _received(connection: socket.socket) -> bytes:
    if not (received := connection.recv(1 << 18)):
        raise ConnectionError("the server closed the connection")
    return received


def _require(status: int, expected: int, body: bytes) -> None:
    if status != expected:
        raise RuntimeError(f"status {status} came, {expected} was expected: {body[:500]!r}")
