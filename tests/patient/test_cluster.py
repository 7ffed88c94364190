"""MAT-60..62, PIXM-XREF-01..07: persons from pairs."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import count, permutations

from hypothesis import given, settings
from hypothesis import strategies as st

from app.patient.cluster import Component, Decision, Edge, components, edges_among, rebuild
from tests.patient.people import MILLION, vector

AGES = {"a": "1", "b": "2", "c": "3", "d": "4"}


def _certain(a: str, b: str, weight: float = 20.0) -> Edge:
    return Edge(a, b, weight, "certain")


def _ids() -> Iterator[str]:
    return (f"new{number}" for number in count(1))


def _clusters(component: Component) -> set[frozenset[str]]:
    return {frozenset(members) for members in rebuild(component, _ids()).clusters.values()}


def _sets(*groups: str) -> set[frozenset[str]]:
    return {frozenset(group) for group in groups}


def test_only_certain_links() -> None:
    """MAT-51, PIXM-XREF-02: probable and possible pairs stay apart."""
    edges = [_certain("a", "b"), Edge("b", "c", 9.0, "probable"), Edge("c", "d", 1.0, "possible")]
    assert _clusters(Component(AGES, edges)) == _sets("ab", "c", "d")


def test_a_decision_beats_automatic_evidence() -> None:
    """PIXM-XREF-01: "same" joins what nothing else would, "different" parts what is certain."""
    edges = [_certain("a", "b"), Edge("c", "d", -20.0, "certainly-not", vetoes=True)]
    decisions = [Decision("a", "b", same=False), Decision("c", "d", same=True)]
    assert _clusters(Component(AGES, edges, decisions)) == _sets("a", "b", "cd")


def test_the_last_decision_of_a_pair_counts() -> None:
    """MAT-64: decisions can be changed; the later one is read last."""
    decisions = [Decision("a", "b", same=True), Decision("a", "b", same=False)]
    assert _clusters(Component(AGES, [], decisions)) == _sets("a", "b", "c", "d")


def test_a_link_must_hold_against_the_whole_cluster() -> None:
    """MAT-60, PIXM-XREF-04: a-b-c-d, but a and d are not one person: the weakest link gives way."""
    edges = [
        _certain("a", "b", 25),
        _certain("b", "c", 15),
        _certain("c", "d", 20),
        Edge("a", "d", -12, "certainly-not", vetoes=True),
    ]
    found = rebuild(Component(AGES, edges), _ids())
    assert {frozenset(group) for group in found.clusters.values()} == _sets("ab", "cd")
    assert [edge.pair for edge in found.refused] == [("b", "c")]


def test_a_declared_difference_goes_across_clusters() -> None:
    """MAT-60: "different" keeps two clusters apart that other pairs would join."""
    edges = [_certain("a", "b", 25), _certain("c", "d", 24), _certain("b", "c", 15)]
    assert _clusters(Component(AGES, edges, [Decision("a", "d", same=False)])) == _sets("ab", "cd")


def test_twins_are_not_joined_by_a_third_record() -> None:
    """PIXM-XREF-04: the chain fixture, from Patients to clusters; MAT-34."""
    anna = {"family": "Horváthová", "birth": "2001-02-03", "house": "Hlavná 12", "city": "Žilina"}
    vectors = {
        "a": vector("Anna", **anna, multipleBirthInteger=1),
        "b": vector("Zuzana", **anna, multipleBirthInteger=2),
        "c": vector(["Anna", "Zuzana"], **anna),
        "d": vector("Anna", **anna, multipleBirthInteger=1),
    }
    groups = _clusters(Component(AGES, list(edges_among(vectors, MILLION))))
    assert not any({"a", "b"} <= group for group in groups)
    assert any({"a", "d"} <= group for group in groups)


def test_a_conflict_keeps_clusters_apart() -> None:
    """PIXM-XREF-03: two different valid numbers, joined by a record without one."""
    anna = {"given": "Anna", "family": "Malá", "birth": "2001-02-03", "house": "Hlavná 12", "city": "Žilina"}
    vectors = {"a": vector(**anna, number="7"), "b": vector(**anna), "c": vector(**anna, number="8")}
    groups = _clusters(Component({key: AGES[key] for key in vectors}, list(edges_among(vectors, MILLION))))
    assert groups == _sets("ab", "c")


def test_a_bridge_that_is_removed_splits() -> None:
    """PIXM-104-57: A~B~C linked through B only."""
    edges = [_certain("a", "b"), _certain("b", "c")]
    assert _clusters(Component({"a": "1", "c": "3"}, edges)) == _sets("a", "c")


def test_a_large_component_is_left_as_it_is() -> None:
    """MAT-61: 60 records with one number raise an alarm; nothing is rebuilt."""
    records = {f"r{number:02}": f"{number:02}" for number in range(60)}
    keys = sorted(records)
    edges = [_certain(keys[0], key) for key in keys[1:]]
    members = {"r00": "p1", "r01": "p1", "r02": "p2"}
    found = rebuild(Component(records, edges, members=members), _ids())
    assert found.too_large
    assert found.clusters == {"p1": ("r00", "r01"), "p2": ("r02",)}


def test_the_part_with_the_oldest_record_keeps_the_id() -> None:
    """MAT-62: split; the other part gets a new id."""
    joined = Component(
        AGES,
        [_certain("a", "b"), _certain("b", "c"), _certain("c", "d")],
        anchors={"p1": "a"},
        members=dict.fromkeys(AGES, "p1"),
    )
    assert rebuild(joined, _ids()).clusters == {"p1": ("a", "b", "c", "d")}
    split = Component(
        AGES, [_certain("a", "b"), _certain("c", "d")], anchors={"p1": "a"}, members=dict.fromkeys(AGES, "p1")
    )
    found = rebuild(split, _ids())
    assert found.clusters == {"p1": ("a", "b"), "new1": ("c", "d")}
    assert found.anchors == {"new1": "c"}


def test_an_id_that_was_joined_away_is_found_under_the_other() -> None:
    """MAT-62: old ids stay resolvable."""
    anchors = {"p1": "a", "p2": "c"}
    found = rebuild(
        Component(AGES, [_certain("a", "b"), _certain("b", "c"), _certain("c", "d")], anchors=anchors), _ids()
    )
    assert found.clusters == {"p1": ("a", "b", "c", "d")}
    assert found.replaced == {"p2": "p1"}


def test_undoing_a_decision_gives_the_old_ids_back() -> None:
    """MAT-62, MAT-64: link, then unlink: exactly the clusters and ids from before, also after a later feed."""
    apart = Component({"a": "1", "b": "2"}, anchors={"p1": "a", "p2": "b"}, members={"a": "p1", "b": "p2"})
    before = rebuild(apart, _ids())
    linked = rebuild(
        Component(apart.records, (), [Decision("a", "b", same=True)], apart.anchors, apart.members), _ids()
    )
    assert linked.clusters == {"p1": ("a", "b")}
    after = rebuild(Component(apart.records, (), (), apart.anchors, {"a": "p1", "b": "p1"}), _ids())
    assert after.clusters == before.clusters == {"p1": ("a",), "p2": ("b",)}
    fed = Component({**apart.records, "c": "3"}, [_certain("b", "c")], (), apart.anchors, {"a": "p1", "b": "p1"})
    assert rebuild(fed, _ids()).clusters == {"p1": ("a",), "p2": ("b", "c")}


def test_a_cluster_whose_oldest_record_is_removed_keeps_its_id() -> None:
    """MAT-62: the id goes on with the oldest record that is left."""
    found = rebuild(
        Component({"b": "2", "c": "3"}, [_certain("b", "c")], anchors={"p1": "a"}, members={"b": "p1", "c": "p1"}),
        _ids(),
    )
    assert found.clusters == {"p1": ("b", "c")}
    assert found.anchors == {"p1": "b"}


def test_components_follow_certain_edges_and_decisions() -> None:
    """MAT-60: the connected component of certain edges and "same" edges."""
    edges = [_certain("a", "b"), Edge("b", "c", 9, "probable")]
    assert components(AGES, edges, [Decision("c", "d", same=True)]) == [["a", "b"], ["c", "d"]]


_EDGES = st.lists(
    st.builds(
        Edge,
        a=st.just("a"),
        b=st.sampled_from("bcd"),
        weight=st.sampled_from([12.0, 15.0, 20.0, -15.0]),
        grade=st.sampled_from(["certain", "probable", "certainly-not"]),
        vetoes=st.booleans(),
    ),
    max_size=3,
    unique_by=lambda edge: edge.pair,
)


@given(first=_EDGES, second=st.lists(st.sampled_from([("b", "c"), ("b", "d"), ("c", "d")]), unique=True))
@settings(max_examples=60, deadline=None)
def test_order_never_matters(first: list[Edge], second: list[tuple[str, str]]) -> None:
    """PIXM-XREF-07: clusters do not depend on the order of feeds; each record is in exactly one."""
    edges = [*first, *(_certain(*pair, weight=13.0 + index) for index, pair in enumerate(second))]
    results = {frozenset(_clusters(Component(AGES, list(order)))) for order in permutations(edges)}
    assert len(results) == 1
    (groups,) = results
    assert sorted(record for group in groups for record in group) == sorted(AGES)
