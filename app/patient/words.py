"""The words that matching treats in a special way, read once from `tables/`.

Spec: MAT-03..06, MAT-09. The tables' own comments say where they come from.
"""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

TABLES = Path(__file__).parent / "tables"


def _table(name: str) -> dict[str, Any]:
    return tomllib.loads((TABLES / name).read_text(encoding="utf-8"))


_NAMES = _table("names.toml")

PARTICLES = frozenset[str](_NAMES["particles"])
PLACEHOLDERS = frozenset[str](_NAMES["placeholders"])
PLACEHOLDERS_ALONE = frozenset[str](_NAMES["placeholders_alone"])
PLACEHOLDER_DATES = frozenset[str](_NAMES["placeholder_dates"])
FEMININE: tuple[tuple[str, str], ...] = tuple((ending, masculine) for ending, masculine in _NAMES["feminine"])
SHORTEST_STEM: int = _NAMES["shortest_stem"]
PATRONYMICS: tuple[str, ...] = tuple(_NAMES["patronymics"])
STREET_WORDS = frozenset[str](_NAMES["address"]["street_words"])

# As written in the file: normalise.py makes them comparable.
NICKNAMES: tuple[tuple[str, ...], ...] = tuple(tuple(group) for group in _table("nicknames.toml")["groups"])


def weights(version: str) -> Mapping[str, Any]:
    """Return the parameter set `version` as its file has it.

    Raises:
        FileNotFoundError: there is no such version.
    """
    return _table(f"weights-{version}.toml")
