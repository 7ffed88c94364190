"""Completeness of the candidates: MAT-23."""

from __future__ import annotations

import httpx
from fastapi import FastAPI

from app.patient.completeness import ALARM, Completeness, completeness, completeness_of
from app.patient.review import decide
from app.transaction import Context
from tests.patient.people import vector
from tests.patient.test_commands import typed
from tests.patients import KATARINA, KATARINA_SOUTH, PETER, fed


def test_pairs_that_one_kind_of_key_finds() -> None:
    """MAT-23: which kind is alone, its share, and from when on it alarms."""
    whole = [vector("Anna", "Malá", "1984-03-07", phone="0905111222")] * 3
    by_phone = [vector("Q", "U", phone="0905111222"), vector("Anna", "Malá", phone="0905111222")]
    strangers = [vector("Q", "U", "1950-01-02"), vector("Anna", "Malá", "1984-03-07")]
    found = completeness_of([whole, by_phone, strangers])
    assert found == Completeness(5, {"telecom": 1, "none": 1})
    assert found.share == 0.2
    assert found.alarming == ["telecom"]
    assert Completeness(1000, {"telecom": round(1000 * ALARM)}).alarming == []


async def test_metric(index_app: FastAPI, index: httpx.AsyncClient) -> None:
    """MAT-23: counted over the persons of the index, on demand."""
    context: Context = index_app.state.context
    assert await completeness(context.store.facts) == Completeness(0, {})
    north, _ = await fed(index, KATARINA), await fed(index, KATARINA_SOUTH)
    assert (await typed(context, "completeness"))[
        -1
    ] == "1 pairs of one person; 0.00% are found by one kind of key alone"
    await decide((north, await fed(index, PETER)), "same", "admin", "he says so", context)
    assert (await completeness(context.store.facts)).alone == {"none": 1}
    assert "none: 1" in await typed(context, "completeness")
