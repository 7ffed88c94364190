"""Bundles that this server answers with, and the links between the entries of one that it receives.

A searchset is joined from stored bytes and never parsed. A transaction-response is composed.

Spec: FHIR R4 bundle.html#references, http.html#transaction, search.html#return; MHD 2:3.65.4.2.2, 2:3.67.4.2.2.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from app.fhir.outcome import Issue, operation_outcome
from app.fhir.resource import BASE, Resource, etag, instant, to_json
from app.fhir.structure import Structures

# Datatypes whose values are links (FHIR R4 http.html#trules); `canonical` is not among them, nor is `string`.
LINK_TYPES = frozenset({"uri", "url", "oid", "uuid"})
_NARRATIVE_LINK = re.compile(r"""(\b(?:href|src)\s*=\s*)(["'])(.*?)\2""")
_RESTFUL_URL = re.compile(r"(?P<base>https?://.+)/[A-Z][A-Za-z]+/[A-Za-z0-9.-]{1,64}(?:/_history/[A-Za-z0-9.-]+)?")
_RELATIVE = re.compile(r"[A-Z][A-Za-z]+/[A-Za-z0-9.-]{1,64}(?:/_history/[A-Za-z0-9.-]+)?")


@dataclass(frozen=True, slots=True)
class Written:
    """What became of one entry of a transaction.

    Attributes:
        status: HTTP status.
        resource_type, id, version, updated: the version that exists now.
        warnings: issues for the entry's own outcome.
        resource: sent back for GET entries, and for all with `Prefer: return=representation`.
    """

    status: int
    resource_type: str
    id: str
    version: int
    updated: datetime
    warnings: tuple[Issue, ...] = ()
    resource: Resource | None = None


def searchset(
    base_url: str,
    links: Mapping[str, str],
    total: int | None,
    matches: Iterable[tuple[str, bytes]],
    included: Iterable[tuple[str, bytes]] = (),
    outcome: tuple[str, Resource] | None = None,
) -> bytes:
    """Return a searchset as JSON, in which the base is still to be filled in, once for all its resources.

    Args:
        base_url: public `[base]`.
        links: relation -> absolute URL, `self` first.
        total: number of matches on all pages, None when they were not counted.
        matches: pairs (`Type/id`, JSON as it is stored).
        included: the same, of what the matches brought along.
        outcome: fullUrl and OperationOutcome of what there is to say about the search; it is not counted.
    """
    head = b'{"resourceType":"Bundle","type":"searchset"'
    if total is not None:
        head += b',"total":%d' % total
    head += b',"link":' + to_json([{"relation": relation, "url": url} for relation, url in links.items()])
    entries = [*_entries(base_url, matches, "match"), *_entries(base_url, included, "include")]
    if outcome:
        entries.append(to_json({"fullUrl": outcome[0], "resource": outcome[1], "search": {"mode": "outcome"}}))
    return head + (b',"entry":[' + b",".join(entries) + b"]}" if entries else b"}")


def _entries(base_url: str, resources: Iterable[tuple[str, bytes]], mode: str) -> list[bytes]:
    start, tail = f'{{"fullUrl":"{base_url}/'.encode(), f',"search":{{"mode":"{mode}"}}}}'.encode()
    return [b'%b%b","resource":%b%b' % (start, name.encode(), json, tail) for name, json in resources]


def transaction_response(base_url: str, written: Iterable[Written]) -> Resource:
    """Return the transaction-response for `written`, one entry each, in their order.

    Args:
        base_url: what `location` begins with; empty for relative locations.
    """
    entries = [_response_entry(base_url, entry) for entry in written]
    return {"resourceType": "Bundle", "type": "transaction-response", "entry": entries}


def _response_entry(base_url: str, entry: Written) -> Resource:
    name = f"{entry.resource_type}/{entry.id}/_history/{entry.version}"
    response: Resource = {
        "status": "201 Created" if entry.status == 201 else "200 OK",
        "location": f"{base_url}/{name}" if base_url else name,
        "etag": etag(entry.version),
        "lastModified": instant(entry.updated),
    }
    if entry.warnings:
        response["outcome"] = operation_outcome(entry.warnings)
    return {"resource": entry.resource, "response": response} if entry.resource else {"response": response}


class Links:
    """The links of one transaction Bundle: what its entries are called in it, and what they will be called here."""

    def __init__(self, structures: Structures, names: Mapping[str, str], base_url: str) -> None:
        """Keep `names`: fullUrl of an entry, or a conditional reference as sent -> new name `Type/id`."""
        self._structures = structures
        self._names = names
        self._own = f"{base_url}/"

    def new_name(self, link: str, full_url: str) -> str | None:
        """Return the new name of the entry that `link` means when it stands in the entry called `full_url`.

        A relative link counts from the base of a RESTful `full_url`; a version in the link is kept
        when the entry's own fullUrl does not carry it.

        Spec: FHIR R4 bundle.html#references.
        """
        absolute = self.absolute(link, full_url)
        if (name := self._names.get(absolute)) is not None:
            return name
        path, history, version = absolute.partition("/_history/")
        name = self._names.get(path) if history else None
        return f"{name}/_history/{version}" if name is not None else None

    def absolute(self, link: str, full_url: str) -> str:
        """Return `link` as a URL where it is relative to the base of a RESTful `full_url`; any other as it is."""
        if _RELATIVE.fullmatch(link) and (base := _RESTFUL_URL.fullmatch(full_url)):
            return f"{base['base']}/{link}"
        return link

    def rewritten(self, resource: Resource, full_url: str) -> Resource:
        """Return a copy of `resource` in which every link to an entry carries the entry's new name.

        A rewritten Reference is relative; a rewritten `uri` or `url`, and every link below our own
        `[base]`, begins with `BASE`, since what is stored does not depend on where it is served.

        Args:
            full_url: of the entry that holds the resource.

        Spec: MHD-65-24..28, 31; FHIR R4 http.html#trules.
        """
        return self._element(resource, resource["resourceType"], full_url)

    def _element(self, value: Resource, path: str, full_url: str) -> Resource:
        copy: Resource = {}
        for key, item in value.items():
            found = self._structures.child(path, key)
            type_code, below = (found[1], found[2]) if found else ("", path)
            if key.startswith("_"):
                type_code, below = "Element", "Element"
            is_reference = path == "Reference" and key == "reference"
            copy[key] = (
                self._reference(item, full_url) if is_reference else self._value(item, type_code, below, full_url)
            )
        return copy

    def _value(self, item: Any, type_code: str, below: str, full_url: str) -> Any:
        if isinstance(item, list):
            return [self._value(one, type_code, below, full_url) for one in item]
        if isinstance(item, dict):
            path = item.get("resourceType", below)
            # A document is immutable: nothing inside a Bundle that is an entry's resource is touched.
            return item if path == "Bundle" else self._element(item, path, full_url)
        if not isinstance(item, str):
            return item
        if type_code in LINK_TYPES:
            name = self.new_name(item, full_url)
            return f"{BASE}/{name}" if name is not None else self._without_base(item)
        if type_code == "xhtml":
            return _NARRATIVE_LINK.sub(lambda m: f"{m[1]}{m[2]}{self.new_name(m[3], full_url) or m[3]}{m[2]}", item)
        return item

    def _reference(self, item: str, full_url: str) -> str:
        return self.new_name(item, full_url) or self._without_base(item)

    def _without_base(self, link: str) -> str:
        return f"{BASE}/{link[len(self._own) :]}" if link.startswith(self._own) else link
