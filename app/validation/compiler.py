"""Element trees -> checks, each compiled when it is first met, and kept.

Spec: FHIR R4 profiling.html; elementdefinition.html; json.html.
"""

from __future__ import annotations

import threading
from typing import Any

from app.fhir.packages import Packages
from app.fhir.resource import Resource
from app.validation.element import any_profile, extras
from app.validation.element_tree import ElementType, Node
from app.validation.finding import Finding, Findings, brief, has_errors
from app.validation.invariant import Invariants
from app.validation.narrative import check_narrative
from app.validation.nested import check_resource
from app.validation.parts import make_parts
from app.validation.place import Place
from app.validation.snapshot import Snapshots, is_base
from app.validation.structure import Check, Parts, chain, check_object, check_primitive
from app.validation.terminology import ValueSet


class Compiler:
    """Compiles types and profiles. Safe to share between threads: who compiles holds `lock`, who checks needs none.

    Attributes:
        snapshots: the element trees.
        problems: what a package asks for and this engine cannot check, by name.
    """

    def __init__(self, packages: Packages) -> None:
        self.packages = packages
        self.structures = packages.structures
        self.problems: list[str] = []
        self.lock = threading.RLock()
        self.snapshots = Snapshots(packages.structures, packages.structure_definition, self.problems)
        self.invariants = Invariants(packages.structures, self.problems)
        self._types: dict[str, Check] = {}
        self._parts: dict[str, Parts] = {}
        self._profiles: dict[str, Check] = {}
        self._claims: dict[str, Check] = {}
        self._value_sets: dict[tuple[str, str, str], ValueSet] = {}

    def type_check(self, name: str) -> Check:
        """Return the check of an R4 type or of an element with children: `Attachment`, `Bundle.entry`."""
        check = self._types.get(name)
        if check is None:
            with self.lock:
                check = self._types[name] = check_object(self._base_parts(name))
        return check

    def later(self, name: str) -> Check:
        """Return the check of a type, compiled when it is first asked: types lead back to themselves."""

        def check(value: Any, place: Place) -> Findings:
            return self.type_check(name)(value, place)

        return self._types.get(name) or check

    def profile_check(self, url: str) -> Check | None:
        """Return the check of the profile `url`, of a value whose type is known; None when no package has it."""
        url = self._canonical(url)
        check = self._profiles.get(url)
        if check is None:
            with self.lock:
                tree = self.snapshots.tree(url)
                check = self._root_check(tree, url) if tree else None
                if check:
                    self._profiles[url] = check
        return check

    def claim_check(self, url: str) -> Check | None:
        """Return the same for a resource that claims the profile: as severe as its package is to be."""
        url = self._canonical(url)
        check = self._claims.get(url)
        if check is None and (enforced := self.profile_check(url)):
            with self.lock:
                check = self._claims[url] = self._as_severe(url, enforced)
        return check

    def conforms(self, resource: Any, profile: str, place: Place) -> bool:
        """Whether a resource or value meets a profile; a circle of references is taken to, and so is the unknown."""
        check = self.profile_check(profile)
        if check is None:
            self.complain(f"profile `{profile}` is in no package")
            return True
        key = (id(resource), profile)
        if key not in place.run.verdicts:
            place.run.verdicts[key] = True
            is_resource = isinstance(resource, dict) and "resourceType" in resource
            inner = place.inside(resource, contained=_is_contained(resource, place)) if is_resource else place
            place.run.verdicts[key] = not has_errors(check(resource, inner))
        return place.run.verdicts[key]

    def value_set(self, binding: tuple[str, str], source: str) -> ValueSet:
        """Return the value set of a binding, read once."""
        key = (*binding, source)
        if key not in self._value_sets:
            self._value_sets[key] = ValueSet(binding[1], binding[0], source, self.packages)
        return self._value_sets[key]

    def value(self, node: Node) -> Check:
        """Return the check of a value of the element `node`; cardinality and slices are its owner's."""
        code = node.types[0].code if node.types else "BackboneElement"
        if any(self.is_resource(each.code) for each in node.types):
            return chain(check_resource(self, node), extras(self, node, ""), anyway=True)
        if self.structures.kind(code) == "primitive-type":
            return chain(_primitive(code), extras(self, node, code), anyway=False)
        profiles = tuple(url for url in node.types[0].profiles if url not in node.merged) if node.types else ()
        own = extras(self, node, code)
        if node.touched and node.children is not None:
            base = check_object(self.constrained_parts(node))
        elif len(profiles) == 1 and (only := self.profile_check(profiles[0])):
            return chain(only, own, anyway=True)
        else:
            base = self.later(node.below)
        return chain(base, (*own, *any_profile(self, profiles)), anyway=True)

    def constrained_parts(self, node: Node) -> Parts:
        """Return what the objects of a constrained node are checked by; the rest they share with their type."""
        return make_parts(self, node, self._base_parts(node.below))

    def is_resource(self, code: str) -> bool:
        """Whether the type is a resource, an abstract one included."""
        return self.structures.kind(code) == "resource"

    def is_concrete(self, kind: str) -> bool:
        """Whether R4 has resources of exactly this type."""
        return self.is_resource(kind) and not self.structures.is_abstract(kind)

    def is_primitive(self, node: Node) -> bool:
        """Whether the element's values are primitives."""
        return bool(node.types) and self.structures.kind(node.types[0].code) == "primitive-type"

    def complain(self, problem: str) -> None:
        """Keep a problem for the start-up report, once."""
        if problem not in self.problems:
            self.problems.append(problem)

    def _canonical(self, url: str) -> str:
        """Return the URL of a base type without a version, of which there is one; any other as it is."""
        plain = url.partition("|")[0]
        return plain if is_base(plain, self.structures) else url

    def _as_severe(self, url: str, enforced: Check) -> Check:
        package, tree = self.packages.package_of("StructureDefinition", url), self.snapshots.tree(url)
        if package is None or tree is None:
            return enforced
        kind = tree.types[0].code
        severity, of_codes = package.severity_for(kind), package.severity_of_codes(kind)
        if severity == of_codes == "enforce":
            return enforced
        return _softened(enforced, self._bare(tree.below), severity, of_codes)

    def _bare(self, name: str) -> Check:
        """Return the check of a type alone: of an extension without what its definition demands."""
        if name != "Extension":
            return self.later(name)
        plain = Node(name, name, name, types=(ElementType(name),), merged=frozenset({name}))
        return check_object(make_parts(self, plain, None))

    def _base_parts(self, name: str) -> Parts:
        if name not in self._parts:
            plain = Node(name.rpartition(".")[2], name, name, types=(ElementType(name.partition(".")[0]),))
            self._parts[name] = make_parts(self, plain, None)
        return self._parts[name]

    def _root_check(self, tree: Node, url: str) -> Check:
        code = tree.types[0].code
        if self.structures.kind(code) == "primitive-type":
            return chain(_primitive(code), extras(self, tree, code), anyway=False)
        parts = self.constrained_parts(tree)
        if self.is_resource(code):
            parts.rules.insert(0, _check_type(code, url))
        return chain(check_object(parts), extras(self, tree, code), anyway=True)


