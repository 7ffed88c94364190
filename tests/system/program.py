"""The started program as the system tests see it: a process, its one line, its log, its private mongod."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import quote

import psutil  # type: ignore[import-untyped]
from pymongo import MongoClient

PROJECT = Path(__file__).parent.parent.parent

# How long a busy machine may take; nothing is measured with it.
PATIENCE_S = 120.0

_READY = re.compile(r"^Ready at (\S+)$", re.MULTILINE)


@dataclass(frozen=True, slots=True)
class Program:
    """A server that answers.

    Attributes:
        url: its `[base]`.
        output, log: files with what it wrote to standard output and to standard error.
    """

    process: subprocess.Popen[bytes]
    url: str
    output: Path
    log: Path

    @property
    def root(self) -> str:
        """The URL of the server's own pages, without a slash at the end."""
        return self.url.removesuffix("/fhir")

    @property
    def port(self) -> int:
        """Where it listens."""
        return int(self.root.rpartition(":")[2])

    def descendants(self) -> list[psutil.Process]:
        """Return the processes that it started: workers, mongod."""
        return list(psutil.Process(self.process.pid).children(recursive=True))

    def mongod(self) -> psutil.Process:
        """Return its private mongod."""
        return next(one for one in self.descendants() if one.name() == "mongod")

    def send(self, number: int) -> None:
        """Send it a signal; an interrupt goes to all of its process group, as from the keyboard."""
        if number == signal.SIGINT:
            os.killpg(self.process.pid, number)
        else:
            self.process.send_signal(number)

    def end(self, number: int = signal.SIGTERM) -> int:
        """Send it a signal; return its exit status."""
        self.send(number)
        return self.process.wait(PATIENCE_S)


def environment(**settings: str) -> dict[str, str]:
    """Return the environment of the tests with no other settings than `settings`."""
    return {name: value for name, value in os.environ.items() if not name.startswith("MHD_")} | settings


def command(*arguments: str) -> list[str]:
    """Return the command line of the program."""
    return [sys.executable, "-m", "app", *arguments]


def run(*arguments: str, **settings: str) -> subprocess.CompletedProcess[str]:
    """Run the program to its end."""
    return subprocess.run(
        command(*arguments),
        cwd=PROJECT,
        env=environment(**settings),
        capture_output=True,
        text=True,
        timeout=PATIENCE_S,
        check=False,
    )


@contextmanager
def served(folder: Path, *arguments: str, **settings: str) -> Iterator[Program]:
    """Start the program on a free port with its data in `folder`; yield it when it answers, stop it at the end."""
    output, log = folder / "output", folder / "log"
    folder.mkdir(exist_ok=True)
    line = command("serve", "--port", "0", "--data", str(folder), *arguments)
    with output.open("wb") as told, log.open("wb") as logged:
        process = subprocess.Popen(  # with a process group of its own, as a shell makes for a command
            line, cwd=PROJECT, env=environment(**settings), stdout=told, stderr=logged, process_group=0
        )
    try:
        wait_until(lambda: _READY.search(output.read_text()) is not None or process.poll() is not None)
        ready = _READY.search(output.read_text())
        assert ready, log.read_text()
        yield Program(process, ready[1], output, log)
    finally:
        process.terminate()
        try:
            process.wait(PATIENCE_S)
        finally:
            process.kill()
            process.wait()


def wait_until(condition: Callable[[], bool]) -> None:
    """Return when `condition` is true; fail when it does not come true on the slowest machine."""
    end = time.monotonic() + PATIENCE_S
    while not condition():
        assert time.monotonic() < end, "waited in vain"
        time.sleep(0.02)


def is_gone(process: psutil.Process) -> bool:
    """Tell whether a process has ended, also when nobody has asked for its status yet."""
    try:
        return not process.is_running() or bool(process.status() == psutil.STATUS_ZOMBIE)
    except psutil.NoSuchProcess:
        return True


@contextmanager
def database_of(folder: Path) -> Iterator[Any]:
    """Yield the database of the server that runs with its data in `folder`."""
    socket = quote(str(folder / "mongod.sock"), safe="")
    with MongoClient[dict[str, Any]](f"mongodb://{socket}/?directConnection=true", tz_aware=True) as client:
        yield client["mhd"]


def records(database: Any) -> dict[str, int]:
    """Count the records of every collection; those of the audit grow with every request, whatever it does."""
    names = sorted(name for name in database.list_collection_names() if "audit" not in name.lower())
    return {name: database[name].count_documents({}) for name in names}
