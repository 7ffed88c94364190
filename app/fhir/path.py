"""The part of FHIRPath that search parameters and invariants need, compiled to closures over plain JSON.

`compile(expression)(resource)` returns the JSON values that the expression selects. What the language has
and this file lacks raises `Unsupported` at compile time, and names it: nothing is evaluated half.

Spec: FHIRPath N1 (http://hl7.org/fhirpath/N1/); FHIR R4 fhirpath.html.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from app.fhir.path_compiler import Compiler, Resolver, Scope
from app.fhir.path_functions import truth
from app.fhir.path_nodes import Model, Node, node_of
from app.fhir.path_syntax import Unsupported, parse
from app.fhir.resource import Resource

if TYPE_CHECKING:
    from app.fhir.structure import Structures

__all__ = ["Environment", "Evaluate", "Unsupported", "compile"]


@dataclass(frozen=True, slots=True)
class Environment:
    """What an expression may ask for beside its focus.

    Attributes:
        resource: `%resource`, the resource that holds the focus; None: the focus itself.
        root: `%rootResource`, the container of a contained resource; None: as `resource`.
        resolve: reference text -> resource; without it `resolve()` looks into `contained` and knows of others
            only the type that their text names.
        path: FHIR type or element path of a focus that is not a resource: `Period`, `Bundle.entry`.
        now: the clock of `now()` and `today()`.
    """

    resource: Resource | None = None
    root: Resource | None = None
    resolve: Resolver | None = None
    path: str = ""
    now: Callable[[], datetime] = lambda: datetime.now(UTC)


_EMPTY = Environment()


class Evaluate:
    """A compiled expression. Safe to share between threads."""

    def __init__(self, expression: str, model: Model) -> None:
        self.expression = expression
        self._run = Compiler(model).closure(parse(expression))

    def __call__(self, focus: Any, environment: Environment | None = None) -> list[Any]:
        """Return the JSON values that the expression selects; see `compile`."""
        found = self._nodes(focus, environment or _EMPTY)
        return [node.value for node in found if node.value is not None]

    def is_met(self, focus: Any, environment: Environment | None = None) -> bool:
        """Whether the expression, read as an invariant, holds; an empty result counts as met.

        FHIR leaves the empty result open, and R4's own ref-1 and bdl-8 need this reading.
        """
        return truth(self._nodes(focus, environment or _EMPTY)) is not False

    def _nodes(self, focus: Any, environment: Environment) -> list[Node]:
        values = focus if isinstance(focus, list) else [focus]
        path = environment.path
        kind = "BackboneElement" if "." in path else path
        nodes = [node_of(value, kind, path) for value in values]
        resource = environment.resource if environment.resource is not None else values[0] if values else None
        root = environment.root if environment.root is not None else resource
        scope = Scope(node_of(resource), node_of(root), environment.resolve, environment.now)
        try:
            return self._run(nodes, scope)
        except RecursionError:
            return []


def compile(expression: str, structures: Structures | None = None) -> Evaluate:  # noqa: A001 - its FHIRPath name
    """Return a function `(focus, environment=None) -> list of JSON values` for `expression`.

    Args:
        expression: FHIRPath; a leading type name (`Patient.name`) selects nothing in other types.
        structures: the R4 tables; without them choice elements are recognised by their names' endings.

    Returns:
        A function that accepts a resource, an element's JSON value or a list of them, and returns strings,
        numbers, booleans and dicts, in document order. It never raises: what FHIRPath calls an error selects nothing.

    Raises:
        Unsupported: a function, an operator or a form that is not implemented, or text that is not FHIRPath.
    """
    return Evaluate(expression, Model(structures))
