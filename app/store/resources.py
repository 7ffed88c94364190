"""Resources and their versions: commit, read, vread, search.

A record is `{_id, version, updated, json, index}` in the collection of its type: the bytes that are served beside the
terms by which they are found, in one document, so that one write keeps them true together.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from app.search.criteria import Criterion
from app.search.definitions import Definitions
from app.search.query import Position, Query
from app.store.change import Change
from app.store.content import ContentInfo, ContentStore
from app.store.driver import Connection


@dataclass(frozen=True, slots=True)
class Kept:
    """A record as it is stored.

    Attributes:
        updated: in UTC, milliseconds.
        json: the resource as it is served, but for `resource.BASE`; empty for a deletion.
        content: the document of a Binary; None also in what a search found.
    """

    resource_type: str
    id: str
    version: int
    updated: datetime
    json: bytes
    content: ContentInfo | None = None


@dataclass(frozen=True, slots=True)
class Found:
    """A page of a search.

    Attributes:
        total: of all pages; None when the query did not ask for it.
        next: where the next page begins; None on the last one.
    """

    entries: tuple[Kept, ...]
    total: int | None
    next: Position | None


class Store:
    """Keeps resources and answers criteria; has no state of its own, so that any number of workers may share a database.

    Attributes:
        content: the documents.
    """

    def __init__(self, connection: Connection, definitions: Definitions) -> None:
        self.content = ContentStore(connection)

    async def ensure(self) -> None:
        """Create the collections and indexes that are missing."""
        raise NotImplementedError

    async def ping(self) -> None:
        """Return when the database answers.

        Raises:
            FhirError: `transient` (503) when it does not.
        """
        raise NotImplementedError

    async def close(self) -> None:
        """Close the connection."""
        raise NotImplementedError

    async def commit(self, changes: Sequence[Change], now: datetime) -> tuple[Kept, ...]:
        """Carry out all `changes` or none.

        Returns:
            what is kept now, one for each change in their order; a deletion has no `json`.

        Raises:
            KeyTaken: another record holds a unique key.
            VersionConflict: a record is not at the version that was expected.
            FhirError: `transient` (503) when the database does not answer, `too-long` (413) for a resource
                that is larger than a record can be.
        """
        raise NotImplementedError

    async def read(self, resource_type: str, id: str) -> Kept:  # noqa: A002 - FHIR's word
        """Return the current version.

        Raises:
            FhirError: `not-found` (404), `deleted` (410).
        """
        raise NotImplementedError

    async def vread(self, resource_type: str, id: str, version: int) -> Kept:  # noqa: A002
        """Return one version, the current one included.

        Raises:
            FhirError: `not-found` (404), `deleted` (410) when the version is a deletion.
        """
        raise NotImplementedError

    async def search(self, query: Query) -> Found:
        """Return the page of `query`."""
        raise NotImplementedError

    async def find_ids(self, resource_type: str, criterion: Criterion, limit: int) -> tuple[str, ...]:
        """Return the ids of at most `limit` records that meet `criterion`."""
        raise NotImplementedError

    async def holders(self, keys: Sequence[str]) -> Mapping[str, str]:
        """Return who holds `keys`: key -> `Type/id`, without those that nobody holds."""
        raise NotImplementedError