def _softened(check: Check, base: Check, severity: str, of_codes: str) -> Check:
    """Return the check of a profile whose package does not enforce all of it; what R4 itself demands stays.

    Args:
        severity, of_codes: `off`, `warn` or `enforce` for its rules, and for its bindings.
    """
    if severity == of_codes == "off":
        return base

    def soft(value: Any, place: Place) -> Findings:
        found = check(value, place)
        if not found:
            return found
        kept = {(each.text, *each.steps) for each in base(value, place) or ()}
        softened = []
        for each in found:
            level = of_codes if each.code == "code-invalid" else severity
            if (each.text, *each.steps) in kept or level == "enforce":
                softened.append(each)
            elif level == "warn":
                each.severity = "warning" if each.is_error else each.severity
                softened.append(each)
        return softened

    return soft


def _primitive(code: str) -> Check:
    return check_narrative if code == "xhtml" else check_primitive(code)


def _check_type(code: str, url: str) -> Check:
    def check(value: Any, place: Place) -> Findings:
        if value.get("resourceType") == code:
            return None
        return [Finding("structure", f"Profile `{brief(url)}` is about `{code}`, and this is none.")]

    return check


def _is_contained(resource: Resource, place: Place) -> bool:
    name = resource.get("id")
    return isinstance(name, str) and place.contained(name) is resource
