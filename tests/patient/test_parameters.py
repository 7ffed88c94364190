"""MAT-36, MAT-43: versioned parameter sets."""

from __future__ import annotations

from typing import Any

import pytest

from app.patient.levels import FIELDS, LEVELS
from app.patient.parameters import CURRENT, Parameters, from_document, load
from tests.patient.people import vector


def test_the_set_of_a_version_is_always_the_same() -> None:
    """MAT-36: what is stored with a decision says how it was taken."""
    assert load().version == CURRENT
    assert from_document(load().as_document()) == load()
    with pytest.raises(FileNotFoundError):
        load("1999-1")


def test_the_starting_weights() -> None:
    """5.2: as published; `street` is half a bit more, so that an equal street is no loss (MAT-95)."""
    document = load("2026-1").as_document()
    assert document["given"] == {
        "exact": 7.5, "similar": 6.0, "alias": 5.0, "phonetic": 4.0, "initial": 2.0, "different": -5.5, "missing": 0.0,
    }  # fmt: skip
    assert document["birthDate"]["exact"] == 14.5
    assert document["trustedNumber"] == {
        "equal": 20.0,
        "one-edit": 8.0,
        "different": -10.0,
        "conflict": -10.0,
        "missing": 0.0,
    }
    assert document["limits"]["address_and_telecom"] == load().limits.address_and_telecom == 12


def test_weights_fall_from_level_to_level() -> None:
    """MAT-95: the best pair of repeated values is the one that weighs most."""
    for name, row in zip(FIELDS, load().bits, strict=True):
        told = row[: LEVELS[name].index("missing")]
        assert list(told) == sorted(told, reverse=True), name


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"shoe": {"equal": 1}}, "`shoe`"),
        ({"given": {"exakt": 1}}, "no level `exakt`"),
        ({"given": {"missing": 1}}, "weighs nothing"),
        ({"limits": {"certain": 10}}, "not complete"),
        ({"u_exact": {}}, "not complete"),
    ],
)
def test_a_wrong_set_is_refused(change: dict[str, Any], message: str) -> None:
    """MAT-36: a set that names what does not exist would weigh silently wrong."""
    with pytest.raises(ValueError, match=message):
        from_document({**load().as_document(), **change})


def test_two_sets_side_by_side() -> None:
    """MAT-43: one does not disturb the other."""
    from app.patient.matching import score

    document = load().as_document()
    other = from_document({**document, "version": "other", "birthDate": {**document["birthDate"], "exact": 4.5}})
    a = vector("Anna", "Malá", "1984-03-07", gender="female")
    before, after = score(a, a, load()), score(a, a, other)
    assert before.weight - after.weight == pytest.approx(10)
    assert (before.grade, after.grade) == ("certain", "probable")
    assert isinstance(after.parameters, Parameters)
    assert after.explanation()["parameters"] == "other"
