"""How far a long work is, on standard error: a bar in a terminal, a line now and then anywhere else."""

from __future__ import annotations

import sys
import time

_WIDTH = 30
_TERMINAL_EVERY_S, _FILE_EVERY_S = 0.2, 10.0


class Progress:
    """Tells how much of `total` is done, and how fast it goes."""

    def __init__(self, what: str, total: int) -> None:
        self._what, self._total, self._done, self._skipped = what, total, 0, 0
        self._begun = time.monotonic()
        self._told = self._begun
        self._is_terminal = sys.stderr.isatty()

    @property
    def rate(self) -> float:
        """How many a second, without what was there already."""
        return (self._done - self._skipped) / max(time.monotonic() - self._begun, 1e-9)

    def add(self, count: int, skipped: int = 0) -> None:
        """Tell that `count` more are done, of which `skipped` needed no work."""
        self._done += count
        self._skipped += skipped
        every = _TERMINAL_EVERY_S if self._is_terminal else _FILE_EVERY_S
        if (now := time.monotonic()) - self._told >= every or self._done >= self._total:
            self._told = now
            self._tell()

    def _tell(self) -> None:
        share = self._done / max(self._total, 1)
        bar = "#" * round(_WIDTH * share)
        left = (self._total - self._done) / self.rate if self.rate else 0
        text = (
            f"{self._what} [{bar:-<{_WIDTH}}] {self._done:,} of {self._total:,}, {self.rate:,.0f}/s, {left:,.0f} s left"
        )
        is_end = self._done >= self._total or not self._is_terminal
        sys.stderr.write(("\r" if self._is_terminal else "") + text + ("\n" if is_end else ""))
        sys.stderr.flush()
