"""The search type string: names, addresses, texts.

A term is the normalised text, followed by the text as it was written when that differs: `muller<US>Müller`. So one
list of terms answers the search that ignores case and accents (by its beginning), `:contains` (by its normalised
half) and `:exact` (by the whole term).

Spec: FHIR R4 search.html#string; MHD-GEN-21, MHD-66-16. What is one letter in two spellings: own choice, below.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Iterator
from functools import lru_cache
from typing import Any

from app.search.criteria import Criterion, StartsWith, Substring, Terms
from app.search.definitions import SearchParameter
from app.search.escape import unescape

MODIFIERS = frozenset({"exact", "contains"})

# Between the normalised and the written text: the unit separator, which no FHIR string can contain.
SEPARATOR = "\x1f"

# The parts of HumanName and Address that are searched, in the order in which they are indexed and sorted.
PARTS = ("family", "given", "text", "prefix", "suffix", "line", "city", "district", "state", "postalCode", "country")

# Letters that Unicode does not take apart into a base letter and an accent, and typographic signs. `casefold` does ß.
_LETTERS = str.maketrans(
    {"ø": "o", "ł": "l", "đ": "d", "ð": "d", "þ": "th", "æ": "ae", "œ": "oe", "ı": "i", "ħ": "h", "ŧ": "t", "ŋ": "n"}  # noqa: RUF001
    | dict.fromkeys("’‘ʼ´`", "'")  # noqa: RUF001
    | dict.fromkeys("‐‑–", "-")  # noqa: RUF001
)


def index(parameter: SearchParameter, values: list[Any]) -> dict[str, list[Any]]:
    """Return the terms of `values`: strings, HumanNames and Addresses, each part of the latter on its own."""
    return {parameter.code: list(dict.fromkeys(term(part) for value in values for part in _parts(value)))}


def criterion(parameter: SearchParameter, modifier: str, text: str, base_url: str = "") -> Criterion:
    """Return what the value `text`, escapes still in it, asks of `parameter`."""
    text = unescape(text)
    if modifier == "exact":
        return Terms(parameter.code, (term(text),))
    return (Substring if modifier == "contains" else StartsWith)(parameter.code, normalise(text))


def term(text: str) -> str:
    """Return the term under which `text` is indexed."""
    normalised = normalise(text)
    return normalised if normalised == text else f"{normalised}{SEPARATOR}{text}"


@lru_cache(maxsize=20_000)
def normalise(text: str) -> str:
    """Return `text` without case, accents and superfluous white space: "Müller " -> "muller", "Łódź" -> "lodz"."""
    text = " ".join(text.split()).casefold()
    if text.isascii():
        return text.replace("`", "'")
    letters = (sign for sign in unicodedata.normalize("NFKD", text) if not unicodedata.combining(sign))
    return "".join(letters).translate(_LETTERS)


def _parts(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
        return
    for name in PARTS if isinstance(value, dict) else ():
        part = value.get(name)
        if isinstance(part, str):
            yield part
        elif part:
            yield from (each for each in part if isinstance(each, str))
