"""Who may read and feed the log: ITI-81, ITI-20 and a person's own log, behind a guard.

Spec: audit.md sections 8 and 9; MHD-AU-62; EHDS-105, EHDS-106.
"""

from __future__ import annotations

import base64
import re
from typing import Any

import httpx
import pytest

from tests.audit.keeping import event
from tests.security.records import IUA, SMART, Records, bound, headers

ALL = "AuditEvent?date=ge2000&_count=500"
POST = {"method": "POST", "url": "AuditEvent"}
FED = {"resourceType": "AuditEvent", **event()}
BATCH = {"resourceType": "Bundle", "type": "batch", "entry": [{"resource": FED, "request": POST}]}


def patients(page: Any) -> set[str]:
    """Whom the events of a page are about."""
    entities = (one for entry in page.get("entry", ()) for one in entry["resource"].get("entity", ()))
    names = (one.get("what", {}).get("reference", "") for one in entities)
    return {name.partition("/_history")[0] for name in names if name.startswith("Patient/")}


@pytest.mark.parametrize(
    ("scope", "status"),
    [("ITI-81", 200), ("system/AuditEvent.rs", 200), ("system/*.rs", 403), (IUA, 401), ("system/Patient.rs", 403)],
)
async def test_scope_of_the_log(asking: httpx.AsyncClient, scope: str, status: int) -> None:
    """MHD-AU-62, AUD-98: an ordinary token does not read events."""
    assert (await asking.get(ALL, headers=headers(scope))).status_code == status


async def test_bound_token_sees_its_own_events(asking: httpx.AsyncClient, records: Records) -> None:
    """AUD-98, EHDS-106: a token that is bound to a person sees events of that person only."""
    for record_id in (records.laboratory, records.his):
        await asking.get(f"DocumentReference/{record_id}", headers=headers("ITI-67"))
    sent = bound("ITI-81", f"Patient/{records.kat}")

    page = (await asking.get(ALL, headers=sent)).json()
    everything = (await asking.get(ALL, headers=headers("ITI-81"))).json()

    assert patients(page) <= {f"Patient/{records.kat}", f"Patient/{records.south}"}
    assert f"Patient/{records.kat}" in patients(page)
    assert f"Patient/{records.peter}" in patients(everything)


async def test_bound_token_is_not_told_who_else_was_asked_for(asking: httpx.AsyncClient, records: Records) -> None:
    """AUD-98, IUA-32: a request about several people is in the event of each; another's number is for neither."""
    asked = f"Patient?_id={records.kat},{records.peter}"
    await asking.get(asked, headers=headers("ITI-78"))
    everything = (await asking.get(ALL, headers=headers("ITI-81"))).json()
    assert any(asked in text for text in requests(everything))
    sent = bound("ITI-81 ITI-67", f"Patient/{records.kat}")

    page = (await asking.get(ALL, headers=sent)).json()
    own = await asking.get(f"AuditEvent/{page['entry'][0]['resource']['id']}", headers=sent)
    log = (await asking.get(f"Patient/{records.kat}/$access-log", headers=sent)).json()
    included = (
        await asking.get(f"DocumentReference?patient={records.kat}&_revinclude=AuditEvent:entity", headers=sent)
    ).json()

    for bundle in (page, {"entry": [{"resource": own.json()}]}, log, included):
        assert bundle["entry"]
        assert requests(bundle) == []
    labels = [label["code"] for one in page["entry"] for label in one["resource"]["meta"].get("security", ())]
    assert "REDACTED" in labels


def requests(bundle: dict[str, Any]) -> list[str]:
    """The requests that events repeat."""
    entities = [entity for one in bundle["entry"] for entity in one["resource"].get("entity", [])]
    return [base64.b64decode(one["query"]).decode() for one in entities if "query" in one]


async def test_bound_token_reads_no_event_of_others(asking: httpx.AsyncClient, records: Records) -> None:
    """AUD-98: also not by id, which is 404."""
    url = f"AuditEvent?date=ge2000&patient=Patient/{records.peter}"
    his = (await asking.get(url, headers=headers("ITI-81"))).json()["entry"][0]["resource"]["id"]

    answer = await asking.get(f"AuditEvent/{his}", headers=bound("ITI-81", f"Patient/{records.kat}"))

    assert answer.status_code == 404


