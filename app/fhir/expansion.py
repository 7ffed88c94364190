"""Which codes a ValueSet has, as far as it can be said from the resources at hand.

Covers lists of concepts, whole code systems, filters over a code system's hierarchy and properties, imported value
sets and exclusions. What needs a terminology server (SNOMED CT, LOINC, UCUM by rule) is answered with None: unknown,
and never with a list that is only part of the truth.

Spec: FHIR R4 valueset.html#compositions; codesystem.html#filters.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from typing import Any, Protocol

from app.fhir.resource import Resource

Codes = frozenset[tuple[str, str]]


class Terminology(Protocol):
    """Where value sets and code systems are found; a URL may end in `|version`."""

    def value_set(self, url: str) -> Resource | None:
        """Return the ValueSet, None when it is unknown."""

    def code_system(self, url: str) -> Resource | None:
        """Return the CodeSystem, None when it is unknown."""


def expand(value_set: Resource, terminology: Terminology, importing: frozenset[str] = frozenset()) -> Codes | None:
    """Return the pairs (system, code) of `value_set`; None when they cannot be enumerated.

    `importing` holds the URLs of the value sets that are being expanded above this one; meeting one again is a cycle.
    """
    compose = value_set.get("compose")
    if not compose:
        return _expanded(value_set)
    inside = importing | {value_set.get("url", "")}
    included = [_part(part, terminology, inside) for part in compose.get("include", ())]
    excluded = [_part(part, terminology, inside) for part in compose.get("exclude", ())]
    known = [codes for codes in included + excluded if codes is not None]
    if len(known) < len(included) + len(excluded):
        return _expanded(value_set)
    return frozenset().union(*known[: len(included)]).difference(*known[len(included) :])


def _expanded(value_set: Resource) -> Codes | None:
    """Return what the resource itself carries as its expansion; None when there is none, or only a part of one."""
    expansion = value_set.get("expansion")
    if expansion is None or expansion.get("extension") or expansion.get("offset"):
        return None
    codes = {(each.get("system", ""), each["code"]) for each in _contained(expansion) if not each.get("abstract")}
    return frozenset(codes) if expansion.get("total", len(codes)) == len(codes) else None


def _contained(expansion: Resource) -> Iterator[Resource]:
    for each in expansion.get("contains", ()):
        if "code" in each:
            yield each
        yield from _contained(each)


def _part(part: Resource, terminology: Terminology, importing: frozenset[str]) -> Codes | None:
    """Return the codes of one include or exclude: its system's codes that are in every imported value set too."""
    found: list[Codes | None] = [_imported(url, terminology, importing) for url in part.get("valueSet", ())]
    if "system" in part:
        found.append(_of_system(part, terminology))
    known = [codes for codes in found if codes is not None]
    if not found or len(known) < len(found):
        return None
    return known[0].intersection(*known[1:])


def _imported(url: str, terminology: Terminology, importing: frozenset[str]) -> Codes | None:
    value_set = terminology.value_set(url)
    if value_set is None or value_set.get("url") in importing:
        return None
    return expand(value_set, terminology, importing)


def _of_system(part: Resource, terminology: Terminology) -> Codes | None:
    system: str = part["system"]
    if "concept" in part:
        return frozenset((system, concept["code"]) for concept in part["concept"])
    version = part.get("version", "")
    code_system = (version and terminology.code_system(f"{system}|{version}")) or terminology.code_system(system)
    if not code_system or code_system.get("content") != "complete":
        return None
    chosen = set(_concepts(code_system))
    for each in part.get("filter", ()):
        codes = _filtered(code_system, each)
        if codes is None:
            return None
        chosen &= codes
    return frozenset((system, code) for code in chosen)


def _concepts(code_system: Resource) -> dict[str, Resource]:
    """Return code -> concept, for every level of the hierarchy."""
    found: dict[str, Resource] = {}
    open_ends = list(code_system.get("concept", ()))
    while open_ends:
        concept = open_ends.pop()
        found[concept["code"]] = concept
        open_ends += concept.get("concept", ())
    return found


def _filtered(code_system: Resource, part: Resource) -> set[str] | None:
    """Return the codes that pass one filter; None when this server cannot decide it."""
    name, value, operator = part.get("property", ""), part.get("value", ""), part.get("op", "")
    concepts = _concepts(code_system)
    if operator in _HIERARCHY and name in ("concept", "code"):
        return _HIERARCHY[operator](concepts, value) if value in concepts else None
    decide = _VALUE_FILTERS.get(operator)
    declared = {each.get("code") for each in code_system.get("property", ())}
    if decide is None or (name not in ("code", "concept") and name not in declared):
        return None
    return {code for code, concept in concepts.items() if decide(_values(concept, name), value)}


def _values(concept: Resource, name: str) -> list[str]:
    """Return the texts of a concept's property; its code is a property too."""
    if name in ("code", "concept"):
        return [concept["code"]]
    return [_text(each) for each in concept.get("property", ()) if each.get("code") == name]


def _text(concept_property: Resource) -> str:
    value: Any = next((v for k, v in concept_property.items() if k.startswith("value")), "")
    if isinstance(value, dict):
        return str(value.get("code", ""))
    return str(value).lower() if isinstance(value, bool) else str(value)


def _with_descendants(concepts: dict[str, Resource], root: str) -> set[str]:
    below = _children(concepts)
    found: set[str] = set()
    open_ends = [root]
    while open_ends:
        code = open_ends.pop()
        if code not in found:
            found.add(code)
            open_ends += below.get(code, ())
    return found


def _children(concepts: dict[str, Resource]) -> dict[str, list[str]]:
    """Return code -> codes directly below, by nesting and by the properties child, parent and subsumedBy."""
    below = {code: [each["code"] for each in concept.get("concept", ())] for code, concept in concepts.items()}
    for code, concept in concepts.items():
        below[code] += _values(concept, "child")
        for parent in _values(concept, "parent") + _values(concept, "subsumedBy"):
            below.setdefault(parent, []).append(code)
    return below


_HIERARCHY: dict[str, Callable[[dict[str, Resource], str], set[str]]] = {
    "is-a": _with_descendants,
    "descendent-of": lambda concepts, root: _with_descendants(concepts, root) - {root},
    "is-not-a": lambda concepts, root: set(concepts) - _with_descendants(concepts, root),
}
_VALUE_FILTERS: dict[str, Callable[[list[str], str], bool]] = {
    "=": lambda values, wanted: wanted in values,
    "in": lambda values, wanted: not set(values).isdisjoint(wanted.split(",")),
    "not-in": lambda values, wanted: set(values).isdisjoint(wanted.split(",")),
    "exists": lambda values, wanted: bool(values) == (wanted == "true"),
    "regex": lambda values, wanted: any(re.fullmatch(wanted, value) for value in values),
}
