"""The operators of FHIRPath: two collections in, one out.

Spec: FHIRPath N1 operations; three-valued logic in its section on Boolean logic.
"""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal, DivisionByZero, InvalidOperation, Overflow

from app.fhir.path_functions import Nodes, answer, distinct, string_node, text, truth
from app.fhir.path_nodes import Node
from app.fhir.path_values import compare, equal, identity, number

Operator = Callable[[Nodes, Nodes], Nodes]


def _negated(value: bool | None) -> bool | None:
    return None if value is None else not value


def _equal(left: Nodes, right: Nodes) -> Nodes:
    return answer(equal(left, right))


def _equivalent(left: Nodes, right: Nodes) -> bool:
    """Order, case and spaces do not count; two empty collections are equivalent."""

    def plain(nodes: Nodes) -> list[str]:
        return sorted(str(_folded(node)) for node in nodes)

    return plain(left) == plain(right)


def _folded(node: Node) -> object:
    return " ".join(node.value.lower().split()) if isinstance(node.value, str) else identity(node)


def _ordered(meets: Callable[[int], bool]) -> Operator:
    def run(left: Nodes, right: Nodes) -> Nodes:
        order = compare(left[0], right[0]) if len(left) == 1 == len(right) else None
        return [] if order is None else answer(meets(order))

    return run


def _and(left: Nodes, right: Nodes) -> Nodes:
    one, other = truth(left), truth(right)
    return answer(False if one is False or other is False else None if one is None or other is None else True)


def _or(left: Nodes, right: Nodes) -> Nodes:
    one, other = truth(left), truth(right)
    return answer(True if one or other else None if one is None or other is None else False)


def _xor(left: Nodes, right: Nodes) -> Nodes:
    one, other = truth(left), truth(right)
    return answer(None if one is None or other is None else one is not other)


def _implies(left: Nodes, right: Nodes) -> Nodes:
    one, other = truth(left), truth(right)
    if one is False or other is True:
        return answer(True)
    return answer(None if one is None or other is None else False)


def _is_in(left: Nodes, right: Nodes) -> Nodes:
    if len(left) != 1:
        return []
    return answer(identity(left[0]) in {identity(node) for node in right})


def _plus(left: Nodes, right: Nodes) -> Nodes:
    if len(left) == 1 == len(right) and isinstance(left[0].value, str) and isinstance(right[0].value, str):
        return string_node(left[0].value + right[0].value)
    return _calculate(lambda one, other: one + other)(left, right)


def _calculate(operation: Callable[[Decimal, Decimal], Decimal]) -> Operator:
    def run(left: Nodes, right: Nodes) -> Nodes:
        one = number(left[0].value) if len(left) == 1 else None
        other = number(right[0].value) if len(right) == 1 else None
        if one is None or other is None:
            return []
        try:
            found = operation(one, other)
        except (DivisionByZero, InvalidOperation, Overflow):
            return []
        whole = found == found.to_integral_value() and left[0].type != "System.Decimal" and abs(found) < 10**18
        return [Node(int(found), "System.Integer") if whole else Node(found, "System.Decimal")]

    return run


OPERATORS: dict[str, Operator] = {
    "=": _equal,
    "!=": lambda left, right: answer(_negated(equal(left, right))),
    "~": lambda left, right: answer(_equivalent(left, right)),
    "!~": lambda left, right: answer(not _equivalent(left, right)),
    "<": _ordered(lambda order: order < 0),
    ">": _ordered(lambda order: order > 0),
    "<=": _ordered(lambda order: order <= 0),
    ">=": _ordered(lambda order: order >= 0),
    "and": _and,
    "or": _or,
    "xor": _xor,
    "implies": _implies,
    "in": _is_in,
    "contains": lambda left, right: _is_in(right, left),
    "|": lambda left, right: distinct([*left, *right]),
    "&": lambda left, right: string_node((text(left) or "") + (text(right) or "")),
    "+": _plus,
    "-": _calculate(lambda one, other: one - other),
    "*": _calculate(lambda one, other: one * other),
    "/": _calculate(lambda one, other: one / other),
    "div": _calculate(lambda one, other: one // other),
    "mod": _calculate(lambda one, other: one % other),
}
