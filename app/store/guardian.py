"""Looks after the private mongod while the server runs: one that dies is started again.

Its data survive: what was acknowledged is in its journal, and requests find the new one under the same address. One
that dies again at once would die for ever; then somebody is told, and the server ends instead of refusing everything.
"""

from __future__ import annotations

import logging
import subprocess
import threading
from collections.abc import Callable
from time import monotonic

log = logging.getLogger("app")

# One that lived for less than this is not started again.
SHORT_LIFE_S = 60.0

Child = subprocess.Popen[bytes]
GiveUp = Callable[[str], None]


class MongodUnavailableError(Exception):
    """The private mongod cannot run; the message is one sentence for the operator."""


class Guardian:
    """The private mongod of one server, whichever process it is at the moment."""

    def __init__(
        self, child: Child, start: Callable[[], Child], ready: Callable[[Child], str], give_up: GiveUp | None
    ) -> None:
        """Look after `child`.

        Args:
            start: starts another one.
            ready: waits until it answers, and returns its URL; raises MongodUnavailableError.
            give_up: gets a sentence when there will be no other; None: nobody looks after the child.
        """
        self._child, self._start, self._ready, self._give_up = child, start, ready, give_up
        self._is_ending = False
        self._lock = threading.Lock()  # no child is started once the end has begun
        self._since = monotonic()
        self._restarts = 0

    def begin(self) -> str:
        """Wait until the child answers, return its URL, and look after it from then on.

        The thread lives as long as the process: the kernel ends a child with the thread that started it.

        Raises:
            MongodUnavailableError: it does not start.
        """
        url = self._ready(self._child)
        if self._give_up:
            threading.Thread(target=self._watch, args=(self._give_up,), daemon=True).start()
        return url

    def end(self) -> Child:
        """Look after it no longer; return the child as it is now, which the caller stops."""
        with self._lock:
            self._is_ending = True
            return self._child

    def _watch(self, give_up: GiveUp) -> None:
        while True:
            status = self._child.wait()
            try:
                with self._lock:
                    if self._is_ending:
                        return
                    self._replace(status)
                self._ready(self._child)
            except MongodUnavailableError as error:
                give_up(str(error))
                return

    def _replace(self, status: int) -> None:
        lived, self._since = monotonic() - self._since, monotonic()
        if self._restarts and lived < SHORT_LIFE_S:
            text = f"The private mongod ended with status {status}, {lived:.0f} s after it was started again"
            raise MongodUnavailableError(f"{text}: the server ends. Look into mongod.log in the data folder.")
        log.error("the private mongod ended with status %s; it is started again", status)
        self._restarts += 1
        self._child = self._start()
