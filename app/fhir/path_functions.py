"""The functions of FHIRPath that need no closure: collections in, a collection out.

Each row of `FUNCTIONS` is name -> (fewest arguments, most arguments, function of the input and the evaluated
arguments). Functions whose argument is evaluated for every item (`where`, `all` …) are in `path.py`.

Spec: FHIRPath N1 functions; FHIR R4 fhirpath.html#functions.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from decimal import Decimal
from typing import Any

from app.fhir.path_nodes import Node
from app.fhir.path_values import identity, number

Nodes = list[Node]
Function = Callable[..., Nodes]

TRUE = [Node(True, "System.Boolean")]
FALSE = [Node(False, "System.Boolean")]
_BOOLEANS = {"true": True, "t": True, "yes": True, "y": True, "1": True, "1.0": True,
             "false": False, "f": False, "no": False, "n": False, "0": False, "0.0": False}  # fmt: skip
_LONGEST_SUBJECT = 100_000
_MOST_DIGITS = 28


def answer(value: bool | None) -> Nodes:
    """Return a truth value as a collection; None is the empty one."""
    return [] if value is None else TRUE if value else FALSE


def truth(nodes: Nodes) -> bool | None:
    """Return what a collection means where a Boolean is expected: one item that is no Boolean means true."""
    if len(nodes) != 1:
        return None if not nodes else False
    value = nodes[0].value
    return value if isinstance(value, bool) else True


def text(nodes: Nodes) -> str | None:
    """Return the one string, or the one number as a string; None when there is no single item."""
    if len(nodes) != 1 or nodes[0].value is None or isinstance(nodes[0].value, dict):
        return None
    value = nodes[0].value
    if isinstance(value, bool):
        return "true" if value else "false"
    return value if isinstance(value, str) else str(value)


def distinct(nodes: Iterable[Node]) -> Nodes:
    """Return the items without repeats, the first of each kept."""
    return list({identity(node): node for node in reversed(list(nodes))}.values())[::-1]


def string_node(value: str) -> Nodes:
    """Return one System.String."""
    return [Node(value, "System.String")]


def _integer(value: int) -> Nodes:
    return [Node(value, "System.Integer")]


def _whole(nodes: Nodes) -> int | None:
    value = nodes[0].value if len(nodes) == 1 else None
    return value if isinstance(value, int) and not isinstance(value, bool) else None


def _on_text(function: Callable[..., Nodes]) -> Function:
    """Lift a function of strings: a missing or repeated input or argument gives the empty collection."""

    def lifted(nodes: Nodes, *arguments: Nodes) -> Nodes:
        texts = [text(nodes), *map(text, arguments)]
        return [] if None in texts else function(*texts)

    return lifted


def _on_number(function: Callable[[Decimal], Decimal | int]) -> Function:
    def lifted(nodes: Nodes) -> Nodes:
        value = number(nodes[0].value) if len(nodes) == 1 else None
        if value is None or value.adjusted() > _MOST_DIGITS:
            return []
        found = function(value)
        return [Node(found, "System.Integer" if isinstance(found, int) else "System.Decimal")]

    return lifted


def _matches(subject: str, pattern: str) -> Nodes:
    try:
        return answer(re.search(pattern, subject[:_LONGEST_SUBJECT], re.DOTALL) is not None)
    except (re.error, RecursionError):
        return []


def _replace_matches(subject: str, pattern: str, substitute: str) -> Nodes:
    try:
        return string_node(re.sub(pattern, lambda _: substitute, subject[:_LONGEST_SUBJECT]))
    except (re.error, RecursionError):
        return []


def _substring(nodes: Nodes, start: Nodes, length: Nodes | None = None) -> Nodes:
    subject, first = text(nodes), _whole(start)
    if subject is None or first is None or not 0 <= first < len(subject):
        return []
    count = None if length is None else _whole(length)
    return string_node(subject[first:] if count is None else subject[first : first + max(count, 0)])


def _to_integer(nodes: Nodes) -> Nodes:
    subject = text(nodes)
    if len(nodes) == 1 and isinstance(nodes[0].value, bool):
        return _integer(int(nodes[0].value))
    return _integer(int(subject)) if subject and re.fullmatch(r"[+-]?[0-9]{1,18}", subject) else []


def _to_decimal(nodes: Nodes) -> Nodes:
    subject = text(nodes)
    found = subject and re.fullmatch(r"[+-]?[0-9]{1,28}(\.[0-9]{1,28})?", subject)
    return [Node(Decimal(subject), "System.Decimal")] if subject and found else []


def _to_boolean(subject: str) -> Nodes:
    return answer(_BOOLEANS.get(subject.lower()))


def _single(nodes: Nodes) -> Nodes:
    return nodes if len(nodes) == 1 else []


def _subset(nodes: Nodes, other: Nodes) -> bool:
    return {identity(node) for node in nodes} <= {identity(node) for node in other}


def _among(nodes: Nodes, other: Nodes, *, wanted: bool) -> Nodes:
    known = {identity(node) for node in other}
    return [node for node in nodes if (identity(node) in known) is wanted]


def _counted(nodes: Nodes, count: Nodes, *, take: bool) -> Nodes:
    number_of = _whole(count)
    if number_of is None:
        return []
    return nodes[: max(number_of, 0)] if take else nodes[max(number_of, 0) :]


def _booleans(nodes: Nodes) -> list[Any]:
    return [node.value for node in nodes]


def _has_value(nodes: Nodes) -> Nodes:
    return answer(len(nodes) == 1 and nodes[0].value is not None and not isinstance(nodes[0].value, dict))


def _extensions(nodes: Nodes, url: Nodes) -> Nodes:
    wanted = text(url)
    found: Nodes = []
    for node in nodes:
        holder = node.value if isinstance(node.value, dict) else node.extra
        listed = holder.get("extension") if isinstance(holder, dict) else None
        for each in listed if isinstance(listed, list) else ():
            if isinstance(each, dict) and each.get("url") == wanted:
                found.append(Node(each, "Extension"))
    return found


FUNCTIONS: dict[str, tuple[int, int, Function]] = {
    "empty": (0, 0, lambda nodes: answer(not nodes)),
    "not": (0, 0, lambda nodes: answer(None if (value := truth(nodes)) is None else not value)),
    "count": (0, 0, lambda nodes: _integer(len(nodes))),
    "first": (0, 0, lambda nodes: nodes[:1]),
    "last": (0, 0, lambda nodes: nodes[-1:]),
    "tail": (0, 0, lambda nodes: nodes[1:]),
    "skip": (1, 1, lambda nodes, count: _counted(nodes, count, take=False)),
    "take": (1, 1, lambda nodes, count: _counted(nodes, count, take=True)),
    "single": (0, 0, _single),
    "distinct": (0, 0, distinct),
    "isDistinct": (0, 0, lambda nodes: answer(len({identity(node) for node in nodes}) == len(nodes))),
    "union": (1, 1, lambda nodes, other: distinct([*nodes, *other])),
    "combine": (1, 1, lambda nodes, other: [*nodes, *other]),
    "intersect": (1, 1, lambda nodes, other: distinct(_among(nodes, other, wanted=True))),
    "exclude": (1, 1, lambda nodes, other: _among(nodes, other, wanted=False)),
    "subsetOf": (1, 1, lambda nodes, other: answer(_subset(nodes, other))),
    "supersetOf": (1, 1, lambda nodes, other: answer(_subset(other, nodes))),
    "allTrue": (0, 0, lambda nodes: answer(all(value is True for value in _booleans(nodes)))),
    "anyTrue": (0, 0, lambda nodes: answer(any(value is True for value in _booleans(nodes)))),
    "allFalse": (0, 0, lambda nodes: answer(all(value is False for value in _booleans(nodes)))),
    "anyFalse": (0, 0, lambda nodes: answer(any(value is False for value in _booleans(nodes)))),
    "hasValue": (0, 0, _has_value),
    "getValue": (0, 0, lambda nodes: nodes if _has_value(nodes) is TRUE else []),
    "extension": (1, 1, _extensions),
    # No function of the specification; a search parameter of R4 (QuestionnaireResponse) uses it all the same.
    "hasExtension": (1, 1, lambda nodes, url: answer(bool(_extensions(nodes, url)))),
    "startsWith": (1, 1, _on_text(lambda subject, prefix: answer(subject.startswith(prefix)))),
    "endsWith": (1, 1, _on_text(lambda subject, suffix: answer(subject.endswith(suffix)))),
    "contains": (1, 1, _on_text(lambda subject, part: answer(part in subject))),
    "indexOf": (1, 1, _on_text(lambda subject, part: _integer(subject.find(part)))),
    "matches": (1, 1, _on_text(_matches)),
    "replace": (2, 2, _on_text(lambda subject, old, new: string_node(subject.replace(old, new)))),
    "replaceMatches": (2, 2, _on_text(_replace_matches)),
    "substring": (1, 2, _substring),
    "upper": (0, 0, _on_text(lambda subject: string_node(subject.upper()))),
    "lower": (0, 0, _on_text(lambda subject: string_node(subject.lower()))),
    "trim": (0, 0, _on_text(lambda subject: string_node(subject.strip()))),
    "length": (0, 0, _on_text(lambda subject: _integer(len(subject)))),
    "toChars": (0, 0, _on_text(lambda subject: [Node(each, "System.String") for each in subject])),
    "split": (
        1,
        1,
        _on_text(lambda subject, sign: [Node(each, "System.String") for each in subject.split(sign or None)]),
    ),
    "toString": (0, 0, _on_text(string_node)),
    "toInteger": (0, 0, _to_integer),
    "toDecimal": (0, 0, _to_decimal),
    "toBoolean": (0, 0, _on_text(_to_boolean)),
    "convertsToInteger": (0, 0, lambda nodes: answer(bool(_to_integer(nodes))) if nodes else []),
    "convertsToDecimal": (0, 0, lambda nodes: answer(bool(_to_decimal(nodes))) if nodes else []),
    "abs": (0, 0, _on_number(abs)),
    "floor": (0, 0, _on_number(lambda value: value.__floor__())),
    "ceiling": (0, 0, _on_number(lambda value: value.__ceil__())),
    "truncate": (0, 0, _on_number(int)),
    # Narrative is checked by app.validation.narrative, wherever it stands.
    "htmlChecks": (0, 0, lambda _: TRUE),
}
