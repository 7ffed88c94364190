"""What a profile package says about itself, and in which order packages stand.

Spec: FHIR Package Specification, manifest and versions (hl7.org/fhir/packages.html).
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

# What describes documents, in contrast to what stands in them; a Bundle may be a submission.
METADATA = frozenset({"DocumentReference", "List", "Bundle"})

# The parts of a package that may have a severity of their own (NAT-05).
PARTS = ("metadata", "content", "terminology")


@dataclass(frozen=True, slots=True)
class PackageInfo:
    """A package that is loaded.

    Attributes:
        severity: what a broken rule of the package does to a request: `off`, `warn` or `enforce`.
        severities: the same of a part of it, where that has its own: `metadata`, `content`, `terminology`.
        path: the folder or the .tgz.
        dependencies: pairs (package id, version as the manifest says it).
        is_default: whether a canonical URL without a version means this version of the package.
    """

    id: str
    version: str
    canonical: str
    severity: str
    path: Path
    title: str = ""
    dependencies: tuple[tuple[str, str], ...] = ()
    is_default: bool = True
    severities: Mapping[str, str] = field(default_factory=dict)

    def is_off(self, resource_type: str) -> bool:
        """Tell whether no rule of the package about resources of a type is looked at."""
        return self.severity_for(resource_type) == self.severity_of_codes(resource_type) == "off"

    def severity_for(self, resource_type: str) -> str:
        """Return the severity of rules about resources of a type: metadata of documents, or what is in them."""
        part = "metadata" if resource_type in METADATA else "content"
        return self.severities.get(part, self.severity)

    def severity_of_codes(self, resource_type: str) -> str:
        """Return the severity of bindings in resources of a type."""
        return self.severities.get("terminology", self.severity_for(resource_type))


def version_key(version: str) -> tuple[tuple[int, ...], bool, str]:
    """Return a key that sorts versions: numbers as numbers, a pre-release (`1.0.0-ballot`) before its release."""
    release, _, pre_release = version.partition("-")
    return tuple(int(number) for number in re.findall(r"\d+", release)), not pre_release, pre_release


def is_version(version: str, wanted: str) -> bool:
    """Whether `version` satisfies what a manifest asks for: `1.4.0`, `1.4.x`, `current`, `latest`."""
    if wanted in ("current", "dev", "latest"):
        return True
    return re.fullmatch(re.escape(wanted).replace(r"\.x", r"\.\d+(-.+)?"), version) is not None


def with_one_default(infos: Sequence[PackageInfo], problems: list[str]) -> list[PackageInfo]:
    """Return `infos` with exactly one default version a package: the one that is marked, else the highest."""
    chosen: list[PackageInfo] = []
    for info in infos:
        versions = [each for each in infos if each.id == info.id]
        marked = [each for each in versions if each.is_default]
        default = max(marked or versions, key=lambda each: version_key(each.version))
        if len(marked) > 1 and info is default:
            versions_text = ", ".join(each.version for each in marked)
            problems.append(
                f"Package `{info.id}` has several default versions ({versions_text}); {info.version} is it."
            )
        chosen.append(replace(info, is_default=info is default))
    return chosen


def missing_dependencies(infos: Iterable[PackageInfo]) -> list[str]:
    """Return a sentence for every dependency that is not there, or not in the version that is asked for."""
    versions: dict[str, list[str]] = {}
    for info in infos:
        versions.setdefault(info.id, []).append(info.version)
    sentences = []
    for info in infos:
        for name, wanted in info.dependencies:
            present = versions.get(name, [])
            if not any(is_version(version, wanted) for version in present):
                instead = f"only {', '.join(present)}" if present else "no version of it"
                sentences.append(f"Package `{info.id}` {info.version} needs `{name}` {wanted}; there is {instead}.")
    return sentences


def dependencies_first(infos: Sequence[PackageInfo]) -> list[PackageInfo]:
    """Return `infos` with each package after all it depends on; a circle is cut where it is met."""
    ordered: list[PackageInfo] = []
    visited: set[Path] = set()

    def visit(info: PackageInfo) -> None:
        if info.path in visited:
            return
        visited.add(info.path)
        for name, _ in info.dependencies:
            for each in infos:
                if each.id == name:
                    visit(each)
        ordered.append(info)

    for info in infos:
        visit(info)
    return ordered
