"""A record of the store: what is kept of a version of a resource, as MongoDB holds it and as others see it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, NamedTuple

from app.fhir.resource import Resource, to_json, with_meta
from app.search.definitions import Definitions
from app.search.index import index
from app.store.change import Create, Update
from app.store.content import ContentInfo, content_of, content_record
from app.store.driver import Document
from app.store.writer import writer


class Kept(NamedTuple):
    """A record as it is stored.

    Own choice: a tuple, which is made in a third of the time of a frozen dataclass, and a page makes many.

    Attributes:
        updated: in UTC, milliseconds.
        json: the resource as it is served, but for `resource.BASE`; empty for a deletion.
        content: the document of a Binary.
        required: how often others required this version (`Require`).
    """

    resource_type: str
    id: str
    version: int
    updated: datetime
    json: bytes
    content: ContentInfo | None = None
    required: int = 0


class Match(NamedTuple):
    """What a search reads of a record: what is served of it, and nothing that is in there again."""

    resource_type: str
    id: str
    json: bytes


# What else is found of a resource and its `beside`, by type: `index` joins its terms, the rest is kept as `derived`.
Derive = Callable[[Resource, Mapping[str, Any]], Document]


@dataclass(frozen=True, slots=True)
class Recording:
    """How resources become records: the search parameters, and what is derived for some types (decision 21)."""

    definitions: Definitions
    derive: Mapping[str, Derive] = field(default_factory=dict)


def record(
    definitions: Definitions, resource: Resource, version: int, updated: datetime, content: ContentInfo | None
) -> Document:
    """Return the record of a `version` of `resource`, with the terms by which it is found."""
    return _served(resource, version, updated, content) | {"index": index(definitions, resource)}


def _served(resource: Resource, version: int, updated: datetime, content: ContentInfo | None) -> Document:
    updated = to_milliseconds(updated)
    made: Document = {
        "_id": resource["id"],
        "version": version,
        "updated": updated,
        "json": to_json(with_meta(resource, version, updated)),
    }
    if by := writer():
        made["by"] = by
    return made if content is None else {**made, "content": content_record(content)}


def recorded(
    recording: Recording, change: Create | Update, now: datetime, version: int = 1, current: Document | None = None
) -> Document:
    """Return the record that `change` makes: the `version` after `current`, with what is kept beside it and derived."""
    content = change.content or (content_of(current) if current else None)
    updated = max(now, current["updated"]) if current else now
    made = _served(change.resource, version, updated, content)
    beside = dict(change.beside) if change.beside is not None else (current or {}).get("beside")
    if beside:
        made["beside"] = beside
    return made | found_by(recording, change.resource, beside or {})


def found_by(recording: Recording, resource: Resource, beside: Mapping[str, Any]) -> Document:
    """Return the part of the record that follows from `resource` and what is kept `beside` it: `index`, `derived`."""
    terms = index(recording.definitions, resource)
    derive = recording.derive.get(resource["resourceType"])
    if derive is None:
        return {"index": terms}
    derived = derive(resource, beside)
    for parameter, more in derived.pop("index", {}).items():
        terms[parameter] = list(dict.fromkeys([*terms.get(parameter, ()), *more]))
    return {"index": terms, "derived": derived} if derived else {"index": terms}


def past(resource_type: str, current: Document) -> Document:
    """Return what the history keeps of a record that is about to be replaced: all but its terms."""
    kept: Document = {
        name: current[name] for name in ("version", "updated", "json", "content", "by") if name in current
    }
    return {"_id": history_key(resource_type, current["_id"], current["version"]), **kept}


def kept(resource_type: str, id: str, found: Document) -> Kept:  # noqa: A002 - FHIR's word
    """Return the record `found` in the collection of its type, or in the history."""
    version, updated, json = found["version"], found["updated"], found["json"]
    return Kept(resource_type, id, version, updated, json, content_of(found), found.get("required", 0))


def history_key(resource_type: str, id: str, version: int) -> str:  # noqa: A002
    """Return the key of a version in the history."""
    return f"{resource_type}/{id}/{version}"


def to_milliseconds(moment: datetime) -> datetime:
    """Return `moment` in UTC as MongoDB keeps it."""
    return moment.astimezone(UTC).replace(microsecond=moment.microsecond // 1000 * 1000)
