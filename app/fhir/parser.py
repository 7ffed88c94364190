"""A FHIR body in JSON or XML, parsed: one object, not too deep, each name once.

Spec: FHIR R4 json.html, xml.html; MHD 2:3.65.4.1.3.
"""

from __future__ import annotations

import json
from codecs import BOM_UTF8
from collections.abc import Iterator
from typing import Any

from app.fhir.media_type import XML
from app.fhir.outcome import FhirError
from app.fhir.resource import DecimalText, Resource
from app.fhir.structure import Structures
from app.fhir.twins import place_of_twin
from app.fhir.xml import XmlError, from_xml

# Nested arrays and objects. Own choice: real resources stay below 30; parsers that recurse stay safe.
MAX_DEPTH = 80


class _TwinError(Exception):
    """A property is there twice in one object; a parser's hook does not know where."""

    def __init__(self, name: str) -> None:
        super().__init__(name)
        self.name = name


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
        text = f"The body is not FHIR XML: line {error.line}, column {error.column}: {error}"
        raise FhirError("structure", text) from None
    _require_shallow(value)
    return value


def _parse_json(body: bytes) -> Any:
    """Return the JSON value in `body`.

    Own choice: the standard library's parser. It is the one that shows each pair of name and value, and with documents
    of 100 KB inside it needs a tenth of the time that looking for decimals first and using a faster parser then takes.
    """
    try:
        text = body.removeprefix(BOM_UTF8).decode()
        value = json.loads(
            text,
            parse_float=DecimalText,
            parse_int=_integer,
            parse_constant=_refuse_constant,
            object_pairs_hook=_refuse_twins,
        )
    except json.JSONDecodeError as error:
        words = f"line {error.lineno}, column {error.colno}: {_words(error)}"
        raise FhirError("structure", f"The body is not JSON: {words}.") from None
    except _TwinError as twin:
        line, column = place_of_twin(text)
        words = f"line {line}, column {column}: the property `{twin.name[:64]}` is there twice in one object"
        raise FhirError("structure", f"The body is not FHIR JSON: {words}.") from None
    except UnicodeDecodeError:
        raise FhirError("structure", "The body is not JSON in UTF-8.") from None
    except RecursionError:
        raise _too_deep() from None
    _require_shallow(value)
    if b"\\u" in body and not all(map(_is_text, _texts(value))):
        raise FhirError("value", "The body holds U+0000 or half a surrogate pair, which FHIR strings cannot contain.")
    return value


def _words(error: json.JSONDecodeError) -> str:
    """Return what is wrong; where it is was said before: "Unterminated string starting at" needs no such end."""
    return error.msg.removesuffix(" at").removesuffix(" starting")


def _require_shallow(value: Any) -> None:
    """Refuse a value that is nested too deep; it is walked level by level."""
    level = [value] if type(value) is dict or type(value) is list else []
    for _ in range(MAX_DEPTH):
        below = [child for one in level for child in (one.values() if type(one) is dict else one)]
        level = [child for child in below if type(child) is dict or type(child) is list]
        if not level:
            return
    raise _too_deep()


def _integer(text: str) -> int | DecimalText:
    """Return an integer; one with more than 18 digits is kept as it was written."""
    return int(text) if len(text) < 19 else DecimalText(text)


def _refuse_constant(name: str) -> Any:
    raise FhirError("structure", f"The body is not JSON: `{name}` is not a JSON value.")


def _too_deep() -> FhirError:
    return FhirError("structure", f"The body is nested more than {MAX_DEPTH} levels deep.")


def _refuse_twins(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """Return the object of `pairs`, each name of which must be new; plain parsers keep the last in silence."""
    found: dict[str, Any] = {}
    for name, value in pairs:
        if name in found:
            raise _TwinError(name)
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
