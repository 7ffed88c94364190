"""Chains: parameters of the resource that a reference points to, such as `author.family`.

A chain is asked of what the record itself knows of the target (`Embedded`: a contained author, a patient named by an
identifier only) and of stored targets (`Linked`), of every type that has the parameter. Chained parameters
with one reference in common are asked of one and the same target: `author.given=Ann&author.family=Lee` is one person.

Spec: FHIR R4 search.html#chaining; MHD-GEN-25, MHD-66-15, MHD-66-16, MHD-67-10, MHD A-23.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from app.search.criteria import Criterion, Embedded, Linked, Terms, any_of
from app.search.definitions import Definitions, SearchParameter

# (resource type, pairs of name and value) -> what they ask together.
Ask = Callable[[str, Sequence[tuple[str, str]]], Criterion]


def criterion(
    definitions: Definitions, parameter: SearchParameter, target: str, asked: Sequence[tuple[str, str]], ask: Ask
) -> Criterion | None:
    """Return what `asked` asks of one target of `parameter`; None when no target has all these parameters.

    Args:
        target: the only type to ask, from `patient:Patient.identifier`; empty for every type.
        asked: pairs of the name below the reference, modifiers included, and the value.
        ask: makes the criterion of such pairs for one target type.
    """
    below = {
        resource_type: ask(resource_type, spelled)
        for resource_type in ((target,) if target else parameter.targets)
        if (spelled := _spelled(definitions, parameter, resource_type, asked)) is not None
    }
    if not below:
        return None
    embedded = any_of(dict.fromkeys(below.values()))
    linked = (_linked(parameter, resource_type, each) for resource_type, each in below.items())
    return any_of((Embedded(parameter.code, embedded), *linked))


def _spelled(
    definitions: Definitions, parameter: SearchParameter, target: str, asked: Sequence[tuple[str, str]]
) -> list[tuple[str, str]] | None:
    spelled = []
    for name, text in asked:
        codes, colon, modifier = name.partition(":")
        spelling = dict(definitions.targets_of(parameter, codes)).get(target)
        if spelling is None:
            return None
        spelled.append((f"{spelling}{colon}{modifier}", text))
    return spelled


def _linked(parameter: SearchParameter, resource_type: str, below: Criterion) -> Criterion:
    """Return that a stored target meets `below`; one that is asked for its id need not be looked up."""
    if isinstance(below, Terms) and below.parameter == "_id":
        return Terms(parameter.code, tuple(f"{resource_type}/{each}" for each in below.values))
    return Linked(parameter.code, resource_type, below)


def together(asked: Sequence[tuple[str, str]]) -> list[list[tuple[str, str]]]:
    """Return `asked` in groups that speak of one target: a name that is repeated speaks of another one.

    Example:
        given=Ann, family=Lee, given=Bob -> [given=Ann, family=Lee], [given=Bob]
    """
    groups: list[list[tuple[str, str]]] = []
    for name, text in asked:
        group = next((each for each in groups if name not in dict(each)), None)
        if group is None:
            groups.append(group := [])
        group.append((name, text))
    return groups
