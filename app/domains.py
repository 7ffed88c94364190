"""Identifier domains: which identifier systems this server knows, who feeds them, and what may be told of them.

A domain is an assigning authority, named by a URI. Two spellings of one domain are one domain: a file in TOML says so
with `aliases`, a NamingSystem resource of a package with its unique ids. The server's own `[base]` is always one of
them: `[base]|Patient/1` is a patient's number there.

    [[domain]]
    system = "urn:oid:2.999.10.1"          # how answers name it
    aliases = ["https://north.example.org/patients"]
    name = "North Hospital"
    fed_by = "north-adt"                   # the one client that may feed it; one client may feed several domains
    revealed = true                        # false: its numbers help matching and are never told
    assertion = "owner-only"               # "any": whoever sends a number of it is believed
    trusted = false                        # true: one number, one person, such as a national number
    check = "sk.rc"                        # of a trusted number: what python-stdnum calls its check digit
    kind = "business"                      # "fhir-server": the system is a FHIR base, numbers are `Patient/<id>`;
                                           # "person": this index's own number of a person, which nobody feeds
    active = true

Spec: PIXM-DOM-01 to PIXM-DOM-08; ITI TF-2 Appendix E.3.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from app.fhir.packages import Packages
from app.fhir.resource import Resource

Kind = Literal["business", "fhir-server", "person"]
Assertion = Literal["owner-only", "any"]

# What a member of `[[domain]]` may be: its type, and the words when only some are allowed.
_MEMBERS: Mapping[str, tuple[type, tuple[str, ...]]] = {
    "system": (str, ()),
    "aliases": (list, ()),
    "name": (str, ()),
    "fed_by": (str, ()),
    "revealed": (bool, ()),
    "assertion": (str, ("owner-only", "any")),
    "trusted": (bool, ()),
    "check": (str, ()),
    "kind": (str, ("business", "fhir-server", "person")),
    "active": (bool, ()),
}
_ABSOLUTE = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*:[^\s|]+")
_OID = re.compile(r"urn:oid:[0-2](\.(0|[1-9][0-9]*))+")
_HEADER = re.compile(r"\s*\[\[\s*domain\s*\]\]")


class DomainsError(Exception):
    """The file of domains stops the start: one sentence with its name, the line, and the remedy."""


@dataclass(frozen=True, slots=True)
class Domain:
    """One identifier domain; the members are those of the file.

    Attributes:
        source: whose records are its own: the client that feeds it, or the domain by itself when none is named.
    """

    system: str
    aliases: tuple[str, ...] = ()
    name: str = ""
    fed_by: str = ""
    revealed: bool = True
    assertion: Assertion = "owner-only"
    trusted: bool = False
    check: str = ""
    kind: Kind = "business"
    active: bool = True

    @property
    def source(self) -> str:
        """Whose records own the identifiers of this domain."""
        return self.fed_by or self.system

    def may_be_fed_by(self, client: str) -> bool:
        """Tell whether `client` may feed this domain; an empty name is a caller whom nobody has asked for a token."""
        return not client or not self.fed_by or client == self.fed_by


class Domains:
    """All domains that are recognised, by each of their spellings.

    Attributes:
        own: that of `[base]`.
        are_told: there are others than `[base]`: a server that was told of none cannot say which is unknown.
        hidden: every spelling of the domains whose identifiers are never told.
    """

    def __init__(self, listed: Iterable[Domain], base_url: str) -> None:
        """Take `listed` and the server's own `[base]`; of two with one spelling, the first counts."""
        own = Domain(base_url, (f"{base_url}/",), "This server", kind="fhir-server", fed_by="")
        self.own = own
        self._by_spelling: dict[str, Domain] = {}
        for domain in (own, *listed):
            for spelling in (domain.system, *domain.aliases):
                if domain.active:
                    self._by_spelling.setdefault(spelling, domain)
        self.are_told = any(one is not own for one in self._by_spelling.values())
        self.hidden = frozenset(spelling for spelling, one in self._by_spelling.items() if not one.revealed)

    def find(self, system: str) -> Domain | None:
        """Return the domain that `system` spells, None when it is not recognised."""
        return self._by_spelling.get(system)

    def canonical(self, system: str) -> str:
        """Return the spelling that answers use; of an unknown system, itself."""
        found = self._by_spelling.get(system)
        return found.system if found else system

    def spellings(self, system: str) -> tuple[str, ...]:
        """Return every spelling of the domain of `system`, the canonical one first; of an unknown one, itself."""
        found = self._by_spelling.get(system)
        return (found.system, *found.aliases) if found else (system,)

    def all(self) -> tuple[Domain, ...]:
        """Return the recognised domains, each once."""
        return tuple({id(one): one for one in self._by_spelling.values()}.values())


def load(path: Path | None, packages: Packages, base_url: str) -> Domains:
    """Return the domains of the file at `path`, of the NamingSystem resources of `packages`, and `[base]`.

    Raises:
        DomainsError: the file cannot be read, or says something that is not as described above.
    """
    told = parse(path) if path else ()
    return Domains((*told, *of_naming_systems(packages.all("NamingSystem"))), base_url)


