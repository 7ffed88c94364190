"""Whose events they are: named by the request, found by it, or known from the token. AUD-08, AUD-51, AUD-52, MHD-AU-21."""

from __future__ import annotations

from typing import Any

import pytest

from app.audit.settings import AuditSettings
from app.fhir.resource import Resource
from app.security.access import Access
from app.security.principal import Principal
from app.validation.validator import Validator
from tests.audit.collecting import SETTINGS, World, entity
from tests.audit.test_event import problems
from tests.audit.transactions import BASIC, MHD, PDQM
from tests.patients import BASE, NATIONAL, NORTH

NAMED = AuditSettings(BASE, patients="named")


def whose(events: list[Resource]) -> list[Any]:
    """Return the patient of each event, None where there is none."""
    found = [[one["what"] for one in event["entity"] if one.get("role", {}).get("code") == "1"] for event in events]
    assert all(len(one) <= 1 for one in found)
    return [one[0] if one else None for one in found]


def by_name(name: str) -> Resource:
    return {"reference": f"Patient/{name}"}


async def told(world: World, url: str, settings: AuditSettings = SETTINGS, **parameters: str) -> list[Resource]:
    """Search, and return the events."""
    answer = await world.client.get(url, params=parameters)
    assert answer.status_code == 200, answer.text
    return world.told(settings)


@pytest.mark.parametrize("text", ["{north}", "Patient/{north}", f"{BASE}/Patient/{{north}}"])
async def test_named_by_reference(world: World, text: str) -> None:
    """MHD-AU-21: in every spelling; also when there is nothing to be found."""
    patient = text.format(north=world.north)
    for name in ("patient", "subject"):
        for status in ("current", "superseded"):
            events = await told(world, "DocumentReference", **{name: patient, "status": status})
            assert whose(events) == [by_name(world.north)]


async def test_named_by_identifier(world: World, validator: Validator) -> None:
    """MHD-AU-21: the Patient who was found; else the identifier, as a logical reference."""
    profile = f"{MHD}.FindDocumentReferences.Audit.Responder"
    token = f"{NORTH}|N-1001"
    logical = {"identifier": {"system": NORTH, "value": "N-1001"}}
    for status, settings, patient in (
        ("current", SETTINGS, by_name(world.north)),
        ("superseded", SETTINGS, logical),
        ("current", NAMED, logical),
    ):
        events = await told(world, "DocumentReference", settings, **{"patient.identifier": token, "status": status})
        assert whose(events) == [patient]
        assert events[0]["meta"]["profile"] == [profile]
        assert problems(events[0], validator) == []


async def test_several_patients_are_named(world: World) -> None:
    """AUD-08: an event for each."""
    both = f"Patient/{world.north},Patient/{world.peter}"
    assert whose(await told(world, "DocumentReference", patient=both)) == [by_name(world.north), by_name(world.peter)]


async def test_nobody_is_named(world: World, validator: Validator) -> None:
    """AUD-08, MHD-AU-21: an event for each patient whose documents are found; BALP's Query when nobody is known."""
    parameters = {"_sort": "_lastUpdated", "status": "current"}
    for resource_type in ("DocumentReference", "List"):
        events = await told(world, resource_type, **parameters)
        assert whose(events) == [by_name(world.peter), by_name(world.north)]
        assert entity(events[0], "24") == entity(events[1], "24")
    for url, settings, more in (
        ("DocumentReference", NAMED, {}),
        ("DocumentReference", SETTINGS, {"type": "x|nobody"}),
    ):
        (event,) = await told(world, url, settings, **parameters, **more)
        assert whose([event]) == [None]
        assert event["meta"]["profile"] == [f"{BASIC}.Query"]
        assert [one["code"] for one in event["subtype"]] == ["search", "ITI-67"]
        assert problems(event, validator) == []


@pytest.mark.parametrize("claim", ["Patient/7", f"{BASE}/Patient/7", "N-1^^^&2.999.10.1&ISO", f"{NORTH}|N-1"])
async def test_patient_of_the_token(world: World, claim: str) -> None:
    """MHD-AU-21: the security context, in each form of the claim, when the search names and finds nobody."""
    world.collector.access = Access(Principal("c", patient=claim))
    events = await told(world, "DocumentReference", type="x|nobody")
    by_number = {"identifier": {"system": NORTH, "value": "N-1"}}
    assert whose(events) == [by_name("7") if "Patient/" in claim else by_number]


async def test_patients_found(world: World, validator: Validator) -> None:
    """AUD-08, AUD-52: an event for each Patient of the page, with one query and one request id; one when none is found."""
    world.client.headers["X-Request-Id"] = "r-3"
    events = await told(world, "Patient", _id=f"{world.north},{world.south},{world.peter}")
    assert {one["reference"] for one in whose(events)} == {
        f"Patient/{one}" for one in (world.north, world.south, world.peter)
    }
    assert len(events) == 3
    assert all(one["entity"][1:] == events[0]["entity"][1:] for one in events)
    assert len(await told(world, "Patient", _id=f"{world.north},{world.south},{world.peter}", _count="1")) == 1
    (event,) = await told(world, "Patient", family="Nobody")
    assert whose([event]) == [None]
    assert event["meta"]["profile"] == [f"{PDQM}.Query.Audit.Supplier"]
    assert problems(event, validator) == []


async def test_patients_named(world: World) -> None:
    """AUD-51, AUD-52: `named` tells of whom the search names, by `_id` or a whole identifier."""
    number = {"identifier": {"system": NATIONAL, "value": "8453070123"}}
    for parameters, patient in (
        ({"_id": world.north}, by_name(world.north)),
        ({"identifier": f"{NATIONAL}|8453070123"}, number),
        ({"identifier": f"{NATIONAL}|"}, None),
        ({"family": "Novak"}, None),
    ):
        assert whose(await told(world, "Patient", NAMED, **parameters)) == [patient]


async def test_cross_reference_query_lists_no_results(world: World) -> None:
    """AUD-32: one event, of the source patient, whoever is found."""
    (event,) = await told(world, "Patient/$ihe-pix", sourceIdentifier=f"{NORTH}|N-1001")
    assert whose([event]) == [{"identifier": {"system": NORTH, "value": "N-1001"}}]
    assert world.south not in str(event)


async def test_log_of_a_patient(world: World) -> None:
    """AUD-72: the patient whose events are asked for, by identifier or reference."""
    number = {"identifier": {"system": NORTH, "value": "N-1001"}}
    for parameters, patient in (
        ({"patient.identifier": f"{NORTH}|N-1001"}, number),
        ({"entity.identifier": f"{NORTH}|N-1001"}, number),
        ({"patient": f"Patient/{world.north}"}, by_name(world.north)),
        ({}, None),
    ):
        assert whose(await told(world, "AuditEvent", date="ge2020-01-01", **parameters)) == [patient]
