"""The slices of a node -> their tests and checks.

Spec: FHIR R4 profiling.html#slicing, #reslicing.
"""

from __future__ import annotations

from collections.abc import Callable

from app.validation.compiling import Compiling
from app.validation.discriminator import tests
from app.validation.element_tree import Node, Slicing
from app.validation.likeness import likeness
from app.validation.slicing import Slice, Slicer

# What applies where a differential names slices and no discriminator: extensions are told apart by their URL.
_BY_URL = Slicing((("value", "url"),), "open", ordered=False)
_BY_TYPE = Slicing((("type", "$this"),), "open", ordered=False)


def lazy_slicer(compiler: Compiling, node: Node) -> Callable[[], Slicer] | None:
    """Return a function that compiles the node's slices on first use; None when it has none.

    The slices of a choice are its types, and no business of this file.
    """
    if not node.slices or node.is_choice:
        return None
    made: list[Slicer] = []

    def slicer() -> Slicer:
        if not made:
            with compiler.lock:
                made.append(_slicer(compiler, node, node.slicing))
        return made[0]

    return slicer


def _slicer(compiler: Compiling, node: Node, slicing: Slicing | None) -> Slicer:
    if slicing is None:
        slicing = _BY_URL if node.name in ("extension", "modifierExtension") else _BY_TYPE
    slices = tuple(_slice(compiler, each, slicing) for each in node.slices.values())
    source = next((each.source for each in slices if each.source), "")
    return Slicer(node.name, slices, slicing.rules, slicing.ordered, source, compiler.value(node))


def _slice(compiler: Compiling, node: Node, slicing: Slicing) -> Slice:
    found = tests(node, slicing.discriminators, compiler)
    if not found:
        compiler.complain(f"slice `{node.slice_name}` of `{node.path}` has no discriminator that can be evaluated")
    is_alike, distance = likeness(node, slicing, compiler.snapshots)
    return Slice(
        node.slice_name,
        node.min,
        node.max,
        source=node.origin.get("min") or node.origin.get("max") or next(iter(node.origin.values()), ""),
        check=compiler.value(node),
        tests=found,
        is_alike=is_alike,
        distance=distance,
        is_by_profile=bool(found) and any(kind == "profile" for kind, _ in slicing.discriminators),
        inner=_slicer(compiler, node, node.slicing or slicing) if node.slices else None,
    )
