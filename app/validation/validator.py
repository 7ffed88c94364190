"""Whether a resource is what FHIR R4 and a profile say it must be.

    issues = Validator(packages).validate(resource, profile)

Profiles are StructureDefinitions of the packages in `profiles/`; each is compiled once, when it is first used.

Spec: FHIR R4 validation.html; profiling.html.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from app.fhir.outcome import Issue
from app.fhir.packages import Packages
from app.fhir.resource import Resource
from app.validation.compiler import Compiler
from app.validation.extension_context import check_contexts
from app.validation.finding import Finding, Step, shown
from app.validation.nested import claimed, unknown_type
from app.validation.place import Place, Run
from app.validation.structure import Check, wrong_type
from app.validation.survey import survey

_MOST_ISSUES = 1000


class Validator:
    """Validates resources against R4 and profiles. Pure, thread-safe, and of constant size once warm."""

    def __init__(self, packages: Packages) -> None:
        self._compiler = Compiler(packages)

    @property
    def problems(self) -> tuple[str, ...]:
        """What the packages ask for and is not checked, a sentence each, as far as profiles were compiled."""
        return tuple(self._compiler.problems)

    def knows(self, profile: str) -> bool:
        """Whether a package has the profile, a canonical URL, perhaps with `|version`."""
        return self._check(profile) is not None

    def knows_type(self, name: str) -> bool:
        """Whether `name` is a type of resource."""
        return self._compiler.is_concrete(name)

    def survey(self) -> tuple[str, ...]:
        """Return `problems` of every profile of every package; takes about a second, and once."""
        survey(self._compiler)
        return self.problems

    def check_claims(self, resource: Resource, *, root: str = "", soft: str = "") -> list[Issue]:
        """Return what keeps `resource` from the profiles that its `meta.profile` claims and a package has.

        Args:
            root: what expressions begin with; empty: the resource type.
            soft: what the URLs of profiles begin with that may be claimed and not met; empty for none.
        """
        place = Place(resource, resource, None, Run(soft=soft))
        return _issues(claimed(self._compiler, place), resource, root or resource["resourceType"])

    def validate(
        self, resource: Any, profile: str = "", *, root: str = "", claims: bool = False, is_strict: bool = False
    ) -> list[Issue]:
        """Return everything that is wrong with `resource`, in the order of the document, each thing once.

        Args:
            resource: any JSON value; what is no resource is an issue, not an error.
            profile: canonical URL, perhaps with `|version`; empty: the base type alone.
            root: what expressions begin with; empty: the resource type.
            claims: validate also against the profiles that `meta.profile` claims and a package has, in this
                resource and in those it holds.
            is_strict: enforce the profile whatever `severity` its package has.

        Returns:
            issues with code, diagnostics, expression and severity; empty when there is nothing to say.
        """
        if not isinstance(resource, dict):
            return [wrong_type(resource, "a resource, a JSON object").issue(root)]
        kind = resource.get("resourceType")
        if not isinstance(kind, str) or not self._compiler.is_concrete(kind):
            return [unknown_type(self._compiler, kind).issue(root)]
        try:
            found = self._run(resource, kind, profile, claims=claims, is_strict=is_strict)
        except RecursionError:
            found = [Finding("structure", "The resource is nested deeper than this server reads.")]
        return _issues(found, resource, root or kind)

    def _run(
        self, resource: dict[str, Any], kind: str, profile: str, *, claims: bool, is_strict: bool
    ) -> list[Finding]:
        place = Place(resource, resource, None, Run(claims=claims))
        found = list(claimed(self._compiler, place)) if claims else []
        if not (claims and not profile and self._claims(resource)):
            found += self._held(place, kind, profile, is_strict=is_strict)
        return [*found, *check_contexts(self._compiler, resource)] if place.run.has_known_extension else found

    def _held(self, place: Place, kind: str, profile: str, *, is_strict: bool) -> list[Finding]:
        check = self._check(profile, is_strict=is_strict) if profile else self._compiler.type_check(kind)
        if check is None:
            words = f"Profile {shown(profile)} is not known to this server; the resource was not checked against it."
            return [Finding("not-supported", words), *(self._compiler.type_check(kind)(place.resource, place) or ())]
        return check(place.resource, place) or []

    def _claims(self, resource: dict[str, Any]) -> bool:
        """Whether a profile that a package has is claimed; it stands on the base type, which needs no second look."""
        meta = resource.get("meta")
        urls = meta.get("profile") if isinstance(meta, dict) else None
        return isinstance(urls, list) and any(
            isinstance(url, str) and self._counts(url, resource["resourceType"]) for url in urls
        )

    def _counts(self, profile: str, kind: str) -> bool:
        package = self._compiler.packages.package_of("StructureDefinition", profile)
        return package is not None and not package.is_off(kind) and self.knows(profile)

    def _check(self, profile: str, *, is_strict: bool = False) -> Check | None:
        """A package is asked first: nothing is remembered of a profile that nobody has."""
        if ":" not in profile or self._compiler.packages.package_of("StructureDefinition", profile) is None:
            return None
        return self._compiler.profile_check(profile) if is_strict else self._compiler.claim_check(profile)


def _issues(found: Iterable[Finding], resource: Any, root: str) -> list[Issue]:
    ordered = sorted(found, key=lambda each: _position(each.steps, resource))
    return list(dict.fromkeys(each.issue(root) for each in ordered))[:_MOST_ISSUES]


def _position(steps: list[Step], value: Any) -> tuple[int, ...]:
    """Return where in the document the steps lead: the index of each property in its object, and of each item."""
    position: list[int] = []
    for step in reversed(steps):
        name, index = (step, -1) if isinstance(step, str) else step
        value = value if isinstance(value, dict) else {}
        key = _key(name, value)
        position.append(list(value).index(key) if key in value else len(value))
        value = value.get(key)
        if index >= 0:
            position.append(index)
            value = value[index] if isinstance(value, list) and index < len(value) else None
    return tuple(position)


def _key(name: str, value: dict[str, Any]) -> str:
    """Return the property an expression's name stands for: `value` for `valueString`, `status` for `_status`."""
    if name in value:
        return name
    return next((key for key in value if key.lstrip("_").startswith(name)), name)
