"""Resources in resources, and extensions that a package defines.

Spec: FHIR R4 references.html#contained; bundle.html; parameters.html; extensibility.html.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from app.validation.compiling import Compiling
from app.validation.element import any_profile
from app.validation.element_tree import ElementType, Node
from app.validation.finding import Finding, Findings, by, listed, nearest, shown
from app.validation.place import Place
from app.validation.structure import Check, chain, check_object, wrong_type

_ABSTRACT = frozenset({"Resource", "DomainResource"})


def check_resource(compiler: Compiling, node: Node) -> Check:
    """Return the check of a resource that stands in another: a contained one, an entry's, a parameter's."""
    contained = node.name == "contained"
    by_code = {each.code: each for each in node.types}
    everything = next((each for each in node.types if each.code in _ABSTRACT), None)
    who = by(node.origin.get("types", ""), node.slice_name)
    checks: dict[str, Check] = {}

    def check(value: Any, place: Place) -> Findings:
        if type(value) is not dict:
            return [wrong_type(value, "a resource")]
        kind = value.get("resourceType")
        if not isinstance(kind, str) or not compiler.is_concrete(kind):
            return [unknown_type(compiler, kind)]
        if everything is None and kind not in by_code:
            return [Finding("structure", f"A `{kind}` is not allowed here; {who} allows {listed(by_code)}.")]
        if kind not in checks:
            with compiler.lock:
                checks[kind] = _whole(compiler, node, kind, by_code.get(kind) or everything)
        inner = place.inside(value, contained=contained)
        found = checks[kind](value, inner)
        if contained and _is_second(value, place):
            words = "This `id` is that of another contained resource already."
            found = [*(found or ()), Finding("structure", words, "error", "id")]
        return [*(found or ()), *claimed(compiler, inner)] or None if place.run.claims else found

    return check


def _is_second(value: dict[str, Any], place: Place) -> bool:
    """Whether an earlier contained resource has the id of this one."""
    name = value.get("id")
    first = place.contained(name) if isinstance(name, str) and name else None
    return first is not None and first is not value


def claimed(compiler: Compiling, place: Place) -> Iterator[Finding]:
    """Yield what keeps the resource of a place from the profiles that it claims and a package has."""
    meta = place.resource.get("meta")
    urls = meta.get("profile") if isinstance(meta, dict) else None
    for url in dict.fromkeys(each for each in urls if isinstance(each, str)) if isinstance(urls, list) else ():
        # A package is asked first: unlike the compiler's and its own memory, the question leaves no trace.
        package = compiler.packages.package_of("StructureDefinition", url)
        is_soft = place.run.soft and url.startswith(place.run.soft)
        if (
            package
            and not package.is_off(str(place.resource.get("resourceType")))
            and not is_soft
            and (check := compiler.claim_check(url))
        ):
            yield from check(place.resource, place) or ()


def unknown_type(compiler: Compiling, kind: Any) -> Finding:
    """Return the finding for a `resourceType` that is missing or that R4 does not know."""
    if not isinstance(kind, str):
        return Finding("structure", "`resourceType` is missing, or is no string.")
    hint = nearest(kind, compiler.structures.resource_types())
    return Finding("structure", f"{shown(kind)} is not a resource type of FHIR R4.{hint}")


def check_known_extension(compiler: Compiling) -> Check:
    """Return the check that an extension whose definition a package has meets it; others may be anything."""

    def check(value: Any, place: Place) -> Findings:
        url = value.get("url")
        # Parts of a complex extension have plain names; a package is asked for URLs only, and remembers no unknown one.
        if type(url) is not str or ":" not in url:
            return None
        if compiler.packages.package_of("StructureDefinition", url) is None:
            return None
        place.run.has_known_extension = True
        profile = compiler.claim_check(url)
        return profile(value, place) if profile else None

    return check


def _whole(compiler: Compiling, node: Node, kind: str, own: ElementType | None) -> Check:
    """Return the check of a resource of the type `kind`: its profile's, or its type's."""
    profiles = tuple(url for url in own.profiles if url not in node.merged) if own else ()
    if node.touched and node.children is not None:
        inline = check_object(compiler.constrained_parts(node))
        return chain(inline, any_profile(compiler, profiles), anyway=True)
    if len(profiles) == 1 and (only := compiler.profile_check(profiles[0])):
        return only
    return chain(compiler.type_check(kind), any_profile(compiler, profiles), anyway=True)
