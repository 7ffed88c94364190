"""Resources and their versions: commit, read, vread, search.

A record is `{_id, version, updated, json, index}` in the collection of its type: the bytes that are served beside the
terms by which they are found, in one document, so that one write keeps them true together.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import lru_cache
from typing import TypeGuard, TypeVar

from pymongo.errors import DuplicateKeyError, OperationFailure

from app.fhir.outcome import FhirError
from app.search.criteria import EVERYTHING, Criterion
from app.search.definitions import Definitions
from app.search.page import Position
from app.search.query import Query
from app.store.atomic import Atomic
from app.store.authority import AuthorityStore
from app.store.bulk import Bulk
from app.store.change import Change, Create, KeyTaken
from app.store.commit import Commit, new_records
from app.store.content import ContentStore
from app.store.driver import Connection, Document, Session, aggregated, failures_told
from app.store.facts import FACTS, Facts, ensure_fact_indexes
from app.store.filter import to_filter
from app.store.indexes import ensure_indexes
from app.store.links import resolve_links
from app.store.order import is_parallel, page_filter, position, projection, sort_keys, stages
from app.store.record import Derive, Kept, Match, Recording, history_key, kept, to_milliseconds
from app.store.reindex import Progress, reindex
from app.store.turns import Turns

T = TypeVar("T")

# (facts, ids) -> these and the others that are the same.
KinOf = Callable[[Facts, Sequence[str]], Awaitable[Sequence[str]]]

__all__ = ["Found", "Kept", "Match", "Store"]

# What a read returns of a record: all but its terms.
_WITHOUT_INDEX = {"index": 0, "derived": 0}

# What a search reads of a record, beside the values it is sorted by: a version and a time for each record of a page
# cost as much as all the rest, and are in `json`.
_SERVED = {"json": 1}

# Up to here a total is exact; beyond, only when the client asks for an accurate one.
MAX_COUNTED = 1_000

# After so long the database gives a search up, in milliseconds.
SEARCH_MS = 20_000

_NAMESPACE_EXISTS = 48

# The collections that belong to no resource type.
OWN_COLLECTIONS = ("history", "deleted", "unique_key", "staged_content", "content_chunk", *FACTS)


@dataclass(frozen=True, slots=True)
class Found:
    """A page of a search.

    Attributes:
        total: of all pages; None when the query did not ask for it.
        next: where the next page begins; None on the last one.
        previous: where the page before ends; None on the first one.
    """

    entries: tuple[Match, ...]
    total: int | None
    next: Position | None
    previous: Position | None = None


class Store:
    """Keeps resources and answers criteria; stateless, so that any number of workers may share a database.

    Attributes:
        content: the documents.
        facts: what the server knows by itself, and what is kept beside resources.
        authority: what the authorization server keeps.
        bulk: writes many records at once.
        is_whole: nothing is withheld; a caller's own view (`app.store.sight`) says otherwise.
        is_bound: the caller is bound to one patient.
    """

    is_whole = True
    is_bound = False

    def __init__(
        self,
        connection: Connection,
        definitions: Definitions,
        derive: Mapping[str, Derive] | None = None,
        kin: Mapping[str, KinOf] | None = None,
        elsewhere: Mapping[str, Connection] | None = None,
    ) -> None:
        """Keep resources over `connection`.

        Args:
            elsewhere: resource type -> the connection to the database where its records are, when it is another one.
            derive: what else is found of the resources of a type, beside their search terms.
            kin: who else is meant by records of a type that a chain names by identifier.
        """
        self._kin_of = kin or {}
        self._turns = Turns()
        self.content = ContentStore(connection)
        self.facts = Facts(connection.database)
        self.authority = AuthorityStore(connection.database)
        self.bulk = Bulk(connection.database, definitions)
        self._recording = Recording(definitions, derive or {})
        self._connection = connection
        self._database = connection.database
        # The driver makes a collection anew each time it is asked for one, which costs 8 us.
        homes = {name: each.database for name, each in (elsewhere or {}).items()}
        self._records = lru_cache(maxsize=256)(lambda name: homes.get(name, connection.database)[name])
        self._definitions = definitions

    async def ensure(self, resource_types: Iterable[str]) -> None:
        """Create the collections and indexes for `resource_types` that are missing.

        Raises:
            FhirError: the database cannot be used, and why.
        """
        types = tuple(resource_types)
        with failures_told():
            await self._connection.require_transactions()
            present = set(await self._database.list_collection_names())
            for name in (*OWN_COLLECTIONS, *types):
                if name not in present:
                    await self._create_collection(name)
            for holder in ("holder", "holders"):
                await self._database["unique_key"].create_index(holder, sparse=True)
            await ensure_indexes(self._database, self._definitions, types)
            await ensure_fact_indexes(self._database)

    async def ping(self) -> None:
        """Return when the database answers.

        Raises:
            FhirError: `transient` (503) when it does not.
        """
        with failures_told():
            await self._database.command("ping")

    async def close(self) -> None:
        """Close the connection."""
        await self._connection.close()

    async def commit(self, changes: Sequence[Change], now: datetime) -> tuple[Kept, ...]:
        """Carry out all `changes` or none; what it returns is in the journals of a majority.

        Returns:
            what is kept now, one for each change in their order; a deletion has no `json`.

        Raises:
            KeyTaken: another record holds a unique key, or the id of a `Create`.
            VersionConflict: a record is not at the version that was expected.
            FhirError: `not-found` (404) for a `Delete` of what never was; `transient` (503) when the database does
                not answer; `too-long` (413) for a resource that is larger than a record can be.
        """
        now = to_milliseconds(now)
        new = new_records(self._recording, changes, now)
        with failures_told():
            if len(changes) == 1 and _is_one_insert(change := changes[0]):
                return (await self._insert(change.resource["resourceType"], new[0]),)
            work = Commit(self._database, self.content, self._recording, now, changes, new)
            return await self._connection.in_transaction(work.run)

    async def seen(self, resource_type: str, ids: Sequence[str]) -> Collection[str]:
        """Return those of `ids` whose records the caller sees; here all."""
        return ids

    def disclosing(self) -> Store:
        """Return the store as the caller may be told of it, also when the request publishes; here, all of it."""
        return self

    async def permit(self, changes: Sequence[Change], now: datetime) -> None:
        """Return when the caller may carry out `changes`; here everybody may."""

    async def atomically(self, work: Callable[[Atomic], Awaitable[T]], names: Iterable[int] = ()) -> T:
        """Return what `work` returns, when all that it read and wrote holds together and is committed.

        `work` is run again when it met another one, so it must have no other effects.

        Args:
            names: what `work` will lock, as far as it is known: in this process others wait for it in turn, instead of
                meeting it in the database and trying again.

        Raises:
            KeyTaken, VersionConflict, FhirError: as `commit`.
        """

        async def in_session(session: Session) -> T:
            return await work(Atomic(self._database, self.content, self._recording, session))

        with failures_told():
            async with self._turns.taken(names):
                return await self._connection.in_transaction(in_session)

    async def read(self, resource_type: str, id: str) -> Kept:  # noqa: A002 - FHIR's word
        """Return the current version.

        Raises:
            FhirError: `not-found` (404), `deleted` (410).
        """
        with failures_told():
            found = await self._records(resource_type).find_one({"_id": id}, _WITHOUT_INDEX)
            if found is None:
                raise await self._absent(resource_type, id)
        return kept(resource_type, id, found)

    async def vread(self, resource_type: str, id: str, version: int) -> Kept:  # noqa: A002
        """Return one version, the current one included.

        Raises:
            FhirError: `not-found` (404), `deleted` (410) when the version is a deletion.
        """
        with failures_told():
            key = history_key(resource_type, id, version)
            current = {"_id": id, "version": version}
            found = await self._records(resource_type).find_one(current, _WITHOUT_INDEX)
            found = found or await self._database["history"].find_one({"_id": key})
            if found is None:
                raise await self._absent_version(resource_type, id, version)
        if found.get("deleted"):
            raise FhirError("deleted", f"{resource_type}/{id} was deleted; this version records it.")
        return kept(resource_type, id, found)

    async def search(self, query: Query) -> Found:
        """Return the page of `query`.

        Raises:
            FhirError: `too-costly` (400) when a chain finds too many targets; `transient` or `timeout` (503).
        """
        with failures_told():
            criterion = await resolve_links(query.criterion, self.find_ids, self._kin)
            if query.after or query.before or not query.count:
                records, total = await asyncio.gather(self._page(query, criterion), self._total(query, criterion))
            else:
                records = await self._page(query, criterion)
                is_all = len(records) <= query.count
                total = len(records) if is_all else await self._total(query, criterion)
        name, shown = query.resource_type, records[: query.count]
        is_end = len(records) == len(shown) or not shown
        ahead, behind = not is_end, query.after is not None and bool(shown)
        if query.before:
            shown, ahead, behind = shown[::-1], bool(shown), not is_end
        return Found(
            tuple([Match(name, each["_id"], each["json"]) for each in shown]),
            None if query.total == "none" else total,
            position(shown[-1], query.sort) if ahead else None,
            position(shown[0], query.sort) if behind else None,
        )

    async def find_ids(self, resource_type: str, criterion: Criterion, limit: int) -> tuple[str, ...]:
        """Return the ids of at most `limit` records that meet `criterion`."""
        with failures_told():
            resolved = await resolve_links(criterion, self.find_ids, self._kin)
            cursor = self._database[resource_type].find(to_filter(resolved), {"_id": 1}, limit=limit)
            found = await cursor.max_time_ms(SEARCH_MS).to_list(None)
        return tuple(each["_id"] for each in found)

    async def _kin(self, resource_type: str, ids: Sequence[str]) -> Sequence[str]:
        kin_of = self._kin_of.get(resource_type)
        return await kin_of(self.facts, ids) if kin_of else ids

    async def reindex(self, resource_types: Iterable[str]) -> AsyncIterator[Progress]:
        """Find the terms of all records of `resource_types` anew, beside whatever else goes on; yields now and then."""
        with failures_told():
            for resource_type in resource_types:
                async for progress in reindex(self._database[resource_type], resource_type, self._recording):
                    yield progress

    async def holders(self, keys: Sequence[str]) -> Mapping[str, str]:
        """Return who holds `keys`: key -> `Type/id`, without those that nobody holds."""
        with failures_told():
            found = await self._database["unique_key"].find({"_id": {"$in": list(keys)}}).to_list(None)
        return {key["_id"]: key.get("holder") or key["holders"][0] for key in found}

    async def _page(self, query: Query, criterion: Criterion) -> list[Document]:
        """Return the records of the page and, when there is one, the first beyond it; in the order of the going."""
        if not query.count:
            return []
        limit, backwards = query.count + 1, query.before is not None
        found = page_filter(criterion, query.sort, query.before or query.after, backwards=backwards)
        records = self._records(query.resource_type)
        if is_parallel(query.sort):
            return await aggregated(records, stages(found, query.sort, limit, backwards=backwards), SEARCH_MS)
        cursor = records.find(
            found,
            _SERVED | projection(query.sort),
            sort=sort_keys(query.sort, backwards=backwards),
            limit=limit,
            batch_size=limit + 1,  # one more than there are: all come with the first answer, and no cursor stays open
        )
        return await cursor.max_time_ms(SEARCH_MS).to_list(None)

    async def _total(self, query: Query, criterion: Criterion) -> int | None:
        """Return how many records meet `criterion`: counted up to `MAX_COUNTED`, unless all shall be counted."""
        if query.total == "none" and query.count:
            return None
        records = self._records(query.resource_type)
        if criterion == EVERYTHING:
            return await records.estimated_document_count()
        limit: Document = {} if query.total == "accurate" else {"limit": MAX_COUNTED}
        return await records.count_documents(to_filter(criterion), maxTimeMS=SEARCH_MS, **limit)

    async def _insert(self, resource_type: str, made: Document) -> Kept:
        """Insert the only write of a commit, which is atomic without a transaction."""
        try:
            await self._database[resource_type].insert_one(made)
        except DuplicateKeyError as error:
            raise KeyTaken(f"{resource_type}/{made['_id']}") from error
        return kept(resource_type, made["_id"], made)

    async def _create_collection(self, name: str) -> None:
        """Create a collection, unless another worker that starts at the same time is faster."""
        try:
            await self._database.command("create", name)
        except OperationFailure as error:
            if error.code != _NAMESPACE_EXISTS:
                raise

    async def _absent(self, resource_type: str, id: str) -> FhirError:  # noqa: A002
        name = f"{resource_type}/{id}"
        if tombstone := await self._database["deleted"].find_one({"_id": name}):
            if tombstone.get("purged"):
                return FhirError("deleted", f"{name} was deleted, and its versions with it.")
            return FhirError("deleted", f"{name} was deleted. Its versions are still there, below {name}/_history/.")
        return FhirError("not-found", f"There is no {name}.")

    async def _absent_version(self, resource_type: str, id: str, version: int) -> FhirError:  # noqa: A002
        purged = {"_id": f"{resource_type}/{id}", "purged": True, "version": {"$gt": version}}
        if version and await self._database["deleted"].find_one(purged):
            return FhirError("deleted", f"{resource_type}/{id} was deleted, and its versions with it.")
        return FhirError("not-found", f"There is no version {version} of {resource_type}/{id}.")


def _is_one_insert(change: Change) -> TypeGuard[Create]:
    """Whether `change` writes one record of its own, and nothing beside it."""
    if not isinstance(change, Create) or change.unique or change.shared:
        return False
    return change.content is None or change.content.data is not None
