"""The events of each transaction, as real requests bring them about: audit.md sections 1 to 5 and 7, MHD section 14."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from app.audit.settings import AuditSettings
from app.fhir.resource import Resource
from app.validation.validator import Validator
from tests.audit.collecting import PEER, SETTINGS, World, asked, entity
from tests.audit.transactions import FORM, ROWS, Row
from tests.conftest import PROJECT
from tests.patients import BASE

OFFICIAL = PROJECT.parent / "shared" / "ihe"

every_row = pytest.mark.parametrize("row", ROWS, ids=lambda row: row.id)


def problems(event: Resource, validator: Validator, profile: str = "") -> list[Any]:
    """Return what is wrong with `event` as it is kept, with what it claims, and with `profile`."""
    kept = {"resourceType": "AuditEvent", "id": "a1", **event}
    found = validator.validate(kept, profile, claims=True, is_strict=True)
    return [one for one in found if one.is_error]


def codes_of(codings: list[Resource]) -> list[str]:
    return [one["code"] for one in codings]


@every_row
async def test_success(row: Row, world: World, validator: Validator) -> None:
    """AUD-01, AUD-03, AUD-04, AUD-20..22, AUD-30, AUD-31, AUD-34, AUD-35, AUD-50, AUD-53..55, AUD-72, MHD-AU-01, MHD-AU-02, MHD-AU-10, MHD-AU-30, MHD-AU-50, MHD-AU-51, MHD-105-20, PIXM-SEC-01, PDQM-SEC-01: the table."""
    answer = await row.ask(world)
    assert answer.status_code < 400, answer.text

    event = world.told()[0]

    assert event.get("meta", {}).get("profile", [""]) == [row.profile]
    assert problems(event, validator) == []
    assert event["type"]["code"] == row.type
    assert sorted(codes_of(event["subtype"])) == sorted(row.subtype)
    assert (event["action"], event["outcome"]) == (row.action, "0")
    assert tuple(one["type"]["coding"][0]["code"] for one in event["agent"]) == row.agents
    assert sorted(one["role"]["code"] for one in event["entity"]) == sorted(row.entities)
    assert not {"outcomeDesc", "contained", "modifierExtension"} & set(event)


@every_row
async def test_failure(row: Row, world: World, validator: Validator) -> None:
    """AUD-09, MHD-AU-01, MHD-AU-11: the same shape without the claim, and what was answered; it would be the profile's, had it gone well."""
    answer = await row.failing(world)
    assert 400 <= answer.status_code < 500, answer.text
    sent = answer.json()["issue"][0]

    (event,) = world.told()

    assert "meta" not in event
    assert problems(event, validator) == []
    assert event["outcome"] == "4"
    assert event["outcomeDesc"] == f"{answer.status_code} {sent['code']}: {sent['diagnostics']}"
    (contained,) = event["contained"]
    assert contained == {**answer.json(), "id": "outcome"}
    assert [one["what"] for one in event["entity"] if one.get("role", {}).get("code") == "3"][-1:] == [
        {"reference": "#outcome"}
    ]
    assert tuple(one["type"]["coding"][0]["code"] for one in event["agent"]) == row.agents
    assert (event["action"], event["type"]["code"]) == (row.action, row.type)
    assert sorted(codes_of(event["subtype"])) in (sorted(row.subtype), ["search"])
    well = {name: value for name, value in event.items() if name not in ("contained", "outcomeDesc")} | {"outcome": "0"}
    well["entity"] = event["entity"][:-1]
    if {one["role"]["code"] for one in well["entity"]} >= set(row.entities):
        assert problems(well, validator, row.profile) == []


@every_row
async def test_server_is_the_observer(row: Row, world: World) -> None:
    """AUD-05, AUD-27..29, MHD-AU-03, MHD-AU-04: member by member, in successes and failures; the addresses."""
    for ask in (row.ask, row.failing):
        await ask(world)
    for event in world.told():
        client, server = event["agent"]
        assert server["who"] == event["source"]["observer"]
        assert server["who"] == {"identifier": {"value": "patient-index"}, "display": BASE}
        assert server["network"] == {"address": BASE, "type": "5"}
        assert (client["who"], client["network"]) == ({"display": PEER}, {"address": PEER, "type": "2"})
        assert (client["requestor"], server["requestor"]) == (True, False)
        assert event["source"]["site"] == "national data centre"
        assert codes_of(event["source"]["type"]) == ["4"]


def paths(value: Any, path: str = "") -> set[str]:
    """Return the paths of all elements in `value`."""
    if isinstance(value, dict):
        return {path} | {each for key, one in value.items() for each in paths(one, f"{path}.{key}")}
    if isinstance(value, list):
        return {each for one in value for each in paths(one, path)}
    return {path}


# What the official examples have and these events need not: who is told otherwise, texts for people, test labels.
_OTHERWISE = (".id", ".meta.security", ".agent.who.reference", ".agent.who.display", ".entity.description")
_OTHERWISE += (".source.observer.reference", ".agent.type.text", ".entity.what.display", ".entity.detail")
# The examples of a token's use belong to other tests.
_OF_TOKENS = (".agent.policy", ".agent.purposeOfUse", ".agent.role", ".agent.name", ".agent.altId")


