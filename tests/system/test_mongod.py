"""The private mongod that dies while the server runs: it comes back, or the server says why it ends."""

from __future__ import annotations

from pathlib import Path

import httpx

from tests.system.program import Program, is_gone, served, wait_until


def answers(program: Program) -> bool:
    try:
        return httpx.get(f"{program.url}/Patient/ida", timeout=60).status_code == 200
    except httpx.HTTPError:
        return False


def test_mongod_that_dies_is_started_again(folder: Path) -> None:
    """What was stored is there again, without a restart of the server; the log tells."""
    with served(folder) as program:
        first = program.mongod()
        first.kill()
        wait_until(lambda: answers(program))
        assert program.mongod().pid != first.pid
        assert "the private mongod ended" in program.log.read_text()


def test_mongod_that_dies_again_ends_the_server(folder: Path) -> None:
    """One sentence on standard error and a status, instead of 503 for ever."""
    with served(folder, MHD_SHUTDOWN_GRACE_S="1") as program:
        first = program.mongod()
        first.kill()
        wait_until(lambda: answers(program))
        program.mongod().kill()
        wait_until(lambda: program.process.poll() is not None)
        told = [line for line in program.log.read_text().splitlines() if not line.startswith("{")]
    assert is_gone(first)
    assert program.process.returncode == 1
    assert len(told) == 1
    assert "mongod" in told[0]
