"""Who was turned away, what was decided, and what went wrong. AUD-02, AUD-06, AUD-09, AUD-13, AUD-71, AUD-73."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest
from fastapi import FastAPI

from app.audit.event import events_of
from app.fhir.outcome import FhirError
from app.fhir.resource import Resource
from app.security.access import Access
from app.security.decision import Decision
from app.security.refusal import denied, login_required, unusable
from app.store.driver import Connection
from app.transaction import Content, ResponseMessage
from app.validation.validator import Validator
from tests.audit.collecting import PEER, SETTINGS, World, asked, collecting
from tests.audit.test_event import problems
from tests.audit.test_event_tokens import CLIENT, DOCTOR, styled
from tests.audit.transactions import BASIC, FORM, ROWS, Row
from tests.patients import BASE, NORTH


@pytest.mark.parametrize(
    ("refusal", "outcome"),
    [
        (login_required(), "4"),
        (unusable("access token expired", code="expired"), "4"),
        (unusable("the signature does not fit"), "8"),
        (denied(CLIENT, "not for this"), "4"),
        (denied(replace(CLIENT, denial=401), "not for this"), "4"),
    ],
    ids=["login", "expired", "security", "forbidden", "forbidden in IUA's words"],
)
async def test_refused(refusal: FhirError, outcome: str, world: World, validator: Validator) -> None:
    """AUD-02, AUD-71: a security alert, whatever was asked: the transaction, the reason, and the request."""
    world.collector.refusal = refusal
    for row in ROWS:
        answer = await row.ask(world)
        assert answer.status_code in (401, 403)

        (event,) = world.told()

        assert problems(event, validator) == []
        assert "meta" not in event
        assert event["type"]["code"] == "110113"
        assert (event["action"], event["outcome"]) == ("E", outcome)
        issue = refusal.issues[0]
        assert event["outcomeDesc"] == f"{answer.status_code} {issue.code}: {issue.diagnostics}"
        assert event["subtype"][0]["code"] in (*row.subtype, "search-type", "search-system")
        assert [one["type"]["coding"][0]["code"] for one in event["agent"][:2]] == ["110153", "110152"]
        assert event["agent"][1]["who"] == event["source"]["observer"]
        assert [one["role"]["code"] for one in event["entity"]] == ["24"]
        assert asked(event).startswith(f"{answer.request.method} {BASE}")


async def test_concealed_refusal(world: World) -> None:
    """AUD-71: told also where the answer conceals it, with who it was."""
    world.collector.refusal = denied(replace(DOCTOR, denial=404), "not for this")
    assert (await world.client.get(f"Patient/{world.north}")).status_code == 404
    (event,) = world.told()
    assert event["type"]["code"] == "110113"
    assert event["agent"][0]["who"] == {"identifier": {"value": "ward-viewer"}}
    assert event["agent"][2]["who"]["identifier"]["value"] == "u-5521"


async def test_no_identity_source(world: World) -> None:
    """AUD-02, AUD-09: a domain that somebody else feeds is a refusal; a target domain that is not known is none, though both are 403."""
    answer = await world.client.get(
        "Patient/$ihe-pix", params={"sourceIdentifier": f"{NORTH}|N-1001", "targetSystem": "urn:x"}
    )
    assert answer.status_code == 403
    (event,) = world.told()
    assert (event["type"]["code"], event["outcome"]) == ("rest", "4")


async def test_secrets_are_not_repeated(world: World) -> None:
    """AUD-13: neither a token in the header, nor one in the URL or in a form, however its name is spelled."""
    secret = "s3cr3t-" + "x" * 40
    header = {"Authorization": f"Bearer {secret}", "Cookie": f"a={secret}", "X-Other": secret}
    url = (
        f"DocumentReference?access_token={secret}&patient={world.north}&acces%73_token={secret}&client_secret={secret}"
    )
    await world.client.get(url, headers=header)
    body = f"patient={world.north}&access_token={secret}&Client%5FAssertion={secret}&status=current"
    await world.client.post(f"DocumentReference/_search?code=1&token={secret}", content=body, headers=header | FORM)
    await world.client.post("", json={"resourceType": "Bundle"}, headers=header)
    await world.client.get(f"Patient/nobody?token={secret}", headers=header)

    events = world.told(replace(SETTINGS, clear_query=True))

    assert len(events) == 4
    for event in events:
        assert secret not in json.dumps(event)
        for one in event["entity"]:
            assert secret not in (asked(event) if "query" in one else "")
    assert asked(events[0]).startswith(f"GET {BASE}/DocumentReference?patient={world.north} HTTP/1.1\n")
    assert asked(events[1]).endswith(f"\n\npatient={world.north}&status=current")
    assert "?code=1 HTTP" in asked(events[1])


@pytest.mark.parametrize(
    ("status", "code", "details", "outcome"),
    [
        (500, "exception", "", "8"),
        (502, "transient", "", "8"),
        (503, "transient", "XDSRepositoryBusy", "8"),
        (503, "transient", "", "12"),
        (503, "timeout", "", "12"),
        (429, "throttled", "", "4"),
    ],
)
async def test_faults_of_the_server(world: World, status: int, code: str, details: str, outcome: str) -> None:
    """AUD-09: 8 for what failed, 12 for a service that cannot work; one busy record is not that."""
    await world.client.get(f"Patient/{world.north}")
    happened = world.collector.happened.pop()
    issue: Resource = {"severity": "error", "code": code, "diagnostics": "so"}
    if details:
        issue["details"] = {"coding": [{"code": details}]}
    response = ResponseMessage(status, {"resourceType": "OperationOutcome", "issue": [issue]})
    (event,) = events_of(replace(happened, response=response), SETTINGS)
    assert (event["outcome"], event["outcomeDesc"]) == (outcome, f"{status} {code}: so")


@pytest.mark.parametrize("peer", ["2001:db8:40::17", "::1", "ward-7.example.org", "192.0.2.40"])
async def test_addresses(peer: str, index_app: FastAPI, database: Connection, validator: Validator) -> None:
    """AUD-06, AUD-27, MHD-AU-04: IPv6, IPv4, names."""
    async with collecting(index_app, peer) as world:
        await world.client.get("Patient?_id=x")
        (event,) = world.told()
    kind = "1" if peer.endswith("org") else "2"
    assert event["agent"][0]["network"] == {"address": peer, "type": kind}
    assert problems(event, validator) == []


async def test_what_is_not_known_is_left_out(world: World, validator: Validator) -> None:
    """AUD-06: no address, no message, no outcome: an event is made nevertheless, and claims no profile."""
    await world.client.get(f"Patient/{world.north}")
    happened = world.collector.happened.pop()
    nowhere = replace(happened, request=replace(happened.request, peer="", headers={}))
    (event,) = events_of(nowhere, SETTINGS)
    assert "meta" not in event
    assert "network" not in event["agent"][0]
    assert problems(event, validator) == []
    for response in (
        ResponseMessage(400),
        ResponseMessage(403, {"issue": "no list"}),
        ResponseMessage(500, _content()),
    ):
        (event,) = events_of(replace(nowhere, message=None, response=response), SETTINGS)
        assert event["outcomeDesc"] == str(response.status)
        assert problems(event, validator) == []


def _content() -> Content:
    return Content("text/plain", 0, None)  # type: ignore[arg-type]


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.id)
async def test_any_body_has_its_event(row: Row, world: World, validator: Validator) -> None:
    """AUD-06: a message of any shape is told; nothing in it stops that."""
    await row.failing(world)
    happened = world.collector.happened.pop()
    assert happened.message
    junk: list[Any] = [
        None,
        7,
        "x",
        [],
        {},
        [None],
        [7],
        [{}],
        {"resource": 7},
        [{"resource": {"resourceType": "List"}}],
    ]
    names = ("entry", "parameter", "subject", "identifier", "masterIdentifier", "code", "resourceType")
    bodies = [{"resourceType": "Bundle", name: value} for name in names for value in junk]
    bodies += [
        {
            "entry": [
                {
                    "fullUrl": "urn:x",
                    "resource": {"resourceType": "List", "code": {"coding": [{"code": "submissionset"}]}, name: value},
                }
            ]
        }
        for name in names[2:]
        for value in junk
    ]
    for body in bodies:
        message = replace(
            happened.message, resource=body, query=(("identifier", "|"), ("patient", ""), ("sourceIdentifier", "x"))
        )
        for event in events_of(replace(happened, message=message), SETTINGS):
            assert problems(event, validator) == []


@pytest.mark.parametrize("name", ["%00", "a%0Ab", "%00%2F..", "a b", "x" * 300, "%F0%9F%92%89", "<script>"])
async def test_any_path_has_its_event(name: str, world: World, validator: Validator) -> None:
    """AUD-06: what cannot be an id is not told as one; the request is there as it came."""
    for url in (f"Patient/{name}", f"Binary/{name}", f"DocumentReference?date={name}", f"Patient?birthdate={name}"):
        answer = await world.client.get(url)
        for event in world.told():
            assert problems(event, validator) == [], answer.text


REASONS = ("consent", "confidentiality", "patient", "scope", "break-glass")


@pytest.mark.parametrize("reason", REASONS)
async def test_decision(reason: Any, world: World, validator: Validator) -> None:
    """AUD-73: each decision has an event of its own beside that of the request; a restriction follows BALP's profile."""
    permitted = reason == "break-glass"
    decision = Decision(permitted, reason, (world.binary,), (f"Patient/{world.north}",), ("Consent/c1", "Consent/c2"))
    world.collector.access = Access(DOCTOR, decisions=[decision])
    await world.client.get(f"DocumentReference?patient={world.north}")

    request, event = world.told()

    assert request["type"]["code"] == "rest"
    assert problems(event, validator) == []
    assert (event["type"]["code"], event["action"]) == ("110113", "E")
    assert event["outcome"] == ("0" if permitted else "8")
    subtype = {"consent": "AuthZ-Consent", "break-glass": "110127"}.get(reason, "AuthZ-Role")
    assert [one["code"] for one in event["subtype"]] == [subtype]
    assert event.get("meta", {}).get("profile", []) == ([f"{BASIC}.AuthZconsent"] if reason == "consent" else [])
    client, user, works, decider = event["agent"]
    assert client["network"]["address"] == PEER
    assert user["who"]["identifier"]["value"] == "u-5521"
    assert works["who"] == {"identifier": {"value": "urn:oid:2.999.10"}}
    assert decider["who"] == event["source"]["observer"]
    assert event["source"]["type"][0]["code"] == "6"
    told = [one["what"].get("reference") for one in event["entity"]]
    data = [] if reason == "consent" else [world.binary]
    assert told == [f"Patient/{world.north}", "Consent/c1", "Consent/c2", *data, None]


