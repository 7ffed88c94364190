"""What the parts of the compiler ask of the whole: types, profiles and values lead to each other.

Spec: none; own choice.
"""

from __future__ import annotations

import threading
from typing import Any, Protocol

from app.fhir.packages import Packages
from app.fhir.structure import Structures
from app.validation.element_tree import Node
from app.validation.invariant import Invariants
from app.validation.place import Place
from app.validation.snapshot import Snapshots
from app.validation.structure import Check, Parts
from app.validation.terminology import ValueSet


class Compiling(Protocol):
    """The compiler, as its parts see it; `app.validation.compiler` is the one there is.

    Attributes:
        snapshots: the element trees.
        problems: what a package asks for and this engine cannot check, by name.
        lock: held by who compiles.
    """

    packages: Packages
    structures: Structures
    snapshots: Snapshots
    invariants: Invariants
    problems: list[str]
    lock: threading.RLock

    def type_check(self, name: str) -> Check:
        """Return the check of an R4 type or of an element with children: `Attachment`, `Bundle.entry`."""

    def later(self, name: str) -> Check:
        """Return the check of a type, compiled when it is first asked: types lead back to themselves."""

    def profile_check(self, url: str) -> Check | None:
        """Return the check of the profile `url`, of a value whose type is known; None when no package has it."""

    def claim_check(self, url: str) -> Check | None:
        """Return the same for a resource that claims the profile: as severe as its package is to be."""

    def conforms(self, resource: Any, profile: str, place: Place) -> bool:
        """Whether a resource or value meets a profile."""

    def value_set(self, binding: tuple[str, str], source: str) -> ValueSet:
        """Return the value set of a binding, read once."""

    def value(self, node: Node) -> Check:
        """Return the check of a value of the element `node`; cardinality and slices are its owner's."""

    def constrained_parts(self, node: Node) -> Parts:
        """Return what the objects of a constrained node are checked by; the rest they share with their type."""

    def is_resource(self, code: str) -> bool:
        """Whether the type is a resource, an abstract one included."""

    def is_concrete(self, kind: str) -> bool:
        """Whether R4 has resources of exactly this type."""

    def is_primitive(self, node: Node) -> bool:
        """Whether the element's values are primitives."""

    def complain(self, problem: str) -> None:
        """Keep a problem for the start-up report, once."""
