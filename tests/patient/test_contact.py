"""MAT-07, MAT-08: telephone numbers, e-mail addresses, national numbers."""

from __future__ import annotations

import pytest

from app.patient.compare import compare_numbers
from app.patient.contact import email, national_number, phone, telecom_key
from app.patient.levels import NUMBER_CONFLICT, NUMBER_DIFFERENT, NUMBER_EQUAL, NUMBER_ONE_EDIT
from app.patient.vector import Number


@pytest.mark.parametrize(
    ("written", "country", "expected"),
    [
        ("0905 111 222", "SK", "+421905111222"),
        ("+421 905 111 222", "SK", "+421905111222"),
        ("00421905111222", "SK", "+421905111222"),
        ("0905/111-222", "SK", "+421905111222"),
        ("+49 (0)30 1234567", "SK", "+49301234567"),
        ("0905 111 222", "", "0905111222"),
        ("+421905111222", "", "+421905111222"),
        ("none", "SK", ""),
        ("12", "SK", ""),
    ],
)
def test_phones_become_international(written: str, country: str, expected: str) -> None:
    """MAT-07: E.164 with a home country; what cannot be read keeps its digits."""
    assert phone(written, country) == expected


def test_the_key_of_a_phone_needs_no_country() -> None:
    """4.1: the last eight digits meet with and without a country code."""
    assert telecom_key(phone("0905111222")) == telecom_key(phone("0905111222", "SK"))


@pytest.mark.parametrize(
    ("written", "expected"),
    [(" Eva.Mala@Example.ORG ", "eva.mala@example.org"), ("mailto:a@b.c", "a@b.c"), ("@", ""), ("eva", "")],
)
def test_email_is_lower_case(written: str, expected: str) -> None:
    """MAT-07: e-mail addresses."""
    assert email(written) == expected


@pytest.mark.parametrize(
    ("written", "scheme", "expected"),
    [
        ("710319/2745", "sk.rc", ("7103192745", "valid")),
        ("7103192754", "sk.rc", ("7103192754", "invalid")),
        ("AB 12-34", "", ("AB1234", "valid")),
        ("698 8048", "unverified", ("6988048", "unchecked")),
    ],
)
def test_national_numbers_are_checked(written: str, scheme: str, expected: tuple[str, str]) -> None:
    """MAT-08: separators removed, check digit verified where the scheme is known."""
    assert national_number(written, scheme) == expected


def test_an_unknown_scheme_is_told() -> None:
    """MAT-08: a scheme that nothing can check is a mistake of the configuration."""
    with pytest.raises(ValueError, match=r"`xx\.nope` is not a number"):
        national_number("1", "xx.nope")


@pytest.mark.parametrize(
    ("one", "other", "level"),
    [
        (("A", "7103192745", "valid"), ("A", "7103192745", "valid"), NUMBER_EQUAL),
        (("A", "7103192754", "invalid"), ("A", "7103192754", "invalid"), NUMBER_ONE_EDIT),
        (("A", "7103192745", "valid"), ("A", "7103192754", "invalid"), NUMBER_ONE_EDIT),
        (("A", "7103192745", "valid"), ("A", "9103192799", "invalid"), NUMBER_DIFFERENT),
        (("A", "7103192745", "valid"), ("A", "8003192740", "valid"), NUMBER_CONFLICT),
        (("A", "7103192745", "valid"), ("A", "7103192746", "valid"), NUMBER_CONFLICT),
        (("A", "6988048", "unchecked"), ("A", "6988048", "unchecked"), NUMBER_EQUAL),
        (("A", "6988048", "unchecked"), ("A", "6988084", "unchecked"), NUMBER_ONE_EDIT),
        (("A", "6988048", "unchecked"), ("A", "7988084", "unchecked"), NUMBER_DIFFERENT),
    ],
)
def test_numbers_that_fail_their_check_are_weak(
    one: tuple[str, str, str], other: tuple[str, str, str], level: int
) -> None:
    """MAT-08: transposed digits create no trusted equality; PIXM-XREF-03: two valid ones that differ are a conflict."""
    assert compare_numbers([Number(*one)], [Number(*other)]) == level  # type: ignore[arg-type]
    assert compare_numbers([Number(*other)], [Number(*one)]) == level  # type: ignore[arg-type]


def test_a_conflict_in_one_domain_outweighs_another() -> None:
    """PIXM-XREF-03: two valid numbers of one domain conflict, whatever other domains say; the best pair counts in each."""
    ours = [Number("A", "1", "valid"), Number("B", "5", "valid")]
    assert compare_numbers(ours, [Number("A", "2", "valid"), Number("B", "5", "valid")]) == NUMBER_CONFLICT
    assert compare_numbers(ours, [Number("A", "2", "valid"), Number("A", "1", "valid")]) == NUMBER_EQUAL
