"""What the system tests share: a folder for a server's data, a server that runs, and the real curl."""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import orjson
import pytest

from tests.system.program import PATIENCE_S, Program, served


@pytest.fixture
def folder() -> Iterator[Path]:
    """A folder for the data of one server, with a path short enough for a socket."""
    with tempfile.TemporaryDirectory(prefix="mhd-system-") as name:
        yield Path(name).resolve()


@pytest.fixture(scope="session")
def shared_folder() -> Iterator[Path]:
    """The data folder of `server`."""
    with tempfile.TemporaryDirectory(prefix="mhd-system-") as name:
        yield Path(name).resolve()


@pytest.fixture(scope="session")
def server(shared_folder: Path) -> Iterator[Program]:
    """A server with the example data; tests that only publish and ask share it."""
    with served(shared_folder) as program:
        yield program


@dataclass(frozen=True, slots=True)
class Answer:
    """What curl received.

    Attributes:
        headers: by name in lower case.
    """

    status: int
    headers: dict[str, str]
    body: bytes

    def json(self) -> Any:
        """Return the body, parsed."""
        return orjson.loads(self.body)


class Curl:
    """The curl program, in a folder of its own."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def __call__(self, url: str, *options: str, stdin: bytes = b"") -> Answer:
        """Ask for `url`; options are curl's."""
        line = ["curl", "-sS", "--max-time", str(PATIENCE_S), "-D", "headers", "-o", "body", *options, url]
        (self.folder / "body").unlink(missing_ok=True)
        done = subprocess.run(line, cwd=self.folder, input=stdin, capture_output=True, check=False)
        assert done.returncode == 0, done.stderr
        return self._answer()

    def post(self, url: str, body: bytes, content_type: str, *options: str) -> Answer:
        """Post `body`, as it is, from a file."""
        (self.folder / "request").write_bytes(body)
        return self(url, "--data-binary", "@request", "-H", f"Content-Type: {content_type}", *options)

    def _answer(self) -> Answer:
        *_, last = (self.folder / "headers").read_text().strip().split("\n\n")  # the one before may be 100 Continue
        status, *lines = last.splitlines()
        headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)}
        body = self.folder / "body"
        return Answer(int(status.split()[1]), headers, body.read_bytes() if body.exists() else b"")


@pytest.fixture
def curl(tmp_path: Path) -> Curl:
    """The real curl program."""
    if shutil.which("curl", path=os.environ.get("PATH")) is None:
        pytest.skip("there is no curl on this machine")
    return Curl(tmp_path)
