"""What an operator wants to see: how many requests, how long they took, what waits. Nothing of what was asked.

The text format is that of Prometheus. Each worker counts by itself, and answers for itself: the label `worker` tells
which one it was.
"""

from __future__ import annotations

import os
from bisect import bisect_left
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field

from app.transaction import Interaction, Transaction

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"

# Upper ends of the classes of durations, in seconds.
BUCKETS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)

# Transaction and interaction; both empty for what belongs to none.
Name = tuple[str, str]

# Name of a number -> what it means, and where it comes from.
Gauges = Mapping[str, tuple[str, Callable[[], float]]]


@dataclass(slots=True)
class Durations:
    """How long requests took: their number by class, and the sum in seconds."""

    classes: list[int] = field(default_factory=lambda: [0] * (len(BUCKETS) + 1))
    total_s: float = 0.0


@dataclass(slots=True)
class Metrics:
    """The numbers of one worker.

    Attributes:
        in_flight: requests that are being answered.
        gauges: numbers that others keep: of throttled requests, of audit events that wait.
    """

    in_flight: int = 0
    gauges: dict[str, tuple[str, Callable[[], float]]] = field(default_factory=dict)
    _statuses: dict[tuple[Name, int], int] = field(default_factory=dict)
    _durations: dict[Name, Durations] = field(default_factory=dict)

    def count(self, served: tuple[Transaction, Interaction] | None, status: int, seconds: float) -> None:
        """Count an answer."""
        name = (served[0].code or served[0].name, served[1].code) if served else ("", "")
        self._statuses[name, status] = self._statuses.get((name, status), 0) + 1
        durations = self._durations.setdefault(name, Durations())
        durations.classes[bisect_left(BUCKETS, seconds)] += 1
        durations.total_s += seconds

    def text(self) -> str:
        """Return all numbers."""
        return "\n".join(self._lines()) + "\n"

    def _lines(self) -> Iterator[str]:
        yield from _head("mhd_requests_total", "counter", "answers by transaction, interaction and status")
        for (name, status), number in sorted(self._statuses.items()):
            yield f'mhd_requests_total{{{_labels(name)},status="{status}"}} {number}'
        yield from _head("mhd_request_seconds", "histogram", "time from the head of a request to its answer")
        for name, durations in sorted(self._durations.items()):
            yield from _histogram(_labels(name), durations)
        yield from _head("mhd_requests_in_flight", "gauge", "requests that are being answered")
        yield f"mhd_requests_in_flight{{{_worker()}}} {self.in_flight}"
        for gauge, (meaning, value) in self.gauges.items():
            kind = "counter" if gauge.endswith("_total") else "gauge"
            yield from _head(gauge, kind, meaning)
            yield f"{gauge}{{{_worker()}}} {value():g}"


def _head(name: str, kind: str, meaning: str) -> Iterator[str]:
    yield f"# HELP {name} {meaning}"
    yield f"# TYPE {name} {kind}"


def _histogram(labels: str, durations: Durations) -> Iterator[str]:
    number = 0
    for end, in_class in zip((*BUCKETS, "+Inf"), durations.classes, strict=True):
        number += in_class
        yield f'mhd_request_seconds_bucket{{{labels},le="{end}"}} {number}'
    yield f"mhd_request_seconds_sum{{{labels}}} {durations.total_s:.6f}"
    yield f"mhd_request_seconds_count{{{labels}}} {number}"


def _labels(name: Name) -> str:
    transaction, interaction = name
    return f'{_worker()},transaction="{transaction}",interaction="{interaction}"'


def _worker() -> str:
    return f'worker="{os.getpid()}"'
