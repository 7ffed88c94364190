"""`python -m app withdraw`: the operator takes a document back while the server runs, and when it does not."""

from __future__ import annotations

from pathlib import Path

import httpx
import orjson

from tests.submissions import submission
from tests.system.program import Program, run, served

JSON = {"content-type": "application/fhir+json"}
REASON = "published for the wrong person"


def published(program: Program) -> list[str]:
    """Publish a document of an example patient; return the locations."""
    made = submission(b"taken back", subject="Patient/ida")
    response = httpx.post(program.url, content=orjson.dumps(made), headers=JSON)
    return [one["response"]["location"].partition("/_history")[0] for one in response.json()["entry"]]


def withdrawn(folder: Path, location: str, *options: str) -> tuple[int, str, str]:
    """Run the command; return its exit status, its output, and its log."""
    name = "/".join(location.rsplit("/", 2)[1:])
    done = run("withdraw", name, "--reason", REASON, "--data", str(folder), *options)
    return done.returncode, done.stdout, done.stderr


def test_while_the_server_runs_and_after(folder: Path) -> None:
    """MHD-68-11, MHD-GEN-10: 410 at once for whoever asks; who did it and why is in the log."""
    with served(folder) as program:
        _, first, content = published(program)
        status, output, log = withdrawn(folder, first)
        assert (status, "withdrawn; purged: Binary/" in output) == (0, True)
        [line] = [orjson.loads(one) for one in log.splitlines() if '"withdrawn"' in one]
        assert (line["reason"], line["document"]) == (REASON, "/".join(first.rsplit("/", 2)[1:]))
        assert line["by"]
        assert httpx.get(content).status_code == 410
        assert httpx.get(first).json()["status"] == "entered-in-error"
        _, second, other = published(program)

    status, output, _ = withdrawn(folder, second, "--delete")
    assert (status, "deleted; purged: Binary/" in output) == (0, True)

    with served(folder) as program:
        for url in (second, other):
            below = url.partition("/fhir/")[2]
            assert httpx.get(f"{program.url}/{below}").status_code == 410


def test_what_is_not_there(folder: Path) -> None:
    """MHD-68-09: one sentence and an exit status; a reason is not optional."""
    status, output, log = withdrawn(folder, "x/DocumentReference/nope")

    assert (status, output) == (1, "")
    assert "There is no DocumentReference" in log
    assert run("withdraw", "nope", "--data", str(folder)).returncode == 2