@pytest.mark.parametrize(
    ("scope", "single", "batch"),
    [("ITI-20", 201, 200), ("system/AuditEvent.c", 201, 200), ("ITI-65", 401, 401), ("ITI-81", 401, 401)],
)
async def test_scope_of_the_feed(asking: httpx.AsyncClient, scope: str, single: int, batch: int) -> None:
    """AUD-85: `ITI-20`; who may publish documents feeds no events."""
    sent = headers(scope)

    assert (await asking.post("AuditEvent", json=FED, headers=sent)).status_code == single
    assert (await asking.post("", json=BATCH, headers=sent)).status_code == batch


async def test_who_feeds_events_publishes_nothing(asking: httpx.AsyncClient) -> None:
    """AUD-85, AUD-87: a transaction with a token for ITI-20 is refused."""
    sent = {"resourceType": "Bundle", "type": "transaction", "entry": BATCH["entry"]}

    assert (await asking.post("", json=sent, headers=headers("ITI-20"))).status_code >= 400


async def test_person_reads_their_log(asking: httpx.AsyncClient, records: Records) -> None:
    """EHDS-105, EHDS-106: who opened which of my documents, as events and as a page with the five facts."""
    opening = headers(
        "ITI-67", extensions={"ihe_iua": {"subject_name": "Dr. <b>Black</b>", "subject_organization": "Ward"}}
    )
    await asking.get(f"DocumentReference/{records.laboratory}", headers=opening)
    mine = bound("ITI-81", f"Patient/{records.kat}")
    url = f"Patient/{records.kat}/$access-log"

    log = await asking.get(url, headers=mine)
    page = await asking.get(url, headers={"Authorization": mine["Authorization"], "Accept": "text/html,*/*;q=0.8"})

    assert log.status_code == 200
    assert patients(log.json()) <= {f"Patient/{records.kat}", f"Patient/{records.south}"}
    assert (page.status_code, page.headers["content-type"]) == (200, "text/html; charset=utf-8")
    rows = re.findall(r"<tr>(<td>.*?)</tr>", page.text)
    assert any("opened" in row and "DocumentReference" in row and "fhir-server" in row for row in rows)
    assert all(re.match(r"<td>\d{4}-\d\d-\d\dT", row) for row in rows)


@pytest.mark.parametrize("scope", ["ITI-81", SMART])
async def test_log_of_another_person(asking: httpx.AsyncClient, records: Records, scope: str) -> None:
    """EHDS-106, AUD-98: nobody reads the log of another one."""
    answer = await asking.get(f"Patient/{records.peter}/$access-log", headers=bound(scope, f"Patient/{records.kat}"))

    assert answer.status_code in (401, 403, 404)


async def test_page_is_harmless(asking: httpx.AsyncClient, records: Records) -> None:
    """EHDS-106: what an event says is text: nothing of it is markup, and nothing on the page may run or be framed."""
    evil = event(
        agent=[{"requestor": True, "name": "<script>alert(1)</script>", "who": {"display": "<img src=x onerror=y>"}}],
        entity=[{"what": {"reference": f"Patient/{records.kat}"}}],
        source={"site": '"><b>', "observer": {"display": "&amp;"}},
    )
    await asking.post("AuditEvent", json={"resourceType": "AuditEvent", **evil}, headers=headers("ITI-20"))
    sent = headers("ITI-81") | {"Accept": "text/html"}

    page = await asking.get(f"Patient/{records.kat}/$access-log?_count=500", headers=sent)

    assert "<script" not in page.text
    assert "<img" not in page.text
    assert "&lt;script&gt;alert(1)&lt;/script&gt;" in page.text
    assert "default-src 'none'" in page.headers["content-security-policy"]
    assert page.headers["cache-control"] == "private, no-store"


async def test_reading_the_log_is_told(asking: httpx.AsyncClient, records: Records) -> None:
    """MHD-AU-62, AUD-72: who read a person's log stands in it."""
    sent = headers("ITI-81", client_id="portal") | {"X-Request-Id": "reads-the-log"}
    await asking.get(f"Patient/{records.kat}/$access-log", headers=sent)

    events = (await asking.get(f"Patient/{records.kat}/$access-log", headers=sent)).json()["entry"]

    assert any("reads-the-log" in str(entry["resource"]["entity"]) for entry in events)
