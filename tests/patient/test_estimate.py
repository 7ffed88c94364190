"""MAT-40..43: weights learned from data."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from app.patient.__main__ import main
from app.patient.compare import compare
from app.patient.estimate import (
    HIGHEST,
    ImplausibleError,
    expectation_maximisation,
    grade_changes,
    labelled_pairs,
    learn_unlabelled,
    observe,
    parameters_from,
    random_pairs,
)
from app.patient.levels import FIELDS, LEVELS, Levels
from app.patient.parameters import from_document, load
from app.patient.vector import MatchVector
from tests.patient.people import NATIONAL, patient, vector

# Written for the tests of EM: the seed is for tuning (MAT-93).
from tests.patient.households import TUNING_SEED, Population, as_patient, as_written  # isort: skip


@pytest.fixture(scope="module")
def families() -> tuple[list[dict[str, Any]], list[str]]:
    """Return Patients of two sources with the same national numbers, and each one's source."""
    population = Population(TUNING_SEED)
    persons = population.persons(1500)
    numbered = [
        {
            **resource,
            "identifier": [{"system": NATIONAL, "value": person.id.replace("-", "")}],
            "meta": {"source": source},
        }
        for person in persons
        for source, resource in (("north", as_patient(person)), ("south", as_written(person, population)))
    ]
    return numbered, ["north", "south"] * len(persons)


@pytest.fixture(scope="module")
def vectors(families: tuple[list[dict[str, Any]], list[str]]) -> list[MatchVector]:
    from tests.patient.people import CONVENTIONS, match_vector

    return [match_vector(resource, CONVENTIONS) for resource in families[0]]


def test_u_comes_from_random_pairs_that_are_strangers(vectors: list[MatchVector]) -> None:
    """MAT-40: so many pairs as asked, the same for a seed; who shares a trusted number is no stranger."""
    pairs = list(random_pairs(vectors, 2000, seed=3))
    assert 1900 < len(pairs) <= 2000
    assert pairs == list(random_pairs(vectors, 2000, seed=3))
    assert not any(set(a.numbers) & set(b.numbers) for a, b in pairs)


def test_m_comes_from_shared_numbers_of_different_sources() -> None:
    """MAT-41: a valid trusted number, two sources; the number itself is left out."""
    slovak = [{"system": "urn:oid:2.999.44", "value": "7103192754"}]
    given = [
        vector("A", number="7"),
        vector("B", number="7"),
        vector("C", number="7"),
        vector("D", identifier=slovak),
        vector("E", identifier=slovak),
    ]
    pairs = labelled_pairs(given, ["north", "south", "north", "north", "south"])
    assert [(a.given[0].text, b.given[0].text) for a, b in pairs] == [("a", "b"), ("b", "c")]
    assert not any(a.numbers or b.numbers for a, b in pairs)


def test_weights_are_log2_of_m_over_u(
    vectors: list[MatchVector], families: tuple[list[dict[str, Any]], list[str]]
) -> None:
    """5.3: learned weights have the size that the starting weights have, and never rise from level to level."""
    base = load()
    m, u = observe(labelled_pairs(vectors, families[1])), observe(random_pairs(vectors, 40_000))
    learned = parameters_from(m, u, base, "x", "test")
    for name, row in zip(FIELDS, learned.bits, strict=True):
        told = row[: LEVELS[name].index("missing")]
        assert list(told) == sorted(told, reverse=True), name
        assert max(told) <= HIGHEST
    assert learned.bits[0][0] == pytest.approx(base.bits[0][0], abs=2.5)
    assert learned.bits[2][0] == pytest.approx(base.bits[2][0], abs=3)
    assert learned.bits[FIELDS.index("trustedNumber")] == base.bits[FIELDS.index("trustedNumber")]
    assert 0.001 < learned.u_given < 0.02
    assert from_document(learned.as_document()).bits == learned.bits


