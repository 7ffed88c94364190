"""`python -m tests.bench_matching` prints how well patients are matched: on FEBRL1 to 4, and on made-up families.

    --persons N   size of the population of the household gate (default 100,000)
    --queries N   queries of members and of strangers each (default 10,000)
    --quick       a small population
    --report FILE the whole of it as JSON, with the worst errors

Nothing that is printed was fitted on what it is printed for: weights for a FEBRL set are learned on the others, those of
the household gate are the shipped ones; its seed was never used for tuning (MAT-93). The exit status is 1 when a gate of
MAT-90 or MAT-91 is missed.

Spec: MAT-90..93; matching.md 9.
"""

from __future__ import annotations

import sys
from argparse import ArgumentParser
from collections.abc import Iterator
from pathlib import Path
from time import perf_counter
from typing import Any

import orjson

from app.patient.cluster import Component, edge_between, rebuild
from app.patient.keys import match_keys, meeting_kinds
from app.patient.matching import GRADES, Score, score
from app.patient.parameters import Parameters, load
from app.patient.vector import match_vector, pack, unpack
from tests.patient import febrl, household_gate, households
from tests.patient.evaluation import Evaluation, b_cubed, evaluate, learned_from, vectors_of
from tests.patient.test_gates import LEARNED_FROM

_PROBABLE = ("certain", "probable")


def main() -> int:
    """Print all figures; return 1 when a gate is missed."""
    parser = ArgumentParser(prog="python -m tests.bench_matching")
    parser.add_argument("--persons", type=int, default=100_000)
    parser.add_argument("--queries", type=int, default=10_000)
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--report", type=Path)
    options = parser.parse_args()
    if options.quick:
        options.persons, options.queries = 20_000, 5000
    report: dict[str, Any] = {"speed": _speed(), "febrl": [], "missed": []}
    _febrl(report)
    _households(report, options.persons, options.queries)
    if options.report:
        options.report.write_bytes(orjson.dumps(report, option=orjson.OPT_INDENT_2))
    for missed in report["missed"]:
        print(f"MISSED: {missed}")
    print("all gates held" if not report["missed"] else f"{len(report['missed'])} gates missed")
    return 1 if report["missed"] else 0


def _speed() -> dict[str, float]:
    """Print microseconds a pair, a vector, a record's keys."""
    population = households.Population(households.TUNING_SEED)
    resources = [households.as_patient(person) for person in population.persons(2000)]
    vectors = [match_vector(resource, household_gate.CONVENTIONS) for resource in resources]
    packed = [pack(vector) for vector in vectors]
    unpacked = [unpack(each) for each in packed]
    index = household_gate.Index(population.persons(5000), load(), 1)
    pairs = [(query, index.vectors[number]) for query in unpacked[:300] for number, _ in index.ask(query)]
    told = {
        "score of a candidate pair": _per_item(pairs, lambda pair: score(pair[0], pair[1], index.parameters)),
        "vector of a Patient": _per_item(resources, lambda each: match_vector(each, household_gate.CONVENTIONS)),
        "keys of a vector": _per_item(unpacked, match_keys),
        "unpacking a stored vector": _per_item(packed, unpack),
        "bytes of a stored vector": sum(map(len, packed)) / len(packed),
    }
    print("Speed, µs:")
    for name, value in told.items():
        print(f"  {name:30} {value:7.1f}")
    return told


def _per_item(items: list[Any], function: Any) -> float:
    begun = perf_counter()
    for item in items:
        function(item)
    return (perf_counter() - begun) / max(len(items), 1) * 1e6


def _febrl(report: dict[str, Any]) -> None:
    print("\nFEBRL, `probable` or better (P/R/F1), `certain` alone (P/R); B-cubed P/R of the clusters of `certain`")
    print(
        f"{'set':7}{'number':8}{'weights':10}{'P':>8}{'R':>8}{'F1':>8}{'certain P':>11}{'R':>8}{'complete':>10}{'reduction':>11}{'B³ P':>8}{'R':>8}"
    )
    for number, others in LEARNED_FROM.items():
        for soc_sec in (True, False):
            for kind, weights in (("learned", learned_from(others, soc_sec=soc_sec)), ("shipped", load())):
                _febrl_row(report, number, kind, weights, soc_sec=soc_sec)


def _febrl_row(report: dict[str, Any], number: int, kind: str, weights: Parameters, *, soc_sec: bool) -> None:
    data = febrl.load(number, soc_sec=soc_sec)
    found = evaluate(data, weights)
    (p, r, f1), (cp, cr, _) = found.at(*_PROBABLE), found.at("certain")
    bp, br = b_cubed(_clusters(data, found))
    with_number = "with" if soc_sec else "without"
    row = (p, r, f1, cp, cr, found.completeness, found.reduction, bp, br)
    print(
        f"{found.name:7}{with_number:8}{kind:10}{p:8.4f}{r:8.4f}{f1:8.4f}{cp:11.4f}{cr:8.4f}"
        f"{found.completeness:10.4f}{found.reduction:11.5f}{bp:8.4f}{br:8.4f}"
    )
    grades = {"one person" if true else "strangers": dict(counts) for true, counts in found.grades.items()}
    worst = [_told(a, b, true, scored) for (a, b), true, scored in found.worst(20)]
    report["febrl"].append(
        {"set": number, "number": with_number, "weights": kind, "row": row, "grades": grades, "worst": worst}
    )
    report["missed"].extend(_missed(number, kind, found, soc_sec=soc_sec))
    if number == 4 and kind == "learned":
        _febrl_details(found, data, grades, worst)


