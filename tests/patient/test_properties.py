"""MAT-95: what must hold for every pair, found by search."""

from __future__ import annotations

import unicodedata
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from app.patient.compare import compare
from app.patient.keys import match_keys
from app.patient.levels import FAMILY_EXACT, GIVEN_EXACT
from app.patient.matching import score
from app.patient.vector import match_vector, pack, unpack
from tests.patient.people import CONVENTIONS, MILLION, NATIONAL, patient, with_frequencies

PARAMETERS = (
    MILLION,
    with_frequencies({"anna": 0.026, "marek": 0.01, "marian": 0.004}, {"horvath": 0.011, "kovac": 0.01}),
)

_GIVEN = st.sampled_from(
    ["", "Anna", "Hana", "Ana", "Anička", "Marek", "Marián", "Jörg", "Joerg", "K.", "newborn", "Анна", "Horváthová"]
)
_FAMILY = st.sampled_from(
    ["", "Horváthová", "Horváth", "Kováčová-Malá", "Malá", "van der Berg", "Berg", "Müller", "Anna", "N.N."]
)
_BIRTH = st.sampled_from(["", "2001-02-03", "2001-03-02", "2001-02-08", "2001-02", "2001", "1900-01-01", "1975-08-19"])
_TEXT = st.text(max_size=12)

_PATIENTS = st.builds(
    patient,
    given=_GIVEN | _TEXT,
    family=_FAMILY | _TEXT,
    birth=_BIRTH,
    gender=st.sampled_from(["male", "female", "unknown", "other", ""]),
    house=st.sampled_from(["", "Hlavná 12", "Hlavna ul. 12", "Krátka 3", "12"]),
    city=st.sampled_from(["", "Žilina", "Zilina", "Košice"]),
    postcode=st.sampled_from(["", "01001", "010 02", "04001"]),
    phone=st.sampled_from(["", "0905 111 222", "+421905111222", "0905111223"]),
    number=st.sampled_from(["", "7", "8"]),
    maiden=st.sampled_from(["", "Tóthová", "Tothova", "Kráľová"]),
    old=st.sampled_from(["", "Malá", "Horváthová"]),
    multipleBirthInteger=st.sampled_from([1, 2, 0]),
    deceasedBoolean=st.booleans(),
)


def _vector(resource: dict[str, Any]) -> Any:
    return match_vector(resource, CONVENTIONS)


@pytest.mark.parametrize("parameters", PARAMETERS, ids=["no frequencies", "frequencies"])
@given(a=_PATIENTS, b=_PATIENTS)
@settings(max_examples=150, deadline=None)
def test_both_ways_round(parameters: Any, a: dict[str, Any], b: dict[str, Any]) -> None:
    """MAT-95: W, levels and grade are symmetric; MAT-21: and the same after a stay in the store."""
    one, other = _vector(a), _vector(b)
    found = score(one, other, parameters)
    assert score(other, one, parameters) == found
    assert score(unpack(pack(one)), unpack(pack(other)), parameters) == found
    assert sum(part["bits"] for part in found.explanation()["parts"]) == pytest.approx(found.weight)


@given(a=_PATIENTS, b=_PATIENTS)
@settings(max_examples=150, deadline=None)
def test_accents_and_case_never_matter(a: dict[str, Any], b: dict[str, Any]) -> None:
    """MAT-95: names without accents or in upper case weigh the same."""

    def plain(resource: dict[str, Any], *, upper: bool) -> dict[str, Any]:
        names = [
            {
                key: _plain(value, upper=upper) if isinstance(value, str) and key != "use" else value
                for key, value in name.items()
            }
            | {"given": [_plain(each, upper=upper) for each in name.get("given", [])]}
            for name in resource["name"]
        ]
        return {**resource, "name": names}

    before = score(_vector(a), _vector(b), MILLION)
    assert score(_vector(plain(a, upper=False)), _vector(b), MILLION).weight == before.weight
    assert score(_vector(a), _vector(plain(b, upper=True)), MILLION).weight == before.weight


@given(a=_PATIENTS, b=_PATIENTS)
@settings(max_examples=150, deadline=None)
def test_given_and_family_swapped_in_both_records_changes_nothing(a: dict[str, Any], b: dict[str, Any]) -> None:
    """MAT-95: where both names agree exactly; an initial is no name, and other levels weigh differently by field."""
    a, b = ({**each, "name": each["name"][:1]} for each in (a, b))
    before = compare(_vector(a), _vector(b))
    if (before.given, before.family) == (GIVEN_EXACT, FAMILY_EXACT):
        one, other = _vector(_exchanged(a)), _vector(_exchanged(b))
        if all(each.given and each.family and len(each.given[0].text) > 1 for each in (one, other)):
            after = compare(one, other)
            assert (after.given, after.family) == (GIVEN_EXACT, FAMILY_EXACT)
            assert score(one, other, MILLION).weight == score(_vector(a), _vector(b), MILLION).weight


_ADDED: list[dict[str, Any]] = [
    {"telecom": [{"system": "phone", "value": "0911 999 888"}]},
    {"telecom": [{"system": "email", "value": "somebody@example.org"}]},
    {"address": [{"line": ["Lesná 77"], "city": "Poprad", "postalCode": "05801"}]},
    {"identifier": [{"system": "urn:oid:2.999.10.9", "value": "X-1"}]},
    {"identifier": [{"system": NATIONAL, "value": "99999"}]},
    {"name": [{"family": "Quisová", "given": ["Xénia"]}]},
]


@given(a=_PATIENTS, b=_PATIENTS, added=st.sampled_from(_ADDED))
@settings(max_examples=200, deadline=None)
def test_one_more_equal_value_never_lowers_the_sum(a: dict[str, Any], b: dict[str, Any], added: dict[str, Any]) -> None:
    """MAT-95: adding an equal value to both records, whatever they hold already."""
    more = [{**each, **{name: [*each.get(name, []), *values] for name, values in added.items()}} for each in (a, b)]
    for parameters in PARAMETERS:
        before, after = score(_vector(a), _vector(b), parameters), score(_vector(more[0]), _vector(more[1]), parameters)
        assert after.weight >= before.weight - 1e-9


@given(resource=_PATIENTS, given_name=_TEXT, family=_TEXT)
@settings(max_examples=100, deadline=None)
def test_any_text_is_a_name(resource: dict[str, Any], given_name: str, family: str) -> None:
    """MAT-01: every Unicode text can be folded; a record meets and equals itself."""
    vector = _vector({**resource, "name": [{"family": family, "given": [given_name]}]})
    assert match_keys(vector) == match_keys(unpack(pack(vector)))
    assert all(text.isascii() and text == text.lower() for name in vector.given for text in (name.text, name.first))
    assert score(vector, vector, MILLION).levels.birth in (0, 3, 6)


def _plain(text: str, *, upper: bool) -> str:
    """Return Latin text without accents; other letters stay, since taking marks away changes what they are."""
    bare = "".join(
        unicodedata.normalize("NFD", letter)[0] if unicodedata.name(letter, "").startswith("LATIN") else letter
        for letter in text
    )
    # A letter whose upper case is several (ß) or folds to another one is no matter of case.
    return "".join(each.upper() if upper and each.isascii() else each for each in bare)


def _exchanged(resource: dict[str, Any]) -> dict[str, Any]:
    name = resource["name"][0]
    family, given_names = name.get("family", ""), name.get("given", [])
    return {**resource, "name": [{"family": " ".join(given_names), "given": [family] if family else []}]}
