"""matching.md 5: weights, grades, guard; the worked examples of section 11; hard cases."""

from __future__ import annotations

import itertools
from dataclasses import replace
from typing import Any

import pytest

from app.patient.levels import FIELDS
from app.patient.matching import SCORE_SPAN, Score, probability, score
from app.patient.parameters import CURRENT, Parameters, load
from app.patient.vector import MatchVector, pack, unpack
from tests.patient.people import MILLION, vector, with_frequencies

DOOR = {"house": "Hlavná 12", "city": "Žilina", "postcode": "01001"}
# The weights of matching.md 5.2, in which its examples are told.
STARTING = load("2026-1").for_population(1_000_000)
TRUE_NUMBER, OTHER_NUMBER = "8453071234", "8453079999"


def _graded(a: MatchVector, b: MatchVector, parameters: Parameters = MILLION) -> Score:
    one, other = score(a, b, parameters), score(b, a, parameters)
    assert one == other
    return one


KATARINA = ("Katarína", "Nováková", "1984-03-07")
KATARINA_2 = ("Katarina", "Novkova", "1984-07-03")
F, M = {"gender": "female"}, {"gender": "male"}
MAIN = {"postcode": "01001"}


@pytest.mark.parametrize(
    ("a", "b", "weight", "grade"),
    [
        (vector(*KATARINA, **F, **MAIN), vector(*KATARINA_2, **F, **MAIN), 7.6, "probable"),
        (vector(*KATARINA, **F, **MAIN, number="1"), vector(*KATARINA_2, **F, **MAIN, number="1"), 27.6, "certain"),
        (
            vector("Anna", "Horváthová", "2001-02-03", **F, **DOOR),
            vector("Hana", "Horváthová", "2001-02-03", **F, **DOOR),
            11.1,
            "probable",
        ),
        (
            vector("Peter", "Kráľ", "1951-03-04", **M, **DOOR),
            vector("Peter", "Kráľ", "1979-11-26", **M, **DOOR),
            -0.4,
            "certainly-not",
        ),
        (
            vector(
                "Eva", "Malá", "1984-03-07", **F, house="Krátka 3", city="Žilina", postcode="01001", phone="0905111222"
            ),
            vector(
                "Eva",
                "Kováčová",
                "1984-03-07",
                **F,
                house="Dlhá 5",
                city="Košice",
                postcode="04001",
                phone="0905111222",
            ),
            6.3,
            "probable",
        ),
        (
            vector(*KATARINA, **F, **DOOR, number=TRUE_NUMBER),
            vector(*KATARINA, **F, **DOOR, number=OTHER_NUMBER),
            14.1,
            "possible",
        ),
    ],
    ids=["typing errors", "with number", "twins", "father and son", "married", "conflict"],
)
def test_worked_examples(a: MatchVector, b: MatchVector, weight: float, grade: str) -> None:
    """Section 11: the worked scoring examples at N = 1,000,000; MAT-35, MAT-50. The shipped set grades them alike."""
    found = _graded(a, b, STARTING)
    assert round(found.weight, 1) == weight
    assert found.grade == grade
    assert _graded(a, b).grade == grade


def test_the_first_worked_example_is_likely() -> None:
    """Section 11: W +7.6 is p 0.995; MAT-35."""
    found = _graded(vector(*KATARINA, **F, **MAIN), vector(*KATARINA_2, **F, **MAIN), STARTING)
    assert round(found.probability, 3) == 0.995
    assert [round(part["bits"], 1) for part in found.explanation()["parts"]] == [-19.9, 7.5, 5.5, 9.0, 1.0, 4.5]


