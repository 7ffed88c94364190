"""What an element demands of its values beside what their type demands.

Spec: FHIR R4 elementdefinition.html.
"""

from __future__ import annotations

from typing import Any

from app.validation.compiling import Compiling
from app.validation.element_tree import Node
from app.validation.finding import Findings, by, has_errors
from app.validation.limits import check_limits
from app.validation.pattern import check_fixed
from app.validation.place import Place
from app.validation.references import check_target, check_url
from app.validation.structure import Check
from app.validation.terminology import check_binding

# Codes that R4's words for an element allow beside those of its value set.
BESIDE_BINDING = {"CapabilityStatement.format": frozenset({"json", "xml", "ttl"})}


def extras(compiler: Compiling, node: Node, code: str) -> tuple[Check, ...]:
    """Return the checks of values of the type `code`: fixed value, binding, limits, targets, invariants."""
    origin = node.origin.get
    found: list[Check | None] = []
    if node.fixed:
        found.append(check_fixed(*node.fixed, code, by(origin("fixed", ""), node.slice_name)))
    if node.binding and not (node.fixed and node.binding[0] != "required"):
        found.append(_binding(compiler, node.binding, origin("binding", ""), node.path, code))
    if node.limits:
        found += check_limits(node.limits, by(origin("maxLength", origin("minValue", "")), node.slice_name))
    if code == "Reference":
        found.append(check_target(node.types, origin("types", ""), compiler.conforms))
    if code == "url":
        found.append(check_url)
    return tuple(each for each in (*found, *_invariants(compiler, node, code)) if each)


def any_profile(compiler: Compiling, profiles: tuple[str, ...]) -> tuple[Check, ...]:
    """Return the check that a value meets one of several profiles; none when one of them is not known."""
    known = [compiler.profile_check(url) for url in profiles]
    for url, check in zip(profiles, known, strict=True):
        if check is None:
            compiler.complain(f"profile `{url}` is in no package")
    checks = [check for check in known if check]
    return (_one_of(checks),) if checks and len(checks) == len(profiles) else ()


def _one_of(checks: list[Check]) -> Check:
    """When none of the checks is content, that with the fewest findings speaks."""

    def check(value: Any, place: Place) -> Findings:
        best: Findings = None
        for each in checks:
            found = each(value, place)
            if not has_errors(found):
                return found
            best = found if best is None or len(found or ()) < len(best) else best
        return best

    return check


def _binding(compiler: Compiling, binding: tuple[str, str], source: str, path: str, code: str) -> Check | None:
    if binding[0] == "required" and compiler.packages.value_set(binding[1]) is None:
        compiler.complain(f"value set `{binding[1]}`, required by {by(source)}, is in no package")
    check = check_binding(binding, source, code, compiler.packages)
    also = BESIDE_BINDING.get(path)
    if check is None or also is None:
        return check
    return lambda value, place: None if value in also else check(value, place)


def _invariants(compiler: Compiling, node: Node, code: str) -> list[Check | None]:
    """Those of the type itself are checked with it."""
    of_type = {each.key for each in compiler.structures.invariants(code)} if compiler.structures.kind(code) else set()
    return [
        compiler.invariants.check(invariant, source, node.below)
        for invariant, source in node.invariants
        if source or invariant.key not in of_type | {"ele-1"}
    ]
