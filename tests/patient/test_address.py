"""How addresses are read and compared; matching.md 4.1, 5.1."""

from __future__ import annotations

from typing import Any

import pytest

from app.patient.address import places, read_line
from app.patient.compare import compare_places
from app.patient.levels import LEVELS

_ADXP = "http://hl7.org/fhir/StructureDefinition/iso21090-ADXP-"


@pytest.mark.parametrize(
    ("line", "name", "houses"),
    [
        ("Hlavná ulica 12/5", "hlavna", ["12", "5"]),
        ("17 Stanley Street", "stanley", ["17"]),
        ("1. mája 15", "1 maja", ["15"]),
        ("Hauptstr. 4a", "hauptstr", ["4"]),
        ("Hlavná 12 A", "hlavna", ["12"]),
        ("12", "", ["12"]),
        ("Rosedown", "rosedown", []),
        ("Street", "street", []),
        ("", "", []),
    ],
)
def test_house_numbers_stand_at_the_end_or_the_beginning(line: str, name: str, houses: list[str]) -> None:
    """5.1: street and house; the kind of street says nothing."""
    assert read_line(line) == (name, houses)


def test_the_parts_of_a_line_may_be_told() -> None:
    """FHIR R4 Address.line: ISO 21090's extensions name street and house number."""
    extension = [
        {"url": f"{_ADXP}streetName", "valueString": "Hlavná"},
        {"url": f"{_ADXP}houseNumber", "valueString": "12"},
    ]
    (place,) = places({"line": ["Hlavná 99"], "_line": [{"extension": extension}]})
    assert (place.street, place.houses) == ("hlavna", ["12"])


def test_a_village_without_streets_is_its_own_street() -> None:
    """5.1: in a village the house number follows the name of the village, or stands alone."""
    alone, named = {"line": ["12"], "city": "Horná Ves"}, {"line": ["Horná Ves 12"], "city": "Horná Ves"}
    assert compare_places(list(places(alone)), list(places(named))) == 0


@pytest.mark.parametrize(
    ("ours", "theirs", "level"),
    [
        (("Hlavná 12", "Žilina", "01001"), ("Hlavna ul. 12", "Zilina", "010 01"), "house"),
        (("Hlavná 12", "Žilina", ""), ("Hlavní 12", "Žilina", ""), "house"),
        (("Hlavná 12", "", "01001"), ("Hlavná 12", "", "01002"), "house"),
        (("Hlavná 12", "Žilina", "01001"), ("Hlavná 14", "Žilina", "01001"), "street"),
        (("Hlavná 12", "Žilina", "01001"), ("Krátka 3", "Žilina", "01001"), "postcode"),
        (("Hlavná 12", "Žilina", "01001"), ("Krátka 3", "Žilina", "01008"), "city"),
        (("Hlavná 12", "Žilina", "01001"), ("Hlavná 12", "Košice", "04001"), "different"),
        (("Hlavná 12", "", ""), ("", "Košice", ""), "missing"),
        (("", "", "01001"), ("", "Žilina", ""), "missing"),
    ],
)
def test_levels_of_an_address(ours: tuple[str, str, str], theirs: tuple[str, str, str], level: str) -> None:
    """5.1: the same door in two cities is no agreement; one comparison for all of it."""
    a, b = _places(*ours), _places(*theirs)
    assert LEVELS["address"][compare_places(a, b)] == level
    assert LEVELS["address"][compare_places(b, a)] == level


@pytest.mark.parametrize(
    "wrong", [None, "Hlavná 12", {"line": "Hlavná 12"}, {"line": [None, 5]}, {"line": ["x"], "_line": [None]}]
)
def test_an_address_that_is_none_is_missing(wrong: Any) -> None:
    """PDQM-119-07: the input need not be valid."""
    assert len(list(places(wrong))) <= 1


def _places(line: str, city: str, postcode: str) -> list[Any]:
    return list(places({"line": [line] if line else [], "city": city, "postalCode": postcode}))
