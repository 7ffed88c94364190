"""Element trees -> checks, each compiled when it is first met, and kept.

Spec: FHIR R4 profiling.html; elementdefinition.html; json.html.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from app.fhir.packages import Packages
from app.fhir.resource import Resource
from app.validation.discriminator import tests
from app.validation.finding import Finding, Findings, brief, by, has_errors, listed, nearest, shown
from app.validation.invariant import Invariants
from app.validation.likeness import likeness
from app.validation.limits import check_limits
from app.validation.narrative import check_narrative
from app.validation.pattern import check_fixed
from app.validation.place import Place
from app.validation.references import check_reference, check_target, check_url
from app.validation.slicing import Slice, Slicer, check_missing, sliced, sliced_one
from app.validation.snapshot import ElementType, Node, Slicing, Snapshots
from app.validation.structure import (
    Check, Member, Parts, array, chain, check_choice, check_element_id, check_object, check_primitive, partner, refuse,
    single, wrong_type,
)  # fmt: skip
from app.validation.terminology import ValueSet, check_binding

_ABSTRACT = frozenset({"Resource", "DomainResource"})
_BY_URL = Slicing((("value", "url"),), "open", ordered=False)
_BY_TYPE = Slicing((("type", "$this"),), "open", ordered=False)


class Compiler:
    """Compiles types and profiles. Safe to share between threads: work done twice gives the same checks.

    Attributes:
        snapshots: the element trees.
        problems: what a package asks for and this engine cannot check, by name.
    """

    def __init__(self, packages: Packages) -> None:
        self.packages = packages
        self.problems: list[str] = []
        self.structures = packages.structures
        self.snapshots = Snapshots(packages.structures, self._definition, self.problems)
        self._invariants = Invariants(packages.structures, self.problems)
        self._types: dict[str, Check] = {}
        self._parts: dict[str, Parts] = {}
        self._profiles: dict[str, Check | None] = {}
        self._value_sets: dict[tuple[str, str, str], ValueSet] = {}

    def type_check(self, name: str) -> Check:
        """Return the check of an R4 type or of an element with children: `Attachment`, `Bundle.entry`."""
        check = self._types.get(name)
        if check is None:
            check = self._types[name] = check_object(self._base_parts(name))
        return check

    def profile_check(self, url: str) -> Check | None:
        """Return the check of the profile `url`, of a value whose type is known; None when no package has it."""
        if url not in self._profiles:
            tree = self.snapshots.tree(url)
            if tree is None:
                return None
            self._profiles[url] = self._root_check(tree, url)
        return self._profiles[url]

    def conforms(self, resource: Any, profile: str, place: Place) -> bool:
        """Whether a resource or value meets a profile; a circle of references is taken to."""
        check = self.profile_check(profile)
        if check is None:
            return True
        key = (id(resource), profile)
        if key not in place.verdicts:
            place.verdicts[key] = True
            is_resource = isinstance(resource, dict) and "resourceType" in resource
            inner = place.inside(resource, contained=_is_contained(resource, place)) if is_resource else place
            place.verdicts[key] = not has_errors(check(resource, inner))
        return place.verdicts[key]

    def value_set(self, binding: tuple[str, str], source: str) -> ValueSet:
        """Return the value set of a binding, read once."""
        key = (*binding, source)
        if key not in self._value_sets:
            self._value_sets[key] = ValueSet(binding[1], binding[0], source, self.packages)
        return self._value_sets[key]

    def value(self, node: Node) -> Check:
        """Return the check of a value of the element `node`; cardinality and slices are its owner's."""
        code = node.types[0].code if node.types else "BackboneElement"
        resources = tuple(each for each in node.types if each.code in _ABSTRACT or self._is_resource(each.code))
        if resources:
            return chain(self._resource(node, resources), self._extras(node, ""), anyway=True)
        if self.structures.kind(code) == "primitive-type":
            return chain(self._primitive(code), self._extras(node, code), anyway=False)
        profiles = tuple(url for url in node.types[0].profiles if url not in node.merged) if node.types else ()
        extras = self._extras(node, code)
        if node.touched and node.children is not None:
            base = check_object(self._constrained_parts(node))
        elif len(profiles) == 1 and (only := self.profile_check(profiles[0])):
            return chain(only, extras, anyway=True)
        else:
            base = self._later(node.below)
        return chain(base, (*extras, *self._any_profile(profiles, node)), anyway=True)

    def _later(self, name: str) -> Check:
        """Return the check of a type, compiled when it is first asked: types lead back to themselves."""
        found = self._types.get(name)
        return found or (lambda value, place: self.type_check(name)(value, place))

    def _definition(self, url: str) -> Resource | None:
        return self.packages.structure_definition(url)

    def _is_resource(self, code: str) -> bool:
        return self.structures.kind(code) == "resource"

    def _root_check(self, tree: Node, url: str) -> Check:
        code = tree.types[0].code
        if self.structures.kind(code) == "primitive-type":
            return chain(self._primitive(code), self._extras(tree, code), anyway=False)
        parts = self._constrained_parts(tree)
        if self._is_resource(code):
            parts.rules.insert(0, _check_type(code, url))
        return chain(check_object(parts), self._extras(tree, code), anyway=True)

    def _base_parts(self, name: str) -> Parts:
        if name not in self._parts:
            self._parts[name] = self._make_parts(self._plain(name), None)
        return self._parts[name]

    def _constrained_parts(self, node: Node) -> Parts:
        return self._make_parts(node, self._base_parts(node.below))

    def _plain(self, name: str) -> Node:
        return Node(name.rpartition(".")[2], name, name, types=(ElementType(name.partition(".")[0]),))

    def _make_parts(self, node: Node, base: Parts | None) -> Parts:
        """Return the parts of an object; what a profile leaves alone it shares with the type's own, `base`."""
        name = node.below
        parts = Parts(name, is_resource=self._is_resource(name))
        if parts.is_resource:
            parts.members["resourceType"] = lambda item, owner, place: None
        for child in self.snapshots.children(node).values():
            if child.is_choice:
                self._add_choice(parts, node, child, base)
            else:
                self._add_element(parts, child, base)
        parts.rules += self._type_rules(name)
        return parts

    def _type_rules(self, name: str) -> list[Check]:
        rules: list[Check] = []
        if not self._is_resource(name) and self.structures.kind(name) != "primitive-type":
            rules.append(check_element_id)
        if name == "Reference":
            rules.append(check_reference)
        if name == "Extension":
            rules.append(self._check_known_extension)
        if "." not in name:
            found = (self._invariants.check(each, "", name) for each in self.structures.invariants(name))
            rules += [check for check in found if check]
        return rules

    def _add_element(self, parts: Parts, child: Node, base: Parts | None) -> None:
        name, who = child.name, by(child.origin.get("min", ""), child.slice_name)
        keys = (name, "_" + name) if self._is_primitive(child) else (name,)
        if child.max == 0:
            words = f"`{name}` is not allowed by {by(child.origin.get('max', ''), child.slice_name)}."
            parts.members |= {key: refuse(name, words) for key in (name, "_" + name)}
            return
        if child.min:
            parts.required.append((name, keys, who))
        slicer = self._lazy_slicer(child)
        if slicer:
            parts.rules.append(_when_missing(name, slicer))
        shared = base.members if base and not child.touched else None
        _put(parts.members, name, shared, lambda: self._member(child, slicer))
        if len(keys) > 1:
            _put(parts.members, keys[1], shared, lambda: self._partner(child))

    def _add_choice(self, parts: Parts, node: Node, child: Node, base: Parts | None) -> None:
        allowed = {each.code for each in child.types}
        all_keys = [
            (key, each) for key, each in self.structures.names(node.below).items() if each[0].name == child.name
        ]
        keys = [key for key, each in all_keys if each[1] in allowed] if child.max != 0 else []
        for key, (_, code, _) in all_keys:
            if key in keys:
                narrow = self.snapshots.narrowed(child, code) if child.touched else None
                self._add_form(parts, key, code, child, narrow, base)
            else:
                words = _not_among(child, key, allowed)
                parts.members |= {each: refuse(child.name, words) for each in (key, "_" + key)}
        both = (*keys, *("_" + key for key in keys))
        if child.min:
            parts.required.append((f"{child.name}[x]", both, by(child.origin.get("min", ""), child.slice_name)))
        parts.rules.append(check_choice(child.name, frozenset(both)))

    def _add_form(
        self, parts: Parts, key: str, code: str, child: Node, narrow: Node | None, base: Parts | None
    ) -> None:
        """One form of a choice, `valueString`; `narrow` is what a profile says of it."""
        if narrow is not None and narrow.slice_name != child.slice_name and narrow.min:
            who = by(narrow.origin.get("min", ""), narrow.slice_name)
            parts.required.append((key, (key, "_" + key), who))

        def form() -> Node:
            return narrow if narrow is not None else self.snapshots.narrowed(child, code)

        shared = base.members if base and narrow is None else None
        _put(parts.members, key, shared, lambda: single(child.name, self.value(form())))
        if self.structures.kind(code) == "primitive-type":
            _put(
                parts.members, "_" + key, shared, lambda: partner(child.name, self._extra_check(form()), is_array=False)
            )

    def _member(self, child: Node, slicer: Callable[[], Slicer] | None) -> Member:
        if not child.is_array:
            return sliced_one(child.name, slicer()) if slicer else single(child.name, self.value(child))
        who = by(child.origin.get("max", "") or child.origin.get("min", ""), child.slice_name)
        if slicer:
            return sliced(child.name, slicer(), low=child.min, high=child.max, who=who)
        return array(child.name, self.value(child), low=child.min, high=child.max, who=who)

    def _partner(self, child: Node) -> Member:
        return partner(child.name, self._extra_check(child), is_array=child.is_array)

    def _extra_check(self, node: Node) -> Check:
        """Return the check of a primitive's id and extensions."""
        if node.touched and node.children is not None:
            return check_object(self._constrained_parts(node))
        return self._later("Element")

    def _is_primitive(self, node: Node) -> bool:
        return bool(node.types) and self.structures.kind(node.types[0].code) == "primitive-type"

    def _primitive(self, code: str) -> Check:
        return check_narrative if code == "xhtml" else check_primitive(code)

    def _extras(self, node: Node, code: str) -> tuple[Check, ...]:
        """Return the checks of the element itself, beside those of its type."""
        origin = node.origin.get
        found: list[Check | None] = []
        if node.fixed:
            found.append(check_fixed(*node.fixed, code, by(origin("fixed", ""), node.slice_name)))
        if node.binding:
            found.append(self._binding(node, code))
        if node.limits:
            found += check_limits(node.limits, by(origin("maxLength", origin("minValue", "")), node.slice_name))
        if code == "Reference":
            found.append(check_target(node.types, origin("types", ""), self.conforms))
        if code == "url":
            found.append(check_url)
        own = {each.key for each in self.structures.invariants(code)} if code and "." not in node.path else set()
        own |= {each.key for each in self.structures.invariants(code)} if self.structures.kind(code) else set()
        for invariant, source in node.invariants:
            if source or invariant.key not in own | {"ele-1"}:
                found.append(self._invariants.check(invariant, source, node.below))
        return tuple(each for each in found if each)

    def _binding(self, node: Node, code: str) -> Check | None:
        """A binding's codes are read when a value is first checked against them."""
        binding, source = node.binding, node.origin.get("binding", "")
        if binding is None or binding[0] not in ("required", "extensible"):
            return None
        if binding[0] == "required" and self.packages.value_set(binding[1]) is None:
            self._complain(f"value set `{binding[1]}`, required by {by(source)}, is in no package")
        return check_binding(binding, source, code, self.packages)

    def _any_profile(self, profiles: tuple[str, ...], node: Node) -> tuple[Check, ...]:
        """Return the check that a value meets one of several profiles."""
        checks = [check for url in profiles if (check := self.profile_check(url))]
        for url in profiles:
            if self.profile_check(url) is None:
                self._complain(f"profile `{url}`, demanded for `{node.path}`, is in no package")
        if len(checks) < len(profiles) or not checks:
            return ()

        def check(value: Any, place: Place) -> Findings:
            best: Findings = None
            for each in checks:
                found = each(value, place)
                if not has_errors(found):
                    return found
                best = found if best is None or len(found or ()) < len(best) else best
            return best

        return (check,)

    def _resource(self, node: Node, types: tuple[ElementType, ...]) -> Check:
        """Return the check of a resource in a resource, which is of one of the `types`."""
        contained = node.name == "contained"
        by_code = {each.code: each for each in types}
        everything = next((each for each in types if each.code in _ABSTRACT), None)
        source = node.origin.get("types", "")
        inline = node if node.touched and node.children is not None else None
        checks: dict[str, Check] = {}

        def make(kind: str) -> Check:
            own = by_code.get(kind) or everything
            profiles = tuple(url for url in own.profiles if url not in node.merged) if own else ()
            first = check_object(self._constrained_parts(inline)) if inline else self._whole(kind, profiles)
            return chain(first, self._any_profile(profiles, node) if inline or len(profiles) > 1 else (), anyway=True)

        def check(value: Any, place: Place) -> Findings:
            if type(value) is not dict:
                return [wrong_type(value, "a resource")]
            kind = value.get("resourceType")
            if not isinstance(kind, str) or not self.is_concrete(kind):
                return [self.unknown_type(kind)]
            if everything is None and kind not in by_code:
                words = f"A `{kind}` is not allowed here; {by(source, node.slice_name)} allows {listed(by_code)}."
                return [Finding("structure", words)]
            if kind not in checks:
                checks[kind] = make(kind)
            return checks[kind](value, place.inside(value, contained=contained))

        return check

    def _whole(self, kind: str, profiles: tuple[str, ...]) -> Check:
        if len(profiles) == 1:
            check = self.profile_check(profiles[0])
            if check:
                return check
            self._complain(f"profile `{profiles[0]}` is in no package")
        return self.type_check(kind)

    def is_concrete(self, kind: str) -> bool:
        """Whether R4 has resources of this type."""
        return self._is_resource(kind) and not self.structures.is_abstract(kind)

    def unknown_type(self, kind: Any) -> Finding:
        """Return the finding for a `resourceType` that is missing or that R4 does not know."""
        if not isinstance(kind, str):
            return Finding("structure", "`resourceType` is missing, or is no string.")
        hint = nearest(kind, self.structures.resource_types())
        return Finding("structure", f"{shown(kind)} is not a resource type of FHIR R4.{hint}")

    def _check_known_extension(self, value: Any, place: Place) -> Findings:
        """An extension whose definition a package has must meet it; others may be anything."""
        url = value.get("url")
        if type(url) is not str or url.startswith("#") or ":" not in url:
            return None
        check = self._profiles.get(url)
        if check is None:
            if self.packages.package_of("StructureDefinition", url) is None:
                return None
            check = self.profile_check(url)
        key = (id(value), url)
        if check is None or key in place.verdicts:
            return None
        place.verdicts[key] = True
        return check(value, place)

    def _lazy_slicer(self, child: Node) -> Callable[[], Slicer] | None:
        if not child.slices or child.is_choice:
            return None
        made: list[Slicer] = []

        def slicer() -> Slicer:
            if not made:
                made.append(self._slicer(child, child.slicing))
            return made[0]

        return slicer

    def _slicer(self, node: Node, slicing: Slicing | None) -> Slicer:
        if slicing is None:
            slicing = _BY_URL if node.name in ("extension", "modifierExtension") else _BY_TYPE
        slices = tuple(self._slice(each, slicing) for each in node.slices.values())
        source = next((s for each in node.slices.values() for s in each.origin.values()), "")
        return Slicer(node.name, slices, slicing.rules, slicing.ordered, source, self.value(node))

    def _slice(self, node: Node, slicing: Slicing) -> Slice:
        found = tests(node, slicing.discriminators, self)
        if not found:
            self._complain(f"slice `{node.slice_name}` of `{node.path}` has no discriminator that can be evaluated")
        source = next(iter(node.origin.values()), "")
        is_by_profile = any(kind == "profile" for kind, _ in slicing.discriminators) and bool(found)
        inner = self._slicer(node, node.slicing or slicing) if node.slices else None
        alike, distance = likeness(node, slicing, self.snapshots)
        check = self.value(node)
        return Slice(node.slice_name, node.min, node.max, source, check, found, alike, distance, is_by_profile, inner)

    def _complain(self, problem: str) -> None:
        if problem not in self.problems:
            self.problems.append(problem)


