"""The profile packages of `profiles/`: which there are, and their conformance resources by canonical URL.

A package is a folder (`package.json`, `profile.toml`, one folder a resource type) or a published .tgz, to which a file
of the same name ending in `.toml` may give this server's choices. Several versions may lie side by side: `url|1.2.3`
names one, a bare `url` means the default version. Start-up reads manifests; contents are read when they are asked for.

Spec: FHIR Package Specification; FHIR R4 references.html#canonical.
"""

from __future__ import annotations

import threading
import tomllib
from collections.abc import Iterable, Iterator
from pathlib import Path

import orjson

from app.fhir.base_definition import CANONICAL, base_definition
from app.fhir.expansion import Codes, expand
from app.fhir.package_files import Archive, Entry, Folder, PackageError, PackageFiles
from app.fhir.package_info import PARTS, PackageInfo, dependencies_first, missing_dependencies, with_one_default
from app.fhir.resource import Resource
from app.fhir.structure import Structures

__all__ = ["PackageInfo", "Packages", "load"]

CORE = "hl7.fhir.r4.core"
_Index = dict[tuple[str, str], list[tuple[PackageInfo, Entry]]]
SEVERITIES = ("off", "warn", "enforce")


class Packages:
    """Every enabled package. Safe to share between threads.

    Attributes:
        structures: the base types.
        problems: what could not be loaded, a sentence each, for the start-up report; grows while contents are read.
    """

    def __init__(self, packages: Iterable[tuple[PackageInfo, PackageFiles]], problems: Iterable[str] = ()) -> None:
        """Use `packages`, dependencies first; one of them is FHIR R4 itself, as a folder."""
        self._packages = tuple(packages)
        self.problems: list[str] = list(problems)
        self._core = next(info for info, _ in self._packages if _is_core(info))
        core = self._core.path
        self.structures = Structures(core / "types")
        self._patterns: dict[str, str] = orjson.loads((core / "code-patterns.json").read_bytes())
        self._entries: _Index | None = None
        self._resources: dict[tuple[str, str], Resource] = {}
        self._codes: dict[str, Codes | None] = {}
        self._lock = threading.Lock()

    def listed(self) -> tuple[PackageInfo, ...]:
        """Return the enabled packages, each after those it depends on."""
        return tuple(info for info, _ in self._packages)

    def structure_definition(self, url: str) -> Resource | None:
        """Return the StructureDefinition `url` or `url|version`; that of a base type is made from the tables."""
        return self._cached("StructureDefinition", url)

    def value_set(self, url: str) -> Resource | None:
        """Return the ValueSet `url` or `url|version`, None when no package has it."""
        return self._cached("ValueSet", url)

    def code_system(self, url: str) -> Resource | None:
        """Return the CodeSystem `url` or `url|version`, None when no package has it."""
        return self._cached("CodeSystem", url)

    def operation_definition(self, url: str) -> Resource | None:
        """Return the OperationDefinition `url` or `url|version`, None when no package has it."""
        return self._cached("OperationDefinition", url)

    def codes(self, value_set_url: str) -> Codes | None:
        """Return the pairs (system, code) of a value set; None when it is unknown or cannot be enumerated."""
        if value_set_url not in self._codes:
            value_set = self.value_set(value_set_url)
            if value_set is None:
                return None
            self._codes[value_set_url] = expand(value_set, self)
        return self._codes[value_set_url]

    def code_pattern(self, value_set_url: str) -> str:
        """Return the pattern that a code of a value set without end must match in full (mime types); else empty."""
        return self._patterns.get(value_set_url.partition("|")[0], "")

    def all(self, resource_type: str) -> Iterator[Resource]:
        """Yield the conformance resources of a type, each URL once, as it is without a version."""
        for kind, url in list(self._index()):
            if kind == resource_type and (resource := self._cached(kind, url)):
                yield resource

    def defined(self, resource_type: str) -> Iterator[tuple[str, PackageInfo]]:
        """Yield the URL of each conformance resource of a type with the package that a bare URL means; reads none."""
        for (kind, url), found in list(self._index().items()):
            if kind == resource_type:
                yield url, found[0][0]

    def package_of(self, resource_type: str, url: str) -> PackageInfo | None:
        """Return the package that defines `url` or `url|version`; for base types that is FHIR R4 itself."""
        if resource_type == "StructureDefinition" and self.structures.kind(_base_type(url)):
            return self._core
        found = self._find(resource_type, url)
        return found[0] if found else None

    def _cached(self, resource_type: str, url: str) -> Resource | None:
        key = (resource_type, url)
        if key not in self._resources:
            resource = self._read(resource_type, url)
            if resource is None:  # not kept: the URL may be a client's invention
                return None
            self._resources.setdefault(key, resource)
        return self._resources[key]

    def _read(self, resource_type: str, url: str) -> Resource | None:
        if resource_type == "StructureDefinition" and (base := base_definition(self.structures, _base_type(url))):
            return base
        found = self._find(resource_type, url)
        return orjson.loads(found[1].read()) if found else None

    def _find(self, resource_type: str, canonical: str) -> tuple[PackageInfo, Entry] | None:
        url, _, version = canonical.partition("|")
        for info, entry in self._index().get((resource_type, url), ()):
            if not version or version in (entry.version, info.version):
                return info, entry
        return None

    def _index(self) -> _Index:
        """Return (type, URL) -> who defines it; first the default versions, dependents before what they depend on."""
        if self._entries is None:
            with self._lock:
                self._entries = self._entries or self._listing()
        return self._entries

    def _listing(self) -> _Index:
        index: _Index = {}
        dependents_first = self._packages[::-1]
        for info, files in sorted(dependents_first, key=lambda each: not each[0].is_default):
            self._add(info, files, index)
        return index

    def _add(self, info: PackageInfo, files: PackageFiles, index: _Index) -> None:
        try:
            for entry in files.entries(self.problems):
                index.setdefault((entry.resource_type, entry.url), []).append((info, entry))
        except (PackageError, OSError) as error:
            self.problems.append(f"Package `{info.path.name}` cannot be read: {error}.")