# What it is, one record, the other, the grade expected of a million records.
HARD_CASES: list[tuple[str, dict[str, Any], dict[str, Any], str]] = [
    ("twins of one house, other names", {"given": "Anna"}, {"given": "Zuzana"}, "probable"),
    ("twins, names that sound alike, borne by others", {"given": "Marek"}, {"given": "Marián"}, "probable"),
    ("twins of either sex, names that look alike", {"given": "Jan", **M}, {"given": "Jana", **F}, "probable"),
    ("twins, one number by mistake", {"given": "Anna", "number": "7"}, {"given": "Zuzana", "number": "7"}, "probable"),
    (
        "twins with their birth order",
        {"given": "Anna", "multipleBirthInteger": 1},
        {"given": "Zuzana", "multipleBirthInteger": 2},
        "certainly-not",
    ),
    ("one of a pair of twins, both times", {"given": "Anna", "multipleBirthInteger": 1}, {"given": "Anna"}, "certain"),
    ("newborns without a name, one day and house", {"given": "newborn"}, {"given": "newborn"}, "probable"),
    ("newborns without any name", {"given": "newborn", "family": "N.N."}, {"given": "baby", "family": "unknown"}, "probable"),
    (
        "newborns of one hospital and day",
        {"given": "newborn", "family": "N.N.", "house": "", "city": "", "postcode": ""},
        {"given": "newborn", "family": "N.N.", "house": "", "city": "", "postcode": ""},
        "certainly-not",
    ),
    (
        "newborn and its later name, by the mother",
        {"given": "newborn", "maiden": "Tóthová"},
        {"given": "Anna", "maiden": "Tóthová"},
        "probable",
    ),
    ("placeholder dates say nothing", {"birth": "1900-01-01"}, {"birth": "1900-01-01"}, "probable"),
    ("no birth date", {"birth": ""}, {"birth": "2001-02-03"}, "probable"),
    ("no birth date but a number", {"birth": "", "number": "7"}, {"number": "7"}, "certain"),
    ("year of birth only", {"birth": "2001"}, {"birth": "2001-02-03"}, "probable"),
    ("swapped names", {"given": "Horváthová", "family": "Anna"}, {}, "certain"),
    ("swapped day and month", {"birth": "2001-03-02"}, {}, "certain"),
    ("one digit of the date", {"birth": "2001-02-08"}, {}, "certain"),
    ("hyphenated after marriage", {"family": "Malá-Horváthová"}, {}, "certain"),
    ("maiden name kept as former", {"family": "Malá", "old": "Horváthová"}, {}, "certain"),
    ("new surname, moved", {"family": "Malá", "house": "Dlhá 3", "city": "Košice", "postcode": "04001"}, {}, "certainly-not"),
    ("transliterated", {"given": "Анна", "family": "Horvathova"}, {}, "certain"),
    ("digraphs", {"given": "Jörg", "family": "Müller"}, {"given": "Joerg", "family": "Mueller"}, "certain"),
    ("nickname", {"given": "Anička"}, {}, "certain"),
    ("typing errors in both names", {"given": "Ana", "family": "Horvathva"}, {}, "certain"),
    ("flat-sharing strangers", {"given": "Zuzana", "family": "Malá", "birth": "1999-12-31", "phone": "0905111222"}, {"phone": "0905111222"}, "certainly-not"),
    ("mother and daughter", {"birth": "1975-08-19"}, {}, "certainly-not"),
    ("sisters", {"given": "Zuzana", "birth": "2003-08-19"}, {}, "certainly-not"),
    ("namesake of the same day elsewhere, two numbers", {"number": "7", "house": "Dlhá 3", "city": "Košice", "postcode": "04001"}, {"number": "8"}, "certainly-not"),
    ("equal number, nothing else agrees", {"given": "Peter", "family": "Kráľ", "birth": "1950-05-06", "number": "7", **M, "house": "Dlhá 3", "city": "Košice", "postcode": "04001"}, {"number": "7"}, "certainly-not"),
    ("mother's number at her newborn", {"given": "newborn", "birth": "2024-05-06", "number": "7"}, {"number": "7"}, "probable"),
]  # fmt: skip


@pytest.mark.parametrize(("a", "b", "grade"), [case[1:] for case in HARD_CASES], ids=[case[0] for case in HARD_CASES])
def test_hard_cases(a: dict[str, Any], b: dict[str, Any], grade: str) -> None:
    """MAT-09, MAT-33, MAT-34, MAT-50: a table of cases that go wrong elsewhere, with the grade each must have."""
    everybody = {"given": "Anna", "family": "Horváthová", "birth": "2001-02-03", "gender": "female", **DOOR}
    assert _graded(vector(**{**everybody, **a}), vector(**{**everybody, **b})).grade == grade


