"""A document of 256 MB in and out; architecture, section 5."""

from __future__ import annotations

import base64
import hashlib
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import orjson
import psutil  # type: ignore[import-untyped]
import pytest

from tests.submissions import submission
from tests.system.conftest import Curl
from tests.system.program import PATIENCE_S, Program, served

MB = 1024 * 1024
SIZE_MB = 256
MOST_GROWTH = 64 * MB
BLOCK = bytes(range(256)) * (3 * MB // 256)  # a multiple of three, so that base64 of blocks is base64 of all


class Watched:
    """The most memory that a process held while it was watched."""

    def __init__(self, process: Any) -> None:
        self.before = self.most = int(process.memory_info().rss)
        self._process = process
        self._ended = threading.Event()

    @property
    def growth(self) -> int:
        """Bytes that came on top of what it held before."""
        return self.most - self.before

    @contextmanager
    def watching(self) -> Iterator[None]:
        """Look again and again until the block ends."""
        thread = threading.Thread(target=self._watch)
        thread.start()
        try:
            yield
        finally:
            self._ended.set()
            thread.join()

    def _watch(self) -> None:
        while not self._ended.is_set():
            self.most = max(self.most, self._process.memory_info().rss)
            time.sleep(0.01)


def upload(program: Program, folder: Path, size_mb: int, block_of: Callable[[int], bytes] = lambda _: BLOCK) -> Any:
    """Publish a document of `size_mb`, in chunks of unknown number; return the transaction-response.

    Args:
        block_of: its bytes, 3 MB at a time.
    """
    head, tail = orjson.dumps(submission(b"", subject="Patient/ida", content_type="video/mp4")).rsplit(
        b'"contentType":"video/mp4"', 1
    )
    line = ["curl", "-sS", "--max-time", str(PATIENCE_S), "-X", "POST", "-T", "-", "-o", "answer"]
    line += ["-H", "Content-Type: application/fhir+json", program.url]
    with subprocess.Popen(line, cwd=folder, stdin=subprocess.PIPE) as curl:
        assert curl.stdin
        curl.stdin.write(head + b'"contentType":"video/mp4","data":"')
        for number in range(size_mb // 3):
            curl.stdin.write(base64.b64encode(block_of(number)))
        curl.stdin.write(b'"' + tail)
        curl.stdin.close()
        assert curl.wait() == 0
    return orjson.loads((folder / "answer").read_bytes())


def download(url: str, folder: Path, *options: str) -> tuple[int, bytes]:
    """Return size and SHA-256 of what is at `url`."""
    digest, size = hashlib.sha256(), 0
    line = ["curl", "-sS", "--max-time", str(PATIENCE_S), *options, url]
    with subprocess.Popen(line, cwd=folder, stdout=subprocess.PIPE) as curl:
        assert curl.stdout
        while piece := curl.stdout.read(MB):
            digest.update(piece)
            size += len(piece)
    assert curl.returncode == 0
    return size, digest.digest()


@pytest.mark.slow
def test_document_of_256_mb_grows_no_memory(folder: Path, curl: Curl) -> None:
    """MHD-65-55, MHD-68-01; architecture 5: the server grows by less than 64 MB, whatever the size of a document."""
    with served(folder) as program:
        small = upload(program, curl.folder, 3)["entry"][2]["response"]["location"]
        download(small, curl.folder)
        download(small, curl.folder, "-H", "Accept: application/fhir+json")

        watched = Watched(psutil.Process(program.process.pid))
        with watched.watching():
            answer = upload(program, curl.folder, SIZE_MB)
            location = answer["entry"][2]["response"]["location"]
            size, digest = download(location, curl.folder)
            wrapped, _ = download(location, curl.folder, "-H", "Accept: application/fhir+json")

    expected = hashlib.sha256()
    for _ in range(SIZE_MB // 3):
        expected.update(BLOCK)
    assert (size, digest) == (SIZE_MB // 3 * len(BLOCK), expected.digest())
    assert wrapped > size * 4 / 3
    assert watched.growth < MOST_GROWTH