@pytest.mark.skipif(not OFFICIAL.is_dir(), reason="the published examples are not beside the checkout")
@pytest.mark.parametrize("row", [row for row in ROWS if row.example], ids=lambda row: row.id)
async def test_shape_of_the_official_example(row: Row, world: World) -> None:
    """AUD-03: what the published example of the event says, ours says too, element by element."""
    package, _, name = row.example.partition("/")
    example = json.loads((OFFICIAL / package / "examples" / f"{name}.json").read_text())
    world.client.headers["X-Request-Id"] = "5d1f0a52-0001"
    await row.ask(world)

    missing = paths(example) - paths(world.told()[0])

    assert {one for one in missing if not one.startswith(_OTHERWISE + _OF_TOKENS)} == set()


@every_row
async def test_no_names(row: Row, world: World) -> None:
    """AUD-07: no name, no birth date, no title; neither of a success nor of a failure."""
    for ask in (row.ask, row.failing):
        await ask(world)
    for event in world.told():
        text = json.dumps({**event, "entity": [{**one, "query": ""} for one in event["entity"]]}, ensure_ascii=False)
        for private in ("Novák", "Novak", "Katar", "Kráľ", "Peter", "1951", "1984", "Musterfrau", "invented"):
            assert private not in text


async def test_recorded_when_it_ended(world: World) -> None:
    """AUD-12: an instant in UTC with milliseconds, within the request."""
    before = datetime.now(UTC) - timedelta(milliseconds=1)
    await world.client.get(f"Patient/{world.north}")
    (event,) = world.told()

    assert event["recorded"].endswith("Z")
    assert len(event["recorded"]) == len("2026-01-15T09:00:00.118Z")
    assert before <= datetime.fromisoformat(event["recorded"]) <= datetime.now(UTC)


async def test_raw_request(world: World) -> None:
    """AUD-21, AUD-23, AUD-24, MHD-AU-20: as received, also junk; header fields in order; the body of a form."""
    headers = {"Prefer": "handling=lenient", "X-Request-Id": "r-1", "User-Agent": "somebody"}
    await world.client.get(f"DocumentReference?patient={world.north}&junk=%zz&status=current", headers=headers)
    assert asked(world.told()[0]) == (
        f"GET {BASE}/DocumentReference?patient={world.north}&junk=%zz&status=current HTTP/1.1\n"
        "Host: index.example.org\nAccept: application/fhir+json\nPrefer: handling=lenient\nX-Request-Id: r-1"
    )
    body = f"patient={world.north}&status=current"
    await world.client.post("DocumentReference/_search?_count=1", content=body, headers=FORM)
    assert asked(world.told()[0]) == (
        f"POST {BASE}/DocumentReference/_search?_count=1 HTTP/1.1\nHost: index.example.org\n"
        f"Accept: application/fhir+json\nContent-Type: application/x-www-form-urlencoded\n\n{body}"
    )


async def test_match_includes_its_body(world: World) -> None:
    """AUD-54: the raw request of $match holds the Parameters."""
    row = next(row for row in ROWS if row.id == "ITI-119")
    answer = await row.ask(world)
    text = asked(world.told()[0])

    assert text.startswith(f"POST {BASE}/Patient/$match HTTP/1.1\n")
    assert text.partition("\n\n")[2] == answer.request.content.decode()


async def test_no_document_in_an_event(world: World) -> None:
    """AUD-07: neither a described document nor a validated resource is repeated, also when it is refused."""
    for row in ROWS:
        if row.id in ("ITI-106", "$validate"):
            await row.ask(world)
            await row.failing(world)
    for event in world.told():
        for one in event["entity"]:
            assert "Musterfrau" not in one.get("query", "")
        if any(one.get("role", {}).get("code") == "24" for one in event["entity"]):
            assert "\n\n" not in asked(event)


async def test_clear_query(world: World) -> None:
    """AUD-25: only when the deployment wants it, and decoded."""
    for settings, wanted in ((SETTINGS, None), (AuditSettings(BASE, clear_query=True), "GET Patient?family=Kráľ a")):
        await world.client.get("Patient", params={"family": "Kráľ a"})
        assert entity(world.told(settings)[0], "24").get("description") == wanted
    await world.client.post("Patient/_search?gender=male", data={"family": "Kráľ", "access_token": "s"})
    (event,) = world.told(settings)
    assert entity(event, "24")["description"] == "POST Patient/_search?gender=male&family=Kráľ"


async def test_request_id_and_trace(world: World) -> None:
    """AUD-14, MHD-AU-06: entities of their own, and only when they were received."""
    trace = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"
    ask = world.client.get
    await ask(f"Patient/{world.north}", headers={"X-Request-Id": "5d1f0a52-0001", "traceparent": trace})
    (event,) = world.told()
    assert event["entity"][2:] == [
        {
            "what": {"identifier": {"value": "5d1f0a52-0001"}},
            "type": {
                "system": "https://profiles.ihe.net/ITI/BALP/CodeSystem/BasicAuditEntityType",
                "code": "XrequestId",
            },
        },
        {
            "what": {"identifier": {"system": "https://www.w3.org/TR/trace-context/", "value": trace}},
            "type": {"system": "https://www.w3.org/TR/trace-context/", "code": "traceparent"},
        },
    ]
    for headers in ({}, {"traceparent": "junk", "X-Request-Id": " "}):
        await ask(f"Patient/{world.north}", headers=headers)
        assert [one["role"]["code"] for one in world.told()[0]["entity"]] == ["1", "4"]


async def test_reading_what_the_server_can_do_is_no_event(world: World) -> None:
    """AUD-01: own choice, the CapabilityStatement is everybody's."""
    assert (await world.client.get("metadata")).status_code == 200
    assert world.told() == []
