"""How the server ends: asked to, interrupted, killed; and what the next start finds."""

from __future__ import annotations

import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import orjson
import psutil  # type: ignore[import-untyped]
import pytest

from tests.submissions import submission
from tests.system.program import PROJECT, Program, command, environment, is_gone, served, wait_until


@contextmanager
def request_in_flight(program: Program) -> Iterator[tuple[socket.socket, bytes]]:
    """Yield a connection with half a submission sent, and the other half."""
    body = orjson.dumps(submission(b"in flight", subject="Patient/ida"))
    head = f"POST /fhir HTTP/1.1\r\nHost: x\r\nContent-Type: application/fhir+json\r\nContent-Length: {len(body)}\r\n"
    with socket.create_connection(("127.0.0.1", program.port)) as client:
        client.settimeout(60)
        client.sendall(head.encode() + b"Expect: 100-continue\r\n\r\n")
        assert client.recv(1024).startswith(b"HTTP/1.1 100")  # the request has reached its handler
        client.sendall(body[:100])
        yield client, body[100:]


def answer_of(client: socket.socket) -> bytes:
    received = b""
    while piece := client.recv(65_536):
        received += piece
    return received


def is_listening(program: Program) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", program.port)) == 0


@pytest.mark.parametrize(("number", "workers"), [(signal.SIGTERM, "1"), (signal.SIGINT, "2")])
def test_asked_to_end_it_answers_first(folder: Path, number: int, workers: str) -> None:
    """A submission in flight is answered and kept; then mongod and all workers are gone."""
    with served(folder, MHD_WORKERS=workers) as program:
        mongod, others = program.mongod(), program.descendants()
        with request_in_flight(program) as (client, rest):
            program.send(number)
            wait_until(lambda: "Shutting down" in program.log.read_text())
            client.sendall(rest)
            received = answer_of(client)
        status = program.process.wait(60)
        assert is_gone(mongod)
        wait_until(lambda: all(is_gone(one) for one in others))  # Python's own helper of workers ends last
        assert not is_listening(program)
        assert "Traceback" not in program.log.read_text()
        assert program.output.read_text().startswith(f"Ready at {program.url}\n")

    assert received.startswith(b"HTTP/1.1 200")
    assert status == 0
    location = orjson.loads(received.partition(b"\r\n\r\n")[2])["entry"][2]["response"]["location"]
    with served(folder) as program:
        assert httpx.get(f"{program.root}{httpx.URL(location).path}").content == b"in flight"


def test_download_in_flight_is_finished(folder: Path) -> None:
    """Graceful shutdown: a document on its way arrives whole."""
    document = b"0123456789abcdef" * 3_750_000
    with served(folder) as program, httpx.Client(timeout=60) as client:
        sent = submission(document, subject="Patient/ida")
        answer = client.post(program.url, json=sent, headers={"content-type": "application/fhir+json"})
        with client.stream("GET", answer.json()["entry"][2]["response"]["location"]) as arriving:
            pieces = arriving.iter_raw()
            received = [next(pieces)]
            program.send(signal.SIGTERM)
            wait_until(lambda: "Shutting down" in program.log.read_text())
            received += pieces
        assert program.process.wait(60) == 0
    assert b"".join(received) == document


def test_start_that_is_broken_off(folder: Path) -> None:
    """Asked to end before it is ready, it takes its mongod along; the next start is fine."""
    line = command("serve", "--port", "0", "--data", str(folder))
    with subprocess.Popen(
        line, cwd=PROJECT, env=environment(), stdout=subprocess.PIPE, stderr=subprocess.PIPE
    ) as early:
        wait_until(lambda: psutil.Process(early.pid).children() != [])
        children = psutil.Process(early.pid).children()
        early.terminate()
        output, errors = early.communicate(timeout=60)
    assert (early.returncode, output) == (0, b"")
    assert b"Traceback" not in errors
    wait_until(lambda: all(is_gone(one) for one in children))
    with served(folder) as program:
        assert httpx.get(f"{program.url}/Patient/ida").status_code == 200


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux tells a child that its parent died")
@pytest.mark.parametrize("workers", ["1", pytest.param("2", marks=pytest.mark.slow)])
def test_killed_server_takes_mongod_and_workers_with_it(folder: Path, workers: str) -> None:
    """Mongod is stopped also when the parent dies; nobody holds port or data folder."""
    with served(folder, MHD_WORKERS=workers) as program:
        others = program.descendants()
        assert len(others) >= int(workers)
        program.end(signal.SIGKILL)
        wait_until(lambda: all(is_gone(one) for one in others))
        assert not is_listening(program)
    with served(folder) as program:
        assert httpx.get(f"{program.url}/Patient/ida").status_code == 200


def test_stale_lock_is_no_obstacle(folder: Path) -> None:
    """Server and mongod killed at once leave lock files; the next start recovers from them."""
    with served(folder) as program:
        mongod = program.mongod()
        program.send(signal.SIGSTOP)  # it would start another one
        mongod.kill()
        program.end(signal.SIGKILL)
        wait_until(lambda: is_gone(mongod))
    assert (folder / "mongodb" / "mongod.lock").read_text().strip()
    with served(folder) as program:
        assert httpx.get(f"{program.url}/Patient/ida").status_code == 200
        assert program.mongod().pid != mongod.pid
