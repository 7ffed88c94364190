"""`python -m app serve` from the first start to the second."""

from __future__ import annotations

import random
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import httpx
import pytest
from pymongo import MongoClient

from tests.submissions import submission
from tests.system.program import Program, database_of, is_gone, records, served, wait_until


def test_first_start_serves_the_example_data(folder: Path) -> None:
    """MHD-GEN-01: one line when it answers, `/metadata` is there, and so are the examples."""
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


def kept(database: Any) -> dict[str, int]:
    """Count what clients keep here; that the server was started is an audit event each time."""
    return {name: count for name, count in records(database).items() if not name.lower().startswith("audit")}


def test_second_start_keeps_everything_and_adds_nothing(folder: Path) -> None:
    """Data survive a restart; loading the examples again changes no record."""
    with served(folder) as program:
        sent = submission(b"kept over a restart", subject="Patient/ida")
        answer = httpx.post(program.url, json=sent, headers={"content-type": "application/fhir+json"})
        paths = [httpx.URL(one["response"]["location"]).path for one in answer.json()["entry"]]
        before = {path: httpx.get(f"{program.root}{path}") for path in paths}
        with database_of(folder) as database:
            counted = kept(database)
    with served(folder) as program:
        after = {path: httpx.get(f"{program.root}{path}") for path in paths}
        with database_of(folder) as database:
            assert kept(database) == counted

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
    """`--no-examples` starts with an empty database, and prints its one line only."""
    with served(folder, "--no-examples") as program:
        assert httpx.get(f"{program.url}/Patient").json()["total"] == 0
        assert httpx.get(f"{program.url}/DocumentReference").json()["total"] == 0
        assert program.output.read_text() == f"Ready at {program.url}\n"


def workers_of(program: Program) -> list[int]:
    """Return the processes that serve when there are several."""
    running = [one for one in program.descendants() if not is_gone(one) and "spawn_main" in " ".join(one.cmdline())]
    return [one.pid for one in running]


def test_two_workers_share_one_database(folder: Path) -> None:
    """`MHD_WORKERS=2`: two processes answer on one port; one that is killed is replaced."""
    with served(folder, MHD_WORKERS="2") as program:
        for _ in range(20):
            assert httpx.get(f"{program.url}/Patient?identifier=EX-0001").json()["total"] == 1
        first = workers_of(program)
        assert len(first) == 2
        next(one for one in program.descendants() if one.pid == first[0]).kill()
        wait_until(lambda: len(set(workers_of(program)) - {first[0]}) == 2)
        assert httpx.get(f"{program.url}/Patient/ida").status_code == 200
        assert program.output.read_text().count("Ready at") == 1


def test_several_servers_start_on_one_new_database(mongodb_url: str, database_name: str, tmp_path: Path) -> None:
    """Architecture 22: stateless servers over one MongoDB; whoever comes first, the examples are there once."""
    database = f"{database_name}_several"

    def examples(name: str) -> tuple[int, int]:
        with served(tmp_path / name, MHD_MONGODB_URL=mongodb_url, MHD_MONGODB_DATABASE=database) as program:
            patients, documents = (httpx.get(f"{program.url}/{one}").json() for one in ("Patient", "DocumentReference"))
        return patients["total"], documents["total"]

    with MongoClient[dict[str, Any]](mongodb_url) as client:
        client.drop_database(database)
        with ThreadPoolExecutor() as at_once:
            assert list(at_once.map(examples, ("first", "second", "third"))) == [(4, 5)] * 3
        client.drop_database(database)


@pytest.mark.parametrize("driver", ["pymongo", "motor"])
def test_journey_over_either_driver(folder: Path, driver: str) -> None:
    """`MHD_MONGODB_DRIVER`; a document in chunks is published, found and fetched."""
    document = random.Random(2).randbytes(3_000_000)
    with served(folder, MHD_MONGODB_DRIVER=driver) as program, httpx.Client(timeout=60) as client:
        sent = submission(document, subject="Patient/ida")
        answer = client.post(program.url, json=sent, headers={"content-type": "application/fhir+json"})
        assert answer.status_code == 200
        master = sent["entry"][1]["resource"]["masterIdentifier"]["value"]
        found = client.get(f"{program.url}/DocumentReference?patient=ida&identifier={master}").json()
        assert found["total"] == 1
        attachment = found["entry"][0]["resource"]["content"][0]["attachment"]
        assert client.get(attachment["url"]).content == document
