"""The events of MHD's worked exchanges: E-20, block by block, against what the same requests leave here."""

from __future__ import annotations

from typing import Any

import pytest

from app.fhir.resource import Resource
from tests.audit.collecting import World, asked
from tests.audit.transactions import ROWS
from tests.mhd.worked_examples import FILE, resources

REQUEST_ID = "7d4c2e1a-88f0-4a5e-9a1b-1f0f5a1c2b3d"

# Of an entity: type, role, and how it says what it is about.
Told = tuple[str, str, tuple[str, ...]]

pytestmark = pytest.mark.skipif(not FILE.is_file(), reason="the worked exchanges are not beside the checkout")


def agents(event: Resource) -> list[tuple[str, str]]:
    """Type and kind of address of each agent."""
    return [(one["type"]["coding"][0]["code"], one["network"]["type"]) for one in event["agent"]]


def entities(event: Resource) -> set[Told]:
    """What the entities are, without what they name."""
    return {(one["type"]["code"], one.get("role", {}).get("code", ""), said(one)) for one in event["entity"]}


def said(entity: Resource) -> tuple[str, ...]:
    """How an entity says what it is about."""
    return tuple(sorted([*entity.get("what", {}), *(name for name in ("query",) if name in entity)]))


def head(event: Resource) -> Any:
    """What kind of event it is."""
    codes = sorted(one["code"] for one in event["subtype"])
    source = [one["code"] for one in event["source"]["type"]]
    return event["type"]["code"], codes, event["action"], event["outcome"], source


@pytest.mark.parametrize(("place", "row"), [(0, "ITI-67 by POST"), (1, "ITI-65"), (2, "ITI-68")])
async def test_e20(place: int, row: str, world: World) -> None:
    """MHD-AU-06, MHD-AU-10, MHD-AU-20, MHD-AU-30: E-20; who, what and in which role, as the exchange has them."""
    wanted = resources("E-20")[place]
    world.client.headers["X-Request-Id"] = REQUEST_ID
    await next(one for one in ROWS if one.id == row).ask(world)

    event = world.told()[0]

    assert agents(event) == agents(wanted)
    assert entities(wanted) - entities(event) == set()
    assert event["agent"][1]["who"] == event["source"]["observer"]
    if "type" in wanted:
        assert head(event) == head(wanted)


async def test_e20_query(world: World) -> None:
    """MHD-AU-20: E-20, checks: the query decodes to the request as received, the form body included."""
    await next(one for one in ROWS if one.id == "ITI-67 by POST").ask(world)

    text = asked(world.told()[0])

    assert text.startswith("POST ")
    assert text.endswith(f"\n\npatient=Patient%2F{world.north}&status=current")