def _put(members: dict[str, Member], key: str, shared: dict[str, Member] | None, make: Callable[[], Member]) -> None:
    """Set a member that is compiled when a resource first has the property, and replaces itself then."""

    def first(item: Any, owner: dict[str, Any], place: Place) -> Findings:
        member = members[key] = make() if shared is None else shared[key]
        return member(item, owner, place)

    members[key] = first


def _when_missing(name: str, slicer: Callable[[], Slicer]) -> Check:
    def check(value: Any, place: Place) -> Findings:
        if name in value:
            return None
        rule = check_missing(name, slicer())
        return rule(value, place) if rule else None

    return check


def _check_type(code: str, url: str) -> Check:
    def check(value: Any, place: Place) -> Findings:
        if value.get("resourceType") == code:
            return None
        return [Finding("structure", f"Profile `{brief(url)}` is about `{code}`, and this is none.")]

    return check


def _not_among(child: Node, key: str, allowed: set[str]) -> str:
    origin = child.origin
    who = by(origin.get("max", "") if child.max == 0 else origin.get("types", ""), child.slice_name)
    if child.max == 0:
        return f"`{key}` is not allowed by {who}."
    return f"`{key}` has a type that {who} does not allow; allowed are {listed(allowed)}."


def _is_contained(resource: Resource, place: Place) -> bool:
    name = resource.get("id")
    return isinstance(name, str) and place.contained(name) is resource
