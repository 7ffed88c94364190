"""`python -m app serve` from the first start to the second: issue 1, "Names that others rely on"."""

from __future__ import annotations

from pathlib import Path

import httpx

from tests.submissions import submission
from tests.system.program import database_of, records, served


def test_first_start_serves_the_example_data(folder: Path) -> None:
    """MHD-GEN-01; issue 1, section 6: one line when it answers, `/metadata` is there, and so are the examples."""
    with served(folder) as program:
        statement = httpx.get(f"{program.url}/metadata")
        people = httpx.get(f"{program.url}/Patient?family=muster").json()
        documents = httpx.get(f"{program.url}/DocumentReference?patient=ida&status=current").json()
        told = program.output.read_text()

    assert told.count("Ready at") == 1
    assert told.startswith(f"Ready at {program.url}\n")
    assert (statement.status_code, statement.json()["implementation"]["url"]) == (200, program.url)
    assert people["total"] == 2
    types = {one["resource"]["content"][0]["attachment"]["contentType"] for one in documents["entry"]}
    assert types == {"application/fhir+json", "application/pdf", "application/hl7-v3+xml", "image/png"}


def test_second_start_keeps_everything_and_adds_nothing(folder: Path) -> None:
    """Issue 1, sections 2 and 6: data survive a restart; loading the examples again changes no record."""
    with served(folder) as program:
        sent = submission(b"kept over a restart", subject="Patient/ida")
        answer = httpx.post(program.url, json=sent, headers={"content-type": "application/fhir+json"})
        paths = [httpx.URL(one["response"]["location"]).path for one in answer.json()["entry"]]
        before = {path: httpx.get(f"{program.root}{path}") for path in paths}
        with database_of(folder) as database:
            counted = records(database)
    with served(folder) as program:
        after = {path: httpx.get(f"{program.root}{path}") for path in paths}
        with database_of(folder) as database:
            assert records(database) == counted

    assert answer.status_code == 200
    assert len(counted) > 4
    for path in paths:
        assert after[path].status_code == 200
        assert (after[path].headers["etag"], after[path].headers["last-modified"]) == (
            before[path].headers["etag"],
            before[path].headers["last-modified"],
        )
    assert after[paths[2]].content == b"kept over a restart"


def test_no_examples(folder: Path) -> None:
    """Issue 1, names: `--no-examples` starts with an empty database, and prints its one line only."""
    with served(folder, "--no-examples") as program:
        assert httpx.get(f"{program.url}/Patient").json()["total"] == 0
        assert httpx.get(f"{program.url}/DocumentReference").json()["total"] == 0
        assert program.output.read_text() == f"Ready at {program.url}\n"


def test_two_workers_share_one_database(folder: Path) -> None:
    """Issue 1, names: `MHD_WORKERS=2`: two processes answer on one port, and the examples are there once."""
    with served(folder, MHD_WORKERS="2") as program:
        for _ in range(20):
            assert httpx.get(f"{program.url}/Patient?identifier=EX-0001").json()["total"] == 1
        workers = [one for one in program.descendants() if "spawn_main" in " ".join(one.cmdline())]
        lines = program.output.read_text()
    assert len(workers) == 2
    assert lines.count("Ready at") == 1
