"""The search type reference.

A reference to a resource of this server is indexed as `Type/id`, in whatever form it was written; one to elsewhere by
its URL; both without a version. What is known of a target in the record itself, because it is contained or named by an
identifier only, stands in the companion `author:target` as one set of terms a target (`app.search.index`).

Spec: FHIR R4 search.html#reference; MHD-GEN-23, MHD-66-14, MHD-67-17.
"""

from __future__ import annotations

import re
from typing import Any

from app.fhir import reference
from app.fhir.outcome import FhirError
from app.search import token_type
from app.search.criteria import Criterion, Embedded, Terms
from app.search.definitions import SearchParameter
from app.search.escape import unescape

MODIFIERS = frozenset({"identifier"})
# The parameter under which the identifier of a target is indexed, whatever its type.
IDENTIFIER = SearchParameter("identifier", "token", "")

_ID = re.compile(r"[A-Za-z0-9\-.]{1,64}")
_TYPE = re.compile(r"[A-Z][A-Za-z]+")


def index(parameter: SearchParameter, values: list[Any]) -> dict[str, list[Any]]:
    """Return the terms of `values`: References, or canonical and uri strings."""
    texts = (value if isinstance(value, str) else value.get("reference") for value in values)
    found = (reference.parse(text) for text in texts if text)
    return {parameter.code: list(dict.fromkeys(each.url for each in found if each.kind != "contained"))}


def criterion(parameter: SearchParameter, modifier: str, text: str, base_url: str = "") -> Criterion:
    """Return what the value `text`, escapes still in it, asks of `parameter`.

    Args:
        modifier: `identifier`, a resource type, or empty.
        base_url: this server's; its own absolute URLs mean the same as relative ones.

    Raises:
        FhirError: `value` (400) when it is neither an id, nor `Type/id`, nor a URL, or of another type than `modifier`.
    """
    if modifier == "identifier":
        return Embedded(parameter.code, token_type.criterion(IDENTIFIER, "", text))
    found = reference.parse(unescape(text), base_url)
    if found.kind == "unknown":
        return Terms(parameter.code, _of_id(parameter, modifier, found.url))
    if modifier and found.resource_type not in ("", modifier):
        raise _wrong(parameter, f"a reference to `{found.resource_type}` came where `:{modifier}` was asked for")
    return Terms(parameter.code, (found.url,))


def is_type(modifier: str, parameter: SearchParameter) -> bool:
    """Tell whether `modifier` is a resource type to which `parameter` may refer."""
    return _TYPE.fullmatch(modifier) is not None and (not parameter.targets or modifier in parameter.targets)


def _of_id(parameter: SearchParameter, modifier: str, text: str) -> tuple[str, ...]:
    if not _ID.fullmatch(text):
        raise _wrong(parameter, "expected an id, `Type/id` or an absolute URL")
    return tuple(f"{target}/{text}" for target in ((modifier,) if modifier else parameter.targets))


def _wrong(parameter: SearchParameter, reason: str) -> FhirError:
    return FhirError("value", f"Search parameter `{parameter.code}`: {reason}.")
