"""References: where they lead, what they lead to, and whether that is there.

Spec: FHIR R4 references.html; bundle.html#references; elementdefinition.html#ElementDefinition.type.aggregation;
the invariant ref-1.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Protocol

from app.fhir import reference
from app.fhir.resource import Resource
from app.validation.element_tree import R4, ElementType
from app.validation.finding import Finding, Findings, brief, by, listed, shown
from app.validation.place import Place

Check = Callable[[Any, Place], Findings]
_URN = ("urn:uuid:", "urn:oid:")


class Conforms(Protocol):
    """Whether a resource meets a profile; a base type is a profile too."""

    def __call__(self, resource: Resource, profile: str, place: Place) -> bool:
        """Whether `resource` meets `profile`."""


def check_reference(value: Any, place: Place) -> Findings:
    """Return the finding when a Reference leads to something within the message that is not there."""
    text = value.get("reference")
    if type(text) is not str or text[:1] not in "#u":
        return None
    if text.startswith("#"):
        place.local_names.add(text)
        if place.resolve(text) is not None:
            return None
        message = f"{shown(text)} is dangling: the resource contains nothing with this id (FHIR R4 `ref-1`)."
        return [Finding("not-found", message, "error", "reference")]
    return below_urn(text, place, "reference")


def check_url(value: Any, place: Place) -> Findings:
    """Return the finding when a `url` such as `Attachment.url` names an entry that a transaction does not have."""
    return below_urn(value, place) if type(value) is str and value.startswith("urn:") else None


def below_urn(text: str, place: Place, *steps: str) -> Findings:
    """Return the finding when `text` is a urn that must name an entry of the Bundle around it, and does not."""
    if (
        not text.startswith(_URN)
        or place.bundle is None
        or place.bundle.kind not in ("transaction", "batch", "document")
    ):
        return None
    if place.bundle.find(text) is not None:
        return None
    words = f"{shown(text)} is dangling: no entry of the Bundle has this `fullUrl`."
    return [Finding("not-found", words, "error", *steps)]


def check_target(types: tuple[ElementType, ...], source: str, conforms: Conforms) -> Check | None:
    """Return the check that a Reference leads to one of the types that its element allows.

    Args:
        source: canonical URL of the profile that narrows them; empty for R4.
    """
    targets = tuple(target for each in types for target in each.targets)
    ways = frozenset(way for each in types for way in each.aggregation)
    if (not targets or f"{R4}Resource" in targets) and not ways:
        return None
    names = frozenset(brief(target) for target in targets if target.startswith(R4))
    profiles = tuple(target for target in targets if not target.startswith(R4) or "-" in brief(target))

    def check(value: Any, place: Place) -> Findings:
        text = value.get("reference")
        found: list[Finding] = []
        if ways and ("reference" in value or "identifier" in value):
            found += _check_way(text, ways, source, place)
        if targets and f"{R4}Resource" not in targets:
            resource = place.resolve(text) if isinstance(text, str) else None
            kind = _kind(resource, text, value.get("type"))
            if kind and kind not in names and not _meets(resource, profiles, conforms, place):
                words = f"The reference leads to {shown(kind)}; {by(source)} allows {listed(map(brief, targets))}."
                found.append(Finding("structure", words))
        return found or None

    return check


def _meets(resource: Resource | None, profiles: tuple[str, ...], conforms: Conforms, place: Place) -> bool:
    """What cannot be looked at may conform."""
    if not profiles:
        return False
    return resource is None or any(conforms(resource, profile, place) for profile in profiles)


def _kind(resource: Resource | None, text: Any, named: Any) -> str:
    """Return the type of the target: of the resource itself, as its text says, or as `Reference.type` says."""
    if resource is not None:
        kind = resource.get("resourceType")
        return kind if isinstance(kind, str) else ""
    kind = reference.parse(text).resource_type if isinstance(text, str) else ""
    return kind or (brief(named) if isinstance(named, str) else "")


def _check_way(text: Any, ways: frozenset[str], source: str, place: Place) -> list[Finding]:
    """A reference by identifier alone leads nowhere, so it is none of the three ways."""
    is_text = isinstance(text, str) and bool(text)
    way = "referenced"
    if is_text and text.startswith("#"):
        way = "contained"
    elif is_text and place.bundle is not None and place.bundle.find(text) is not None and "referenced" not in ways:
        way = "bundled"
    if way in ways:
        return []
    came = {"contained": "is contained", "bundled": "is another entry", "referenced": "stands elsewhere"}[way]
    words = (
        f"What this leads to {came if is_text else 'is not named'}; {by(source)} wants it {' or '.join(sorted(ways))}."
    )
    return [Finding("structure", words)]
