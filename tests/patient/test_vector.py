"""MAT-10, MAT-21: the match vector."""

from __future__ import annotations

from typing import Any

import pytest

from app.patient.keys import match_keys
from app.patient.vector import NORM_VERSION, MatchVector, as_document, from_document, match_vector, pack, unpack
from tests.patient.people import CONVENTIONS, HOSPITAL, NATIONAL, patient, vector


def test_names_of_every_use_are_alternatives() -> None:
    """MAT-03: old and maiden names, aliases and nicknames."""
    found = match_vector(
        {
            "name": [
                {"use": "official", "family": "Kováčová-Malá", "given": ["Anna", "Mária"]},
                {"use": "maiden", "family": "Malá"},
                {"use": "nickname", "given": ["Anička"]},
                {"use": "anonymous", "family": "Secret"},
            ]
        },
        CONVENTIONS,
    )
    assert [name.text for name in found.given] == ["anna maria", "anicka"]
    assert [name.text for name in found.family] == ["kovacova mala"]
    assert [name.text for name in found.former] == ["mala"]


@pytest.mark.parametrize("text", ["Anna Malá", "Malá, Anna"])
def test_a_name_that_is_text_only_is_split(text: str) -> None:
    """PDQM-119-15: a name may be text alone."""
    found = match_vector({"name": [{"text": text}]}, CONVENTIONS)
    assert (found.given[0].text, found.family[0].text) == ("anna", "mala")


def test_identifiers_are_told_apart_by_trust() -> None:
    """MAT-08: trusted numbers by the configuration, under every spelling of their domain."""
    identifiers = [
        {"system": "http://national.example.org/id", "value": "84 0307"},
        {"system": HOSPITAL, "value": "N-1001"},
        {"system": HOSPITAL},
        {"value": "5"},
        {"system": NATIONAL, "value": "0000"},
    ]
    found = match_vector({"identifier": identifiers}, CONVENTIONS)
    assert found.numbers == [(NATIONAL, "840307", "valid")]
    assert found.identifiers == [f"{HOSPITAL}|N-1001"]


@pytest.mark.parametrize(
    ("element", "deceased", "multiple"),
    [
        ({}, "", None),
        ({"deceasedBoolean": False, "multipleBirthBoolean": False}, "no", 0),
        ({"deceasedBoolean": True, "multipleBirthBoolean": True}, "yes", -1),
        ({"deceasedDateTime": "2024-05-06T10:00:00Z", "multipleBirthInteger": 2}, "20240506", 2),
        ({"deceasedDateTime": "sometime"}, "yes", None),
    ],
)
def test_death_and_multiple_birth(element: dict[str, Any], deceased: str, multiple: int | None) -> None:
    """5.1: deceased and multiple birth, as far as they are said."""
    found = match_vector(element, CONVENTIONS)
    assert (found.deceased, found.multiple) == (deceased, multiple)


@pytest.mark.parametrize(
    "strange",
    [
        {},
        {"name": "Anna"},
        {"name": [{"given": "Anna", "family": 5}]},
        {"name": [None], "address": [None], "telecom": [{"value": 5}], "identifier": "x"},
        {"birthDate": ["1984"], "gender": 5, "extension": [{"url": 5}]},
        {"deceasedBoolean": "x", "multipleBirthInteger": True},
    ],
)
def test_what_cannot_be_read_is_missing(strange: dict[str, Any]) -> None:
    """PDQM-119-07: the input need not be a valid instance."""
    assert not match_vector(strange, CONVENTIONS).birth
    match_keys(match_vector(strange, CONVENTIONS))


def test_a_vector_comes_back_as_it_was() -> None:
    """MAT-21: what the store keeps is the whole vector; keys of both are equal."""
    before = match_vector(_full(), CONVENTIONS)
    after = unpack(pack(before))
    assert pack(after) == pack(before)
    assert isinstance(after, MatchVector)
    assert match_keys(after) == match_keys(before)


def test_vectors_of_another_version_are_refused() -> None:
    """MAT-10: the version is stored; a vector made by other rules is computed anew, not compared."""
    document = as_document(vector("Anna", "Malá", "1984-03-07"))
    assert document["norm_version"] == NORM_VERSION
    assert from_document(document).birth == "19840307"
    with pytest.raises(ValueError, match="norm_version 0"):
        from_document({**document, "norm_version": 0})


def _full() -> dict[str, Any]:
    return patient(
        ["Anna", "Mária"], "Kováčová-Malá", "1984-03-07", gender="female", old="Malá", maiden="Tóthová", number="840307",
        house="Hlavná 12/5", city="Žilina", postcode="010 01", phone="0905 111 222", deceasedBoolean=False, multipleBirthInteger=1,
    )  # fmt: skip
