"""FHIRPath syntax tree -> closures.

A closure takes the focus (the collection `$this` stands for) and the scope of the run, and returns a collection.

Spec: FHIRPath N1 (http://hl7.org/fhirpath/N1/); FHIR R4 fhirpath.html.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from typing import Any

from app.fhir.path_functions import FUNCTIONS, Nodes, answer, distinct, string_node, text, truth
from app.fhir.path_nodes import Model, Node, is_a, node_of
from app.fhir.path_operators import OPERATORS
from app.fhir.path_syntax import Call, Index, Literal, Member, Operation, Syntax, This, Unsupported, Variable
from app.fhir.resource import Resource

_CONSTANTS = {"ucum": "http://unitsofmeasure.org", "sct": "http://snomed.info/sct", "loinc": "http://loinc.org"}
_TYPE_FUNCTIONS = ("is", "as", "ofType")
_MOST_NODES = 200_000

Resolver = Callable[[str], Resource | None]


class Scope:
    """One run: what `%resource`, `%rootResource` and `resolve()` mean."""

    __slots__ = ("now", "resolve", "resource", "root")

    def __init__(self, resource: Node, root: Node, resolve: Resolver | None, now: Callable[[], datetime]) -> None:
        self.resource = resource
        self.root = root
        self.resolve = resolve
        self.now = now


Closure = Callable[[Nodes, Scope], Nodes]


class Compiler:
    """Turns syntax into closures; `model` knows the elements of the types."""

    def __init__(self, model: Model) -> None:
        self.model = model

    def closure(self, syntax: Syntax) -> Closure:  # noqa: PLR0911 - one line for each kind of syntax
        """Return the closure of `syntax`.

        Raises:
            Unsupported: it uses what is not implemented.
        """
        match syntax:
            case This():
                return lambda focus, scope: focus
            case Literal(value, kind):
                constant = [] if value is None else [Node(value, kind)]
                return lambda focus, scope: constant
            case Variable(name):
                return _variable(name)
            case Member(base, name):
                return self._member(base, name)
            case Index(base, index):
                return self._index(base, index)
            case Operation("is" | "as" as operator, left, right):
                return self._typed(left, operator, right)
            case Operation(operator, left, right):
                return self._operation(operator, left, right)
            case Call(base, name, arguments):
                return self._call(base, name, arguments)
        raise Unsupported(type(syntax).__name__)  # pragma: no cover - all cases are above

    def _member(self, base: Syntax, name: str) -> Closure:
        named, before = self.model.named, self.closure(base)
        if isinstance(base, This) and name[0].isupper():
            return lambda focus, scope: [node for node in focus if is_a(node, name)]
        if isinstance(base, This):
            return lambda focus, scope: [child for node in focus for child in named(node, name)]
        return lambda focus, scope: [child for node in before(focus, scope) for child in named(node, name)]

    def _index(self, base: Syntax, index: Syntax) -> Closure:
        before, position = self.closure(base), self.closure(index)

        def run(focus: Nodes, scope: Scope) -> Nodes:
            at = position(focus, scope)
            number = at[0].value if len(at) == 1 else None
            return before(focus, scope)[number : number + 1] if isinstance(number, int) and number >= 0 else []

        return run

    def _operation(self, operator: str, left: Syntax, right: Syntax) -> Closure:
        first, second, combine = self.closure(left), self.closure(right), OPERATORS[operator]
        if operator in ("and", "or", "implies"):
            return _lazy(operator, first, second)
        return lambda focus, scope: combine(first(focus, scope), second(focus, scope))

    def _typed(self, left: Syntax, operator: str, right: Syntax) -> Closure:
        before, name = self.closure(left), _type_name(right)
        if operator == "is":
            return lambda focus, scope: _is(before(focus, scope), name)
        return lambda focus, scope: [node for node in before(focus, scope) if is_a(node, name)]

    def _call(self, base: Syntax, name: str, arguments: tuple[Syntax, ...]) -> Closure:
        if name in _TYPE_FUNCTIONS and len(arguments) == 1:
            return self._typed(base, name, arguments[0])
        before, given = self.closure(base), [self.closure(argument) for argument in arguments]
        if name in _ITERATING and len(given) in _ITERATING[name][0]:
            return _ITERATING[name][1](before, *given)
        if name in _WALKS and not given:
            return _WALKS[name](before, self.model)
        if name not in FUNCTIONS:
            raise Unsupported(f"`{name}()`")
        fewest, most, function = FUNCTIONS[name]
        if not fewest <= len(given) <= most:
            raise Unsupported(f"`{name}()` with {len(given)} arguments")
        return lambda focus, scope: function(before(focus, scope), *(each(focus, scope) for each in given))


def _type_name(syntax: Syntax) -> str:
    match syntax:
        case Member(This(), name):
            return name
        case Member(Member(This(), "System"), name):
            return f"System.{name}"
        case Member(Member(This(), "FHIR"), name):
            return name
    raise Unsupported("a computed type name")


def _is(nodes: Nodes, name: str) -> Nodes:
    return answer(is_a(nodes[0], name)) if len(nodes) == 1 else []


def _variable(name: str) -> Closure:
    if name in ("resource", "context"):
        return lambda focus, scope: [scope.resource]
    if name == "rootResource":
        return lambda focus, scope: [scope.root]
    constant = _CONSTANTS.get(name)
    if name.startswith("ext-"):
        constant = f"http://hl7.org/fhir/StructureDefinition/{name[4:]}"
    if constant is None:
        raise Unsupported(f"`%{name}`")
    return lambda focus, scope: string_node(constant)


def _lazy(operator: str, first: Closure, second: Closure) -> Closure:
    """`and`, `or` and `implies` ask the right side only when the left one leaves the answer open."""
    settling, settled = operator == "or", operator != "and"
    combine = OPERATORS[operator]

    def run(focus: Nodes, scope: Scope) -> Nodes:
        left = first(focus, scope)
        return answer(settled) if truth(left) is settling else combine(left, second(focus, scope))

    return run


def _where(before: Closure, criteria: Closure) -> Closure:
    def run(focus: Nodes, scope: Scope) -> Nodes:
        return [node for node in before(focus, scope) if truth(criteria([node], scope))]

    return run


def _exists(before: Closure, criteria: Closure | None = None) -> Closure:
    if criteria is None:
        return lambda focus, scope: answer(bool(before(focus, scope)))
    found = _where(before, criteria)
    return lambda focus, scope: answer(bool(found(focus, scope)))


def _all(before: Closure, criteria: Closure) -> Closure:
    return lambda focus, scope: answer(all(truth(criteria([node], scope)) for node in before(focus, scope)))


def _select(before: Closure, projection: Closure) -> Closure:
    return lambda focus, scope: [found for node in before(focus, scope) for found in projection([node], scope)]


def _repeat(before: Closure, projection: Closure) -> Closure:
    def run(focus: Nodes, scope: Scope) -> Nodes:
        found: Nodes = []
        wave = before(focus, scope)
        while wave and len(found) < _MOST_NODES:
            known = len(found)
            wave = [each for node in wave for each in projection([node], scope)]
            found = distinct([*found, *wave])
            wave = found[known:]
        return found

    return run


def _iif(before: Closure, condition: Closure, then: Closure, otherwise: Closure | None = None) -> Closure:
    def run(focus: Nodes, scope: Scope) -> Nodes:
        start = before(focus, scope)
        if truth(condition(start, scope)):
            return then(start, scope)
        return otherwise(start, scope) if otherwise else []

    return run


def _children(before: Closure, model: Model) -> Closure:
    return lambda focus, scope: [child for node in before(focus, scope) for child in model.all(node)]


def _descendants(before: Closure, model: Model) -> Closure:
    def run(focus: Nodes, scope: Scope) -> Nodes:
        found: Nodes = []
        wave = before(focus, scope)
        while wave and len(found) < _MOST_NODES:
            wave = [child for node in wave for child in model.all(node)]
            found += wave
        return found

    return run


def _resolve(before: Closure) -> Closure:
    return lambda focus, scope: [
        found for node in before(focus, scope) if (found := _target(node.value, scope)) is not None
    ]


def _target(value: Any, scope: Scope) -> Node | None:
    """Return the resource a Reference, canonical or uri leads to, or a node that knows only its type."""
    reference = value.get("reference") if isinstance(value, dict) else value
    if isinstance(reference, str) and scope.resolve and (found := scope.resolve(reference)) is not None:
        return node_of(found)
    if isinstance(reference, str) and reference.startswith("#"):
        return _contained(reference[1:], scope.root.value)
    named = value.get("type") if isinstance(value, dict) else None
    kind = _type_in(reference) if isinstance(reference, str) else ""
    kind = kind or (named if isinstance(named, str) else "")
    return Node({"resourceType": kind}, kind) if kind else None


def _type_in(reference: str) -> str:
    """Return the resource type that the text names: `Patient/1`, `http://…/Patient/1/_history/2`, `Patient?…`."""
    if "?" in reference:
        return reference.partition("?")[0].rpartition("/")[2]
    parts = reference.partition("/_history/")[0].split("/")
    name = parts[-2] if len(parts) > 1 else ""
    return name if name[:1].isupper() and name.isalpha() else ""


def _contained(name: str, root: Any) -> Node | None:
    listed = root.get("contained") if isinstance(root, dict) else None
    for resource in listed if isinstance(listed, list) else ():
        if isinstance(resource, dict) and resource.get("id") == name:
            return node_of(resource)
    return node_of(root) if not name and isinstance(root, dict) else None


def _moment(kind: str, form: str) -> Callable[[Closure], Closure]:
    def at(before: Closure) -> Closure:
        return lambda focus, scope: [Node(scope.now().strftime(form), f"System.{kind}")]

    return at


def _text_of(before: Closure, separator: Closure | None = None) -> Closure:
    def run(focus: Nodes, scope: Scope) -> Nodes:
        between = text(separator(focus, scope)) if separator else ""
        return string_node((between or "").join(text([node]) or "" for node in before(focus, scope)))

    return run


# Functions whose arguments are asked for every item, or which need the scope: name -> (numbers of arguments, maker).
_ITERATING: dict[str, tuple[tuple[int, ...], Callable[..., Closure]]] = {
    "where": ((1,), _where),
    "exists": ((0, 1), _exists),
    "all": ((1,), _all),
    "select": ((1,), _select),
    "repeat": ((1,), _repeat),
    "iif": ((2, 3), _iif),
    "resolve": ((0,), _resolve),
    "trace": ((1, 2), lambda before, *_: before),
    "today": ((0,), _moment("Date", "%Y-%m-%d")),
    "now": ((0,), _moment("DateTime", "%Y-%m-%dT%H:%M:%SZ")),
    "timeOfDay": ((0,), _moment("Time", "%H:%M:%S")),
    "join": ((0, 1), _text_of),
}
_WALKS = {"children": _children, "descendants": _descendants}
