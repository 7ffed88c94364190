"""Names with Zipf-like shares: a few that many bear, and many that few do."""

from __future__ import annotations

from bisect import bisect
from collections.abc import Sequence
from itertools import accumulate
from random import Random


class Shares:
    """Names with Zipf-like shares, the first one `top`."""

    def __init__(self, names: Sequence[str], top: float) -> None:
        self.names = names
        low, high = 0.0, 60.0
        for _ in range(50):
            offset = (low + high) / 2
            share = (1 / (1 + offset)) / sum(1 / (rank + offset) for rank in range(1, len(names) + 1))
            low, high = (offset, high) if share > top else (low, offset)
        self.totals = list(accumulate(1 / (rank + offset) for rank in range(1, len(names) + 1)))

    def one(self, draw: Random) -> str:
        """Return one of the names by its share."""
        return self.names[bisect(self.totals, draw.random() * self.totals[-1])]
