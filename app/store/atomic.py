"""Several reads and writes that hold together: what one transaction of MongoDB sees and does.

A transaction sees the database as it was when it began, so two of them could each miss what the other writes. Who must
not miss anything locks the names that both would have in common first: the second one is then run again, and sees the
first.

Spec: own choice, docs/decisions/0021; PIXM-XREF-08, MAT-65.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime

from pymongo import UpdateOne
from pymongo.asynchronous.database import AsyncDatabase

from app.store.change import Change
from app.store.commit import Commit, new_records
from app.store.content import ContentStore
from app.store.driver import Document, Session
from app.store.facts import Facts
from app.store.record import Kept, Recording, kept, to_milliseconds


class Atomic(Facts):
    """A transaction: facts and resources, read and written together."""

    def __init__(
        self, database: AsyncDatabase[Document], content: ContentStore, recording: Recording, session: Session
    ) -> None:
        super().__init__(database, session)
        self._content = content
        self._recording = recording
        self._open: Session = session

    async def lock(self, names: Iterable[int]) -> None:
        """Keep every other transaction out that locks one of `names`; called before anything is read."""
        writes = [UpdateOne({"_id": name}, {"$inc": {"n": 1}}, upsert=True) for name in sorted(set(names))]
        if writes:
            await self._database["match_lock"].bulk_write(writes, session=self._open)

    async def find(self, resource_type: str, id: str) -> Kept | None:  # noqa: A002 - FHIR's word
        """Return the current version of a resource, None when there is none."""
        found = await self._database[resource_type].find_one(
            {"_id": id}, {"index": 0, "derived": 0}, session=self._open
        )
        return kept(resource_type, id, found) if found else None

    async def commit(self, changes: Sequence[Change], now: datetime) -> tuple[Kept, ...]:
        """Carry out `changes` as part of this transaction; see `Store.commit`."""
        now = to_milliseconds(now)
        new = new_records(self._recording, changes, now)
        work = Commit(self._database, self._content, self._recording, now, changes, new)
        return await work.run(self._open)
