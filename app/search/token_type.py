r"""The search type token: codes, identifiers, ids, booleans.

A value is indexed under every spelling by which it may be asked: `code`, `system|code`, `system|`, and `|code` when
it has no system. So a token that is asked is one term, and a store compares whole strings. A `|` or `\` inside a
system or code is escaped, so that no two meanings share a term. Codes are compared exactly, case included.

Companions in the index: `type:text` (normalised texts, for `:text`), `identifier:of-type`.

Spec: FHIR R4 search.html#token; MHD-GEN-20, MHD-66-17.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from app.fhir.outcome import FhirError
from app.search.criteria import Criterion, StartsWith, Terms
from app.search.definitions import SearchParameter
from app.search.escape import split, unescape
from app.search.string_type import normalise, term

MODIFIERS = frozenset({"not", "text", "of-type"})

# Identifiers that are URIs have this system; senders forget it (MHD D-05). Laxer: they are found by both spellings.
URI_SYSTEM = "urn:ietf:rfc:3986"
_URI_VALUES = ("urn:oid:", "urn:uuid:")


def index(parameter: SearchParameter, values: list[Any]) -> dict[str, list[Any]]:
    """Return the terms of `values`: Coding, CodeableConcept, Identifier, ContactPoint, code, id, uri or boolean."""
    terms: list[str] = []
    texts: list[str] = []
    typed: list[str] = []
    for value in values:
        if type(value) is not dict:
            terms += _plain(value, parameter)
        elif "coding" in value or "text" in value:
            for coding in value.get("coding", ()):
                terms += _pair(coding.get("system"), coding.get("code"))
            texts += _texts(value)
        elif "code" in value or "display" in value:
            terms += _pair(value.get("system"), value.get("code"))
            texts += _texts({"coding": [value]})
        else:
            terms += _identifier(value.get("system"), value.get("value"))
            if "type" in value:
                texts += _texts(value["type"])
                typed += _of_type(value)
    found: dict[str, list[Any]] = {parameter.code: terms if len(values) == 1 else list(dict.fromkeys(terms))}
    if texts:
        found[f"{parameter.code}:text"] = list(dict.fromkeys(texts))
    if typed:
        found[f"{parameter.code}:of-type"] = typed
    return found


def criterion(parameter: SearchParameter, modifier: str, text: str, base_url: str = "") -> Criterion:
    """Return what the value `text`, escapes still in it, asks of `parameter`; `:not` is the caller's to apply.

    Raises:
        FhirError: `value` (400) when the value has no system and no code, or not the three parts of `:of-type`.
    """
    if modifier == "text":
        return StartsWith(f"{parameter.code}:text", normalise(unescape(text)))
    parts = [unescape(part) for part in split(text, "|")]
    if modifier == "of-type":
        if len(parts) != 3 or not all(parts):
            raise _wrong(parameter, "`system|code|value`")
        return Terms(f"{parameter.code}:of-type", ("|".join(map(_escaped, parts)),))
    if len(parts) == 1:
        return Terms(parameter.code, (_escaped(parts[0]),))
    system, code = parts[0], "|".join(parts[1:])
    if not system and not code:
        raise _wrong(parameter, "`code`, `system|code`, `|code` or `system|`")
    return Terms(parameter.code, (f"{_escaped(system)}|{_escaped(code)}",))


def _wrong(parameter: SearchParameter, expected: str) -> FhirError:
    return FhirError("value", f"Search parameter `{parameter.code}`: the value is not of the form {expected}.")


def _plain(value: Any, parameter: SearchParameter) -> list[str]:
    if isinstance(value, bool):
        value = "true" if value else "false"
    code = _escaped(str(value))
    system = parameter.systems.get(value)
    return [code, f"|{code}", f"{_escaped(system)}|{code}", f"{_escaped(system)}|"] if system else [code, f"|{code}"]


def _pair(system: str | None, code: str | None) -> list[str]:
    if not code:
        return [f"{_escaped(system)}|"] if system else []
    code = _escaped(code)
    if not system:
        return [code, f"|{code}"]
    system = _escaped(system)
    return [code, f"{system}|{code}", f"{system}|"]


def _identifier(system: str | None, value: str | None) -> list[str]:
    terms = _pair(system, value)
    if not system and value and value.startswith(_URI_VALUES):
        terms += _pair(URI_SYSTEM, value)[1:]
    return terms


def _of_type(identifier: dict[str, Any]) -> Iterator[str]:
    for coding in identifier["type"].get("coding", ()):
        if "code" in coding and "value" in identifier:
            yield "|".join(_escaped(part) for part in (coding.get("system", ""), coding["code"], identifier["value"]))


def _texts(concept: dict[str, Any]) -> Iterator[str]:
    if "text" in concept:
        yield term(concept["text"])
    for coding in concept.get("coding", ()):
        if "display" in coding:
            yield term(coding["display"])


def _escaped(text: str) -> str:
    if "|" not in text and "\\" not in text:
        return text
    return text.replace("\\", "\\\\").replace("|", "\\|")
