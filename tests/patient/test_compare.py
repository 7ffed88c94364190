"""matching.md 5.1: the levels of each field."""

from __future__ import annotations

import pytest

from app.patient.compare import compare
from app.patient.levels import FIELDS, LEVELS
from app.patient.vector import MatchVector
from tests.patient.people import HOSPITAL, vector


def _level(field: str, a: MatchVector, b: MatchVector) -> str:
    """Return the level of a field, the same both ways round."""
    one, other = compare(a, b), compare(b, a)
    assert one == other
    return LEVELS[field][one[FIELDS.index(field)]]


@pytest.mark.parametrize(
    ("a", "b", "level"),
    [
        ("Katarína", "KATARINA", "exact"),
        ("Jürgen", "Juergen", "exact"),
        (["Anna", "Mária"], "Anna", "exact"),
        (["Anna", "Mária"], ["Anna", "M."], "exact"),
        (["Jean", "Paul"], "Jean-Paul", "exact"),
        (["Jean", "Paul"], ["Jean", "Luc"], "phonetic"),
        ("Katarína", "Katerína", "similar"),
        ("Ján", "Honza", "alias"),
        ("William", "Bill", "alias"),
        ("Catherine", "Kathryn", "alias"),
        ("Stephanos", "Stefan", "phonetic"),
        (["Anna", "Mária"], "Mária", "phonetic"),
        ("K.", "Katarína", "initial"),
        ("K.", "K.", "initial"),
        ("K.", "Anna", "different"),
        ("Anna", "Peter", "different"),
        ("", "Peter", "missing"),
        ("newborn", "Peter", "missing"),
    ],
)
def test_given_names(a: str | list[str], b: str | list[str], level: str) -> None:
    """MAT-05, MAT-09, 5.1: given names."""
    assert _level("given", vector(a, "Malá"), vector(b, "Malá")) == level


@pytest.mark.parametrize(
    ("a", "b", "level"),
    [
        ("van der Berg", "Berg", "exact"),
        ("Müller", "Mueller", "exact"),
        ("Novák", "Nováková", "similar"),
        ("Nováková", "Novkova", "phonetic"),
        ("Schmidt", "Smith", "phonetic"),
        ("Kováčová-Malá", "Malá", "part"),
        ("Malá", "Horváthová", "different"),
        ("", "Malá", "missing"),
        ("N.N.", "Malá", "missing"),
    ],
)
def test_surnames(a: str, b: str, level: str) -> None:
    """MAT-02..04, MAT-09, 5.1: surnames; father and daughter differ in level."""
    assert _level("family", vector("Anna", a), vector("Anna", b)) == level


def test_a_former_surname_is_a_level_of_its_own() -> None:
    """MAT-31: the maiden name in a second `name`."""
    married = vector("Eva", "Kováčová", old="Malá")
    assert _level("family", married, vector("Eva", "Malá")) == "former"
    assert _level("family", married, vector("Eva", "Kováčová")) == "exact"
    assert _level("family", married, vector("Eva", "Horváthová")) == "different"
    assert _level("family", married, vector("Eva", "Tóthová", old="Malá")) == "former"


def test_swapped_names_agree_phonetically() -> None:
    """5.1: given name and surname in each other's place."""
    a, b = vector("Katarína", "Horváthová"), vector("Horvathova", "Katarina")
    assert (_level("given", a, b), _level("family", a, b)) == ("phonetic", "phonetic")
    b = vector("Horvathova", "Zuzana")
    assert (_level("given", a, b), _level("family", a, b)) == ("different", "different")


@pytest.mark.parametrize(
    ("a", "b", "level"),
    [
        ("1984-03-07", "1984-03-07", "exact"),
        ("1984-03-07", "1984-07-03", "swapped"),
        ("1984-03-07", "1984-03-08", "one-digit"),
        ("1984-03-07", "1994-03-07", "one-digit"),
        ("1984-03-12", "1984-03-21", "one-digit"),
        ("1984-03-07", "1984-03-28", "two-parts"),
        ("1984-03-07", "1961-03-07", "two-parts"),
        ("1984-03-07", "1984-03", "compatible"),
        ("1984", "1984", "compatible"),
        ("1984", "1984-03", "compatible"),
        ("1984-03", "1985-03-07", "different"),
        ("1984-03-07", "1951-11-28", "different"),
        ("1984-03-07", "", "missing"),
        ("1900-01-01", "1900-01-01", "missing"),
    ],
)
def test_birth_dates(a: str, b: str, level: str) -> None:
    """MAT-06, 5.1: birth dates."""
    assert _level("birthDate", vector("A", "B", a), vector("A", "B", b)) == level


