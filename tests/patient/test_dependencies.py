"""With what the index speaks to its database: MAT-72."""

from __future__ import annotations

import tomllib
from pathlib import Path

from pymongo import AsyncMongoClient

from app.settings import Settings
from app.store.driver import Connection


def test_official_asynchronous_driver(database: Connection) -> None:
    """MAT-72: pymongo 4.13 or newer is a dependency, and its asynchronous client what a server uses by default."""
    project = tomllib.loads((Path(__file__).parents[2] / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    assert "pymongo>=4.13,<5" in project["dependencies"]
    assert Settings.model_fields["mongodb_driver"].default == "pymongo"
    assert isinstance(database.database.client, AsyncMongoClient)
