"""No text makes a check go on and on: formats, dates, base64, URLs, narrative, spelling suggestions, references.

Nothing is timed. Each text is long enough that a check which needs more than a few passes over it would not come to an
end; an alarm then ends the test.

Spec: MHD-SEC-08.
"""

from __future__ import annotations

import signal
from collections.abc import Iterator
from types import FrameType
from typing import Any

import pytest

from app.fhir.media_type import JSON, XML
from app.fhir.outcome import FhirError
from app.fhir.parser import parse_resource
from app.fhir.resource import Resource, to_json
from app.fhir.xml import to_xml
from app.validation.validator import Validator
from tests.validation.conftest import MHD

PATIENCE_S = 60
LENGTH = 100_000
TEXTS = {
    "letters": "a" * LENGTH,
    "spaces": " " * LENGTH + "x",
    "words": "a " * LENGTH + "\x7f",
    "lines": "\r\n" * LENGTH + "x ",
    "numbers": "1." * LENGTH + "x",
    "zeros": "0" * LENGTH,
    "minus": "-" * LENGTH,
    "fraction": "2024-01-01T00:00:00." + "0" * LENGTH + "x",
    "oid": "urn:oid:1" + ".1" * LENGTH + ".x",
    "uuid": "urn:uuid:" + "a-" * LENGTH,
    "path": "http://example.org/" + "a/" * LENGTH + " ",
    "history": "Patient/" + "_history/" * LENGTH,
    "base64": "QUJD" * LENGTH + "=*",
    "spaced base64": "Q " * LENGTH + "*",
    "equals": "=" * LENGTH,
    "tags": "<div>" * LENGTH,
    "attributes": '<div xmlns="http://www.w3.org/1999/xhtml"' + " a='b'" * LENGTH + "/>",
    "entities": '<div xmlns="http://www.w3.org/1999/xhtml">' + "&amp;" * LENGTH + "</div>",
    "entity names": "&" * LENGTH + ";",
    "comments": "<!--" * LENGTH,
    "type": "a/b;" * LENGTH,
    "language": "en-" * LENGTH,
    "combining": "e\u0301" * LENGTH,
    "hash": "#" * LENGTH,
    "bars": "|" * LENGTH,
    "dots": "." * LENGTH,
}
PRIMITIVES = (
    "Base64Binary", "Boolean", "Canonical", "Code", "Date", "DateTime", "Decimal", "Id", "Instant", "Integer",
    "Markdown", "Oid", "PositiveInt", "String", "Time", "UnsignedInt", "Uri", "Url", "Uuid",
)  # fmt: skip


@pytest.fixture(autouse=True)
def alarm() -> Iterator[None]:
    """End the test when it hangs."""

    def ring(number: int, frame: FrameType | None) -> None:
        raise TimeoutError

    before = signal.signal(signal.SIGALRM, ring)
    signal.alarm(PATIENCE_S)
    yield
    signal.alarm(0)
    signal.signal(signal.SIGALRM, before)


def everywhere(text: str) -> Resource:
    """Return a Bundle with `text` wherever a check of its own looks at it."""
    extensions: list[Resource] = [{"url": "urn:x", f"value{name}": text} for name in PRIMITIVES]
    reference = {"reference": text, "type": text, "display": text}
    document: Resource = {
        "resourceType": "DocumentReference",
        "id": text,
        "meta": {"profile": [text, f"{MHD}Comprehensive.DocumentReference|{text}"], "lastUpdated": text},
        "text": {"status": text, "div": text},
        "language": text,
        "contained": [{"resourceType": "Patient", "id": text}, {"resourceType": text}],
        "extension": [*extensions, {"url": text, "valueString": text}],
        "identifier": [{"system": text, "value": text, "period": {"start": text, "end": text}}],
        "status": text,
        "category": [{"coding": [{"system": text, "code": text}]}],
        "subject": reference,
        "author": [{"reference": f"#{text}"}],
        "content": [{"attachment": {"contentType": text, "url": text, "data": text, "hash": text, "size": text}}],
        text: text,
    }
    request = {"method": text, "url": text, "ifNoneMatch": text}
    entry = {"fullUrl": text, "resource": document, "request": request}
    return {"resourceType": "Bundle", "meta": {"profile": [text]}, "type": text, "entry": [entry, entry]}


@pytest.mark.parametrize("name", TEXTS)
def test_a_long_text_anywhere(validator: Validator, name: str) -> None:
    """MHD-SEC-08: the answer is a list of issues, none of which repeats the text."""
    message = everywhere(TEXTS[name])
    for profile in ("", f"{MHD}Comprehensive.ProvideBundle"):
        issues = validator.validate(message, profile, claims=not profile)
        assert issues
        assert max(len(issue.diagnostics) + len(issue.expression) for issue in issues) < 2000


@pytest.mark.parametrize("name", TEXTS)
def test_a_long_text_in_each_format(validator: Validator, name: str) -> None:
    """MHD-SEC-08: a body is parsed, or refused with a sentence, in JSON and in XML."""
    resource: Resource = {"resourceType": "Basic", "code": {"text": TEXTS[name]}, "extension": []}
    bodies: list[tuple[bytes, str]] = [
        (to_json(resource), JSON),
        (TEXTS[name].encode(), JSON),
        (TEXTS[name].encode(), XML),
    ]
    if "\x7f" not in TEXTS[name]:
        without: dict[str, Any] = {key: each for key, each in resource.items() if key != "extension"}
        bodies.append((to_xml(without, validator._compiler.structures), XML))
    for body, media_type in bodies:
        assert all(len(said) < 2000 for said in answered(validator, body, media_type))


def answered(validator: Validator, body: bytes, media_type: str) -> list[str]:
    """Return what is said of a body: why it is refused, or what is wrong with the resource in it."""
    try:
        resource = parse_resource(body, media_type, validator._compiler.structures)
    except FhirError as error:
        return [str(error)]
    return [issue.diagnostics for issue in validator.validate(resource)]
