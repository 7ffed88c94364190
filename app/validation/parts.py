"""A node's children -> what its objects are checked by.

Each property is compiled when a resource first has it; what a profile leaves alone is the type's own check.

Spec: FHIR R4 json.html; formats.html#choice; elementdefinition.html.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from app.validation.compiling import Compiling
from app.validation.element_tree import Node
from app.validation.finding import Findings, by, listed
from app.validation.nested import check_known_extension
from app.validation.place import Place
from app.validation.references import check_reference
from app.validation.slice_compiler import lazy_slicer
from app.validation.slicing import Slicer, check_missing, sliced, sliced_one
from app.validation.structure import Check, Member, Parts, array, check_choice, check_object, partner, refuse, single

Shared = dict[str, Member] | None


def make_parts(compiler: Compiling, node: Node, base: Parts | None) -> Parts:
    """Return the parts of the node's objects; `base` are those of its type, None when this is the type."""
    name = node.below
    parts = Parts(name, is_resource=compiler.is_resource(name))
    if parts.is_resource:
        parts.members["resourceType"] = lambda item, owner, place: None
    for child in compiler.snapshots.children(node).values():
        if child.is_choice:
            _add_choice(compiler, parts, child, base)
        else:
            _add_element(compiler, parts, child, base)
    parts.rules += _type_rules(compiler, name, is_profiled=bool(node.merged))
    return parts


def _type_rules(compiler: Compiling, name: str, *, is_profiled: bool) -> list[Check]:
    """An extension whose profile is known already is not looked up by its URL."""
    rules: list[Check] = []
    if name == "Reference":
        rules.append(check_reference)
    if name == "Extension" and not is_profiled:
        rules.append(check_known_extension(compiler))
    found = (compiler.invariants.check(each, "", name) for each in compiler.structures.invariants(name))
    return [*rules, *(check for check in found if check)]


def _add_element(compiler: Compiling, parts: Parts, child: Node, base: Parts | None) -> None:
    name = child.name
    keys = (name, "_" + name) if compiler.is_primitive(child) else (name,)
    if child.max == 0:
        words = f"`{name}` is not allowed by {by(child.origin.get('max', ''), child.slice_name)}."
        parts.members |= {key: refuse(name, words) for key in keys}
        return
    if child.min:
        parts.required.append((name, keys, by(child.origin.get("min", ""), child.slice_name)))
    slicer = lazy_slicer(compiler, child)
    if slicer:
        parts.rules.append(_when_missing(name, slicer))
    shared = base.members if base and not child.touched else None
    _put(compiler, parts.members, name, shared, lambda: _member(compiler, child, slicer))
    if len(keys) > 1:
        extra = keys[1]
        _put(
            compiler,
            parts.members,
            extra,
            shared,
            lambda: partner(name, _extra(compiler, child), is_array=child.is_array),
        )


def _add_choice(compiler: Compiling, parts: Parts, child: Node, base: Parts | None) -> None:
    allowed = {each.code for each in child.types} if child.max != 0 else set()
    forms = {key: each[1] for key, each in compiler.structures.names(parts.label).items() if each[0].name == child.name}
    keys = [key for key, code in forms.items() if code in allowed]
    for key, code in forms.items():
        if code in allowed:
            _add_form(compiler, parts, (key, code), child, base)
        else:
            words = _not_among(child, key, allowed)
            parts.members |= {each: refuse(child.name, words) for each in (key, "_" + key)}
    both = (*keys, *("_" + key for key in keys))
    if child.min:
        # One of a type that is not allowed is no missing one, and reported as what it is.
        given = (*both, *forms)
        parts.required.append((f"{child.name}[x]", given, by(child.origin.get("min", ""), child.slice_name)))
    if len(keys) > 1:
        parts.rules.append(check_choice(child.name, frozenset(both)))


def _add_form(compiler: Compiling, parts: Parts, form: tuple[str, str], child: Node, base: Parts | None) -> None:
    """Add one form of a choice, `valueString` and `string`; a slice may be about this form alone."""
    key, code = form
    narrow = compiler.snapshots.narrowed(child, code)
    if narrow.slice_name != child.slice_name and narrow.min:
        parts.required.append((key, (key, "_" + key), by(narrow.origin.get("min", ""), narrow.slice_name)))
    shared = base.members if base and not child.touched else None
    _put(compiler, parts.members, key, shared, lambda: single(child.name, compiler.value(narrow)))
    if compiler.is_primitive(narrow):
        extra = "_" + key
        _put(
            compiler,
            parts.members,
            extra,
            shared,
            lambda: partner(child.name, _extra(compiler, narrow), is_array=False, key=key),
        )


def _member(compiler: Compiling, child: Node, slicer: Callable[[], Slicer] | None) -> Member:
    if not child.is_array:
        return sliced_one(child.name, slicer()) if slicer else single(child.name, compiler.value(child))
    who = by(child.origin.get("max", "") or child.origin.get("min", ""), child.slice_name)
    if slicer:
        return sliced(child.name, slicer(), low=child.min, high=child.max, who=who)
    return array(child.name, compiler.value(child), low=child.min, high=child.max, who=who)


def _extra(compiler: Compiling, node: Node) -> Check:
    """Return the check of a primitive's id and extensions."""
    if node.touched and node.children is not None:
        return check_object(compiler.constrained_parts(node))
    return compiler.later("Element")


def _put(compiler: Compiling, members: dict[str, Member], key: str, shared: Shared, make: Callable[[], Member]) -> None:
    """Set a member that is compiled when a resource first has the property, and replaces itself then."""

    def first(item: Any, owner: dict[str, Any], place: Place) -> Findings:
        if shared is None:
            with compiler.lock:
                members[key] = make()
            return members[key](item, owner, place)
        found = shared[key](item, owner, place)
        members[key] = shared[key]
        return found

    members[key] = first


def _when_missing(name: str, slicer: Callable[[], Slicer]) -> Check:
    def check(value: Any, place: Place) -> Findings:
        return None if name in value else check_missing(slicer())

    return check


def _not_among(child: Node, key: str, allowed: set[str]) -> str:
    if child.max == 0:
        return f"`{key}` is not allowed by {by(child.origin.get('max', ''), child.slice_name)}."
    who = by(child.origin.get("types", ""), child.slice_name)
    return f"`{key}` has a type that {who} does not allow; allowed are {listed(allowed)}."
