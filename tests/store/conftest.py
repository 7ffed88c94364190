"""The store is tested once, for both drivers."""

from __future__ import annotations

import pytest

from app.store.driver import Driver


@pytest.fixture(params=["pymongo", "motor"])
def driver(request: pytest.FixtureRequest) -> Driver:
    """The driver under the store."""
    chosen: Driver = request.param
    return chosen
