"""Persons from pairs: the clusters of a connected component, rebuilt from its edges and decisions.

The result depends on the current edges and decisions alone, not on the order in which records were fed
(PIXM-XREF-07); who undoes a decision gets the clusters back that were there before it, under their old ids.

Spec: MAT-60..62; PIXM-XREF-01..07.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import combinations

from app.patient.matching import Grade, Score, score
from app.patient.parameters import Parameters
from app.patient.vector import MatchVector

# A component with more records than this is usually a shared dummy number: nothing is changed, somebody looks (MAT-61).
LARGEST_COMPONENT = 50

Pair = tuple[str, str]


@dataclass(frozen=True, slots=True)
class Edge:
    """What the scorer said of two records, by their keys, `a` < `b`."""

    a: str
    b: str
    weight: float
    grade: Grade
    vetoes: bool = False

    @property
    def pair(self) -> Pair:
        """Both keys, in order."""
        return self.a, self.b


@dataclass(frozen=True, slots=True)
class Decision:
    """What an administrator said of two records, by their keys, `a` < `b`; the last one of a pair counts."""

    a: str
    b: str
    same: bool

    @property
    def pair(self) -> Pair:
        """Both keys, in order."""
        return self.a, self.b


@dataclass(frozen=True, slots=True)
class Component:
    """All that the rebuilding of one connected component reads.

    `records`: key of each active record -> its age, anything sortable that never changes (the id, or time and id).
    `edges`: at least those graded `certain` and those that veto; others change nothing.
    `anchors`: cluster id, present or former -> the record that it was made for.
    `members`: record -> the cluster id that it has now.
    """

    records: Mapping[str, str]
    edges: Iterable[Edge] = ()
    decisions: Iterable[Decision] = ()
    anchors: Mapping[str, str] = field(default_factory=dict)
    members: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Rebuilt:
    """The clusters of a component.

    `clusters`: cluster id -> its records, oldest first.
    `anchors`: the anchor of each id in `clusters` that has a new or another one.
    `replaced`: former cluster id -> the id that its anchor is found under now (MAT-62).
    `refused`: certain edges, or "same" decisions' edges, that a veto kept from joining, for the review queue.
    `too_large`: nothing was rebuilt (MAT-61).
    """

    clusters: Mapping[str, tuple[str, ...]]
    anchors: Mapping[str, str] = field(default_factory=dict)
    replaced: Mapping[str, str] = field(default_factory=dict)
    refused: tuple[Edge, ...] = ()
    too_large: bool = False


def edge_between(a: str, b: str, scored: Score) -> Edge:
    """Return the edge of two record keys in either order."""
    first, second = sorted((a, b))
    return Edge(first, second, scored.weight, scored.grade, scored.vetoes)


def edges_among(vectors: Mapping[str, MatchVector], parameters: Parameters) -> Iterator[Edge]:
    """Yield the edge of every pair: a link must hold against the whole cluster (PIXM-XREF-04).

    Fifty records are 1,225 pairs, some 5 ms.
    """
    for a, b in combinations(sorted(vectors), 2):
        yield edge_between(a, b, score(vectors[a], vectors[b], parameters))


def components(records: Iterable[str], edges: Iterable[Edge], decisions: Iterable[Decision]) -> list[list[str]]:
    """Return the connected components of certain edges and "same" decisions, each sorted, in order of their first."""
    groups = _Groups(records)
    for edge in edges:
        if edge.grade == "certain":
            groups.join(*edge.pair)
    for decision in decisions:
        if decision.same:
            groups.join(*decision.pair)
    return sorted(sorted(group) for group in groups.all())


def rebuild(component: Component, new_ids: Iterator[str]) -> Rebuilt:
    """Return the clusters of `component` (MAT-60).

    First the pairs that an administrator declared the same; then certain edges by descending W, ties by record keys;
    two clusters are joined unless a pair across them vetoes or was declared different. A "different" decision beats
    all automatic evidence.

    Args:
        new_ids: yields ids nobody has, for clusters that have none yet.
    """
    if len(component.records) > LARGEST_COMPONENT:
        return Rebuilt(_as_they_are(component), too_large=True)
    decided = {decision.pair: decision.same for decision in component.decisions}
    edges = [edge for edge in component.edges if edge.a in component.records and edge.b in component.records]
    groups = _Groups(component.records)
    for pair in sorted(pair for pair, same in decided.items() if same):
        if all(key in component.records for key in pair):
            groups.join(*pair)
    refused = _join_certain(groups, edges, decided)
    return _named(component, groups.all(), refused, new_ids)


def _join_certain(groups: _Groups, edges: Sequence[Edge], decided: Mapping[Pair, bool]) -> tuple[Edge, ...]:
    """Join along certain edges; return those that a veto stopped."""
    forbidden = {pair for pair, same in decided.items() if not same}
    forbidden |= {edge.pair for edge in edges if edge.vetoes and not decided.get(edge.pair, False)}
    certain = (edge for edge in edges if edge.grade == "certain" and edge.pair not in decided)
    refused = []
    for edge in sorted(certain, key=lambda edge: (-edge.weight, edge.pair)):
        if groups.are_joined(*edge.pair):
            continue
        if groups.has_between(*edge.pair, forbidden):
            refused.append(edge)
        else:
            groups.join(*edge.pair)
    return tuple(refused)


def _named(
    component: Component, groups: Iterable[frozenset[str]], refused: tuple[Edge, ...], new_ids: Iterator[str]
) -> Rebuilt:
    """Give each group the id of the oldest anchor in it; else the one its oldest record had; else a new one."""
    ages = component.records
    ordered = sorted((sorted(group, key=lambda key: (ages[key], key)) for group in groups), key=lambda g: ages[g[0]])
    holders = {record: index for index, group in enumerate(ordered) for record in group}
    ids = _anchored_ids(component, ordered, holders)
    anchors = {}
    for index, group in enumerate(ordered):
        if index not in ids:
            ids[index] = _inherited_id(component, group, set(ids.values())) or next(new_ids)
            anchors[ids[index]] = group[0]
    replaced = {
        former: ids[holders[record]]
        for former, record in {**component.anchors, **_anchors_of_removed(component)}.items()
        if record in holders and ids[holders[record]] != former
    }
    return Rebuilt({ids[index]: tuple(group) for index, group in enumerate(ordered)}, anchors, replaced, refused)


def _anchored_ids(component: Component, groups: Sequence[Sequence[str]], holders: Mapping[str, int]) -> dict[int, str]:
    """Return index of a group -> the id whose anchor, the oldest in the group, it holds."""
    ids: dict[int, str] = {}
    present = [(anchor, name) for name, anchor in component.anchors.items() if anchor in holders]
    for anchor, name in sorted(present, key=lambda each: (component.records[each[0]], each)):
        ids.setdefault(holders[anchor], name)
    return ids


def _inherited_id(component: Component, group: Sequence[str], taken: set[str]) -> str:
    """Return the id of a member's cluster whose anchor is gone, "" when there is none."""
    for record in group:
        name = component.members.get(record, "")
        if name and name not in taken and component.anchors.get(name) not in component.records:
            return name
    return ""


