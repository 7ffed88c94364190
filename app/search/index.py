"""Index terms of a resource: for each search parameter the terms by which it is found.

The terms of a parameter stand under its code, and beside them companions under `code:word`. The first term of a
list is also the one that `_sort` uses, so each search type puts the most telling one first.

What a record knows of the targets of a reference, `author:target`, is a list with one set of terms a target: those
of the contained resource, or the identifier of a reference that has one. So a chain is answered within the
record, and two chained parameters can be asked of one and the same author.

Spec: FHIR R4 search.html; MHD-GEN-25, MHD-66-15, MHD-66-16, MHD-67-10.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from app.fhir.resource import Resource
from app.search import date_type, reference_type, string_type, token_type, uri_type
from app.search.definitions import Definitions, SearchParameter
from app.search.steps import contained

Terms = dict[str, list[Any]]

# How a value becomes terms, by search type.
INDEX: dict[str, Callable[[SearchParameter, list[Any]], Terms]] = {
    "token": token_type.index,
    "string": string_type.index,
    "date": date_type.index,
    "reference": reference_type.index,
    "uri": uri_type.index,
}

# An author's role, and the role's practitioner: contained resources are followed so far.
MAX_DEPTH = 2


def index(definitions: Definitions, resource: Resource) -> Terms:
    """Return the terms of `resource`, parameter -> terms; all of them are strings, datetimes in UTC, dicts and lists.

    A parameter for which the resource has a value is there even when the value gives no term; so its presence
    answers `:missing`. `_id` and `_lastUpdated` are the record's own and not among them.
    """
    return _index(definitions, resource, resource, 0)


def _index(definitions: Definitions, resource: Resource, container: Resource, depth: int) -> Terms:
    terms: Terms = {}
    for parameter in definitions.indexed(resource["resourceType"]):
        if parameter.root and parameter.root not in resource:
            continue
        if values := parameter.extract(resource, container):
            terms.update(INDEX[parameter.type](parameter, values))
            if parameter.type == "reference" and (targets := _targets(definitions, values, container, depth)):
                terms[f"{parameter.code}:target"] = targets
    return terms


def _targets(definitions: Definitions, values: list[Any], container: Resource, depth: int) -> list[Terms]:
    targets = (_target(definitions, value, container, depth) for value in values if isinstance(value, dict))
    return [target for target in targets if target]


def _target(definitions: Definitions, value: Resource, container: Resource, depth: int) -> Terms:
    if "resourceType" in value:  # a Bundle's first entry, for `composition` and `message`
        return _index(definitions, value, value, depth + 1) if depth < MAX_DEPTH else {}
    text = value.get("reference", "")
    found = contained(text, container) if text.startswith("#") and depth < MAX_DEPTH else None
    terms = _index(definitions, found, container, depth + 1) if found else {}
    if identifier := value.get("identifier"):
        named = token_type.index(reference_type.IDENTIFIER, [identifier])
        terms |= {key: [*terms.get(key, ()), *each] for key, each in named.items()}
    return terms
