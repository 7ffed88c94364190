r"""References of every form, read once.

`Patient/1`, `[base]/Patient/1`, `\x00/Patient/1` and `Patient/1/_history/3` name one resource: read here they
compare equal. Nobody compares references as text.

Spec: FHIR R4 references.html#literal, #contained; http.html#general; bundle.html#references.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field

from app.fhir.resource import BASE

_LITERAL = re.compile(
    r"(?P<type>[A-Z][A-Za-z]+)/(?P<id>[A-Za-z0-9\-.]{1,64})(?:/_history/(?P<version>[A-Za-z0-9\-.]{1,64}))?"
)
_CONDITIONAL = re.compile(r"(?P<type>[A-Z][A-Za-z]+)\?.+")
_SCHEME = re.compile(r"[A-Za-z][A-Za-z0-9+.\-]*:")


@dataclass(frozen=True, slots=True)
class Reference:
    """What a reference's text says.

    Attributes:
        kind: `literal` (a resource of this server), `absolute` (a URL elsewhere), `contained` (`#id`; `#` is the
            container itself), `urn` (`urn:uuid:`, `urn:oid:`), `conditional` (`Patient?identifier=…`),
            `unknown` (anything else, empty too).
        resource_type: of a literal or conditional reference, and of an absolute one that ends in `Type/id`.
        id: logical id, or that of the contained resource.
        version: the version that was named; not compared.
        url: the reference in one spelling, without a version: `Patient/1`, `http://elsewhere/fhir/Patient/1`, `#a`.
    """

    kind: str
    resource_type: str = ""
    id: str = ""
    version: str = field(default="", compare=False)
    url: str = ""


def parse(text: str, base_url: str = "") -> Reference:
    r"""Return what the reference `text` says; `base_url` is this server's, whose own URLs are literal references.

    Examples:
        "Patient/1", "\x00/Patient/1", base_url + "/Patient/1/_history/3" -> literal, Patient, 1
        "http://elsewhere/fhir/Patient/1"                                 -> absolute, Patient, 1
        "#author"                                                         -> contained, id "author"
    """
    text = relative(text, base_url)
    match = _LITERAL.fullmatch(text)
    if match:
        return Reference(
            "literal", match["type"], match["id"], match["version"] or "", f"{match['type']}/{match['id']}"
        )
    if text.startswith("#"):
        return Reference("contained", id=text[1:], url=text)
    if text.startswith("urn:"):
        return Reference("urn", url=text)
    conditional = _CONDITIONAL.fullmatch(text)
    if conditional:
        return Reference("conditional", conditional["type"], url=text)
    return _absolute(text) if _SCHEME.match(text) else Reference("unknown", url=text)


def relative(text: str, base_url: str = "") -> str:
    """Return `text` without this server's base in front, be it `base_url` or its stand-in `BASE`; else unchanged."""
    for base in (BASE, base_url):
        if base and text.startswith(f"{base}/"):
            return text[len(base) + 1 :]
    return text


def _absolute(text: str) -> Reference:
    url, _, version = text.partition("/_history/")
    parts = url.rsplit("/", 2)
    match = _LITERAL.fullmatch("/".join(parts[-2:])) if len(parts) == 3 else None
    if match is None:
        return Reference("absolute", url=text)
    return Reference("absolute", match["type"], match["id"], version, url)
