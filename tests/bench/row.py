"""A line of the table: what was measured, what the machine can do at best, and what the budget allows."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

HEAD = ("row", "measured", "limit", "ratio", "budget", "")


@dataclass(frozen=True, slots=True)
class Row:
    """One measurement.

    Attributes:
        name: what was measured.
        measured: with its unit.
        limit: the same of a bare program on this machine; empty when there is no such thing.
        ratio: the number that the budget is about, as text; empty when `measured` itself is.
        budget: what the architecture allows; empty when it does not say.
        is_met: None without a budget.
    """

    name: str
    measured: str
    limit: str = ""
    ratio: str = ""
    budget: str = ""
    is_met: bool | None = None

    @property
    def cells(self) -> tuple[str, ...]:
        """The row as the table shows it."""
        verdict = {None: "", True: "ok", False: "over"}[self.is_met]
        return self.name, self.measured, self.limit, self.ratio, self.budget, verdict


def at_most(name: str, value: float, budget: float, form: Callable[[float], str]) -> Row:
    """Return the row of a value that may be at most `budget`."""
    return Row(name, form(value), budget=f"<= {form(budget)}", is_met=value <= budget)


def table(rows: Iterable[Row]) -> str:
    """Return `rows` as a table in Markdown that is aligned for the eye too."""
    lines = [HEAD, *(row.cells for row in rows)]
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    return "\n".join(_lines(lines, widths))


def milliseconds(seconds: float) -> str:
    """Return `seconds` in milliseconds."""
    return f"{seconds * 1000:.2f} ms"


def microseconds(seconds: float) -> str:
    """Return `seconds` in microseconds."""
    return f"{seconds * 1e6:.0f} us"


def megabytes(size: float) -> str:
    """Return `size` bytes in megabytes."""
    return f"{size / 1_000_000:.0f} MB"


def _lines(lines: list[tuple[str, ...]], widths: list[int]) -> Iterator[str]:
    for number, cells in enumerate(lines):
        yield "| " + " | ".join(text.ljust(width) for text, width in zip(cells, widths, strict=True)) + " |"
        if number == 0:
            yield "|" + "|".join("-" * (width + 2) for width in widths) + "|"
