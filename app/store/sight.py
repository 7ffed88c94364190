"""The store as one caller sees it: what they may not see does not exist for them.

A view over the same store, for the requests of callers from whom something is withheld; for all others there is none,
and it costs nothing. Searches, chains, inclusions, totals and pages are narrowed in the database; reads and past
versions are looked at one by one; of a commit every record, as it was and as it will be.

A document has no terms of its own: it is seen by whoever sees the DocumentReference that owns it (MHD-65-64).

Spec: MHD-SEC-04, MHD-SEC-05, MHD-66-35, MHD-67-37, MHD-68-15; IUA-23, IUA-32; EHDS-20 to EHDS-22.
docs/decisions/0027.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from typing import Any, Protocol, Self

from app.fhir.outcome import FhirError
from app.fhir.reference import parse as parse_reference
from app.fhir.resource import Resource, parse_json
from app.search.criteria import EVERYTHING, NOTHING, Criterion, Terms, all_of
from app.search.index import index
from app.search.meeting import meets, with_record
from app.search.named import chained, named
from app.search.query import Query
from app.store.change import Change, Create, Update
from app.store.driver import failures_told
from app.store.links import resolve_links
from app.store.record import Kept, found_by, kept, to_milliseconds
from app.store.resources import Found, Store

# What is seen by whoever sees its owner.
OWNED = frozenset({"Binary", "Bundle"})
OWNER = "DocumentReference"

# The parameters by which a record of these types tells whose it is.
_WHOSE = "patient"
# Those by which a search names them.
_ASKED = ("patient", "subject")


class Sights(Protocol):
    """What a caller may see and write, and how they are turned away (`app.security.withholding`)."""

    @property
    def is_bound(self) -> bool:
        """Whether the caller is bound to one patient."""
        ...

    def layers(self, resource_type: str) -> Sequence[Criterion]:
        """Return what a record of a type must meet to be seen: one criterion for each reason to withhold it."""
        ...

    def shows(self, resource_type: str) -> bool:
        """Tell whether records of a type may be shown at all."""
        ...

    def reach(self, resource_type: str) -> Criterion:
        """Return what a record must meet that is created or changed."""
        ...

    def disclosing(self) -> Self:
        """Return the same for what a request that publishes would disclose."""
        ...

    def withheld(self, layer: int, name: str, patients: Sequence[str]) -> FhirError | None:
        """Return how the read of a record is refused that does not meet one of `layers`; None: it does not exist.

        Args:
            layer: place in `layers`.
            patients: names of the Patients whose record it is.
        """
        ...

    def shown(self, resource_type: str, json: bytes) -> bytes:
        """Return what of a record that the caller sees is shown, as stored JSON."""
        ...

    def asked(self, questions: Iterable[Sequence[str]]) -> None:
        """Look at the patients for whom a search asks; raise FhirError when it may not."""
        ...

    def chained(self, resource_type: str, parameter: str) -> None:
        """Look at what a search asks of records behind a reference; raise FhirError when it may not."""
        ...

    def out_of_reach(self) -> FhirError:
        """Return the refusal of a write beyond what the caller may write."""
        ...


class Sighted(Store):
    """A store as `sights` let it be seen; it shares everything with the `whole` one."""

    is_whole = False

    def __init__(self, whole: Store, sights: Sights) -> None:
        self.__dict__.update(whole.__dict__)
        self._whole = whole
        self._sights = sights
        self.is_bound = sights.is_bound
        self._resolved: dict[str, tuple[tuple[int, Criterion], ...]] = {}

    async def seen(self, resource_type: str, ids: Sequence[str]) -> Collection[str]:
        """Return those of `ids` whose records the caller sees."""
        return set(await self.find_ids(resource_type, Terms("_id", tuple(ids)), len(ids))) if ids else ()

    def disclosing(self) -> Store:
        """Return the store as the caller may be told of it, also when the request publishes."""
        return Sighted(self._whole, self._sights.disclosing())

    async def search(self, query: Query) -> Found:
        """Return the page of `query`, of what the caller sees."""
        resource_type = query.resource_type
        if resource_type in OWNED or not self._sights.shows(resource_type):
            return Found((), None if query.total == "none" else 0, None)
        for target, parameter in chained(query.criterion):
            self._sights.chained(target, parameter)
        criterion = await resolve_links(query.criterion, self.find_ids, self._kin)
        if resource_type != "Patient":
            self._sights.asked([one for parameter in _ASKED for one in named(criterion, parameter)])
        found = await super().search(replace(query, criterion=all_of([criterion, await self._sight(resource_type)])))
        shown = [one._replace(json=self._sights.shown(resource_type, one.json)) for one in found.entries]
        return replace(found, entries=tuple(shown))

    async def find_ids(self, resource_type: str, criterion: Criterion, limit: int) -> tuple[str, ...]:
        """Return the ids of at most `limit` records that meet `criterion`, of those that the caller sees."""
        sight = NOTHING if resource_type in OWNED else await self._sight(resource_type)
        return await super().find_ids(resource_type, all_of([criterion, sight]), limit)

    async def read(self, resource_type: str, id: str) -> Kept:  # noqa: A002 - FHIR's word
        """Return the current version.

        Raises:
            FhirError: as `Store.read`; for what the caller does not see `not-found` (404) or `forbidden` (403, 401).
        """
        if resource_type in OWNED:
            try:
                found = await self._whole.read(resource_type, id)
            except FhirError as error:
                raise self._gone(error, resource_type, id) from None
            await self._require_owner(found)
            return found
        if not await self._layers(resource_type):
            return await super().read(resource_type, id)
        with failures_told():
            record = await self._records(resource_type).find_one({"_id": id}, {"derived": 0})
            if record is None:
                raise self._gone(await self._absent(resource_type, id), resource_type, id)
        seen = with_record(record["index"], id, record["updated"])
        await self._require_seen(f"{resource_type}/{id}", seen)
        return self._shown(kept(resource_type, id, record))

    async def vread(self, resource_type: str, id: str, version: int) -> Kept:  # noqa: A002
        """Return one version of a record that the caller sees, as it was and as it is."""
        absent = FhirError("not-found", f"There is no version {version} of {resource_type}/{id}.")
        try:
            found = await self._whole.vread(resource_type, id, version)
        except FhirError as error:
            raise absent if self._sights.is_bound else error from None
        if resource_type in OWNED:
            await self._require_owner(found, absent)
            return found
        terms = index(self._definitions, parse_json(found.json))
        await self._require_seen(f"{resource_type}/{id}", with_record(terms, id, found.updated), absent)
        with failures_told():
            now = await self._records(resource_type).find_one({"_id": id}, {"index": 1, "updated": 1})
        if now is not None:
            await self._require_seen(f"{resource_type}/{id}", with_record(now["index"], id, now["updated"]), absent)
        return self._shown(found)

    def _shown(self, found: Kept) -> Kept:
        return found._replace(json=self._sights.shown(found.resource_type, found.json))

    async def commit(self, changes: Sequence[Change], now: datetime) -> tuple[Kept, ...]:
        """Carry out all `changes` or none; none when one of them is beyond what the caller may write."""
        await self.permit(changes, now)
        return await super().commit(changes, now)

    async def permit(self, changes: Sequence[Change], now: datetime) -> None:
        """Return when the caller may carry out `changes`.

        Raises:
            FhirError: `forbidden` (403, 401).
        """
        writes = [change for change in changes if isinstance(change, Create | Update)]
        new = {_name(change.resource) for change in writes}
        for change in writes:
            await self._require_reach(change, new, now)
        touched: defaultdict[str, list[str]] = defaultdict(list)
        for each in changes:
            if not isinstance(each, Create):
                resource_type, _, record_id = _touched(each).partition("/")
                touched[resource_type].append(record_id)
        for resource_type, ids in touched.items():
            await self._require_all_seen(resource_type, ids)

    async def _require_reach(self, change: Create | Update, new: set[str], now: datetime) -> None:
        """Refuse a record that is, as it will be, out of reach; a document has its owner with it, or seen."""
        resource = change.resource
        resource_type = resource["resourceType"]
        if resource_type in OWNED:
            owner = _owner(resource)
            if owner not in new and not (owner and await self.find_ids(OWNER, _of_ids([owner]), 1)):
                raise self._sights.out_of_reach()
            return
        reach = await self._plain(self._sights.reach(resource_type))
        terms = found_by(self._recording, resource, change.beside or {})["index"]
        if not meets(reach, with_record(terms, resource["id"], to_milliseconds(now))):
            raise self._sights.out_of_reach()

    async def _require_all_seen(self, resource_type: str, ids: Sequence[str]) -> None:
        """Refuse to touch records that are there and that the caller does not see."""
        if resource_type in OWNED:
            for record_id in ids:
                await self.read(resource_type, record_id)
            return
        asked = _of_ids(ids)
        seen = set(await self.find_ids(resource_type, asked, len(ids)))
        if seen != set(ids) and set(await self._whole.find_ids(resource_type, asked, len(ids))) - seen:
            raise self._sights.out_of_reach()

    async def _require_owner(self, found: Kept, absent: FhirError | None = None) -> None:
        """Refuse a document whose owner the caller does not see; without an owner it is nobody's."""
        owner = _owner(parse_json(found.json))
        absent = absent or FhirError("not-found", f"There is no {found.resource_type}/{found.id}.")
        if not owner:
            raise absent
        try:
            await self.read(OWNER, owner.partition("/")[2])
        except FhirError as error:
            raise absent if error.status in (404, 410) else error from None

    async def _require_seen(
        self, name: str, terms: Mapping[str, Sequence[Any]], absent: FhirError | None = None
    ) -> None:
        resource_type = name.partition("/")[0]
        for layer, criterion in await self._layers(resource_type):
            if not meets(criterion, terms):
                patients = [name] if resource_type == "Patient" else [str(one) for one in terms.get(_WHOSE, ())]
                absent = absent or FhirError("not-found", f"There is no {name}.")
                raise self._sights.withheld(layer, name, patients) or absent

    async def _sight(self, resource_type: str) -> Criterion:
        return all_of([EVERYTHING, *(criterion for _, criterion in await self._layers(resource_type))])

    async def _layers(self, resource_type: str) -> tuple[tuple[int, Criterion], ...]:
        """Return what must be met to be seen, links resolved, each with its place; those that ask nothing left out."""
        if resource_type not in self._resolved:
            asked = enumerate(self._sights.layers(resource_type))
            self._resolved[resource_type] = tuple(
                [(layer, await self._plain(criterion)) for layer, criterion in asked if criterion != EVERYTHING]
            )
        return self._resolved[resource_type]

    async def _plain(self, criterion: Criterion) -> Criterion:
        return await resolve_links(criterion, self._whole.find_ids, self._kin)

    def _gone(self, error: FhirError, resource_type: str, id: str) -> FhirError:  # noqa: A002
        """Return how it is told that there is no such record; whose it was is not known any more."""
        return FhirError("not-found", f"There is no {resource_type}/{id}.") if self._sights.is_bound else error


def _name(resource: Resource) -> str:
    return f"{resource['resourceType']}/{resource['id']}"


def _touched(change: Change) -> str:
    if isinstance(change, Create | Update):
        return _name(change.resource)
    return f"{change.resource_type}/{change.id}"


def _owner(document: Resource) -> str:
    """Return the name of the DocumentReference that owns a document; "" when none does."""
    owner = parse_reference(str(document.get("securityContext", {}).get("reference", "")))
    return owner.url if owner.kind == "literal" and owner.resource_type == OWNER else ""


def _of_ids(names: Iterable[str]) -> Criterion:
    return Terms("_id", tuple(_ids(names)))


def _ids(names: Iterable[str]) -> Iterator[str]:
    return (name.rpartition("/")[2] for name in names)
