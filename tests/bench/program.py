"""The programs that are measured, each in a process of its own: started, looked at, stopped."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType

import psutil

from tests.bench.ask import Client

PROJECT = Path(__file__).parent.parent.parent
DATABASE = "bench"

_ANSWERS_WITHIN_S = 60.0
_POLL_S = 0.01


@dataclass(frozen=True, slots=True)
class Program:
    """A running server.

    Attributes:
        started_s: wall clock from the start of its process to its first answer.
        started_cpu_s: CPU time of the process up to then.
    """

    process: subprocess.Popen[bytes]
    port: int
    started_s: float
    started_cpu_s: float

    def cpu_s(self) -> float:
        """Return the CPU time that the process has used up to now."""
        return _cpu_s(self.process.pid)

    def memory(self) -> int:
        """Return the resident memory in bytes."""
        return int(psutil.Process(self.process.pid).memory_info().rss)


@contextmanager
def server(
    mongodb_url: str, folder: Path, database: str = DATABASE, more: Mapping[str, str] | None = None
) -> Iterator[Program]:
    """Run this project's server, one worker, on the private database."""
    port = free_port()
    command = [sys.executable, "-m", "app", "serve", "--port", str(port), "--no-examples"]
    settings = {"MHD_MONGODB_URL": mongodb_url, "MHD_MONGODB_DATABASE": database, **(more or {})}
    with _run(command, settings, port, "/fhir/metadata", folder / "server.log") as program:
        yield program


@contextmanager
def bare(mongodb_url: str, base_url: str, folder: Path) -> Iterator[Program]:
    """Run the bare routes over the bare driver, which answer with the bytes of the server at `base_url`."""
    port = free_port()
    command = [sys.executable, "-m", "tests.bench.bare", str(port), mongodb_url, DATABASE, base_url]
    with _run(command, {}, port, "/nothing", folder / "bare.log") as program:
        yield program


@contextmanager
def bare_patients(mongodb_url: str, database: str, base_url: str, folder: Path) -> Iterator[Program]:
    """Run the bare routes of the patient index."""
    port = free_port()
    command = [sys.executable, "-m", "tests.bench.bare_patients", str(port), mongodb_url, database, base_url]
    with _run(command, {}, port, "/nothing", folder / "bare.log") as program:
        yield program


def free_port() -> int:
    """Return a port of the loopback interface that nobody uses."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


class HighestMemory:
    """Notes, while the block runs, the most memory that `program` had."""

    def __init__(self, program: Program) -> None:
        self.bytes = 0
        self._program = program
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._look)

    def __enter__(self) -> HighestMemory:
        self._thread.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._ended.set()
        self._thread.join()

    def _look(self) -> None:
        while not self._ended.wait(0.02):
            self.bytes = max(self.bytes, self._program.memory())


@contextmanager
def _run(command: list[str], settings: dict[str, str], port: int, path: str, log: Path) -> Iterator[Program]:
    environment = {name: value for name, value in os.environ.items() if not name.startswith("MHD_")} | settings
    started = time.monotonic()
    with (
        log.open("wb") as errors,
        subprocess.Popen(command, cwd=PROJECT, env=environment, stdout=subprocess.DEVNULL, stderr=errors) as process,
    ):
        try:
            _await_answer(process, port, path, log)
            yield Program(process, port, time.monotonic() - started, _cpu_s(process.pid))
        finally:
            process.terminate()


def _cpu_s(pid: int) -> float:
    if sys.platform == "linux":  # the clock of another process: see clock_getcpuclockid(3)
        return time.clock_gettime(~pid << 3 | 2)
    used = psutil.Process(pid).cpu_times()
    return float(used.user + used.system)


def _await_answer(process: subprocess.Popen[bytes], port: int, path: str, log: Path) -> None:
    end = time.monotonic() + _ANSWERS_WITHIN_S
    while process.poll() is None and time.monotonic() < end:
        try:
            with Client(port, 1) as client:
                client.get(path)
        except OSError:
            time.sleep(_POLL_S)
        else:
            return
    raise RuntimeError(f"The program did not start: {log.read_text()[-2000:]}")
