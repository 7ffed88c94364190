"""MAT-90, MAT-91, MAT-93: what matching must reach, on public data and on families that never were.

`make bench-matching` measures the same with more data and prints it.
"""

from __future__ import annotations

from functools import cache

import pytest

from app.patient.parameters import Parameters, load
from tests.patient import febrl, household_gate, households
from tests.patient.evaluation import Evaluation, b_cubed, evaluate, learned_from

# FEBRL set -> the sets that its weights are learned from: never itself (MAT-93).
LEARNED_FROM = {1: (2, 3), 2: (1, 3), 3: (1, 2), 4: (1, 2, 3)}
PROBABLE = ("certain", "probable")


@cache
def _weights(number: int, *, soc_sec: bool) -> Parameters:
    return learned_from(LEARNED_FROM[number], soc_sec=soc_sec)


@cache
def _evaluation(number: int, *, soc_sec: bool) -> Evaluation:
    return evaluate(febrl.load(number, soc_sec=soc_sec), _weights(number, soc_sec=soc_sec))


def test_febrl_is_what_it_is_said_to_be() -> None:
    """9.1: records and true pairs of the four sets."""
    sizes = {number: febrl.load(number, soc_sec=False) for number in LEARNED_FROM}
    assert {number: len(data.patients) for number, data in sizes.items()} == {1: 1000, 2: 5000, 3: 5000, 4: 10_000}
    assert {number: len(data.links) for number, data in sizes.items()} == {1: 500, 2: 1934, 3: 6538, 4: 5000}


@pytest.mark.parametrize(("soc_sec", "least"), [(True, 0.998), (False, 0.995)], ids=["with number", "without"])
def test_febrl4(soc_sec: bool, least: float) -> None:
    """MAT-90: F1 of `probable` or better on FEBRL4, weights learned on FEBRL1 to 3; precision in both."""
    found = _evaluation(4, soc_sec=soc_sec)
    precision, _, f1 = found.at(*PROBABLE)
    assert f1 >= least
    assert precision >= 0.9995
    assert found.at("certain")[0] == 1.0


def test_febrl3_without_number() -> None:
    """MAT-90: FEBRL3, weights learned on FEBRL1 and 2."""
    assert _evaluation(3, soc_sec=False).at(*PROBABLE)[2] >= 0.985


def test_pair_completeness() -> None:
    """MAT-90, 4.2: the true pairs of FEBRL4 meet in a key, and hardly any other pair has to be compared."""
    found = _evaluation(4, soc_sec=False)
    assert found.completeness >= 0.995
    assert found.reduction >= 0.999


@pytest.mark.parametrize(("soc_sec", "least"), [(True, 0.998), (False, 0.988)], ids=["with number", "without"])
def test_the_shipped_weights_on_febrl4(soc_sec: bool, least: float) -> None:
    """MAT-90: four of the shipped weights were moved towards FEBRL1 to 3; without the number 0.995 is out of reach.

    What stands in the way is the bound of MAT-33 on what an address may weigh: docs/matching.md.
    """
    precision, _, f1 = evaluate(febrl.load(4, soc_sec=soc_sec), load()).at(*PROBABLE)
    assert f1 >= least
    assert precision >= 0.9995


def test_tuning_and_gate_data_are_apart() -> None:
    """MAT-93: seeds, and sets of FEBRL."""
    assert all(number not in others for number, others in LEARNED_FROM.items())
    assert 4 not in {other for others in LEARNED_FROM.values() for other in others}
    assert households.TUNING_SEED < 100 <= households.GATE_SEED


@pytest.fixture(scope="module")
def gate() -> household_gate.Gate:
    """Return the gate of a small town."""
    return household_gate.run(load(), seed=households.GATE_SEED, persons=20_000, queries=5000)


def test_no_stranger_is_certain(gate: household_gate.Gate) -> None:
    """MAT-91: at most 0.2 false `certain` in 1,000 queries, of members and of strangers whose family is known."""
    assert gate.false_per_thousand("certain") <= (0.2, 0.2)
    assert max(gate.false_per_thousand("certain")) <= 0.2


def test_twins_are_never_certain_for_each_other(gate: household_gate.Gate) -> None:
    """MAT-91, MAT-34: among all queries of the gate."""
    assert gate.twins_certain == 0


def test_members_are_found(gate: household_gate.Gate) -> None:
    """MAT-91: recall of `certain` and of `possible` or better; 4.2: the true record is a candidate."""
    assert gate.recall("certain") >= 0.90
    assert gate.recall("certain", "probable", "possible") >= 0.97
    assert gate.among_candidates / gate.members >= 0.99


def test_b_cubed() -> None:
    """MAT-92: cluster-level precision and recall."""
    assert b_cubed([["x-1-org", "x-1-dup"], ["x-2-org"]]) == (1.0, 1.0)
    assert b_cubed([["x-1-org"], ["x-1-dup"], ["x-2-org"]]) == (1.0, pytest.approx(2 / 3))
    assert b_cubed([["x-1-org", "x-1-dup", "x-2-org"]]) == (pytest.approx(5 / 9), 1.0)
