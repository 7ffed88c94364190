"""Learned parameter sets beside the one in use: MAT-36, MAT-43."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path
from typing import Any

import httpx
import orjson
import pytest
from fastapi import FastAPI

from app.fhir.outcome import FhirError
from app.patient.parameter_sets import activate, active, try_out
from app.patient.parameters import CURRENT, load
from app.patient.review import explain
from app.patient.weighing import forget, parameters_now
from app.transaction import Context
from tests.patient.test_commands import typed
from tests.patients import KATARINA, KATARINA_SOUTH, NORTH, PETER, SOUTH, fed, person


def learned(version: str = "2027-1", *, date: float = 3.0) -> dict[str, Any]:
    """A set in which an equal birth date weighs next to nothing."""
    document = load().as_document()
    dates = {**document["birthDate"], "exact": date, "swapped": 2.0, "one-digit": 1.0, "compatible": 0.5}
    return {**document, "birthDate": dates, "version": version, "origin": "made up"}


@pytest.fixture
async def context(index_app: FastAPI, index: httpx.AsyncClient) -> Any:
    """What handlers reach; whatever was activated is forgotten in the end."""
    found: Context = index_app.state.context
    forget(found.store.facts)
    yield found
    await found.store.facts.forget("match_parameters", ["active"])
    forget(found.store.facts)


async def test_a_day_of_traffic(index: httpx.AsyncClient, context: Context) -> None:
    """MAT-43: what was fed in the time is scored with both sets; nothing changes but the report."""
    ids = [await fed(index, one) for one in (person(NORTH, "1"), person(SOUTH, "2"), PETER)]
    now, facts = await parameters_now(context.store.facts), context.store.facts
    before = await facts.after("match_edge", "", 100), await facts.after("person", "", 100)
    day, version = context.now() - timedelta(days=1), learned()["version"]
    tried = await try_out(learned(), day, now, "admin", context)
    assert (tried.version, tried.records, tried.pairs) == (version, 3, 2)
    assert tried.changes == (("certain", "probable", 2),)
    assert (await facts.after("match_edge", "", 100), await facts.after("person", "", 100)) == before
    assert await active(facts) == load()
    (kept,) = await facts.having("match_parameters", "_id", [version])
    assert (kept["report"]["by"], kept["report"]["records"]) == ("admin", 3)
    later = await try_out(learned(), context.now() + timedelta(seconds=1), now, "admin", context)
    assert (later.records, later.pairs) == (0, 0)
    assert (await explain(ids[:2], context))["parameters"] == CURRENT


async def test_only_an_administrator_activates(index: httpx.AsyncClient, context: Context, tmp_path: Path) -> None:
    """MAT-43, MAT-36: after a trial, with a reason; decisions of before keep their set, and one can go back."""
    with pytest.raises(FhirError, match="Nobody tried out"):
        await activate("2027-1", "admin", "because", context)
    ids = [await fed(index, one) for one in (KATARINA, KATARINA_SOUTH)]
    file = tmp_path / "set.json"
    file.write_bytes(orjson.dumps(learned()))
    told = await typed(context, "try-weights", str(file), "--author", "admin")
    assert "not in use before" in told[-1]
    assert (await explain(ids, context))["parameters"] == CURRENT
    with pytest.raises(FhirError, match="a reason"):
        await activate("2027-1", "admin", " ", context)
    await typed(context, "use-weights", "2027-1", "--reason", "looked at", "--author", "admin")
    assert (await explain(ids, context))["parameters"] == "2027-1"
    (edge,) = await context.store.facts.after("match_edge", "", 10)
    assert edge["explanation"]["parameters"] == CURRENT
    await typed(context, "use-weights", CURRENT, "--reason", "worse", "--author", "admin")
    assert (await explain(ids, context))["parameters"] == CURRENT
    (pointer,) = await context.store.facts.having("match_parameters", "_id", ["active"])
    assert [(one["version"], one["reason"], one["by"]) for one in pointer["history"]] == [
        ("2027-1", "looked at", "admin"),
        (CURRENT, "worse", "admin"),
    ]


async def test_a_version_means_one_set(context: Context) -> None:
    """MAT-36: decisions name their set by its version; two sets of one version are refused, and what is no set."""
    now = await parameters_now(context.store.facts)
    await try_out(learned(), context.now(), now, "admin", context)
    await try_out(learned(), context.now(), now, "admin", context)
    for document in (learned(date=2.5), learned(CURRENT), learned("active")):
        with pytest.raises(FhirError, match="another parameter set"):
            await try_out(document, context.now(), now, "admin", context)
    with pytest.raises(ValueError, match="not complete"):
        await try_out({"version": "x"}, context.now(), now, "admin", context)
