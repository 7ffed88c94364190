"""A FHIR body in JSON or XML, parsed: one object, not too deep, each name once.

Spec: FHIR R4 json.html, xml.html; MHD 2:3.65.4.1.3.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

from app.fhir.media_type import XML
from app.fhir.outcome import FhirError
from app.fhir.resource import Resource, parse_json
from app.fhir.structure import Structures
from app.fhir.xml import XmlError, from_xml

# Nested arrays and objects. Own choice: real resources stay below 30; parsers that recurse stay safe.
MAX_DEPTH = 80


def parse_resource(body: bytes, media_type: str, structures: Structures) -> Resource:
    """Return the resource in `body`.

    Args:
        body: in UTF-8.
        media_type: JSON or XML, FHIR's own names.
        structures: tell how XML becomes JSON.

    Raises:
        FhirError: `structure` (400) for what is not JSON or XML, not an object with a `resourceType`, nested too
            deep, or names a property twice; line and column are told where known.
    """
    value = _parse_xml(body, structures) if media_type == XML else _parse_json(body)
    if not isinstance(value, dict) or not isinstance(value.get("resourceType"), str):
        raise FhirError("structure", "The body is not a FHIR resource: an object with a `resourceType` was expected.")
    return value


def _parse_xml(body: bytes, structures: Structures) -> Any:
    try:
        value = from_xml(body, structures)
    except XmlError as error:
        raise FhirError("structure", f"The body is not FHIR XML: {error}") from None
    _count_names(value)
    return value


def _parse_json(body: bytes) -> Any:
    try:
        value = parse_json(body)
        names = _count_names(value)
        if names != body.count(b'":') + body.count(b'" :'):
            json.loads(body, object_pairs_hook=_refuse_twins)
    except json.JSONDecodeError as error:
        text = f"The body is not JSON: line {error.lineno}, column {error.colno}: {error.msg}."
        raise FhirError("structure", text) from None
    except UnicodeDecodeError:
        raise FhirError("structure", "The body is not JSON in UTF-8.") from None
    except RecursionError:
        raise _too_deep() from None
    if b"\\u" in body and not all(map(_is_text, _texts(value))):
        raise FhirError("value", "The body holds U+0000 or half a surrogate pair, which FHIR strings cannot contain.")
    return value


def _count_names(value: Any) -> int:
    """Return how many properties `value` has in all, level by level: what is too deep ends the walk."""
    count, level = 0, [value]
    for _ in range(MAX_DEPTH + 1):
        if not level:
            return count
        below: list[Any] = []
        for one in level:
            if type(one) is dict:
                count += len(one)
                below += one.values()
            elif type(one) is list:
                below += one
        level = [one for one in below if type(one) is dict or type(one) is list]
    raise _too_deep()


def _too_deep() -> FhirError:
    return FhirError("structure", f"The body is nested more than {MAX_DEPTH} levels deep.")


def _refuse_twins(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """Return the object of `pairs`, each name of which must be new; plain parsers keep the last one in silence."""
    found: dict[str, Any] = {}
    for name, value in pairs:
        if name in found:
            raise FhirError("structure", f"The property `{name[:64]}` is there twice in one object.")
        found[name] = value
    return found


def _is_text(text: str) -> bool:
    return "\x00" not in text and not any("\ud800" <= character <= "\udfff" for character in text)


def _texts(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict):
        for name, one in value.items():
            yield name
            yield from _texts(one)
    elif isinstance(value, list):
        for one in value:
            yield from _texts(one)
