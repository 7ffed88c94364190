"""A document of 1 GB fetched in parts, and a download that is cut off and resumed by curl: ITI-68, 2:3.68."""

from __future__ import annotations

import random
import subprocess
from collections.abc import Iterator
from pathlib import Path

import psutil  # type: ignore[import-untyped]
import pytest

from tests.system.conftest import Curl
from tests.system.program import PATIENCE_S, Program, served, wait_until
from tests.system.test_memory import MB, MOST_GROWTH, Watched, download, upload

SIZE_MB = 1_023  # a multiple of three, as the blocks are
SIZE = SIZE_MB * MB
CUT_AFTER = (97 * MB, 411 * MB, 800 * MB)


def block_of(number: int) -> bytes:
    """Return the 3 MB at `3 * number` MB of the document; no two of them are alike."""
    return random.Random(number).randbytes(3 * MB)


def document() -> Iterator[bytes]:
    """Yield the document, block by block."""
    return (block_of(number) for number in range(SIZE_MB // 3))


def cut_off(url: str, file: Path, size: int) -> None:
    """Begin or resume the download of `url` with curl, and kill curl when it has `size` bytes or more."""
    line = ["curl", "-sS", "--max-time", str(PATIENCE_S), "--limit-rate", "300M", "-C", "-", "-o", str(file), url]
    with subprocess.Popen(line) as curl:
        wait_until(lambda: (file.exists() and file.stat().st_size >= size) or curl.poll() is not None)
        curl.kill()
    assert size <= file.stat().st_size < SIZE, "it was not cut off in the middle"


def published(program: Program, curl: Curl) -> str:
    """Publish the document; return its URL."""
    response = upload(program, curl.folder, SIZE_MB, block_of)["entry"][2]["response"]
    return str(response["location"].partition("/_history")[0])


@pytest.mark.slow
def test_1_gb_resumed_after_cuts(folder: Path, curl: Curl) -> None:
    """MHD-68-01, MHD-68-16: the bytes are those that were published; the server grows by less than 64 MB."""
    with served(folder) as program:
        small = upload(program, curl.folder, 3)["entry"][2]["response"]["location"]
        download(small, curl.folder)
        download(small, curl.folder, "-r", "5-1000000,-7")
        url = published(program, curl)

        watched = Watched(psutil.Process(program.process.pid))
        with watched.watching():
            file = curl.folder / "document"
            for size in CUT_AFTER:
                cut_off(url, file, size)
            rest = subprocess.run(
                ["curl", "-sS", "--max-time", str(PATIENCE_S), "-C", "-", "-o", str(file), url], check=True
            )
            assert rest.returncode == 0
            _require_same(file)
            _require_parts(curl, url)
        assert watched.growth < MOST_GROWTH


def _require_same(file: Path) -> None:
    assert file.stat().st_size == SIZE
    with file.open("rb") as received:
        for number, block in enumerate(document()):
            assert received.read(3 * MB) == block, f"block {number} differs"


def _require_parts(curl: Curl, url: str) -> None:
    """Ask for parts across the whole document, one and several at once, on the condition that it is the same."""
    tag = curl(url, "-I").headers["etag"]
    for start in (0, 3 * MB - 1, 500 * MB + 17, SIZE - 1_000):
        answer = curl(url, "-r", f"{start}-{start + 999}", "-H", f"If-Range: {tag}")
        inside = block_of(start // (3 * MB)) + block_of(start // (3 * MB) + 1)
        offset = start % (3 * MB)
        assert (answer.status, answer.body) == (206, inside[offset : offset + 1_000])
        assert answer.headers["content-range"] == f"bytes {start}-{start + 999}/{SIZE}"
    several = curl(url, "-r", "0-9,600000000-600000009,-10")
    assert several.status == 206
    for start in (0, 600_000_000, SIZE - 10):
        offset = start % (3 * MB)
        assert block_of(start // (3 * MB))[offset : offset + 10] in several.body
    assert curl(url, "-r", f"{SIZE}-").status == 416