def test_em_finds_nearly_what_labels_tell(
    vectors: list[MatchVector], families: tuple[list[dict[str, Any]], list[str]]
) -> None:
    """MAT-42: run on the birth-date block for names, on the names' block for birth dates."""
    base, u = load(), observe(random_pairs(vectors, 40_000))
    labelled = parameters_from(observe(labelled_pairs(vectors, families[1])), u, base, "labels", "")
    blind = [each._replace(numbers=()) for each in vectors]
    unlabelled = parameters_from(learn_unlabelled(blind, u), u, base, "em", "")
    for field in ("given", "family", "birthDate", "address"):
        index = FIELDS.index(field)
        assert unlabelled.bits[index][0] == pytest.approx(labelled.bits[index][0], abs=1.5), field


def test_em_that_learns_households_is_rejected(vectors: list[MatchVector]) -> None:
    """MAT-42: a block of one address: nearly all pairs are families, given names and dates differ."""
    u = observe(random_pairs(vectors, 20_000)).shares()
    family = compare(
        vector("Anna", "Horváthová", "2001-02-03", house="Hlavná 12", city="Žilina"),
        vector("Zuzana", "Horváthová", "1975-08-19", house="Hlavná 12", city="Žilina"),
    )
    person = compare(
        vector("Anna", "Horváthová", "2001-02-03", house="Hlavná 12", city="Žilina"),
        vector("Anna", "Horváthová", "2001-02-03", house="Hlavná 12", city="Žilina"),
    )
    with pytest.raises(ImplausibleError, match=r"household|plausible"):
        expectation_maximisation(Counter({family: 9000, person: 300}), u, frozenset())


def test_em_without_pairs_is_rejected() -> None:
    """MAT-42: nothing learned is not learned."""
    with pytest.raises(ImplausibleError):
        expectation_maximisation(Counter[Levels](), observe([]).shares(), frozenset())


def test_a_new_set_is_looked_at_before_it_is_used(vectors: list[MatchVector]) -> None:
    """MAT-43: shadow scores: how many pairs would change their grade."""
    now = load()
    document = now.as_document()
    then = from_document({**document, "version": "x", "limits": {**document["limits"], "certain": 99.0}})
    a = vector("Anna", "Malá", "1984-03-07", gender="female")
    assert grade_changes([(a, a), (a, vectors[0])], now, then)["certain", "probable"] == 1


def test_the_command_line_learns_a_set(
    tmp_path: Path, families: tuple[list[dict[str, Any]], list[str]], capsys: pytest.CaptureFixture[str]
) -> None:
    """MAT-40..43: `python -m app.patient estimate` prints a set that can be loaded, and activates nothing."""
    file = tmp_path / "patients.ndjson"
    file.write_text("\n".join(json.dumps(resource) for resource in families[0]), encoding="utf-8")
    assert main(["--home-country", "SK", "estimate", str(file), "--version", "2099-1", "--random-pairs", "20000"]) == 0
    printed = capsys.readouterr()
    learned = from_document(json.loads(printed.out))
    assert learned.version == "2099-1"
    assert "EM within equal birth dates and names" in learned.origin
    assert "Not active" in printed.err


def test_the_command_line_explains_a_pair(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """MAT-63: `python -m app.patient score` tells the bits of each field."""
    for name, number in (("a", "7"), ("b", "8")):
        resource = patient("Anna", "Malá", "1984-03-07", number=number)
        (tmp_path / f"{name}.json").write_text(json.dumps(resource), encoding="utf-8")
    files = [str(tmp_path / "a.json"), str(tmp_path / "b.json")]
    assert main(["--trusted", NATIONAL, "score", *files, "--population", "100000"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert {"field": "trustedNumber", "level": "conflict", "bits": -10.0} in told["parts"]
    assert told["population"] == 100_000


@pytest.mark.parametrize("line", ["{", '{"resourceType": "Patient"}'])
def test_the_command_line_tells_what_is_wrong(tmp_path: Path, line: str, capsys: pytest.CaptureFixture[str]) -> None:
    """A file that cannot be learned from is named, with the line."""
    file = tmp_path / "patients.ndjson"
    file.write_text(line, encoding="utf-8")
    assert main(["estimate", str(file)]) == 1
    assert "patients.ndjson" in capsys.readouterr().err
