"""Writes as data: what a submission does to the store, and the two reasons why a commit is refused.

Spec: FHIR R4 http.html#transaction; IHE ITI TF-2:3.65.4.1.3 (all or nothing).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from app.fhir.resource import Resource
from app.store.content import StagedContent


@dataclass(frozen=True, slots=True)
class Create:
    """A new record.

    Attributes:
        resource: with its `id`; a Binary with `content` has no `data`.
        content: the document of a Binary.
        unique: keys that no other record may hold, such as an entryUUID.
        shared: pairs (key, meaning): other records may hold the key too, as long as they mean the same by it, as
            documents of one uniqueId and the same bytes do.
        beside: facts of the server's own that are kept beside the resource, and are no part of it.
    """

    resource: Resource
    content: StagedContent | None = None
    unique: tuple[str, ...] = ()
    shared: tuple[tuple[str, str], ...] = ()
    beside: Mapping[str, Any] | None = None


@dataclass(frozen=True, slots=True)
class Update:
    """The next version of a record; its first one when there is none yet.

    Attributes:
        resource: with its `id`.
        if_version: the version that it replaces; None whatever it replaces; 0 when there must be none.
        if_required: how often that version was required by others when it was read (`Kept.required`): who looked for
            all that hang on a record must not miss one that is added meanwhile; None when that does not matter.
        content: a new document of a Binary; None keeps the one that it has.
        unique: keys that it claims beside those it holds already.
        beside: facts of the server's own beside the resource; None leaves those that there are.
    """

    resource: Resource
    if_version: int | None = None
    if_required: int | None = None
    content: StagedContent | None = None
    unique: tuple[str, ...] = ()
    beside: Mapping[str, Any] | None = None


@dataclass(frozen=True, slots=True)
class Delete:
    """The end of a record: its versions stay readable, its unique keys are free again."""

    resource_type: str
    id: str


@dataclass(frozen=True, slots=True)
class Purge:
    """The end of a record and of all its versions and documents; that it was there is all that stays."""

    resource_type: str
    id: str


@dataclass(frozen=True, slots=True)
class Require:
    """A condition: the record is still at `version` when the commit happens. That it was required is counted."""

    resource_type: str
    id: str
    version: int


Change = Create | Update | Delete | Purge | Require


class KeyTaken(Exception):  # noqa: N818 - says what happened; the caller decides whether it is an error
    """Another record holds a key, or means something else by a shared one, or has the id; nothing was written.

    Attributes:
        key: the unique key, or `Type/id`.
    """

    def __init__(self, key: str) -> None:
        super().__init__("A unique key is held by another record.")
        self.key = key


class VersionConflict(Exception):  # noqa: N818 - as above
    """The record is not at the version that an `Update` or `Require` names; nothing was written."""

    def __init__(self, resource_type: str, id: str) -> None:  # noqa: A002 - FHIR's word
        super().__init__(f"{resource_type}/{id} is no longer at the version that was expected.")
        self.resource_type = resource_type
        self.id = id
