"""The audit in the real program: repositories and stores that go away, servers that are killed, and nothing lost.

`OUTAGE_S=600` makes the outage of the repository as long as the specification of the test has it: ten minutes.
"""

from __future__ import annotations

import asyncio
import itertools
import os
import threading
import time
from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest

from app.store.managed import private_mongodb
from tests.audit.repository import Repository, repository
from tests.system.program import PATIENCE_S, Program, run, served, wait_until

OUTAGE_S = float(os.environ.get("OUTAGE_S", "6"))
CLIENTS = 4
FIND = "ge2000"
QUICK = "serverSelectionTimeoutMS=400&connectTimeoutMS=400"


@contextmanager
def repository_beside() -> Iterator[Repository]:
    """Run a repository in a thread of its own."""
    started, found = threading.Event(), list[Repository]()
    loop = asyncio.new_event_loop()
    ended = asyncio.Event()

    async def running() -> None:
        async with repository() as got:
            found.append(got)
            started.set()
            await ended.wait()

    thread = threading.Thread(target=loop.run_until_complete, args=(running(),))
    thread.start()
    started.wait(PATIENCE_S)
    try:
        yield found[0]
    finally:
        loop.call_soon_threadsafe(ended.set)
        thread.join(PATIENCE_S)


class Load:
    """Clients that ask without end; they remember which requests were answered."""

    def __init__(self) -> None:
        self.answered: list[str] = []
        self.url = ""
        self._numbers = itertools.count()
        self._is_over = threading.Event()
        self._threads = [threading.Thread(target=self._ask) for _ in range(CLIENTS)]

    def __enter__(self) -> Load:
        for each in self._threads:
            each.start()
        return self

    def __exit__(self, *exception: object) -> None:
        self._is_over.set()
        for each in self._threads:
            each.join(PATIENCE_S)

    def _ask(self) -> None:
        with httpx.Client(timeout=10) as client:
            while not self._is_over.is_set():
                name = f"load-{next(self._numbers)}"
                try:
                    path = f"{self.url}/DocumentReference?patient=Patient/p1&status=current"
                    answer = client.get(path, headers={"X-Request-Id": name})
                except (httpx.HTTPError, httpx.InvalidURL):
                    time.sleep(0.1)
                    continue
                if answer.status_code == 200:
                    self.answered.append(name)
                time.sleep(0.01)


def request_ids(events: list[dict[str, Any]]) -> set[str]:
    """The requests that `events` tell of."""
    entities = (entity for event in events for entity in event.get("entity", ()))
    return {one["what"]["identifier"]["value"] for one in entities if one.get("type", {}).get("code") == "XrequestId"}


def require_order(ids: list[str]) -> None:
    """Of each chain the events have come in order and without a gap; an id tells its place in its chain."""
    places: defaultdict[str, list[int]] = defaultdict(list)
    for each in ids:
        places[each[20:]].append(int(each[12:20], 16))
    for found in places.values():
        assert found == list(range(1, len(found) + 1))


@pytest.mark.slow
def test_repository_is_down_under_load_and_the_server_killed_twice(folder: Path) -> None:
    """AUD-15, MHD-AU-60, MHD-AU-61: afterwards it has every event, in order, none lost, duplicates marked by id."""
    (folder / "db").mkdir()
    with repository_beside() as elsewhere, private_mongodb(folder / "db") as url:
        settings = {
            "MHD_MONGODB_URL": url,
            "MHD_AUDIT_FORWARD": elsewhere.url,
            "MHD_AUDIT_FORWARD_RETRY_S": "1",
            "MHD_AUDIT_FORWARD_TIMEOUT_S": "2",
        }
        with Load() as load:
            for turn in range(3):
                elsewhere.is_up = False
                with served(folder / f"server{turn}", "--no-examples", **settings) as server:
                    load.url = server.url
                    asked = len(load.answered)
                    time.sleep(OUTAGE_S / 3)
                    wait_until(lambda: len(load.answered) > asked + 20)  # noqa: B023 - called at once
                    if turn < 2:
                        server.process.kill()
                        server.process.wait()
                    else:
                        elsewhere.is_up = True
                        load.__exit__()
                        wait_until(lambda: set(load.answered) <= request_ids(elsewhere.events))
                        _settled(elsewhere)
        require_order(elsewhere.ids)
        assert set(load.answered) <= request_ids(elsewhere.events)
        verified = run("audit", "verify", MHD_MONGODB_URL=url)
    assert (verified.returncode, verified.stderr) == (0, ""), verified.stdout


def _settled(elsewhere: Repository) -> None:
    """Return when nothing comes any more."""
    before = -1
    while before != len(elsewhere.events):
        before = len(elsewhere.events)
        time.sleep(2)


