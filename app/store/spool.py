"""A file beside the database: records that wait until it is back, each on the disk before anybody is answered.

A frame is the length of a record, a check sum, and the record as BSON. A frame that is cut off, by a crash in the midst
of it, was promised to nobody, and ends the file. Whoever has a file locked is its owner; the others take it when the
owner is gone.

Spec: own choice, docs/decisions/0023; AUD-10.
"""

from __future__ import annotations

import fcntl
import os
import struct
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import BinaryIO
from zlib import crc32

import bson

from app.store.driver import Document

SUFFIX = ".spool"
_HEAD = struct.Struct(">II")


class Spool:
    """One file of records, in the order in which they came; locked as long as it is open."""

    def __init__(self, file: BinaryIO, path: Path) -> None:
        self.path = path
        self.size = _sound_size(file)
        self._file = file
        self._read_up_to = 0
        file.truncate(self.size)

    @classmethod
    def open(cls, path: Path) -> Spool | None:
        """Return the spool at `path`, made when there is none; None when somebody else has it."""
        path.parent.mkdir(parents=True, exist_ok=True)
        file = path.open("a+b")
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            file.close()
            return None
        path.chmod(0o600)
        _sync_folder(path.parent)
        return cls(file, path)

    @property
    def is_drained(self) -> bool:
        """Whether all that was appended has been taken."""
        return self._read_up_to >= self.size

    def append(self, records: Sequence[Document]) -> None:
        """Return when `records` are on the disk.

        Raises:
            OSError: they are not.
        """
        frames = b"".join(map(_frame, records))
        try:
            self._file.write(frames)
            self._file.flush()
            os.fdatasync(self._file.fileno())
        except OSError:
            self._file.truncate(self.size)
            raise
        self.size += len(frames)

    def next(self, limit: int) -> tuple[list[Document], int]:
        """Return the first records that were not taken yet, and what `taken` is to be told of them."""
        found: list[Document] = []
        end = self._read_up_to
        for record, after in _frames(self._file, end, self.size):
            found.append(record)
            end = after
            if len(found) == limit:
                break
        return found, end

    def taken(self, up_to: int) -> None:
        """Note that the database has the records up to there."""
        self._read_up_to = up_to

    def close(self) -> None:
        """Let go of the file; one whose records were all taken is removed."""
        if self.is_drained:
            self.path.unlink(missing_ok=True)
        self._file.close()


def left_behind(folder: Path) -> Iterator[Spool]:
    """Yield the spools in `folder` whose owners are gone."""
    for path in sorted(folder.glob(f"*{SUFFIX}")):
        if spool := Spool.open(path):
            yield spool


def _sync_folder(folder: Path) -> None:
    """Let the name of a new file be on the disk too."""
    opened = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(opened)
    finally:
        os.close(opened)


def _frame(record: Document) -> bytes:
    text = bson.encode(record)
    return _HEAD.pack(len(text), crc32(text)) + text


def _frames(file: BinaryIO, start: int, end: int) -> Iterator[tuple[Document, int]]:
    """Yield each record from `start` on, and where the next one begins; what is added meanwhile does not matter."""
    position = start
    while position + _HEAD.size <= end:
        length, check = _HEAD.unpack(os.pread(file.fileno(), _HEAD.size, position))
        text = os.pread(file.fileno(), length, position + _HEAD.size)
        if len(text) < length or crc32(text) != check:
            return
        position += _HEAD.size + length
        yield bson.decode(text), position


def _sound_size(file: BinaryIO) -> int:
    whole = os.fstat(file.fileno()).st_size
    return max((end for _, end in _frames(file, 0, whole)), default=0)