@pytest.mark.parametrize(
    ("field", "a", "b", "level"),
    [
        ("gender", {"gender": "male"}, {"gender": "male"}, "equal"),
        ("gender", {"gender": "male"}, {"gender": "female"}, "different"),
        ("gender", {"gender": "unknown"}, {"gender": "female"}, "missing"),
        ("telecom", {"phone": "0905 111 222"}, {"phone": "+421 905 111 222"}, "equal"),
        ("telecom", {"phone": "0905 111 222"}, {"phone": "0905 111 223"}, "different"),
        ("telecom", {"phone": "0905 111 222"}, {}, "missing"),
        ("mothersMaidenName", {"maiden": "Tóthová"}, {"maiden": "TOTHOVA"}, "exact"),
        ("mothersMaidenName", {"maiden": "Tóthová"}, {"maiden": "Totthova"}, "similar"),
        ("mothersMaidenName", {"maiden": "Tóthová"}, {"maiden": "Kráľová"}, "different"),
        ("mothersMaidenName", {"maiden": "unknown"}, {"maiden": "Kráľová"}, "missing"),
        ("trustedNumber", {"number": "84-0307"}, {"number": "840307"}, "equal"),
        ("trustedNumber", {"number": "840307"}, {"number": "840308"}, "conflict"),
        ("trustedNumber", {"number": "840307"}, {}, "missing"),
        ("deceased", {"deceasedBoolean": True}, {"deceasedDateTime": "2024"}, "consistent"),
        ("deceased", {"deceasedBoolean": False}, {"deceasedDateTime": "2024"}, "contradictory"),
        ("deceased", {"deceasedDateTime": "2023-05-01"}, {"deceasedDateTime": "2024"}, "contradictory"),
        ("deceased", {}, {"deceasedDateTime": "2024"}, "missing"),
        ("multipleBirth", {"multipleBirthInteger": 1}, {"multipleBirthInteger": 1}, "consistent"),
        ("multipleBirth", {"multipleBirthInteger": 1}, {"multipleBirthBoolean": True}, "consistent"),
        ("multipleBirth", {"multipleBirthInteger": 1}, {"multipleBirthInteger": 2}, "contradictory"),
        ("multipleBirth", {"multipleBirthBoolean": False}, {"multipleBirthInteger": 2}, "contradictory"),
        ("multipleBirth", {"multipleBirthBoolean": False}, {}, "missing"),
    ],
)
def test_other_fields(field: str, a: dict[str, object], b: dict[str, object], level: str) -> None:
    """MAT-07, 5.1: gender, telecom, mother's maiden name, numbers, death, multiple birth."""
    assert _level(field, vector("A", "B", **a), vector("A", "B", **b)) == level


def test_other_identifiers_speak_only_when_equal() -> None:
    """5.1: any equal (system, value) or nothing; compared as they are (PIXM-DOM-07)."""
    a = vector("A", identifier=[{"system": HOSPITAL, "value": "N-1"}, {"system": "urn:x", "value": "5"}])
    assert _level("otherIdentifier", a, vector("A", identifier=[{"system": HOSPITAL, "value": "N-1"}])) == "equal"
    assert _level("otherIdentifier", a, vector("A", identifier=[{"system": HOSPITAL, "value": "n-1"}])) == "missing"
    assert _level("otherIdentifier", a, vector("A", identifier=[{"system": "urn:y", "value": "5"}])) == "missing"


def test_a_trusted_number_may_be_verified_or_not() -> None:
    """MAT-08: an invalid number is weak evidence, also in a whole Patient."""
    system = "urn:oid:2.999.44"
    right, wrong = ([{"system": system, "value": value}] for value in ("710319/2745", "710319/2754"))
    assert _level("trustedNumber", vector("A", identifier=right), vector("A", identifier=right)) == "equal"
    assert _level("trustedNumber", vector("A", identifier=right), vector("A", identifier=wrong)) == "one-edit"
    assert _level("trustedNumber", vector("A", identifier=wrong), vector("A", identifier=wrong)) == "one-edit"