@pytest.mark.parametrize("part", ["given", "family", "birth", "gender", "house", "phone", "number", "maiden"])
@pytest.mark.parametrize("case", HARD_CASES, ids=[case[0] for case in HARD_CASES])
def test_missing_says_nothing(case: tuple[str, dict[str, Any], dict[str, Any], str], part: str) -> None:
    """MAT-30: without a field, W changes by no more than what the field said."""
    everybody = {"given": "Anna", "family": "Horváthová", "birth": "2001-02-03", "gender": "female", **DOOR}
    a, b = {**everybody, **case[1]}, {**everybody, **case[2]}
    before, after = _graded(vector(**a), vector(**b)), _graded(vector(**{**a, part: ""}), vector(**b))
    told = sum(abs(each["bits"]) for each in before.explanation()["parts"] if each["level"] != "prior")
    assert after.weight - before.weight <= told + 1e-9
    if part == "gender" and before.levels.gender != 2:
        assert after.weight == pytest.approx(before.weight - MILLION.bits[FIELDS.index("gender")][before.levels.gender])


def test_the_best_of_repeated_values_counts() -> None:
    """MAT-31: two addresses, two telephones, two names."""
    a = vector("Anna", "Malá", "1984-03-07", address=[{"city": "Košice"}, {"line": ["Hlavná 12"], "city": "Žilina"}])
    b = vector("Anna", "Malá", "1984-03-07", address=[{"line": ["Hlavná 12"], "city": "Žilina"}])
    assert _graded(a, b).levels.address == 0


def test_rare_names_count_for_more() -> None:
    """MAT-32: 0.5 · log2(u_exact / f), within two bits; only for names that agree exactly."""
    parameters = with_frequencies({"anna": 0.026}, {"horvath": 0.011})
    frequent = _graded(
        vector("Anna", "Horváthová", "2001-02-03"), vector("Anna", "Horváthová", "2001-02-03"), parameters
    )
    rare = _graded(vector("Xenia", "Quisova", "2001-02-03"), vector("Xenia", "Quisova", "2001-02-03"), parameters)
    assert rare.corrections == (2.0, 2.0)
    assert frequent.corrections == (pytest.approx(-1.19, abs=0.01), pytest.approx(-1.35, abs=0.01))
    assert rare.weight > frequent.weight
    assert _graded(vector("Xenia", "Q"), vector("Zuzana", "Q"), MILLION).corrections == (0.0, 0.0)


def test_address_and_telephone_together_are_bounded() -> None:
    """MAT-33: at most 12 bits, so that who shares a flat is not half of a person."""
    a = vector("Anna", "Malá", **DOOR, phone="0905111222")
    parts = {(part["field"], part["level"]): part["bits"] for part in _graded(a, a).explanation()["parts"]}
    assert parts["address", "house"] + parts["telecom", "equal"] + parts["address", "capped"] == 12


def test_a_larger_population_makes_it_less_likely() -> None:
    """MAT-35: prior = log2(1/N), N at least 10,000; 5.2: names and birth date alone are certain at one million only."""
    a = vector("Anna", "Malá", "1984-03-07", gender="female")
    small, large, larger = (score(a, a, load().for_population(size)) for size in (500, 1_000_000, 10_000_000))
    assert small.weight == pytest.approx(32 - 13.29, abs=0.01)
    assert (round(large.weight), large.grade) == (12, "certain")
    assert (round(larger.weight, 1), larger.grade) == (8.7, "probable")
    assert small.probability > large.probability > larger.probability


def test_a_decision_can_be_replayed() -> None:
    """MAT-36: a pure function of two vectors and a parameter set that is named in the decision."""
    a, b = vector(*KATARINA, **F, **MAIN), vector(*KATARINA_2, **F, **MAIN)
    explanation = score(a, b, MILLION).explanation()
    again = load(explanation["parameters"]).for_population(explanation["population"])
    assert score(unpack(pack(a)), unpack(pack(b)), again).explanation() == explanation


def _names_and_date(weight: float) -> Score:
    """Return the score of three exact agreements, W moved to `weight` by the prior."""
    a = vector("Anna", "Malá", "1984-03-07")
    return score(a, a, replace(MILLION, prior=weight - 31.0))


