"""Grouping: which of the records that are connected are one person. Pure; what is connected is read elsewhere.

A merge by a source counts as an administrator's "same". Who was certainly the same as a record that was merged away is
told to be its survivor.

Spec: MAT-60, MAT-61; PIXM-104-31, PIXM-XREF-01 to PIXM-XREF-07.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from itertools import count
from typing import Any

from app.patient.candidates import Compared
from app.patient.cluster import LARGEST_COMPONENT, Component, Decision, Edge, edges_among, rebuild
from app.patient.matching import score
from app.patient.parameters import Parameters


def connected_parts(links: Mapping[str, Collection[str]], records: Mapping[str, Compared]) -> list[list[str]]:
    """Return the connected components of `records`; one that was merged away connects those that it was the same as."""
    left, parts = set(records), []
    for each in sorted(records):
        if each not in left:
            continue
        part, wave = [], [each]
        left.discard(each)
        while wave:
            part += wave
            reached = {other for one in wave for other in links.get(one, ()) if other in left}
            left -= reached
            wave = sorted(reached)
        parts.append(sorted(part))
    return parts


def persons_in(
    component: Sequence[str],
    records: Mapping[str, Compared],
    decisions: Iterable[Decision],
    parameters: Parameters,
    old: Iterable[Mapping[str, Any]],
) -> list[tuple[str, ...]]:
    """Return the persons of one component; one that is too large stays as it was (MAT-61)."""
    if len(component) > LARGEST_COMPONENT:
        kept = [tuple(one for one in sorted(person["members"]) if one in component) for person in old]
        return [group for group in kept if group]
    inside = [one for one in decisions if one.a in component and one.b in component]
    merges = [_merge(one, records[one].replaced_by) for one in component if records[one].replaced_by]
    vectors = {one: records[one].vector for one in component}
    found = list(edges_among(vectors, parameters))
    carried = _carried(found, records, parameters)
    edges = [one for one in found if not one.vetoes or (_are_active(one, records) and one.pair not in carried)]
    rebuilt = rebuild(Component({one: one for one in component}, edges, [*inside, *merges]), map(str, count()))
    active = (tuple(one for one in group if records[one].state == "active") for group in rebuilt.clusters.values())
    return [group for group in active if group]


def _merge(merged: str, survivor: str) -> Decision:
    """Return what a source said by merging, as a decision: it beats all evidence."""
    return Decision(min(merged, survivor), max(merged, survivor), same=True)


def _carried(edges: Iterable[Edge], records: Mapping[str, Compared], parameters: Parameters) -> set[tuple[str, str]]:
    """Return the pairs that a merge made: who was certainly the same as the loser is told to be the survivor.

    The source knows its own patients better than their data do; so what the survivor's data lack keeps nobody out
    (PIXM-104-31), except two different trusted numbers.
    """
    pairs: set[tuple[str, str]] = set()
    for edge in edges:
        if edge.grade == "certain":
            a, b = _end(edge.a, records), _end(edge.b, records)
            if a != b and (a, b) != edge.pair and a in records and b in records:
                pairs.add((min(a, b), max(a, b)))
    return {one for one in pairs if not score(records[one[0]].vector, records[one[1]].vector, parameters).conflict}


def _end(name: str, records: Mapping[str, Compared]) -> str:
    """Return who replaced `name` in the end, as far as `records` tell."""
    seen = {name}
    while name in records and (onward := records[name].replaced_by) and onward not in seen:
        seen.add(onward)
        name = onward
    return name


def _are_active(edge: Edge, records: Mapping[str, Compared]) -> bool:
    """Tell whether both records are active: what one that was merged away says is no reason to keep others apart."""
    return records[edge.a].state == records[edge.b].state == "active"
