"""The part of FHIRPath that search parameters and invariants need, compiled to closures over plain JSON.

`compile(expression)(resource)` returns the JSON values that the expression selects. What the language has
and this file lacks raises `Unsupported` at compile time, and names it: nothing is evaluated half.

Spec: FHIRPath N1 (http://hl7.org/fhirpath/N1/); FHIR R4 fhirpath.html.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from app.fhir.resource import Resource

if TYPE_CHECKING:
    from app.fhir.structure import Structures

Resolver = Callable[[str], Resource | None]


class Unsupported(ValueError):
    """The expression uses something that is not implemented here; the message names it."""


@dataclass(frozen=True, slots=True)
class Environment:
    """What an expression may ask for beside its focus.

    Attributes:
        resource: `%resource`, the resource that holds the focus; None: the focus itself.
        root: `%rootResource`, the container of a contained resource; None: as `resource`.
        resolve: reference text -> resource; without it `resolve()` looks into `contained` and knows of others
            only the type that their text names.
    """

    resource: Resource | None = None
    root: Resource | None = None
    resolve: Resolver | None = None


Evaluate = Callable[..., list[Any]]


def compile(expression: str, structures: Structures | None = None) -> Evaluate:
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
    raise Unsupported(expression)