async def test_decisions_on_nobody_in_particular(world: World, validator: Validator) -> None:
    """AUD-73, AUD-06: without a person, a patient or a consent there is an event, and no claim; one for each patient."""
    several = tuple(f"Patient/{number}" for number in range(3))
    world.collector.access = Access(
        CLIENT, decisions=[Decision(False, "patient"), Decision(False, "consent", (), several)]
    )
    await world.client.get(f"DocumentReference?patient={world.north}")
    _, *events = world.told(styled("comprehensive"))
    assert len(events) == 4
    for event in events:
        assert "meta" not in event
        assert problems(event, validator) == []


async def test_forwarded_address(index_app: FastAPI, database: Connection) -> None:
    """AUD-27: an address that a trusted proxy tells is that of the client; this server asks who tells it."""
    async with collecting(index_app) as world:
        await world.client.get("Patient?_id=x", headers={"X-Forwarded-For": "203.0.113.9"})
        (event,) = world.told()
    assert event["agent"][0]["network"]["address"] == PEER


async def test_failed_submission_names_what_was_sent(world: World) -> None:
    """MHD-AU-11, AUD-06: uniqueId and patient as they were sent: literal, by identifier, or a Patient that came along."""
    row = next(row for row in ROWS if row.id == "ITI-65")
    await row.failing(world)
    happened = world.collector.happened.pop()
    assert happened.message
    assert happened.message.resource
    bundle = happened.message.resource
    sent = bundle["entry"][0]["resource"]
    number = {"system": NORTH, "value": "N-1001"}
    person = {
        "fullUrl": "urn:uuid:1",
        "resource": {"resourceType": "Patient", "identifier": [number], "name": [{"family": "X"}]},
    }
    for subject, what in (
        ({"reference": f"Patient/{world.north}", "display": "X"}, {"reference": f"Patient/{world.north}"}),
        ({"identifier": number | {"assigner": {"display": "X"}}}, {"identifier": number}),
        ({"reference": "urn:uuid:1"}, {"identifier": number}),
        ({"reference": f"Patient?identifier={NORTH}|N-1001"}, {"reference": f"Patient?identifier={NORTH}|N-1001"}),
    ):
        changed = {**bundle, "entry": [{"resource": sent | {"subject": subject}}, person]}
        told = replace(happened, message=replace(happened.message, resource=changed))
        patient, submitted, *_ = events_of(told, SETTINGS)[0]["entity"]
        assert patient["what"] == what
        assert submitted["what"]["identifier"]["value"] == sent["identifier"][0]["value"]
        assert submitted["role"]["code"] == "20"