def parse(path: Path) -> tuple[Domain, ...]:
    """Return the domains of the TOML file at `path`.

    Raises:
        DomainsError: names the file and the line.
    """
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        reason = getattr(error, "strerror", None) or "it is not text in UTF-8"
        raise DomainsError(f"The file of domains {path} cannot be read: {reason}.") from None
    try:
        content = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise DomainsError(f"{path}: this is not TOML: {error}.") from None
    return tuple(_File(path, text).domains(content))


def of_naming_systems(resources: Iterable[Resource]) -> Iterator[Domain]:
    """Yield the domains that NamingSystem resources for identifiers describe; their preferred URI leads."""
    for each in resources:
        if each.get("kind") != "identifier" or each.get("status") == "retired":
            continue
        ids = sorted(each.get("uniqueId", ()), key=lambda one: (one.get("type") != "uri", not one.get("preferred")))
        spellings = tuple(dict.fromkeys(spelling for one in ids if (spelling := _uri(one))))
        if spellings:
            yield Domain(spellings[0], spellings[1:], str(each.get("name", "")))


def _uri(unique_id: Resource) -> str:
    value = str(unique_id.get("value", ""))
    prefix = {"oid": "urn:oid:", "uuid": "urn:uuid:"}.get(str(unique_id.get("type")), "")
    return value if value.startswith(prefix) else prefix + value


@dataclass(frozen=True, slots=True)
class _File:
    """A file of domains, read as TOML; what is wrong is told by its line."""

    path: Path
    text: str

    def domains(self, content: dict[str, Any]) -> Iterator[Domain]:
        for name in content:
            if name != "domain":
                raise self._wrong(self._line(name, 0), f"`{name}` is not known; expected is `[[domain]]`")
        blocks = content.get("domain", [])
        if not isinstance(blocks, list):
            raise self._wrong(self._line("domain", 0), "each domain begins with `[[domain]]`, in two pairs of brackets")
        seen: dict[str, str] = {}
        for number, block in enumerate(blocks):
            domain = self._domain(number, block)
            for spelling in (domain.system, *domain.aliases):
                if spelling in seen:
                    member = "system" if spelling == domain.system else "aliases"
                    text = f"`{spelling}` stands for `{seen[spelling]}` already"
                    raise self._wrong(self._member_line(number, member), text)
                seen[spelling] = domain.name
            yield domain

    def _domain(self, number: int, block: Any) -> Domain:
        for name, value in block.items():
            self._check(number, name, value)
        if "system" not in block:
            raise self._wrong(self._header_line(number), "this domain has no `system`")
        if "name" not in block:
            raise self._wrong(self._header_line(number), "this domain has no `name`")
        members: dict[str, Any] = {**block, "aliases": tuple(block.get("aliases", ()))}
        return Domain(**members)

    def _check(self, number: int, name: str, value: Any) -> None:
        line = self._member_line(number, name)
        if name not in _MEMBERS:
            raise self._wrong(line, f"`{name}` is not known; known are {', '.join(_MEMBERS)}")
        expected, words = _MEMBERS[name]
        if not _is(value, expected):
            raise self._wrong(line, f"`{name}` must be {_TYPE_NAMES[expected]}")
        if words and value not in words:
            raise self._wrong(line, f"`{name}` must be one of {', '.join(words)}")
        if name == "system":
            self._check_system(line, value)
        if name == "aliases" and not all(isinstance(one, str) and one for one in value):
            raise self._wrong(line, "`aliases` must be a list of texts that are not empty")

    def _check_system(self, line: int, system: str) -> None:
        if not _ABSOLUTE.fullmatch(system):
            raise self._wrong(
                line, "`system` must be an absolute URI, such as urn:oid:2.999.10.1 or https://example.org"
            )
        if system.startswith("urn:oid:") and not _OID.fullmatch(system):
            raise self._wrong(line, "`system` is not an OID of the form urn:oid:1.2.3")

    def _wrong(self, line: int, text: str) -> DomainsError:
        return DomainsError(f"{self.path}, line {line}: {text}.")

    def _header_line(self, number: int) -> int:
        headers = [at for at, line in enumerate(self.text.splitlines(), 1) if _HEADER.match(line)]
        return headers[number] if number < len(headers) else 1

    def _member_line(self, number: int, name: str) -> int:
        return self._line(name, self._header_line(number) - 1)

    def _line(self, name: str, after: int) -> int:
        """Return the first line behind `after` that gives `name`."""
        pattern = re.compile(rf"""\s*\[*\s*["']?{re.escape(name)}["']?\s*[=\].]""")
        lines = list(enumerate(self.text.splitlines(), 1))[after:]
        return next((at for at, line in lines if pattern.match(line)), after + 1)


def _is(value: object, expected: type) -> bool:
    return isinstance(value, expected)


_TYPE_NAMES = {str: "a text in quotation marks", list: "a list of texts", bool: "true or false"}
