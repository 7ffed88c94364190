"""A file of `[[tables]]` in TOML, checked against the shapes they must have; what is wrong is told by its line."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any


@dataclass(frozen=True, slots=True)
class Words:
    """One of a few words."""

    words: tuple[str, ...]

    def __init__(self, *words: str) -> None:
        object.__setattr__(self, "words", words)


# Member -> what it may be.
Shape = Mapping[str, type[str] | type[bool] | type[list[str]] | Words]

_TEXTS = {str: "a text in quotation marks", list: "a list of texts", bool: "true or false"}


class AuthorizationError(Exception):
    """What was configured of authorization stops the start: one sentence with its place and the remedy."""


@dataclass(frozen=True, slots=True)
class Table:
    """One `[[table]]` of a file.

    Attributes:
        line: of its header.
    """

    path: Path
    lines: tuple[str, ...]
    name: str
    line: int
    values: Mapping[str, Any]

    def place(self, member: str) -> str:
        """Return where `member` is given; without it, where the table begins."""
        pattern = re.compile(rf"""\s*\[*\s*["']?{re.escape(member)}["']?\s*[=\].]""")
        behind = enumerate(self.lines[self.line :], self.line + 1) if member else ()
        return f"{self.path}, line {next((at for at, line in behind if pattern.match(line)), self.line)}"

    def wrong(self, member: str, text: str) -> AuthorizationError:
        """Return the error that `text` tells of `member`, or of the table."""
        return AuthorizationError(f"{self.place(member)}: {text}.")


def read_tables(path: Path, shapes: Mapping[str, Shape]) -> list[Table]:
    """Return the tables of the file at `path`, in its order by name.

    Raises:
        AuthorizationError: it cannot be read, or has what `shapes` do not know.
    """
    text = _text(path)
    try:
        content = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise AuthorizationError(f"{path}: this is not TOML: {error}.") from None
    found = list(_tables(path, tuple(text.splitlines()), content, shapes))
    for table in found:
        _check(table, shapes[table.name])
    return found


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        reason = getattr(error, "strerror", None) or "it is not text in UTF-8"
        raise AuthorizationError(f"The file of authorization {path} cannot be read: {reason}.") from None


def _tables(
    path: Path, lines: tuple[str, ...], content: Mapping[str, Any], shapes: Mapping[str, Shape]
) -> Iterator[Table]:
    known = ", ".join(f"`[[{name}]]`" for name in shapes)
    for name, blocks in content.items():
        headers = [at for at, line in enumerate(lines, 1) if re.match(rf"\s*\[\[\s*{re.escape(name)}\s*\]\]", line)]
        first = Table(path, lines, name, headers[0] if headers else 0, {})
        if name not in shapes or not isinstance(blocks, list) or len(headers) != len(blocks):
            raise first.wrong("" if headers else name, f"`{name}` is not known; known are {known}")
        for line, block in zip(headers, blocks, strict=True):
            yield Table(path, lines, name, line, block)


def _check(table: Table, shape: Shape) -> None:
    for name, value in table.values.items():
        expected = shape.get(name)
        if expected is None:
            raise table.wrong(name, f"`{name}` is not known; known are {', '.join(shape)}")
        if isinstance(expected, Words):
            if value not in expected.words:
                raise table.wrong(name, f"`{name}` must be one of {', '.join(expected.words)}")
        elif not isinstance(value, expected) or (isinstance(value, list) and not all(map(_is_text, value))):
            raise table.wrong(name, f"`{name}` must be {_TEXTS[expected]}")


def _is_text(value: object) -> bool:
    return isinstance(value, str) and bool(value)
