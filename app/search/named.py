"""Whom a search names: the targets of a reference without which nothing is found.

Spec: EHDS-20; IUA-32: an explicit question about a patient.
"""

from __future__ import annotations

from collections.abc import Iterator

from app.search.criteria import All, Any, Criterion, Embedded, Linked, Not, Terms


def named(criterion: Criterion, parameter: str) -> list[tuple[str, ...]]:
    """Return for each question that is about `parameter` alone the targets that it names; its links are resolved.

    Examples:
        patient=1                         -> [("Patient/1",)]
        patient=1&status=current          -> [("Patient/1",)]
        patient.identifier=… of nobody    -> [()]
        subject:Patient/1 or author:…     -> []
    """
    conjuncts = criterion.criteria if isinstance(criterion, All) else (criterion,)
    return [targets for each in conjuncts if (targets := _targets(each, parameter)) is not None]


def _targets(criterion: Criterion, parameter: str) -> tuple[str, ...] | None:
    match criterion:
        case Terms(name, values) if name == parameter:
            return values
        case Embedded(name, _) if name == parameter:
            return ()
        case Any(criteria) if criteria:
            found = [_targets(each, parameter) for each in criteria]
            known = [each for each in found if each is not None]
            return tuple(name for each in known for name in each) if len(known) == len(found) else None
        case _:
            return None


def chained(criterion: Criterion, resource_type: str = "") -> Iterator[tuple[str, str]]:
    """Yield what a search asks of records that it reaches through references: their type, and the parameter's code."""
    match criterion:
        case Linked(_, target, below):
            yield from chained(below, target)
        case Not(below):
            yield from chained(below, resource_type)
        case All(criteria) | Any(criteria):
            for each in criteria:
                yield from chained(each, resource_type)
        case Embedded():
            return  # stands in the record itself
        case _ if resource_type:
            yield resource_type, criterion.parameter.partition(":")[0]
