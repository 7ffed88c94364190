"""Work in several processes: calls in their order of arrival, a few of them on their way at a time."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Iterable, Iterator
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from multiprocessing import get_context
from typing import Any, TypeVar

# Calls on their way at the same time, for each process.
_AHEAD = 2

T = TypeVar("T")
Arguments = tuple[Any, ...]


class Pool:
    """Processes that were prepared alike."""

    def __init__(self, executor: ProcessPoolExecutor, workers: int) -> None:
        self._executor, self._most = executor, workers * _AHEAD

    async def each(self, work: Callable[..., T], calls: Iterable[Arguments]) -> AsyncIterator[tuple[Arguments, T]]:
        """Yield each of `calls` with what `work` returns for it, in whatever order they end; what fails is raised."""
        loop, running = asyncio.get_running_loop(), dict[asyncio.Future[T], Arguments]()
        left = iter(calls)
        while True:
            for call in left:
                running[loop.run_in_executor(self._executor, work, *call)] = call
                if len(running) >= self._most:
                    break
            if not running:
                return
            done, _ = await asyncio.wait(running, return_when=asyncio.FIRST_COMPLETED)
            for each in done:
                yield running.pop(each), each.result()


@contextmanager
def processes(workers: int, begin: Callable[[Any], None], prepared_with: object) -> Iterator[Pool]:
    """Run processes, each prepared by `begin`; they are new ones, and share nothing with this one."""
    executor = ProcessPoolExecutor(workers, get_context("spawn"), begin, (prepared_with,))
    try:
        yield Pool(executor, workers)
    finally:
        executor.shutdown(cancel_futures=True)