def ask(server: Program, name: str = "") -> httpx.Response:
    """Search on `server`, as request `name`."""
    headers = {"X-Request-Id": name} if name else {}
    return httpx.get(f"{server.url}/DocumentReference?patient=Patient/p1", headers=headers, timeout=60)


def logged(server: Program) -> set[str]:
    """The requests of which the log of `server` tells; empty while it cannot be read."""
    answer = httpx.get(f"{server.url}/AuditEvent?date={FIND}&_count=500", timeout=60)
    events = [entry["resource"] for entry in answer.json().get("entry", ())] if answer.status_code == 200 else []
    return request_ids(events)


@pytest.mark.slow
def test_audit_store_is_away_and_events_are_spooled(folder: Path) -> None:
    """AUD-10: stop the audit store; queries go on, also of a server that was killed; events appear when it is back."""
    (folder / "db").mkdir()
    (folder / "audit").mkdir()
    with private_mongodb(folder / "db") as url:
        with private_mongodb(folder / "audit") as apart:
            settings = {
                "MHD_MONGODB_URL": url,
                "MHD_AUDIT_MONGODB_URL": f"{apart}&{QUICK}" if "?" in apart else f"{apart}/?{QUICK}",
                "MHD_AUDIT_UNAVAILABLE": "spool",
                "MHD_AUDIT_SPOOL_DIR": str(folder / "spool"),
            }
            first = served(folder / "first", "--no-examples", **settings)
            server = first.__enter__()
            assert ask(server, "before").status_code == 200
        assert [ask(server, f"away-{number}").status_code for number in range(5)] == [200] * 5
        server.process.kill()
        first.__exit__(None, None, None)
        assert list((folder / "spool").iterdir())
        with served(folder / "second", "--no-examples", **settings) as server:
            assert [ask(server, f"still-{number}").status_code for number in range(5)] == [200] * 5
            with private_mongodb(folder / "audit"):
                expected = {"before", *(f"away-{number}" for number in range(5)), *(f"still-{n}" for n in range(5))}
                wait_until(lambda: expected <= logged(server))
                wait_until(lambda: not list((folder / "spool").iterdir()))
                verified = run("audit", "verify", **settings)
                assert (verified.returncode, verified.stderr) == (0, ""), verified.stdout


@pytest.mark.slow
def test_audit_store_is_away_and_requests_are_refused(folder: Path) -> None:
    """AUD-10, MHD-AU-61: what cannot be audited is not answered; when the store is back it is."""
    (folder / "db").mkdir()
    (folder / "audit").mkdir()
    with private_mongodb(folder / "db") as url:
        with private_mongodb(folder / "audit") as apart:
            settings = {
                "MHD_MONGODB_URL": url,
                "MHD_AUDIT_MONGODB_URL": f"{apart}&{QUICK}" if "?" in apart else f"{apart}/?{QUICK}",
            }
            running = served(folder / "server", "--no-examples", **settings)
            server = running.__enter__()
            assert ask(server).status_code == 200
        try:
            refused = ask(server)
            assert (refused.status_code, refused.json()["issue"][0]["code"]) == (503, "transient")
            with private_mongodb(folder / "audit"):
                wait_until(lambda: ask(server).status_code == 200)
        finally:
            running.__exit__(None, None, None)


def test_start_and_stop_are_told(folder: Path) -> None:
    """AUD-02: of each process; and what an operator does."""
    (folder / "db").mkdir()
    with private_mongodb(folder / "db") as url:
        with served(folder / "first", "--no-examples", MHD_MONGODB_URL=url):
            pass
        assert run("patients", "review", MHD_MONGODB_URL=url).returncode == 0
        with served(folder / "second", "--no-examples", MHD_MONGODB_URL=url) as server:
            page = httpx.get(f"{server.url}/AuditEvent?date={FIND}&_sort=date&type=110100", timeout=60).json()
        events = [entry["resource"] for entry in page["entry"]]
        assert [one["subtype"][0]["code"] for one in events] == ["110120", "110121", "update", "110120"]
        assert events[2]["entity"][0]["detail"][0]["valueString"] == "patients review"


def test_broken_chain_is_named(folder: Path) -> None:
    """AUD-11: `python -m app audit verify` names the first broken place, and its exit status tells."""
    from pymongo import MongoClient

    (folder / "db").mkdir()
    with private_mongodb(folder / "db") as url:
        with served(folder / "server", "--no-examples", MHD_MONGODB_URL=url) as server:
            for _ in range(3):
                ask(server)
        assert run("audit", "verify", MHD_MONGODB_URL=url).returncode == 0
        with MongoClient[dict[str, Any]](url) as client:
            client["mhd"]["AuditEvent"].delete_one({"seq": 3})

        verified = run("audit", "verify", MHD_MONGODB_URL=url)

    assert verified.returncode == 2
    assert "event 3 is missing" in verified.stderr
