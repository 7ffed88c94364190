"""What people write as names and birth dates, made comparable.

Everything here is computed when a record is written; what is stored of the Patient itself stays as it came. Searching
(ITI-78) does not use it: only matching does.

Spec: MAT-01..06, MAT-09.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Mapping
from datetime import date
from functools import lru_cache

from anyascii import anyascii
from doublemetaphone import doublemetaphone

from app.patient.words import (
    FEMININE,
    NICKNAMES,
    PARTICLES,
    PATRONYMICS,
    PLACEHOLDER_DATES,
    PLACEHOLDERS,
    PLACEHOLDERS_ALONE,
    SHORTEST_STEM,
)

CODE_LENGTH = 4

_APART = re.compile(r"[^a-z0-9]+")
_DIGRAPH = re.compile(r"([aou])e|aa")
_DATE = re.compile(r"([0-9]{4})(?:-([0-9]{2})(?:-([0-9]{2})(?:T.*)?)?)?", re.ASCII | re.DOTALL)


@lru_cache(maxsize=65536)
def fold(text: str) -> str:
    """Return `text` in lower-case ASCII letters and digits, one blank between words (MAT-01).

    Examples:
        "Müller-Weiß" -> "muller weiss"
        "Ødegård"     -> "odegard"
        "Ďurčo, N."   -> "durco n"
    """
    if not text.isascii():
        text = anyascii(unicodedata.normalize("NFKC", text))
    return _APART.sub(" ", text.lower()).strip()


def unify(folded: str) -> str:
    """Return `folded` with ae, oe, ue and aa as the plain vowel (MAT-02).

    Examples:
        "mueller" -> "muller"
        "oedegaard" -> "odegard"
    """
    return _DIGRAPH.sub(lambda found: found.group(1) or "a", folded)


def name_parts(text: str) -> list[str]:
    """Return the parts of one written name, without particles and digits (MAT-03).

    A name of particles alone keeps them; a placeholder has no parts (MAT-09).

    Examples:
        "van der Berg"   -> ["berg"]
        "Kováčová-Malá"  -> ["kovacova", "mala"]
        "N.N."           -> []
    """
    parts = [part for word in unify(fold(text)).split() if (part := word.strip("0123456789"))]
    if not parts or _is_placeholder(parts):
        return []
    return [part for part in parts if part not in _PARTICLES] or parts


def given_parts(texts: Iterable[str]) -> list[str]:
    """Return the parts of the given names of one HumanName, patronymics after the first left out (MAT-04)."""
    parts = name_parts(" ".join(texts))
    return [part for index, part in enumerate(parts) if not index or not part.endswith(PATRONYMICS)]


@lru_cache(maxsize=65536)
def codes(part: str) -> tuple[str, str]:
    """Return both Double Metaphone codes of a name part, cut to four letters; the second may repeat the first.

    A part without a code (Double Metaphone knows letters only) is its own.

    Source: Philips, "The Double Metaphone Search Algorithm", 2000.
    """
    primary, secondary = doublemetaphone(part)
    first = primary[:CODE_LENGTH] or part[:CODE_LENGTH]
    return first, secondary[:CODE_LENGTH] or first


@lru_cache(maxsize=65536)
def family_codes(part: str) -> tuple[str, str]:
    """Return the codes of a surname part: of its masculine form, so that a family shares them (MAT-04).

    Examples:
        "novakova" -> codes("novak")
        "eva"      -> codes("eva")
    """
    return codes(masculine(part))


@lru_cache(maxsize=65536)
def masculine(family: str) -> str:
    """Return a surname in its masculine form where the endings in the table tell it (MAT-04).

    Examples:
        "novakova" -> "novak"
        "kovalska" -> "kovalsky"
        "eva"      -> "eva"
    """
    for ending, other in FEMININE:
        stem = family.removesuffix(ending)
        if stem != family and len(stem) >= SHORTEST_STEM:
            return stem + other
    return family


def birth_date(text: object, placeholders: frozenset[str] = PLACEHOLDER_DATES) -> str:
    """Return a FHIR date as its digits, "" when it is none, impossible or a placeholder (MAT-06).

    Examples:
        "1984-03-07" -> "19840307"
        "1984-03"    -> "198403"
        "1984-02-30" -> ""
        "1900-01-01" -> ""
    """
    found = _DATE.fullmatch(text) if isinstance(text, str) else None
    if found is None or text in placeholders:
        return ""
    year, month, day = found.groups()
    try:
        date(int(year), int(month or 1), int(day or 1))
    except ValueError:
        return ""
    return year + (month or "") + (day or "")


def is_alias(a: str, b: str) -> bool:
    """Tell whether two given-name parts are one name in the nickname table (MAT-05)."""
    groups = NICKNAME_GROUPS.get(a)
    return groups is not None and not groups.isdisjoint(NICKNAME_GROUPS.get(b, ()))


def _is_placeholder(parts: list[str]) -> bool:
    joined = "".join(parts)
    return (
        joined in _PLACEHOLDERS
        or parts[0] in _PLACEHOLDERS
        or joined in PLACEHOLDERS_ALONE
        or all(part in PLACEHOLDERS_ALONE for part in parts)
    )


# The tables in the spelling that names are compared in.
_PARTICLES = frozenset(unify(word) for word in PARTICLES)
_PLACEHOLDERS = frozenset(unify(word) for word in PLACEHOLDERS)


def _nickname_groups() -> Mapping[str, frozenset[int]]:
    groups: dict[str, set[int]] = {}
    for number, names in enumerate(NICKNAMES):
        for name in names:
            groups.setdefault(unify(fold(name)), set()).add(number)
    return {name: frozenset(numbers) for name, numbers in groups.items()}


# Name part -> the numbers of the nickname groups that it stands in.
NICKNAME_GROUPS = _nickname_groups()
