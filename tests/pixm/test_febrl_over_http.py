"""FEBRL4 through the interface: MAT-94. `python -m tests.pixm.febrl_over_http` does the same with all of it."""

from __future__ import annotations

import httpx

from tests.pixm.febrl_over_http import ask, feed_all

PERSONS = 120


async def test_a_part_of_febrl4(index: httpx.AsyncClient) -> None:
    """MAT-94: part A is fed as one domain, part B as another; ITI-83 for each of A, ITI-119 with each of B."""
    pairs = await feed_all(index, PERSONS)
    found = await ask(index, pairs)
    assert found.precision == 1.0
    assert found.recall >= 0.6, "what is not linked waits for review"
    assert found.matched >= 0.95
    assert found.best >= 0.95