def load(folder: Path) -> Packages:
    """Return the packages of `folder`; reads manifests and this server's choices, and no contents.

    Raises:
        FileNotFoundError: `folder` has no package of FHIR R4 itself, without which nothing can be read.
    """
    problems: list[str] = []
    found: list[tuple[PackageInfo, PackageFiles]] = []
    for path in sorted(folder.iterdir()):
        is_ours = not path.name.startswith((".", "_"))  # and not an editor's or Python's
        if is_ours and (path.is_dir() or path.suffix == ".tgz"):
            found += _opened(path, problems)
    if not any(_is_core(info) for info, _ in found):
        raise FileNotFoundError(f"`{folder}` has no package `{CORE}`; it is part of this project's `profiles/`.")
    infos = with_one_default([info for info, _ in found], problems)
    problems += missing_dependencies(infos)
    files = {info.path: each for info, each in found}
    return Packages([(info, files[info.path]) for info in dependencies_first(infos)], problems)


def _is_core(info: PackageInfo) -> bool:
    """Whether this is FHIR R4 as this project's tables; the published package has other files."""
    return info.id == CORE and (info.path / "types").is_dir()


def _base_type(url: str) -> str:
    """Return the name of the type whose StructureDefinition `url` is, as far as its form tells."""
    return url.partition("|")[0].removeprefix(CANONICAL)


def _opened(path: Path, problems: list[str]) -> list[tuple[PackageInfo, PackageFiles]]:
    """Return the package at `path` as a list of one; of none when it is disabled, broken or no package."""
    files: PackageFiles = Folder(path) if path.is_dir() else Archive(path)
    try:
        choices = _choices(path / "profile.toml" if path.is_dir() else path.with_suffix(".toml"))
        if not choices.get("enabled", True):
            return []
        return [(_info(path, files, choices), files)]
    except (PackageError, OSError) as error:
        problems.append(f"Package `{path.name}` is not loaded: {error}.")
        return []


def _choices(file: Path) -> dict[str, object]:
    """Return this server's choices for a package; empty when there is no such file.

    Raises:
        PackageError: the file is not TOML, or a severity is none of `SEVERITIES`.
    """
    try:
        choices = tomllib.loads(file.read_text())
    except FileNotFoundError:
        return {}
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise PackageError(f"`{file.name}` is not TOML ({error})") from error
    for name in ("severity", *map(_severity, PARTS)):
        if choices.get(name, "enforce") not in SEVERITIES:
            raise PackageError(f"`{name}` in `{file.name}` is none of {', '.join(SEVERITIES)}")
    return choices


def _severity(part: str) -> str:
    return f"severity_{part}"


def _info(path: Path, files: PackageFiles, choices: dict[str, object]) -> PackageInfo:
    manifest = files.manifest()
    return PackageInfo(
        id=manifest["name"],
        version=manifest["version"],
        canonical=manifest.get("canonical", ""),
        severity=str(choices.get("severity", "enforce")),
        path=path,
        title=manifest.get("title", ""),
        dependencies=tuple((manifest.get("dependencies") or {}).items()),
        is_default=bool(choices.get("default", False)),
        severities={part: str(choices[_severity(part)]) for part in PARTS if _severity(part) in choices},
    )
