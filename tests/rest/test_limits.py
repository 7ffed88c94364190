"""Counting clients and waiting for bodies, without a server."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator

import pytest
from starlette.types import Message

from app.fhir.outcome import FhirError
from app.rest.arrival import Arrival, Pace
from app.rest.throttle import MOST_CLIENTS, Throttle, ThrottledError, Turn


class Clock:
    """A clock that is set by hand."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


def test_rate_in_the_long_run() -> None:
    """What is saved up is spent, then one request for each part of a second; never more saved up."""
    clock = Clock()
    throttle = Throttle(per_s=2, burst=4, clock=clock)
    for _ in range(4):
        throttle.enter("a")
    with pytest.raises(ThrottledError) as refused:
        throttle.enter("a")
    assert (refused.value.status, refused.value.headers["Retry-After"]) == (429, "1")
    clock.now = 0.5
    throttle.enter("a")
    with pytest.raises(ThrottledError):
        throttle.enter("a")
    clock.now = 1_000.0
    for _ in range(4):
        throttle.enter("a")
    with pytest.raises(ThrottledError):
        throttle.enter("a")
    assert throttle.refused == 3


def test_memory_is_bounded() -> None:
    """However many clients ask, only so many are remembered."""
    throttle = Throttle(per_s=1, burst=1)
    for number in range(MOST_CLIENTS + 500):
        throttle.enter(f"address {number}")
        throttle.leave(f"address {number}")
    assert len(throttle._accounts) == MOST_CLIENTS
    throttle.leave("address 0")


def test_nothing_is_limited_when_nothing_is_set() -> None:
    """0 is any number."""
    throttle = Throttle()
    for _ in range(5_000):
        Turn(throttle, "203.0.113.7", is_token=False).identify("a")
    assert not throttle._accounts


def arriving(parts: Iterator[tuple[float, bytes]], *, ends: bool = True) -> Arrival:
    async def receive() -> Message:
        pause_s, body = next(parts, (0.0, b""))
        await asyncio.sleep(pause_s)
        return {"type": "http.request", "body": body, "more_body": not (ends and body == b"")}

    return Arrival(receive, Pace(lost_s=0.05, rate=1_000))


async def test_steady_body_passes() -> None:
    """MHD-SEC-08: it takes several times as long as may be lost, and earns it."""
    body = arriving(iter([(0.02, b"x" * 1_000)] * 10))
    received = 0
    while (message := await body())["more_body"]:
        received += len(message["body"])
    assert received == 10_000


async def all_of(body: Arrival) -> None:
    while (await body())["more_body"]:
        pass


async def test_trickle_ends() -> None:
    """MHD-SEC-08: a byte now and then earns nothing: 408."""
    body = arriving(iter([(0.01, b"x")] * 1_000))
    with pytest.raises(FhirError) as refused:
        await all_of(body)
    assert (refused.value.status, refused.value.issues[0].code) == (408, "timeout")


async def test_after_the_body_is_waited_as_long_as_it_takes() -> None:
    """MHD-68-01: whoever listens for the end of a long download is not late."""
    body = arriving(iter([(0.0, b""), (0.2, b"")]))
    assert not (await body())["more_body"]
    assert (await body())["type"] == "http.request"
