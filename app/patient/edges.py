"""Edges: what the scorer said of two records, as it is kept, and why somebody should look at it.

Spec: MAT-51, MAT-60, MAT-63, MAT-64; PIXM-XREF-02, PIXM-XREF-06.
"""

from __future__ import annotations

from datetime import datetime
from typing import Any

from app.patient.candidates import Compared
from app.patient.matching import Score
from app.store.facts import Facts

# Grades that are worth an edge: what is certainly not the same is told by comparing again.
WORTH = frozenset({"certain", "probable", "possible"})


def edge_document(a: Compared, b: Compared, scored: Score, verdict: str, now: datetime) -> dict[str, Any]:
    """Return the edge of two records, with how its weight came about (MAT-63), and why somebody should look at it.

    Args:
        verdict: what was decided of the pair, empty when nothing was.
    """
    ends = sorted((a.id, b.id))
    edge: dict[str, Any] = {
        "_id": "/".join(ends),
        "ends": ends,
        "weight": scored.weight,
        "grade": scored.grade,
        "explanation": scored.explanation(),
        "updated": now,
    }
    if kind := review_kind(a, b, scored):
        edge["kind"] = kind
        if not verdict:
            edge["review"] = kind
    return edge


def review_kind(a: Compared, b: Compared, scored: Score) -> str:
    """Return why somebody should look at a pair, "" when nobody need (MAT-51, MAT-64, PIXM-XREF-02, PIXM-XREF-06)."""
    if "merged" in (a.state, b.state):
        return ""
    if scored.conflict and scored.grade == "possible":
        return "conflict"
    if scored.grade not in ("certain", "probable"):
        return ""
    if a.system and a.system == b.system:
        return "duplicate"
    return "cross-domain" if scored.grade == "probable" else ""


async def verdicts_about(facts: Facts, id: str) -> dict[str, str]:  # noqa: A002
    """Return with whom this record's case is decided already."""
    found = await facts.having("match_decision", "ends", [id])
    valid = sorted((one for one in found if not one.get("undone")), key=lambda one: (one["at"], one["_id"]))
    return {end: one["verdict"] for one in valid for end in one["ends"] if end != id}