def _anchors_of_removed(component: Component) -> dict[str, str]:
    """Return for each cluster id whose anchor is gone its oldest record: there it is resolved to."""
    oldest: dict[str, str] = {}
    for record in sorted(component.records, key=lambda key: (component.records[key], key)):
        name = component.members.get(record, "")
        if name and component.anchors.get(name) not in component.records:
            oldest.setdefault(name, record)
    return oldest


def _as_they_are(component: Component) -> dict[str, tuple[str, ...]]:
    clusters: dict[str, list[str]] = {}
    for record in sorted(component.records, key=lambda key: (component.records[key], key)):
        if name := component.members.get(record):
            clusters.setdefault(name, []).append(record)
    return {name: tuple(records) for name, records in clusters.items()}


class _Groups:
    """Disjoint sets of records that grow together."""

    def __init__(self, records: Iterable[str]) -> None:
        self._of = {record: {record} for record in records}

    def join(self, a: str, b: str) -> None:
        """Put the groups of two records together."""
        larger, smaller = sorted((self._of[a], self._of[b]), key=len, reverse=True)
        if larger is not smaller:
            larger |= smaller
            self._of.update(dict.fromkeys(smaller, larger))

    def are_joined(self, a: str, b: str) -> bool:
        """Tell whether two records are in one group."""
        return self._of[a] is self._of[b]

    def has_between(self, a: str, b: str, pairs: set[Pair]) -> bool:
        """Tell whether one of `pairs` goes across the groups of two records."""
        return any((min(x, y), max(x, y)) in pairs for x in self._of[a] for y in self._of[b])

    def all(self) -> list[frozenset[str]]:
        """Return every group once."""
        return [frozenset(group) for group in {id(group): group for group in self._of.values()}.values()]
