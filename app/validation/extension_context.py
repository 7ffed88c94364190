"""Where an extension may stand: the `context` of its definition.

A datatype does not know which element it is the value of, so this is a walk of its own. It is taken only when a
resource has an extension that a package defines, outside the slices of the profile it is held to.

Spec: FHIR R4 defining-extensions.html#context; MHD-PR-35.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from app.fhir.resource import Resource
from app.validation.compiling import Compiling
from app.validation.finding import Finding, Step, brief, listed

_ARRAYS = ("extension", "modifierExtension")
_FHIRPATH = "fhirpath"


def check_contexts(compiler: Compiling, resource: Resource) -> Iterator[Finding]:
    """Yield a finding for each extension that stands where its definition does not allow it."""
    kind = resource.get("resourceType", "")
    yield from _Walk(compiler).owner(resource, kind, _names(compiler, kind, kind), ())


class _Walk:
    """One walk over a resource; `steps` lead from the root down."""

    def __init__(self, compiler: Compiling) -> None:
        self.compiler = compiler

    def owner(self, value: Resource, path: str, names: frozenset[str], steps: tuple[Step, ...]) -> Iterator[Finding]:
        """Yield the misplaced extensions of an object, known to contexts by `names`, and of all below it."""
        for key, item in value.items():
            found = self.compiler.structures.child(path, key.removeprefix("_"))
            if found is None:
                continue
            element, code, below = found
            for step, each in _items(element.name, item):
                if key in _ARRAYS and not self._may_stand(each.get("url"), names):
                    yield self._misplaced(each["url"], names, (*steps, step))
                kind = each.get("resourceType")
                inner = kind if isinstance(kind, str) else "Element" if key.startswith("_") else below
                own = _names(self.compiler, element.path if inner != kind else inner, code if inner != kind else inner)
                url = {each["url"]} if key in _ARRAYS and isinstance(each.get("url"), str) else frozenset()
                yield from self.owner(each, inner, own | url, (*steps, step))

    def _may_stand(self, url: Any, names: frozenset[str]) -> bool:
        allowed = self._allowed(url)
        return not allowed or bool(names & allowed)

    def _allowed(self, url: Any) -> frozenset[str]:
        """Return the contexts of a known extension; none when anything goes, or a FHIRPath would have to tell."""
        packages = self.compiler.packages
        if not isinstance(url, str) or ":" not in url or packages.package_of("StructureDefinition", url) is None:
            return frozenset()
        contexts = (packages.structure_definition(url) or {}).get("context") or ()
        if any(each.get("type") == _FHIRPATH for each in contexts):
            return frozenset()
        return frozenset(_plain(each.get("expression", "")) for each in contexts)

    def _misplaced(self, url: str, names: frozenset[str], steps: tuple[Step, ...]) -> Finding:
        words = f"Extension `{brief(url)}` may not stand here; its definition allows {listed(self._allowed(url))}."
        return Finding("structure", words, "error", *reversed(steps))


def _names(compiler: Compiling, path: str, code: str) -> frozenset[str]:
    """Return the names by which a context may mean an element: its path, its type, and what that specialises."""
    names = {_plain(path)}
    while code:
        names.add(code)
        code = compiler.structures.base(code)
    return frozenset(names)


def _plain(expression: str) -> str:
    return expression.rpartition("#")[2].replace("[x]", "")


def _items(name: str, value: Any) -> Iterator[tuple[Step, Resource]]:
    if isinstance(value, dict):
        yield name, value
    elif isinstance(value, list):
        yield from (((name, index), each) for index, each in enumerate(value) if isinstance(each, dict))
