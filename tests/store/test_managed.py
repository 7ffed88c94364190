"""The private mongod: data survive, it ends with the server, stale locks are handled."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import quote

import psutil  # type: ignore[import-untyped]
import pytest
from pymongo import MongoClient, WriteConcern

from app.store.managed import MongodUnavailableError, find_mongod, managed_mongodb, private_mongodb

# A server that never comes to an end by itself: says the URL, then waits.
SERVER = """
import sys, signal
from pathlib import Path
from app.store.managed import private_mongodb
with private_mongodb(Path(sys.argv[1])) as url:
    print(url, flush=True)
    signal.pause()
"""


@contextmanager
def client(url: str) -> Iterator[MongoClient[dict[str, Any]]]:
    with MongoClient[dict[str, Any]](url, serverSelectionTimeoutMS=2_000) as connected:
        yield connected


def mongod_of(folder: Path) -> psutil.Process:
    return psutil.Process(int((folder / "mongodb" / "mongod.lock").read_text()))


@contextmanager
def server_process(folder: Path) -> Iterator[tuple[subprocess.Popen[str], str]]:
    project = Path(__file__).parents[2]
    with subprocess.Popen(
        [sys.executable, "-c", SERVER, str(folder)], stdout=subprocess.PIPE, text=True, cwd=project
    ) as process:
        assert process.stdout
        try:
            yield process, process.stdout.readline().strip()
        finally:
            process.kill()


def test_private_mongod_offers_transactions(tmp_path: Path) -> None:
    """Architecture 15: the private mongod is a replica set of one node, which transactions need."""
    with private_mongodb(tmp_path) as url, client(url) as mongodb, mongodb.start_session() as session:
        with session.start_transaction():
            mongodb.test.record.insert_one({"_id": 1}, session=session)
        assert mongodb.test.record.count_documents({}) == 1


async def test_managed_mongod_serves_an_asynchronous_program(tmp_path: Path) -> None:
    """Architecture 15: the server starts its private mongod itself, and stops it."""
    async with managed_mongodb(tmp_path) as url:
        with client(url) as mongodb:
            assert mongodb.admin.command("hello")["isWritablePrimary"]
        process = mongod_of(tmp_path)
    assert not process.is_running()


def test_data_survive_a_restart(tmp_path: Path) -> None:
    """Data of the private mongod survive a restart."""
    for count in (1, 2):
        with private_mongodb(tmp_path) as url, client(url) as mongodb:
            mongodb.test.record.insert_one({})
            assert mongodb.test.record.count_documents({}) == count


def test_data_survive_a_move_of_the_folder(tmp_path: Path) -> None:
    """The data folder may be moved, also to a path that is too long for a socket."""
    with private_mongodb(tmp_path / "first") as url, client(url) as mongodb:
        mongodb.test.record.insert_one({})
    moved = shutil.move(tmp_path / "first", tmp_path / ("long" * 30))
    with private_mongodb(Path(moved)) as url, client(url) as mongodb:
        assert mongodb.test.record.count_documents({}) == 1


def test_only_the_owner_reaches_it(tmp_path: Path) -> None:
    """Architecture 15: no port is open, and the socket and the data are the owner's alone."""
    with private_mongodb(tmp_path):
        listening = [at for at in mongod_of(tmp_path).net_connections("inet") if at.status == psutil.CONN_LISTEN]
        assert listening == []
        assert (tmp_path / "mongod.sock").stat().st_mode & 0o077 == 0
        assert (tmp_path / "mongodb").stat().st_mode & 0o077 == 0


def test_acknowledged_writes_survive_kill_and_stale_lock(tmp_path: Path) -> None:
    """Architecture 14: after kill -9 and with the lock file still there, every acknowledged write is present."""
    with private_mongodb(tmp_path) as url, client(url) as mongodb:
        records = mongodb.test.get_collection("record", write_concern=WriteConcern("majority", j=True))
        for number in range(50):
            records.insert_one({"_id": number})
        mongod_of(tmp_path).kill()
    assert (tmp_path / "mongodb" / "mongod.lock").read_text().strip()
    with private_mongodb(tmp_path) as url, client(url) as mongodb:
        assert mongodb.test.record.count_documents({}) == 50


def test_lock_that_names_a_stranger_is_stale(tmp_path: Path) -> None:
    """A process that merely got the number of the old mongod is left alone."""
    (tmp_path / "mongodb").mkdir()
    (tmp_path / "mongodb" / "mongod.lock").write_text(f"{os.getpid()}\n")
    with private_mongodb(tmp_path) as url, client(url) as mongodb:
        assert mongodb.admin.command("ping")


def test_folder_in_use_is_explained(tmp_path: Path) -> None:
    """A second server on the same data folder is told who uses it and what to do."""
    with (
        private_mongodb(tmp_path),
        pytest.raises(MongodUnavailableError, match=rf"in use by another server \(process {os.getpid()}\)"),
        private_mongodb(tmp_path),
    ):
        pass


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux tells a child that its parent died")
def test_mongod_ends_when_its_parent_is_killed(tmp_path: Path) -> None:
    """The private mongod stops when the parent dies."""
    with server_process(tmp_path) as (process, url):
        assert url
        mongod = mongod_of(tmp_path)
        process.kill()
        mongod.wait(30)
    with private_mongodb(tmp_path) as url, client(url) as mongodb:
        assert mongodb.admin.command("ping")


def test_orphan_is_stopped_at_the_next_start(tmp_path: Path) -> None:
    """A mongod that outlived its server (as on macOS) makes room for the next one."""
    with private_mongodb(tmp_path) as url, client(url) as mongodb:
        mongodb.test.record.insert_one({"_id": 1})
    arguments = [f"--dbpath={tmp_path / 'mongodb'}", f"--bind_ip={tmp_path / 'other.sock'}", "--replSet=private"]
    with subprocess.Popen([find_mongod(), *arguments, f"--logpath={tmp_path / 'other.log'}"]) as orphan:
        with client(f"mongodb://{quote(str(tmp_path / 'other.sock'), safe='')}/?directConnection=true") as mongodb:
            assert mongodb.admin.command("ping")
        with private_mongodb(tmp_path) as url, client(url) as mongodb:
            assert orphan.wait(1) == 0
            assert mongodb.test.record.count_documents({}) == 1


def test_interrupt_reaches_the_server_only(tmp_path: Path) -> None:
    """Ctrl-C is for the server, which still needs its database while it ends."""
    with server_process(tmp_path) as (process, _):
        mongod = mongod_of(tmp_path)
        assert os.getpgid(mongod.pid) != os.getpgid(process.pid)
        process.send_signal(signal.SIGINT)
        process.wait(30)
        assert not mongod.is_running()


def test_failure_to_start_says_why(tmp_path: Path) -> None:
    """A mongod that cannot start is explained with its own words and the place of its log."""
    (tmp_path / "mongodb" / "storage.bson").mkdir(parents=True)
    with (
        pytest.raises(MongodUnavailableError, match=r"did not start: .+ Its log is .+mongod\.log"),
        private_mongodb(tmp_path),
    ):
        pass


def test_no_program_names_the_ways_out(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without a mongod the operator is told the three ways to one."""
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(MongodUnavailableError, match=r"MHD_MONGODB_URL.*PATH.*embedded"):
        find_mongod(wheels=())