@pytest.mark.parametrize(
    ("weight", "grade", "low", "high"),
    [
        (30.0, "certain", 0.999, 1.0),
        (10.0, "certain", 0.999, 1.0),
        (9.99, "probable", 0.99, 0.9989),
        (3.3, "probable", 0.9, 0.9989),
        (3.29, "possible", 0.89, 0.899),
        (0.0, "possible", 0.5, 0.5),
        (-0.01, "certainly-not", 0.4, 0.499),
    ],
)
def test_boundaries_of_the_grades(weight: float, grade: str, low: float, high: float) -> None:
    """MAT-50, MAT-52: thresholds and clipping; PDQM-119-24: a higher grade never has a lower score."""
    found = _names_and_date(weight)
    assert found.grade == grade
    assert low <= found.score <= high


def test_spans_of_scores_do_not_overlap() -> None:
    """MAT-52: grades never contradict scores."""
    spans = list(SCORE_SPAN.values())
    assert all(worse[1] < better[0] for better, worse in itertools.pairwise(spans))
    assert 0 <= probability(-5000.0) < 1e-9
    assert probability(5000.0) == 1.0


def test_certain_needs_the_guard_whatever_the_sum() -> None:
    """MAT-50, MAT-51: given name and birth date must agree; a high W alone links nobody."""
    same = {**F, **DOOR, "maiden": "Tóthová", "phone": "0905111222"}
    a = vector("Anna", "Horváthová", "2001-02-03", **same)
    for other in (
        vector("", "Horváthová", "2001-02-03", **same),
        vector("Anna", "Horváthová", "", **same),
        vector("Anna", "", "2001-02-03", **same),
    ):
        assert _graded(a, other).weight > 10
        assert _graded(a, other).grade == "probable"


def test_names_that_people_bear_are_not_typing_errors() -> None:
    """MAT-34, stricter than 5.4: by the frequency of names; a misspelling that nobody bears stays certain."""
    known = with_frequencies({"leona": 0.002, "leonia": 0.002, "anna": 0.02}, {"horvath": 0.01, "horvat": 0.002})
    same = {"family": "Malá", "birth": "2001-02-03", **F}
    pair = vector("Leona", **same, **DOOR), vector("Leonia", **same, **DOOR)
    assert _graded(*pair, known).grade == "probable"
    assert _graded(*pair).grade == "certain"
    there = {"birth": "2001-02-03", **F, "city": "Žilina"}
    horvath, horvat, misspelt = (vector("Anna", family, **there) for family in ("Horváth", "Horvát", "Horváthh"))
    assert _graded(horvath, horvat, known).grade == "probable"
    assert _graded(horvath, misspelt, known).grade == "certain"


def test_who_must_not_be_in_one_cluster() -> None:
    """MAT-60, PIXM-XREF-03: a conflict, different birth order, or certainly-not far below zero."""
    anna = {"given": "Anna", "family": "Horváthová", "birth": "2001-02-03", **DOOR}
    assert _graded(vector(**anna, number="7"), vector(**anna, number="8")).vetoes
    assert _graded(
        vector(**anna, multipleBirthInteger=1), vector(**{**anna, "given": "Eva"}, multipleBirthInteger=2)
    ).vetoes
    assert _graded(vector(**anna), vector("Peter", "Kráľ", "1950-05-06")).vetoes
    assert not _graded(vector(**anna), vector("Zuzana", "Horváthová", "2001-02-03", **DOOR)).vetoes


@pytest.mark.parametrize("case", HARD_CASES, ids=[case[0] for case in HARD_CASES])
def test_the_parts_of_an_explanation_sum_up(case: tuple[str, dict[str, Any], dict[str, Any], str]) -> None:
    """MAT-63: levels and bits per field, prior, frequency correction; their sum is W."""
    everybody = {"given": "Anna", "family": "Horváthová", "birth": "2001-02-03", **DOOR, "phone": "0905111222"}
    known = with_frequencies({"anna": 0.026}, {"horvath": 0.011})
    found = _graded(vector(**{**everybody, **case[1]}), vector(**{**everybody, **case[2]}), known)
    explanation = found.explanation()
    assert sum(part["bits"] for part in explanation["parts"]) == pytest.approx(found.weight)
    assert explanation["parameters"] == CURRENT
