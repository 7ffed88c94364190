"""Media types: what an `Accept` header asks for, and which of the offered types answers it best.

Spec: FHIR R4 http.html#mime-type, http.html#parameters (`_format`); RFC 9110, 12.5.1.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache

JSON = "application/fhir+json"
XML = "application/fhir+xml"

# The names under which FHIR's two formats are asked for and sent: FHIR R4 http.html#mime-type, and the
# generic types, which FHIR wants tolerated (json.html, xml.html).
FHIR_TYPES: dict[str, str] = {
    JSON: JSON,
    "application/json": JSON,
    "text/json": JSON,
    XML: XML,
    "application/xml": XML,
    "text/xml": XML,
}
SHORT_NAMES: dict[str, str] = {"json": JSON, "xml": XML}

# Spellings of R4 in the media type parameter `fhirVersion`: FHIR R4 http.html#version-parameter.
R4_VERSIONS = frozenset({"4.0", "4.0.0", "4.0.1"})


@dataclass(frozen=True, slots=True)
class MediaRange:
    """One media type or range of an `Accept` header.

    Attributes:
        type: in lower case, without parameters: `application/pdf`, `text/*`, `*/*`.
        q: weight between 0 and 1; 0 means "not this".
        parameters: name in lower case -> value, without `q`: `{"fhirVersion": "4.0"}` has the key `fhirversion`.
    """

    type: str
    q: float = 1.0
    parameters: Mapping[str, str] = field(default_factory=dict, hash=False)

    @property
    def precision(self) -> int:
        """How much the range says: 0 for `*/*`, 1 for `text/*`, 2 for a type, 3 for a type with parameters."""
        if self.type == "*/*":
            return 0
        if self.type.endswith("/*"):
            return 1
        return 3 if self.parameters else 2

    def covers(self, media_type: str) -> bool:
        """Whether `media_type`, which may have parameters, lies within this range; case does not matter."""
        offered, parameters = split(media_type)
        if self.precision <= 1:
            return self.type == "*/*" or offered.startswith(self.type[:-1])
        return offered == self.type and all(
            parameters.get(name, value).lower() == value.lower() for name, value in self.parameters.items()
        )


@lru_cache(maxsize=1024)
def split(text: str) -> tuple[str, dict[str, str]]:
    """Return type and parameters of a media type; names in lower case, quotes removed.

    Examples:
        'Text/Plain; charset="UTF-8"' -> ("text/plain", {"charset": "UTF-8"})
    """
    name, *parts = text.split(";")
    pairs = (part.partition("=") for part in parts)
    parameters = {key.strip().lower(): value.strip().strip('"') for key, _, value in pairs if key.strip()}
    return name.strip().lower(), parameters


@lru_cache(maxsize=1024)
def parse_accept(text: str) -> tuple[MediaRange, ...]:
    """Return the media ranges of an `Accept` header, highest weight first, else in the order they were sent.

    A weight that cannot be read counts as 1; an empty header gives no range, which means "anything".

    Examples:
        "a/b;q=0.2, c/d" -> (MediaRange("c/d"), MediaRange("a/b", 0.2))
    """
    ranges = (_media_range(part) for part in text.split(",") if part.strip())
    return tuple(sorted(ranges, key=lambda one: -one.q))


def quality(accept: Sequence[MediaRange], media_type: str) -> float:
    """Return the weight that `accept` gives to `media_type`: that of the most precise range which covers it, else 0."""
    if not accept:
        return 1.0
    fitting = [one for one in accept if one.covers(media_type)]
    return max(fitting, key=lambda one: one.precision).q if fitting else 0.0


def choose(accept: Sequence[MediaRange], offers: Sequence[str]) -> str | None:
    """Return the best of `offers`, None when none is acceptable; of equal ones the first offer wins.

    Spec: RFC 9110, 12.5.1.
    """
    best = max(offers, key=lambda offer: quality(accept, offer), default=None)
    return best if best is not None and quality(accept, best) > 0 else None


@lru_cache(maxsize=1024)
def fhir_format(accept: tuple[MediaRange, ...], asked_format: str = "", default: str = JSON) -> str | None:
    """Return the FHIR media type of an answer, or None when neither JSON nor XML is acceptable.

    Args:
        accept: as `parse_accept` returns it.
        asked_format: the normalised `_format`, which wins over `accept`; empty when it was not sent.
        default: the answer's format when the caller has no preference.

    Of formats with the same weight the one that is named first wins; a browser, which names `text/html`, gets JSON.

    Spec: FHIR R4 http.html#mime-type, http.html#parameters.
    """
    if asked_format:
        return FHIR_TYPES.get(asked_format)
    if wants_html(accept):
        return JSON
    usable = tuple(
        MediaRange(one.type, one.q) for one in accept if one.parameters.get("fhirversion", "4.0") in R4_VERSIONS
    )
    if accept and not usable:
        return None
    named = [FHIR_TYPES[one.type] for one in usable if one.type in FHIR_TYPES]
    best = max(dict.fromkeys([*named, default, JSON, XML]), key=lambda name: _weight(usable, name))
    return best if _weight(usable, best) > 0 else None


def is_of_other_versions(accept: Sequence[MediaRange]) -> bool:
    """Whether every range of `accept` is of another version of FHIR than R4."""
    return bool(accept) and all(one.parameters.get("fhirversion", "4.0") not in R4_VERSIONS for one in accept)


def wants_html(accept: Sequence[MediaRange]) -> bool:
    """Whether a browser asks: `text/html` is named, and neither of FHIR's own types is."""
    names = {one.type for one in accept if one.q > 0}
    return "text/html" in names and not names & {JSON, XML}


def normalise_format(text: str) -> str:
    """Return the media type that the value of `_format` names, without parameters.

    `json` and `xml` are FHIR's short names; a `+` that arrived unescaped has become a space.

    Examples:
        "xml" -> "application/fhir+xml";  "application/fhir json" -> "application/fhir+json"
    """
    name = split(text)[0].replace(" ", "+")
    return SHORT_NAMES.get(name) or FHIR_TYPES.get(name, name)


def _media_range(text: str) -> MediaRange:
    name, parameters = split(text)
    rest = {key: value for key, value in parameters.items() if key != "q"}
    try:
        weight = min(max(float(parameters.get("q", "1")), 0.0), 1.0)
    except ValueError:
        weight = 1.0
    return MediaRange("*/*" if name == "*" else name, weight, rest)


def _weight(accept: tuple[MediaRange, ...], name: str) -> float:
    """Return the weight of a format: the best of those given to its own names, else that of a range which covers it."""
    named = [one.q for one in accept if FHIR_TYPES.get(one.type) == name]
    return max(named) if named else quality(accept, name)
