"""What profiles ask for and is not checked, found without a resource: every constraint is compiled once.

A profile is otherwise compiled where a resource first needs it, so its problems would show late.

Spec: own choice; architecture decision 6.
"""

from __future__ import annotations

from app.validation.compiling import Compiling
from app.validation.element import extras
from app.validation.element_tree import Node
from app.validation.slice_compiler import lazy_slicer


def survey(compiler: Compiling) -> None:
    """Compile every constraint of every profile of every package; what cannot be goes to `compiler.problems`."""
    with compiler.lock:
        for definition in list(compiler.packages.all("StructureDefinition")):
            if definition.get("derivation") == "constraint" and (tree := compiler.snapshots.tree(definition["url"])):
                _visit(compiler, tree)


def _visit(compiler: Compiling, node: Node) -> None:
    if node.is_choice:
        for each in dict.fromkeys(kind.code for kind in node.types) if node.touched else ():
            _visit(compiler, compiler.snapshots.narrowed(node, each))
        return
    code = node.types[0].code if node.types else ""
    extras(compiler, node, "" if compiler.is_resource(code) else code)
    for url in (url for each in node.types for url in each.profiles):
        if compiler.profile_check(url) is None:
            compiler.complain(f"profile `{url}` is in no package")
    if slicer := lazy_slicer(compiler, node):
        slicer()
    for child in (*(node.children or {}).values(), *node.slices.values()):
        if child.touched:
            _visit(compiler, child)
