"""The started program: `python -m app`, its one line, its refusals and its end."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest

PROJECT = Path(__file__).parent.parent.parent


def environment(**settings: str) -> dict[str, str]:
    return {name: value for name, value in os.environ.items() if not name.startswith("MHD_")} | settings


def command(*arguments: str) -> list[str]:
    return [sys.executable, "-m", "app", *arguments]


def run(*arguments: str, **settings: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        command(*arguments),
        cwd=PROJECT,
        env=environment(**settings),
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


@contextmanager
def served(*arguments: str, **settings: str) -> Iterator[tuple[subprocess.Popen[str], str]]:
    """Start the program on a free port; yield it and its first line."""
    with subprocess.Popen(
        command("serve", "--port", "0", "--no-examples", *arguments),
        cwd=PROJECT,
        env=environment(**settings),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as program:
        try:
            assert program.stdout is not None
            yield program, program.stdout.readline()
        finally:
            program.terminate()
            program.communicate(timeout=60)


@pytest.mark.parametrize("workers", ["1", "2"])
def test_one_line_when_it_answers(mongodb_url: str, database_name: str, workers: str) -> None:
    """Issue 1, names: `Ready at <url>`, on standard output and alone; SIGTERM ends it with status 0."""
    settings = {"MHD_MONGODB_URL": mongodb_url, "MHD_MONGODB_DATABASE": f"{database_name}_serve"}
    with served("--workers", workers, **settings) as (program, line):
        assert line.startswith("Ready at http://127.0.0.1:")
        base_url = line.removeprefix("Ready at ").strip()
        answer = httpx.get(f"{base_url}/metadata")
        assert (answer.status_code, answer.json()["implementation"]["url"]) == (200, base_url)
        program.terminate()
        output, errors = program.communicate(timeout=60)
    assert (output, program.returncode) == ("", 0)
    assert "Traceback" not in errors
    assert mongodb_url not in errors


def test_request_in_flight_is_finished(mongodb_url: str, database_name: str) -> None:
    """Issue 1, the edge: graceful shutdown: a request whose body is still arriving at SIGTERM is answered."""
    body = b"status=current"
    head = b"POST /fhir/DocumentReference/_search HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n" % len(body)
    head += b"Content-Type: application/x-www-form-urlencoded\r\n\r\n"
    settings = {"MHD_MONGODB_URL": mongodb_url, "MHD_MONGODB_DATABASE": f"{database_name}_serve"}
    with served(**settings) as (program, line):
        with socket.create_connection(("127.0.0.1", httpx.URL(line.split()[-1]).port or 0)) as client:
            client.sendall(head + body[:5])
            time.sleep(0.3)
            program.terminate()
            time.sleep(0.3)
            client.sendall(body[5:])
            assert client.recv(65_536).startswith(b"HTTP/1.1 200")
        program.communicate(timeout=60)
    assert program.returncode == 0


def test_workers_end_with_the_program_that_started_them(mongodb_url: str, database_name: str) -> None:
    """Issue 1, MongoDB: after `kill -9` nobody holds the port, so that the server can be started again."""
    settings = {"MHD_MONGODB_URL": mongodb_url, "MHD_MONGODB_DATABASE": f"{database_name}_serve"}
    with served("--workers", "2", **settings) as (program, line):
        program.kill()
        url = line.split()[-1]
        for _ in range(100):
            try:
                httpx.get(f"{url}/metadata", timeout=2)
            except httpx.HTTPError:
                return
            time.sleep(0.1)
    pytest.fail("the workers still answer")


def test_private_mongodb_ends_with_the_server(tmp_path: Path) -> None:
    """Issue 1, MongoDB: no URL, a mongod of our own; its data survive a restart; SIGINT ends both."""
    for _ in range(2):
        with served("--data", str(tmp_path)) as (program, line):
            assert line.startswith("Ready at")
            program.send_signal(signal.SIGINT)
            program.communicate(timeout=60)
        assert program.returncode == 0


def test_taken_port_is_one_sentence(mongodb_url: str) -> None:
    """Issue 1, names: a port that is in use ends the start with a sentence and a status."""
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        port = str(other.getsockname()[1])
        ended = run("serve", "--port", port, MHD_MONGODB_URL=mongodb_url)
    assert (ended.returncode, ended.stdout) == (1, "")
    assert ended.stderr.startswith(f"Cannot listen on 127.0.0.1 port {port}: ")
    assert "MHD_PORT" in ended.stderr
    assert ended.stderr.count("\n") == 1


def test_database_that_is_away_is_one_sentence() -> None:
    """style.md 10: the setting and the remedy."""
    ended = run("serve", "--port", "0", MHD_MONGODB_URL="mongodb://u:hunter2@127.0.0.1:1/?serverSelectionTimeoutMS=100")
    assert (ended.returncode, ended.stdout) == (1, "")
    assert "MHD_MONGODB_URL" in ended.stderr
    assert "hunter2" not in ended.stderr
    assert ended.stderr.count("\n") == 1


@pytest.mark.parametrize(("name", "value"), [("MHD_PORT", "x"), ("MHD_NOTHING", "1")])
def test_wrong_setting_is_one_sentence(name: str, value: str) -> None:
    """Issue 1, names: a wrong setting stops the start with a sentence that names it."""
    ended = run("serve", **{name: value})
    assert (ended.returncode, ended.stdout) == (1, "")
    assert ended.stderr.startswith(name)
    assert ended.stderr.count("\n") == 1


def test_settings_are_listed_with_their_origin() -> None:
    """Issue 1, names: `python -m app settings`."""
    ended = run("settings", "--port", "8090", MHD_WORKERS="3", MHD_MONGODB_URL="mongodb://u:hunter2@db")
    lines = {line.split()[0]: line for line in ended.stdout.splitlines()}
    assert ended.returncode == 0
    assert "8090" in lines["MHD_PORT"]
    assert "the command line" in lines["MHD_PORT"]
    assert "the environment" in lines["MHD_WORKERS"]
    assert "the default" in lines["MHD_HOST"]
    assert "hunter2" not in ended.stdout
