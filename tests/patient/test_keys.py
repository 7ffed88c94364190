"""MAT-20..24: blocking keys and which of them a query reads."""

from __future__ import annotations

import subprocess
import sys

import pytest

from app.patient.keys import hashed, match_keys, meeting_kinds, named_keys, select
from app.patient.vector import MatchVector
from tests.patient.people import HOSPITAL, vector


def _meet(a: MatchVector, b: MatchVector) -> bool:
    return not set(match_keys(a)).isdisjoint(match_keys(b))


@pytest.mark.parametrize(
    ("a", "b"),
    [
        (vector("Hans", "Müller-Weiß", "1984-03-07"), vector("Karl", "MUELLER WEISS", "1984-03-07")),
        (vector("Jürgen", "Ødegård"), vector("Juergen", "Oedegaard")),
        (vector("Anna", "Kováčová-Malá", "1984-03-07"), vector("Anna", "Malá", "1950-01-02")),
        (vector("Anna", "Nováková", "1984-03-07"), vector("Peter", "Novák", "1984-03-07")),
        (vector("Anna", "Malá", "1984-03-07"), vector("Malá", "Anna", "1984-07-03")),
        (vector("Qwerty", "Uiop", "1984-03-07"), vector("Anna", "Malá", "1984-03-07")),
        (vector("Anna", "Malá", "1984-03-07"), vector("Anna", "Malá", "1985-09-07")),
        (vector("Anna", "Malá", "1984"), vector("Anna", "Malá", "1984-09-07")),
        (vector("Q", "U", house="Hlavná 12", postcode="01001"), vector("Anna", "Malá", house="Hlavni 12", postcode="01001")),
        (vector("Q", "U", house="Hlavná 12", city="Žilina"), vector("Anna", "Malá", house="Hlavna 14", city="Zilina")),
        (vector("Q", "U", phone="0905 111 222"), vector("Anna", "Malá", phone="+421905111222")),
        (vector("Anna", maiden="Tóthová"), vector("Anna", "Malá", maiden="Tothova")),
        (vector("", "U", "2024-05-06", maiden="Tóthová"), vector("Anna", "M", "2024-05-06", maiden="Tothova")),
        (vector("Q", "U", number="84-0307"), vector("Anna", "Malá", number="840307")),
        (vector("Eva", "Kováčová", old="Malá", birth="1984-03-07"), vector("Iveta", "Malá", "1984-03-07")),
    ],
)  # fmt: skip
def test_records_of_one_person_meet(a: MatchVector, b: MatchVector) -> None:
    """MAT-20, MAT-01..04: each row of the table of 4.1 brings two ways of writing together."""
    assert _meet(a, b)


@pytest.mark.parametrize(
    ("a", "b"),
    [
        (vector("Anna", "Malá", "1984-03-07"), vector("Peter", "Horváth", "1951-07-13")),
        (vector("Anna", "Malá", "1900-01-01"), vector("Peter", "Horváth", "1900-01-01")),
        (vector("newborn", "N.N."), vector("newborn", "N.N.")),
        (vector(), vector()),
    ],
)
def test_strangers_and_placeholders_do_not_meet(a: MatchVector, b: MatchVector) -> None:
    """MAT-06, MAT-09: placeholder dates and names give no key."""
    assert not _meet(a, b)


def test_keys_are_the_same_in_another_process() -> None:
    """MAT-20: a stable hash, signed 64 bits; not the language's own, which differs after each restart."""
    key = hashed("d|19840307")
    assert -(2**63) <= key < 2**63
    script = "from app.patient.keys import hashed; print(hashed('d|19840307'))"
    assert int(subprocess.run([sys.executable, "-c", script], check=True, capture_output=True).stdout) == key


def test_a_record_has_about_fifteen_keys() -> None:
    """MAT-20, 4.2: an ordinary record; the index grows with their number (MAT-71)."""
    ordinary = vector(
        "Anna", "Malá", "1984-03-07", gender="female", house="Hlavná 12", city="Žilina", postcode="01001", phone="0905111222",
        identifier=[{"system": HOSPITAL, "value": "N-1001"}],
    )  # fmt: skip
    keys = match_keys(ordinary)
    assert keys == sorted(set(keys))
    assert 12 <= len(keys) <= 22


def test_large_populations_split_the_birth_date_by_gender() -> None:
    """4.1: from ten million records on the key of the date alone takes in the gender."""
    one, other = vector("Kim", "Kos", "1984-03-07", gender="female"), vector("Bob", "Tim", "1984-03-07", gender="male")
    kinds = {kind for kind, _ in named_keys(one)}
    assert "date" in kinds
    assert set(match_keys(one)) & set(match_keys(other))
    assert not set(match_keys(one, large=True)) & set(match_keys(other, large=True))


def test_long_lists_are_left_out_while_another_key_remains() -> None:
    """MAT-22: 5,000 namesakes; the most selective key comes first."""
    chosen = select([1, 2, 3], {1: 5000, 2: 30, 3: 4})
    assert chosen.keys == (3, 2)
    assert not chosen.cut


def test_the_shortest_list_is_read_up_to_the_cap_when_none_is_short() -> None:
    """MAT-22: the answer then carries a warning (PDQM-119-16)."""
    chosen = select([1, 2], {1: 5000, 2: 9000})
    assert chosen.keys == (1,)
    assert chosen.cut
    assert chosen.limit == 2000


def test_a_key_that_nobody_else_has_makes_no_long_list_needless() -> None:
    """MAT-22: a list without a record finds nothing, so it is not "another key that remains"."""
    chosen = select([1, 2], {1: 5000, 2: 0})
    assert set(chosen.keys) == {1, 2}
    assert chosen.cut


def test_no_more_pairs_than_the_hard_stop() -> None:
    """MAT-81: keys are read in order until 5,000 pairs; then a warning."""
    chosen = select(list(range(1, 9)), dict.fromkeys(range(1, 9), 1000))
    assert chosen.keys == (1, 2, 3, 4, 5)
    assert chosen.cut


def test_a_single_point_of_failure_is_seen() -> None:
    """MAT-23: how many kinds of keys a pair meets in; one alone is a warning sign."""
    same = vector("Anna", "Malá", "1984-03-07", postcode="01001")
    assert {"date", "date-name", "names", "postcode-date"} <= meeting_kinds(same, same)
    assert meeting_kinds(vector("Q", "U", phone="0905111222"), vector("A", "B", phone="0905111222")) == {"telecom"}


def test_keys_need_the_record_alone() -> None:
    """MAT-24: the same keys, whatever else is in the index; a function of the vector."""
    before = match_keys(vector("Anna", "Malá", "1984-03-07"))
    for number in range(50):
        match_keys(vector(f"Anna{number}", "Malá", "1984-03-07"))
    assert match_keys(vector("Anna", "Malá", "1984-03-07")) == before
