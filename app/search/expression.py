"""SearchParameter expressions as functions from a resource to its values.

The shapes that nearly all of R4's 1,400 expressions have are compiled to plain dictionary look-ups, since they run for
every parameter of every resource that is stored: paths, unions, choice types, extensions by URL,
`where(resolve() is Patient)`, `where(system = 'phone')`. Whatever else there is goes through `app.fhir.path`.

Spec: FHIR R4 searchparameter.html; FHIRPath N1.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from app.fhir import path
from app.fhir.resource import Resource
from app.fhir.structure import Element, Structures
from app.search.steps import (
    Extract,
    Step,
    Values,
    extension,
    field,
    fields,
    joined,
    stepped,
    where_equal,
    where_target,
)

_STEP = re.compile(
    r"\.?(?:where\(resolve\(\) is (?P<target>\w+)\)|where\((?P<key>\w+) ?= ?'(?P<value>[^']*)'\)"
    r"|extension\('(?P<url>[^']*)'\)|(?:ofType|as)\((?P<type>\w+)\)| as (?P<as>\w+)|(?P<name>[a-z]\w*)(?![\w(]))"
)


@dataclass(frozen=True, slots=True)
class Expression:
    """A compiled expression for one resource type.

    Attributes:
        root: the resource's element in which all values are; empty when there is more than one.
        targets: resource types that `where(resolve() is …)` narrows to; empty when it does not.
        value_sets: the value sets to which its `code` elements are bound.
    """

    extract: Extract
    root: str = ""
    targets: tuple[str, ...] = ()
    value_sets: tuple[str, ...] = ()


def compile(text: str, resource_type: str, structures: Structures) -> Expression | None:  # noqa: A001 - as in `re`
    """Return what the expression `text` selects in resources of `resource_type`; None when it is about other types.

    Raises:
        path.Unsupported: the expression cannot be evaluated here.
    """
    parts = [part for part in map(_bare, _union(text)) if _is_about(part, resource_type)]
    if not parts:
        return None
    compiled = [_compile(part, resource_type, structures) for part in parts]
    roots = {part.root for part in compiled}
    return Expression(
        compiled[0].extract if len(compiled) == 1 else joined([part.extract for part in compiled]),
        roots.pop() if len(roots) == 1 else "",
        tuple(target for part in compiled for target in part.targets),
        tuple(url for part in compiled for url in part.value_sets),
    )


def _union(text: str) -> list[str]:
    """Split `text` at the `|` that stand outside of parentheses and strings."""
    parts, depth, quoted, start = [], 0, False, 0
    for position, sign in enumerate(text):
        quoted ^= sign == "'"
        depth += 0 if quoted else (sign == "(") - (sign == ")")
        if sign == "|" and depth == 0 and not quoted:
            parts.append(text[start:position])
            start = position + 1
    return [*parts, text[start:]]


def _bare(part: str) -> str:
    part = part.strip()
    while part.startswith("(") and part.endswith(")") and part.count("(") - part[1:-1].count("(") == 1:
        inner = part[1:-1].strip()
        if _closes_early(inner):
            break
        part = inner
    return part


def _closes_early(inner: str) -> bool:
    depth = 0
    for sign in inner:
        depth += (sign == "(") - (sign == ")")
        if depth < 0:
            return True
    return False


def _is_about(part: str, resource_type: str) -> bool:
    first = re.match(r"\(*([A-Za-z]+)", part)
    return first is None or first[1] in (resource_type, "Resource", "DomainResource") or first[1][0].islower()


def _compile(part: str, resource_type: str, structures: Structures) -> Expression:
    first, _, rest = part.partition(".")
    rest = rest if first in (resource_type, "Resource", "DomainResource") else part
    return _Builder(resource_type, structures).build(rest) or Expression(_evaluated(part, structures))


class _Builder:
    """Follows one path through the tables of R4 and notes the steps."""

    def __init__(self, resource_type: str, structures: Structures) -> None:
        self.structures = structures
        self.at = resource_type  # path of the element that was reached; empty when it is not known
        self.element: Element | None = None
        self.steps: list[Step] = []
        self.names: list[str] = []  # the keys, as long as every step is one
        self.root: str | None = None
        self.choice: str = ""  # name of the choice element that was reached, whose type is not known yet
        self.targets: tuple[str, ...] = ()

    def build(self, text: str) -> Expression | None:
        """Return the compiled path, or None when it has another shape."""
        position = 0
        while position < len(text):
            match = _STEP.match(text, position)
            if match is None or not self._step(match):
                return None
            position = match.end()
        self._settle(None)
        binding = self.element.binding if self.element else None
        is_code = self.element is not None and any(each.code == "code" for each in self.element.types)
        extract = fields(tuple(self.names)) if len(self.names) == len(self.steps) else stepped(self.steps)
        return Expression(extract, self.root or "", self.targets, (binding[1],) if binding and is_code else ())

    def _step(self, match: re.Match[str]) -> bool:
        if type_name := match["type"] or match["as"]:
            self._settle(type_name)
            return True
        self._settle(None)
        if name := match["name"]:
            return self._name(name)
        if match["url"]:
            self._begin("extension")
            self.at, self.element = "Extension", None
            self.steps.append(extension(match["url"]))
        elif match["target"]:
            self.targets = (*self.targets, match["target"])
            self.steps.append(where_target(match["target"]))
        else:
            self.steps.append(where_equal(match["key"], match["value"]))
        return True

    def _name(self, name: str) -> bool:
        self.element = next((child for child in self.structures.children(self.at) if child.name == name), None)
        if self.element is None:
            return False
        self._begin("" if self.element.is_choice else name)
        if self.element.is_choice:
            self.choice = name
            return True
        found = self.structures.child(self.at, name)
        self.at = found[2] if found else ""
        self.names.append(name)
        self.steps.append(field((name,)))
        return True

    def _begin(self, root: str) -> None:
        self.root = root if self.root is None else self.root

    def _settle(self, type_name: str | None) -> None:
        """Turn a choice that was reached into its keys: that of `type_name`, or of every type."""
        if not self.choice or self.element is None:
            return
        types = (type_name,) if type_name else tuple(each.code for each in self.element.types)
        keys = tuple(self.choice + each[0].upper() + each[1:] for each in types)
        self.at, self.choice = types[0] if len(types) == 1 else "", ""
        self.names += keys if len(keys) == 1 else ()
        self.steps.append(field(keys))


def _evaluated(part: str, structures: Structures) -> Extract:
    evaluate = path.compile(part, structures)

    def extract(resource: Resource, container: Resource) -> Values:
        return evaluate(resource, path.Environment(resource, container))

    return extract
