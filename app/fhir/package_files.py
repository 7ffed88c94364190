"""Where a profile package's resources lie: in a folder of this project, or in a published archive (.tgz).

Both answer the same two questions: which resources of a type there are, by canonical URL, and what one of them says.
An archive is somebody else's file: its paths, links and sizes are checked before anything in it is used, and nothing
is ever unpacked to disk.

Spec: FHIR Package Specification (hl7.org/fhir/packages.html); style.md, "profiles".
"""

from __future__ import annotations

import gzip
import re
import tarfile
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path, PurePosixPath
from typing import Any, Protocol

import orjson

MAX_ARCHIVE_BYTES = 200_000_000  # of the .tgz
MAX_UNPACKED_BYTES = 400_000_000  # of everything in it
MAX_FILE_BYTES = 100_000_000  # of one file in it
MAX_FILES = 50_000

# What a server reads out of a package. Everything else (examples, narrative, CapabilityStatements) is left where it is.
CONFORMANCE_TYPES = (
    *("StructureDefinition", "ValueSet", "CodeSystem", "ConceptMap", "SearchParameter"),
    *("OperationDefinition", "CompartmentDefinition"),
)


class PackageError(Exception):
    """A package that is not taken; the text names the reason."""


@dataclass(frozen=True, slots=True)
class Entry:
    """One resource of a package: `read` returns its JSON."""

    url: str
    version: str
    resource_type: str
    name: str
    read: Callable[[], bytes]


class PackageFiles(Protocol):
    """The files of one package."""

    def manifest(self) -> dict[str, Any]:
        """Return `package.json`; raises PackageError when it is missing or not JSON."""

    def entries(self, problems: list[str]) -> Iterator[Entry]:
        """Yield every conformance resource; what cannot be read is named in `problems`."""


class Folder:
    """A package as a folder: `<ResourceType>/*.json`, and `<ResourceType>.ndjson` with one resource a line."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def manifest(self) -> dict[str, Any]:
        """Return `package.json`."""
        try:
            return _manifest((self.path / "package.json").read_bytes())
        except OSError as error:
            raise PackageError("it has no `package.json`") from error

    def entries(self, problems: list[str]) -> Iterator[Entry]:
        """Yield the resources of the folders and of the line files."""
        for resource_type in CONFORMANCE_TYPES:
            lines = self.path / f"{resource_type}.ndjson"
            if lines.is_file():
                yield from _lines(lines, resource_type)
            for file in sorted((self.path / resource_type).glob("*.json")):
                yield from _entry(f"{self.path.name}/{resource_type}/{file.name}", file.read_bytes, problems)


class Archive:
    """A package as a published .tgz, its paths and sizes checked; contents stay compressed in memory once read."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def manifest(self) -> dict[str, Any]:
        """Return `package/package.json`, after a look at every name and size in the archive."""
        found = b""
        for name, read in self._members():
            if name == "package.json":
                found = read()
        if not found:
            raise PackageError("it has no `package/package.json`")
        return _manifest(found)

    def entries(self, problems: list[str]) -> Iterator[Entry]:
        """Yield the conformance resources of the archive's `package` folder, whatever their files are called."""
        for name, read in self._members():
            if name.endswith(".json") and "/" not in name and name not in ("package.json", ".index.json"):
                packed = zlib.compress(read(), 1)
                yield from _entry(f"{self.path.name}/{name}", partial(zlib.decompress, packed), problems)

    def _members(self) -> Iterator[tuple[str, Callable[[], bytes]]]:
        """Yield name below `package/` and reader of every file; the reader is good until the next one is asked for."""
        if self.path.stat().st_size > MAX_ARCHIVE_BYTES:
            raise PackageError(f"it is larger than {MAX_ARCHIVE_BYTES} bytes")
        count = 0
        try:
            with gzip.open(self.path) as plain, tarfile.open(fileobj=_Limited(plain), mode="r|") as archive:  # type: ignore[call-overload]
                for member in archive:
                    count += 1
                    require_harmless(member, count)
                    folder, _, name = member.name.partition("/")
                    if member.isfile() and folder == "package":
                        yield name, partial(_content, archive, member)
        except (tarfile.TarError, EOFError, zlib.error, gzip.BadGzipFile) as error:
            raise PackageError(f"it is not a readable .tgz ({error})") from error


def require_harmless(member: tarfile.TarInfo, count: int) -> None:
    """Raise PackageError for a path that leaves the archive, a link or device, or more bytes or files than allowed."""
    path = PurePosixPath(member.name)
    if path.is_absolute() or ".." in path.parts or "\\" in member.name or "\0" in member.name:
        raise PackageError(f"the path `{member.name}` leads out of the package")
    if not (member.isfile() or member.isdir()):
        raise PackageError(f"`{member.name}` is a link or a device, and a package has only files")
    if member.size > MAX_FILE_BYTES:
        raise PackageError(f"`{member.name}` is larger than {MAX_FILE_BYTES} bytes")
    if count > MAX_FILES:
        raise PackageError(f"it has more than {MAX_FILES} files")


def _content(archive: tarfile.TarFile, member: tarfile.TarInfo) -> bytes:
    stream = archive.extractfile(member)
    return stream.read() if stream else b""


class _Limited:
    """A stream that ends in PackageError once more than MAX_UNPACKED_BYTES were asked of it."""

    def __init__(self, stream: gzip.GzipFile) -> None:
        self._stream = stream
        self._left = MAX_UNPACKED_BYTES

    def read(self, size: int) -> bytes:
        self._left -= size
        if self._left < 0:
            raise PackageError(f"it unpacks to more than {MAX_UNPACKED_BYTES} bytes")
        return self._stream.read(size)


def _manifest(text: bytes) -> dict[str, Any]:
    try:
        manifest = orjson.loads(text)
    except orjson.JSONDecodeError as error:
        raise PackageError(f"its `package.json` is not JSON ({error})") from error
    if not isinstance(manifest, dict) or not all(isinstance(manifest.get(key), str) for key in ("name", "version")):
        raise PackageError("its `package.json` has no `name` or no `version`")
    return manifest


def _entry(name: str, read: Callable[[], bytes], problems: list[str]) -> Iterator[Entry]:
    """Yield the entry for one file when it holds a conformance resource with a URL."""
    try:
        resource = orjson.loads(read())
    except orjson.JSONDecodeError as error:
        problems.append(f"`{name}` is not JSON ({error}); it is left out.")
        return
    if not isinstance(resource, dict) or resource.get("resourceType") not in CONFORMANCE_TYPES:
        return
    if not isinstance(resource.get("url"), str):
        problems.append(f"`{name}` has no `url`, so nothing can refer to it; it is left out.")
        return
    yield Entry(resource["url"], str(resource.get("version", "")), resource["resourceType"], name, read)


# How a line begins, so that a file of a thousand resources is listed without being parsed.
_LINE = re.compile(rb'^\{"url":"([^"\\]+)"[^\n]*', re.MULTILINE)


def _lines(file: Path, resource_type: str) -> Iterator[Entry]:
    for match in _LINE.finditer(file.read_bytes()):
        yield Entry(match[1].decode(), "", resource_type, file.name, _slice_of(file, match.start(), match.end()))


def _slice_of(file: Path, start: int, end: int) -> Callable[[], bytes]:
    def read() -> bytes:
        with file.open("rb") as stream:
            stream.seek(start)
            return stream.read(end - start)

    return read
