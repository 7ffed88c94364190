"""Where records are put: into the database; or, while that is away, into a file that is emptied when it is back.

Spec: AUD-10; docs/decisions/0023.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from datetime import datetime
from pathlib import Path
from typing import Any

from app.audit.chain import ANCHORS, Seals
from app.store.audit import AuditStore
from app.store.spool import SUFFIX, Spool, left_behind

log = logging.getLogger("app")

Record = dict[str, Any]

BATCH = 500
_FIRST_PAUSE_S, _LONGEST_PAUSE_S = 0.2, 5.0


class Database:
    """Puts records into the database, or fails."""

    def __init__(self, store: AuditStore, now: Callable[[], datetime], worker: str) -> None:
        """Put into `store`; `worker` is what operators know this process by."""
        self._store, self._now, self._worker = store, now, worker
        self._anchored: Sequence[Mapping[str, Any]] = ()

    async def begin(self, chain: str) -> Seals | None:
        """Open `chain`; return the ends of the chains that are there, as far as nobody has vouched for them yet."""
        lines = {one["_id"]: one.get("anchored", 0) for one in await self._store.chains() if not _is_settled(one)}
        heads = await self._store.heads(lines)
        await self._store.open_chain(chain, self._now(), self._worker)
        self._anchored = [head for name, head in heads.items() if head["seq"] > lines[name]]
        return Seals(ANCHORS, tuple(self._anchored)) if self._anchored else None

    async def put(self, records: Sequence[Record]) -> None:
        """Return when `records` are kept."""
        await self._store.append(records)
        if self._anchored:
            for each in self._anchored:
                await self._store.note_chain(each["chain"], {"anchored": each["seq"]})
            self._anchored = ()

    async def end(self, chain: str, seq: int) -> None:
        """Note that nothing comes behind number `seq` of `chain`."""
        await self._store.note_chain(chain, {"ended": self._now(), "last": seq})


def _is_settled(line: Mapping[str, Any]) -> bool:
    return "last" in line and line["last"] == line.get("anchored")


class Spooling:
    """Puts records into the database; when that fails, into a file from which they come there in their order."""

    def __init__(self, database: Database, store: AuditStore, folder: Path) -> None:
        self._database, self._store, self._folder = database, store, folder
        self._spool: Spool | None = None
        self._emptying: asyncio.Task[None] | None = None
        self._turn = asyncio.Lock()

    @property
    def waiting_bytes(self) -> int:
        """How much waits in the file."""
        return self._spool.size if self._spool else 0

    async def begin(self, chain: str) -> Seals | None:
        """Open `chain`; when the database is away, without a look at the others."""
        try:
            return await self._database.begin(chain)
        except Exception as error:  # noqa: BLE001 - the file takes over, whatever the reason
            log.warning("audit events go into the spool: %s", type(error).__name__)
            return None

    async def put(self, records: Sequence[Record]) -> None:
        """Return when `records` are in the database, or on the disk.

        Raises:
            OSError: they are neither.
        """
        if self._spool is None:
            try:
                await self._database.put(records)
            except Exception as error:  # noqa: BLE001
                log.warning("audit events go into the spool: %s", type(error).__name__)
            else:
                return
        async with self._turn:
            if self._spool is None:
                self._spool = Spool.open(self._folder / f"{records[0]['chain']}{SUFFIX}")
                self._emptying = asyncio.create_task(self._empty())
            if self._spool is None:
                raise OSError("somebody else has the spool of this process")
            await asyncio.to_thread(self._spool.append, records)

    async def end(self, chain: str, seq: int) -> None:
        """Leave what waits in the file to whoever starts next."""
        if self._emptying:
            self._emptying.cancel()
            with suppress(asyncio.CancelledError):
                await self._emptying
        if self._spool:
            self._spool.close()
        else:
            await self._database.end(chain, seq)

    async def adopt(self) -> None:
        """Bring home what processes left behind that are gone."""
        for spool in left_behind(self._folder) if self._folder.is_dir() else ():
            try:
                await drain(spool, self._store)
            finally:
                spool.close()

    async def _empty(self) -> None:
        pause_s = _FIRST_PAUSE_S
        while True:
            await asyncio.sleep(pause_s)
            try:
                if await self._emptied():
                    return
            except Exception:  # noqa: BLE001 - it is tried again as long as it takes
                pause_s = min(2 * pause_s, _LONGEST_PAUSE_S)

    async def _emptied(self) -> bool:
        """Bring home what is in the file; tell whether nothing was added meanwhile, so that it could be given up."""
        assert self._spool is not None  # noqa: S101 - for the type checker
        await drain(self._spool, self._store)
        async with self._turn:
            if not self._spool.is_drained:
                return False
            self._spool.close()
            self._spool, self._emptying = None, None
        log.info("the audit spool is empty")
        return True


async def drain(spool: Spool, store: AuditStore) -> None:
    """Put the records of `spool` into `store`, in order; those that are there already stay as they are."""
    while not spool.is_drained:
        records, end = spool.next(BATCH)
        await store.append(records)
        await store.note_chain(records[0]["chain"], {"drained": False})
        spool.taken(end)
