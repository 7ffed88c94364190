"""Start and memory of the server's process."""

from __future__ import annotations

import json
import time
from base64 import b64encode
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from statistics import median

import orjson

from tests.bench.ask import Client, post_head
from tests.bench.program import HighestMemory, server
from tests.bench.row import Row, at_most, megabytes
from tests.submissions import submission

STARTS = 3
SETTLE_S = 1.0
_CHUNK = bytes(range(256)) * 3 * 1024  # base64 of a multiple of three bytes is not padded
_PLACE = "UExBQ0U="


def start_and_idle(mongodb_url: str, folder: Path) -> list[Row]:
    """Measure the time to the first 200 on `/metadata`, MongoDB up, and the memory of a server that nobody asks."""
    times, cpu, sizes = [], [], []
    for _ in range(STARTS):
        with server(mongodb_url, folder) as ours:
            time.sleep(SETTLE_S)
            times.append(ours.started_s)
            cpu.append(ours.started_cpu_s)
            sizes.append(ours.memory())
    start = at_most("start to first 200 on /metadata", median(times), 3.0, lambda value: f"{value:.2f} s")
    return [
        replace(start, measured=f"{start.measured} (wall clock), CPU {median(cpu):.2f} s"),
        at_most("memory, idle", median(sizes), 120_000_000, megabytes),
    ]


def growth(mongodb_url: str, folder: Path, size: int) -> Row:
    """Measure how much the process grows while a document of `size` bytes goes in and out."""
    with server(mongodb_url, folder) as ours, Client(ours.port, 1) as client:
        _publish(client, len(_CHUNK))  # what is loaded with the first submission does not count
        before = ours.memory()
        with HighestMemory(ours) as highest:
            path, size = _publish(client, size)
            if (came := client.size_of(path)) != size:
                raise RuntimeError(f"{came} bytes came back, {size} were sent")
    grown = max(0, highest.bytes - before)
    return at_most(f"memory growth, {megabytes(size)} in and out", grown, 64_000_000, megabytes)


def _publish(client: Client, size: int) -> tuple[str, int]:
    """Send a submission with a document of about `size` bytes; return the document's path and exact size."""
    chunks = max(1, size // len(_CHUNK))
    made = submission(subject="Patient/p0", content_type="application/octet-stream")
    made["entry"][2]["resource"]["data"] = _PLACE
    head, _, tail = json.dumps(made).encode().partition(_PLACE.encode())
    text = b64encode(_CHUNK)
    whole = len(head) + len(text) * chunks + len(tail)
    status, answer = client.send(post_head("/fhir", whole), _parts(head, text, chunks, tail))
    if status != 200:
        raise RuntimeError(f"status {status}: {answer[:500]!r}")
    location = orjson.loads(answer)["entry"][2]["response"]["location"]
    return "/fhir/" + "/".join(location.split("/")[-4:-2]), len(_CHUNK) * chunks


def _parts(head: bytes, text: bytes, chunks: int, tail: bytes) -> Iterator[bytes]:
    yield head
    for _ in range(chunks):
        yield text
    yield tail
