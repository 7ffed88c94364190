"""FHIR R4 search.html#escaping: parameters are percent-decoded exactly once."""

from __future__ import annotations

from urllib.parse import urlencode

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.fhir.outcome import FhirError
from app.rest.query_string import decode_pairs


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (b"", ()),
        (b"a=1&b=2&a=3", (("a", "1"), ("b", "2"), ("a", "3"))),
        (b"type=http%3A%2F%2Floinc.org%7C1", (("type", "http://loinc.org|1"),)),
        (b"type=http://loinc.org|1", (("type", "http://loinc.org|1"),)),
        (b"author.family%3Aexact=M%C3%BCller", (("author.family:exact", "Müller"),)),
        (b"name=a+b%2Bc", (("name", "a b+c"),)),
        (b"x=%2525", (("x", "%25"),)),
        (b"x=a=b", (("x", "a=b"),)),
        (b"x&&y=", (("x", ""), ("y", ""))),
        ("name=Müller".encode(), (("name", "Müller"),)),
    ],
)
def test_pairs_keep_order_and_repeats(text: bytes, expected: tuple[tuple[str, str], ...]) -> None:
    """MHD-GEN-14: decoded once; `|` and `:` raw or escaped; `+` is a space."""
    assert decode_pairs(text) == expected


@pytest.mark.parametrize("text", [b"x=%", b"x=%4", b"x=%zz", b"%=1", b"x=%ff", b"x=\xff"])
def test_what_cannot_be_decoded_is_refused(text: bytes) -> None:
    """MHD-GEN-14: a broken escape is 400 `invalid`, not a guess."""
    with pytest.raises(FhirError) as caught:
        decode_pairs(text)
    assert (caught.value.status, caught.value.issues[0].code) == (400, "invalid")


@given(st.lists(st.tuples(st.text(min_size=1), st.text())))
def test_every_text_survives(pairs: list[tuple[str, str]]) -> None:
    """MHD-GEN-14: what a client encodes once comes back as it was."""
    encodable = [(name, value) for name, value in pairs if (name + value).isprintable()]
    assert decode_pairs(urlencode(encodable).encode()) == tuple(encodable)