def _missed(number: int, kind: str, found: Evaluation, *, soc_sec: bool) -> Iterator[str]:
    """Yield the gates of MAT-90 that were missed."""
    least = {(4, True): 0.998, (4, False): 0.995, (3, False): 0.985}.get((number, soc_sec))
    precision, _, f1 = found.at(*_PROBABLE)
    if kind == "shipped":
        least = {(4, True): 0.998, (4, False): 0.988}.get((number, soc_sec))  # why not more: docs/matching.md
    if least is None:
        return
    if f1 < least:
        yield f"{found.name}: F1 {f1:.4f} < {least}"
    if number == 4 and precision < 0.9995:
        yield f"{found.name}: precision {precision:.4f} < 0.9995"
    if number == 4 and kind == "learned" and found.completeness < 0.995:
        yield f"{found.name}: pair completeness {found.completeness:.4f} < 0.995"


def _febrl_details(found: Evaluation, data: febrl.DataSet, grades: dict[str, Any], worst: list[dict[str, Any]]) -> None:
    for truth, counts in grades.items():
        print(f"        {truth}: " + ", ".join(f"{grade} {counts.get(grade, 0)}" for grade in GRADES))
    vectors = vectors_of(data.patients)
    kinds = [meeting_kinds(vectors[a], vectors[b]) for a, b in found.true & found.scores.keys()]
    alone = [next(iter(each)) for each in kinds if len(each) == 1]
    print(f"        true pairs that meet in one kind of key only: {len(alone) / len(kinds):.4f}", sorted(set(alone)))
    for each in worst[:5]:
        print(f"        worst: {each['pair']} {each['truth']} W {each['weight']:+.1f} {each['grade']}: {each['parts']}")


def _clusters(data: febrl.DataSet, found: Evaluation) -> list[tuple[str, ...]]:
    """Return the clusters that the pairs make, component by component."""
    edges = [edge_between(a, b, scored) for (a, b), scored in found.scores.items()]
    neighbours: dict[str, set[str]] = {record: {record} for record in data.patients}
    for edge in edges:
        if edge.grade == "certain":
            merged = neighbours[edge.a] | neighbours[edge.b]
            neighbours.update(dict.fromkeys(merged, merged))
    mine: dict[int, list[Any]] = {}
    for edge in edges:
        if neighbours[edge.a] is neighbours[edge.b]:
            mine.setdefault(id(neighbours[edge.a]), []).append(edge)
    groups = {id(group): group for group in neighbours.values()}
    names = (str(number) for number in range(len(data.patients)))
    built = (
        rebuild(Component({key: key for key in group}, mine.get(number, ())), names) for number, group in groups.items()
    )
    return [cluster for each in built for cluster in each.clusters.values()]


def _households(report: dict[str, Any], persons: int, queries: int) -> None:
    begun = perf_counter()
    gate = household_gate.run(load(), seed=households.GATE_SEED, persons=persons, queries=queries)
    print(
        f"\nHouseholds: {gate.records:,} records, {queries:,} queries each, shipped weights ({perf_counter() - begun:.0f} s)"
    )
    print(
        f"  true record found: certain {gate.recall('certain'):.4f}, possible or better {gate.recall(*GRADES[:3]):.4f}, candidate {gate.among_candidates / gate.members:.4f}"
    )
    for grade in GRADES[:3]:
        members, strangers = gate.false_per_thousand(grade)
        print(f"  false {grade:9} per 1,000 queries: of members {members:6.2f}, of strangers {strangers:6.2f}")
    sizes = sorted(gate.candidates)
    share = {name: sizes[int(len(sizes) * part)] for name, part in (("p50", 0.5), ("p95", 0.95), ("p99", 0.99))}
    print(f"  twins graded certain for each other: {gate.twins_certain}; candidates a query: {share}")
    worst = [_told(one, other, False, scored) for _, one, other, scored in gate.worst[:20]]
    for each in worst[:5]:
        print(f"  worst: {each['pair']} W {each['weight']:+.1f}: {each['parts']}")
    report["households"] = {
        "records": gate.records, "found": dict(gate.found), "false_of_members": dict(gate.false_of_members),
        "false_of_strangers": dict(gate.false_of_strangers), "twins_certain": gate.twins_certain, "worst": worst,
    }  # fmt: skip
    if max(gate.false_per_thousand("certain")) > 0.2:
        report["missed"].append(f"households: false certain per 1,000 {gate.false_per_thousand('certain')} > 0.2")
    if gate.twins_certain:
        report["missed"].append(f"households: {gate.twins_certain} twins graded certain for each other")
    if gate.recall("certain") < 0.90 or gate.recall(*GRADES[:3]) < 0.97:
        report["missed"].append(f"households: recall {gate.recall('certain'):.4f}, {gate.recall(*GRADES[:3]):.4f}")


def _told(one: str, other: str, true: bool, scored: Score) -> dict[str, Any]:
    parts = " ".join(f"{part['field']}.{part['level']} {part['bits']:+.1f}" for part in scored.explanation()["parts"])
    truth = "one person" if true else "strangers"
    return {"pair": f"{one} {other}", "truth": truth, "weight": scored.weight, "grade": scored.grade, "parts": parts}


if __name__ == "__main__":
    sys.exit(main())
