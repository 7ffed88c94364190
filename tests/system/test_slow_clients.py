"""Clients that keep the server waiting: for a head, for a body, for a reader: MHD-SEC-08."""

from __future__ import annotations

import socket
import time
from collections.abc import Iterator

import httpx
import orjson
import pytest

from tests.submissions import submission
from tests.system.program import PATIENCE_S, Program, served, wait_until

HURRY = {
    "MHD_HEAD_TIMEOUT_S": "1",
    "MHD_BODY_TIMEOUT_S": "1",
    "MHD_BODY_RATE": "1024",
    "MHD_SEND_TIMEOUT_S": "1",
    "MHD_MAX_CONNECTIONS": "20",
    "MHD_MAX_HEADER_BYTES": "8192",
}


@pytest.fixture(scope="module")
def hurried(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Program]:
    """A server with little patience."""
    with served(tmp_path_factory.mktemp("slow"), **HURRY) as program:
        yield program


def connected(program: Program) -> socket.socket:
    client = socket.create_connection(("127.0.0.1", program.port))
    client.settimeout(PATIENCE_S)
    return client


def all_of(client: socket.socket) -> bytes:
    """Return what comes until the server hangs up."""
    received = b""
    try:
        while piece := client.recv(65_536):
            received += piece
    except ConnectionResetError:
        pass
    return received


def is_alive(client: socket.socket) -> bool:
    """Ask, and read the whole answer: head and body may come apart."""
    client.sendall(b"GET /health/live HTTP/1.1\r\nHost: x\r\n\r\n")
    received = b""
    while not received.endswith(b'{"status":"up"}') and (piece := client.recv(65_536)):
        received += piece
    return received.startswith(b"HTTP/1.1 200")


def refusal(answer: bytes) -> tuple[int, str]:
    head, _, body = answer.partition(b"\r\n\r\n")
    return int(head.split()[1]), orjson.loads(body)["issue"][0]["code"]


@pytest.mark.parametrize(
    ("sent", "expected"),
    [
        (b"", (408, "timeout")),
        (b"GET /fhir/metadata HTTP/1.1\r\nHost: x\r\nX-Slow: ", (408, "timeout")),
        (b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03", (400, "structure")),
        (b"GET /fhir/metadata HTTP/9.9\r\n\r\n", (400, "structure")),
    ],
)
def test_head_that_does_not_arrive(hurried: Program, sent: bytes, expected: tuple[int, str]) -> None:
    """MHD-SEC-08: it is told, as an outcome, and hung up on; the next client is answered."""
    with connected(hurried) as client:
        client.sendall(sent)
        assert refusal(all_of(client)) == expected
    assert httpx.get(f"{hurried.url}/Patient/ida").status_code == 200


def test_head_without_end(hurried: Program) -> None:
    """MHD-SEC-08: what is no request yet is not kept without limit."""
    with connected(hurried) as client:
        client.sendall(b"GET /fhir/metadata HTTP/1.1\r\nX-Long: ")
        received = b""
        try:
            while not received:
                client.sendall(b"y" * 4_096)
                client.setblocking(False)
                try:
                    received = client.recv(65_536)
                except BlockingIOError:
                    time.sleep(0.01)
                client.setblocking(True)
        except (BrokenPipeError, ConnectionResetError):
            return
        received += all_of(client)
    assert refusal(received) == (431, "too-long")


def test_second_request_of_a_connection_may_be_late(hurried: Program) -> None:
    """An idle connection is kept; a head that has begun must end."""
    with connected(hurried) as client:
        assert is_alive(client)
        time.sleep(1.5)
        assert is_alive(client)
        client.sendall(b"GET /health/live HTTP/1.1\r\nHost")
        assert refusal(all_of(client)) == (408, "timeout")


def head_of(body: bytes) -> bytes:
    head = (
        f"POST /fhir HTTP/1.1\r\nHost: x\r\nContent-Type: application/fhir+json\r\nContent-Length: {len(body)}\r\n\r\n"
    )
    return head.encode()


def test_body_that_does_not_arrive(hurried: Program) -> None:
    """MHD-SEC-08: 408 with an outcome."""
    body = orjson.dumps(submission(b"never", subject="Patient/ida"))
    with connected(hurried) as client:
        client.sendall(head_of(body) + body[:50])
        assert refusal(all_of(client)) == (408, "timeout")


def test_body_that_arrives_slowly_but_steadily(hurried: Program) -> None:
    """MHD-SEC-08, MHD-65-55: a document on a slow line takes longer than may be lost, and is published."""
    body = orjson.dumps(submission(b"steady" * 5_000, subject="Patient/ida"))
    with connected(hurried) as client:
        client.sendall(head_of(body))
        for start in range(0, len(body), 4_096):
            time.sleep(0.25)
            client.sendall(body[start : start + 4_096])
        assert client.recv(65_536).startswith(b"HTTP/1.1 200")


def in_flight(program: Program) -> int:
    lines = httpx.get(f"{program.root}/health/metrics").text.splitlines()
    return int(next(line.rpartition(" ")[2] for line in lines if line.startswith("mhd_requests_in_flight")))


def test_reader_who_stops(hurried: Program) -> None:
    """MHD-SEC-08: an answer that nobody takes is broken off, and its place is free again."""
    sent = submission(b"0123456789abcdef" * 3_000_000, subject="Patient/ida")
    answer = httpx.post(
        hurried.url, content=orjson.dumps(sent), headers={"content-type": "application/fhir+json"}, timeout=60
    )
    path = httpx.URL(answer.json()["entry"][2]["response"]["location"]).path
    with connected(hurried) as client:
        client.sendall(f"GET {path} HTTP/1.1\r\nHost: x\r\n\r\n".encode())
        client.recv(1024)
        assert in_flight(hurried) == 2
        wait_until(lambda: in_flight(hurried) == 1)
        assert len(all_of(client)) < 48_000_000


def test_too_many_connections(hurried: Program) -> None:
    """The one too many is closed at once; when others end there is room again."""
    clients = [connected(hurried) for _ in range(25)]
    closed = 0
    for client in clients:
        client.settimeout(0.2)
        try:
            closed += client.recv(1) == b""
        except TimeoutError:
            pass
        except ConnectionResetError:
            closed += 1
        client.settimeout(PATIENCE_S)
    assert closed >= 5
    for client in clients:
        client.close()
    wait_until(lambda: is_live(hurried))


def is_live(program: Program) -> bool:
    try:
        return httpx.get(f"{program.root}/health/live").status_code == 200
    except httpx.HTTPError:
        return False
