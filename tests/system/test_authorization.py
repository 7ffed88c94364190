"""The commands of README, section Authorization, in their order, against the started program."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import httpx
import orjson
import pytest

from tests.system.program import PATIENCE_S, PROJECT, Program, served

SECTION = (PROJECT / "README.md").read_text().partition("\n## Authorization\n")[2].partition("\n## ")[0]
COMMANDS = re.findall(r"```sh\n(.*?)\n```", SECTION, re.DOTALL)


@pytest.fixture(scope="module")
def protected(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Program]:
    """The program with its own authorization server, two workers, and the example data."""
    with served(tmp_path_factory.mktemp("protected"), "--workers", "2", MHD_AUTHORITY="on") as program:
        yield program


def shell(command: str, program: Program, folder: Path) -> bytes:
    """Return what `command` prints, as if it were run beside the program's checkout."""
    command = re.sub(r"(?<!/)\.venv/bin/python", sys.executable, command.replace("http://127.0.0.1:8080", program.root))
    environment = {name: value for name, value in os.environ.items() if not name.startswith("MHD_")}
    done = subprocess.run(
        ["/bin/sh", "-c", command],
        cwd=folder,
        env=environment | {"PYTHONPATH": str(PROJECT)},
        capture_output=True,
        timeout=PATIENCE_S,
        check=False,
    )
    assert done.returncode == 0, (command, done.stderr.decode())
    return done.stdout


def test_commands_of_the_readme(protected: Program, tmp_path: Path) -> None:
    """IUA-02, EHDS-12: what README says gets a token, and the token opens the server."""
    start, register, ask = COMMANDS
    assert start == "MHD_AUTHORITY=on make run"
    found = f"{protected.root}/fhir/DocumentReference?patient=ida&status=current"
    assert httpx.get(found).status_code == 401

    told = shell(f"{register} --port {protected.port} --data '{protected.output.parent}'", protected, tmp_path).decode()
    token = told.partition("A token:\n")[2]
    assert orjson.loads(shell(token, protected, tmp_path))["scope"] == "ITI-67 ITI-68"
    assert orjson.loads(shell(ask, protected, tmp_path))["total"] >= 4


def test_what_is_printed_works(protected: Program, tmp_path: Path) -> None:
    """IUA-02: the program tells how a token is got, and the command that it prints registers a client."""
    lines = protected.output.read_text().splitlines()
    command = next(line for line in lines if "clients register my-app" in line)

    told = shell(command.replace("my-app", "other-app"), protected, tmp_path).decode()
    token = orjson.loads(shell(told.partition("A token:\n")[2], protected, tmp_path))["access_token"]
    tour = [line for line in lines if line.startswith("curl ")]
    assert len(tour) == 5
    found, documents, letter, published, refused = (
        shell(f"TOKEN={token}; {line}", protected, tmp_path) for line in tour
    )
    assert orjson.loads(found)["total"] == 2
    assert orjson.loads(documents)["total"] >= 4
    assert b"letter.pdf" in letter
    assert orjson.loads(published)["type"] == "transaction-response"
    assert orjson.loads(refused)["issue"][0]["code"] != "login"


def test_open_server_says_so(server: Program) -> None:
    """EHDS-23: who runs without authorization is told, and how it is switched on."""
    printed = server.output.read_text()
    assert "authorization is off" in printed
    assert "MHD_AUTHORITY=on" in printed
