"""Turns: who wants the same names in this process waits in line for them.

Spec: own choice, docs/decisions/0021: a transaction that meets another one is run again, which costs more the more
meet; within a process they need not meet.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterable
from contextlib import AsyncExitStack, asynccontextmanager
from weakref import WeakValueDictionary


class Turns:
    """Locks by name; one that nobody holds or waits for is forgotten."""

    def __init__(self) -> None:
        self._locks: WeakValueDictionary[int, asyncio.Lock] = WeakValueDictionary()

    @asynccontextmanager
    async def taken(self, names: Iterable[int]) -> AsyncIterator[None]:
        """Hold all `names`; taken in order, so that no two wait for each other."""
        async with AsyncExitStack() as held:
            for name in sorted(set(names)):
                await held.enter_async_context(self._locks.setdefault(name, asyncio.Lock()))
            yield
