"""Patients' restrictions: Consents over FHIR and from the command line, in force for the next request.

Spec: MHD-SEC-04, MHD-SEC-13; EHDS-20, EHDS-110; AUD-73 (what is handed to the audit).
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator
from dataclasses import replace
from functools import partial
from typing import Any

import httpx
import pytest
import respx

from app.fhir.outcome import FhirError
from app.fhir.resource import Resource
from app.privacy.commands import consent_of, deny, lift, listed
from app.security.decision import Decision
from app.security.policy import ACT_REASON
from app.transaction import Context, Occurrence
from tests.conftest import BASE_URL
from tests.patients import SOUTH
from tests.security.conftest import Guarded, auth_file, guarded  # noqa: F401 - fixtures
from tests.security.issuing import Servers
from tests.security.records import IUA, SMART, Records, bound, document, fields, found, headers, published, stored
from tests.submissions import oid

TREAT, RESEARCH, EMERGENCY, OWN = ((ACT_REASON, code) for code in ("TREAT", "HRESCH", "BTG", "PATRQT"))
READER = "ITI-66 ITI-67 ITI-68 ITI-78 ITI-83"


@pytest.fixture(scope="module")
def answering() -> Iterator[None]:
    """The authorization servers."""
    with respx.mock(assert_all_called=False) as router:
        Servers(router)
        yield


@pytest.fixture(scope="module")
async def restricting(
    guarded: Guarded,  # noqa: F811
    answering: None,
    database_name: str,
) -> AsyncIterator[httpx.AsyncClient]:
    """A client of a server on which restrictions hold."""
    async with guarded(mongodb_database=f"{database_name}_consent", consents=True) as client:
        yield client


@pytest.fixture(scope="module")
async def records(restricting: httpx.AsyncClient) -> Records:
    """Two people and their documents."""
    return await stored(restricting)


@pytest.fixture(autouse=True)
async def lifted(restricting: httpx.AsyncClient) -> AsyncIterator[None]:
    """Lifts every restriction after each test."""
    yield
    answer = await restricting.get("Consent?status=active&_count=100", headers=headers("admin"))
    for one in answer.json().get("entry", ()):
        await revoke(restricting, one["resource"])


def context_of(client: httpx.AsyncClient) -> Context:
    """What handlers reach of the server that `client` asks."""
    transport: Any = client._transport
    found: Context = transport.app.state.context
    return found


def denial(patient: str, *purposes: tuple[str, str], actors: tuple[str, ...] = (), **changes: Any) -> Resource:
    """A Consent that denies; `changes` are those of its provision."""
    made = consent_of(f"Patient/{patient}", [f"{a}|{b}" for a, b in purposes], actors, "2025-03-14T16:05:00+01:00")
    return {**made, "provision": made["provision"] | changes}


async def create(client: httpx.AsyncClient, consent: Resource, sent: dict[str, str] | None = None) -> Resource:
    """Post a Consent; return it as it is kept."""
    answer = await client.post("Consent", json=consent, headers=sent or headers("admin"))
    assert answer.status_code == 201, answer.text
    assert answer.headers["location"] == f"{BASE_URL}/Consent/{answer.json()['id']}/_history/1"
    made: Resource = answer.json()
    return made


async def revoke(client: httpx.AsyncClient, consent: Resource) -> httpx.Response:
    """Make a Consent inactive."""
    body = consent | {"status": "inactive"}
    return await client.put(f"Consent/{consent['id']}", json=body, headers=headers("admin"))


def with_purpose(*purposes: tuple[str, str], scope: str = READER, **claims: Any) -> dict[str, str]:
    """A token for a purpose."""
    said = {"purpose_of_use": [{"system": system, "code": code} for system, code in purposes]}
    return headers(scope, extensions={"ihe_iua": said}, **claims)


async def documents(client: httpx.AsyncClient, patient: str, sent: dict[str, str]) -> int:
    """How many documents of a patient are found."""
    answer = await client.get(f"DocumentReference?patient={patient}&status=current", headers=sent)
    assert len(found(answer)) == answer.json()["total"]
    return int(answer.json()["total"])


async def test_deny_holds_at_once_and_until_it_is_revoked(restricting: httpx.AsyncClient, records: Records) -> None:
    """MHD-SEC-13, EHDS-110: from the next request on nothing of the person is found, under none of their records; others
    are as before; revoked, everything is there again."""
    sent = headers(READER)
    before = await documents(restricting, records.kat, sent), await documents(restricting, records.south, sent)

    consent = await create(restricting, denial(records.kat))
    after = await documents(restricting, records.kat, sent), await documents(restricting, records.south, sent)
    others = await documents(restricting, records.peter, sent)
    lists = await restricting.get(f"List?patient={records.kat}", headers=sent)
    refused = [
        await restricting.get(url.format(**fields(records)), headers=sent)
        for url in (
            "DocumentReference/{laboratory}",
            "DocumentReference/{laboratory}/_history/1",
            "Binary/{laboratory_binary}",
            "Bundle/{summary_bundle}",
            "List/{submission_set}",
        )
    ]
    patient = await restricting.get(f"Patient/{records.kat}", headers=sent)
    revoked = await revoke(restricting, consent)

    assert before == (2, 1)
    assert after == (0, 0)
    assert others == 2
    assert found(lists) == []
    assert [one.status_code for one in refused] == [403] * 5
    assert {one.json()["issue"][0]["code"] for one in refused} == {"forbidden"}
    assert patient.status_code == 200
    assert revoked.status_code == 200
    assert (
        await documents(restricting, records.kat, sent),
        await documents(restricting, records.south, sent),
    ) == before


async def test_every_worker_knows_at_once(
    restricting: httpx.AsyncClient,
    records: Records,
    guarded: Guarded,  # noqa: F811
    database_name: str,
) -> None:
    """MHD-SEC-13: another process over the same database obeys with its next request."""
    async with guarded(mongodb_database=f"{database_name}_consent", consents=True) as other:
        assert await documents(other, records.kat, headers(READER)) == 2
        consent = await create(restricting, denial(records.kat))
        assert await documents(other, records.kat, headers(READER)) == 0
        await revoke(restricting, consent)
        assert await documents(other, records.kat, headers(READER)) == 2


@pytest.mark.parametrize(
    ("consent", "sent", "is_seen"),
    [
        ({"purposes": (RESEARCH,)}, partial(with_purpose, TREAT), True),
        ({"purposes": (RESEARCH,)}, partial(headers, READER), True),
        ({"purposes": (RESEARCH,)}, partial(with_purpose, RESEARCH), False),
        ({"purposes": (RESEARCH,)}, partial(with_purpose, TREAT, RESEARCH), False),
        ({"purposes": (TREAT,), "type": "permit"}, partial(with_purpose, TREAT), True),
        ({"purposes": (TREAT,), "type": "permit"}, partial(with_purpose, RESEARCH), False),
        ({"actors": ("ward",)}, partial(headers, READER, client_id="ward"), False),
        ({"actors": ("ward",)}, partial(headers, READER, client_id="other"), True),
        ({}, partial(with_purpose, EMERGENCY), True),
        ({}, partial(with_purpose, TREAT, EMERGENCY), True),
    ],
)
async def test_whom_it_denies(
    restricting: httpx.AsyncClient,
    records: Records,
    consent: dict[str, Any],
    sent: Callable[[], dict[str, str]],
    *,
    is_seen: bool,
) -> None:
    """MHD-SEC-13, EHDS-110: by purpose and actor; Permit is limited to its purpose; breaking the glass lifts it."""
    changes = {"type": consent["type"]} if "type" in consent else {}
    made = denial(records.kat, *consent.get("purposes", ()), actors=consent.get("actors", ()), **changes)
    await create(restricting, made)

    assert (await documents(restricting, records.kat, sent()) > 0) == is_seen


async def test_own_documents_for_the_patient(restricting: httpx.AsyncClient, records: Records) -> None:
    """EHDS-20, MHD-SEC-13: a patient who asks for their own is not restricted by it; an app bound to them is."""
    await create(restricting, denial(records.kat))
    own = {"ihe_bppc": {"patient_id": records.kat}}
    purpose = {"purpose_of_use": [{"system": OWN[0], "code": OWN[1]}]}

    patient = await documents(restricting, records.kat, headers(READER, extensions=own | {"ihe_iua": purpose}))
    app = await documents(restricting, records.kat, headers(READER, extensions=own))

    assert patient == 2
    assert app == 0


async def test_publication_is_not_affected(restricting: httpx.AsyncClient, records: Records) -> None:
    """MHD-SEC-13: documents of the restricted patient are published and replaced as ever."""
    await create(restricting, denial(records.kat))

    first = await published(restricting, records.kat, document(oid()))
    relation = [{"code": "replaces", "target": {"reference": f"DocumentReference/{first['DocumentReference']}"}}]
    second = await published(restricting, records.kat, document(oid()) | {"relatesTo": relation})

    answer = await restricting.get(f"DocumentReference/{second['DocumentReference']}", headers=headers(READER))
    assert answer.status_code == 403
    current = await context_of(restricting).store.read("DocumentReference", first["DocumentReference"])
    assert b'"superseded"' in current.json


async def test_conceal(
    restricting: httpx.AsyncClient,
    records: Records,
    guarded: Guarded,  # noqa: F811
    database_name: str,
) -> None:
    """MHD-SEC-04, EHDS-11: concealed, what is restricted looks like what is not there."""
    await create(restricting, denial(records.kat))
    changes = {"consents": True, "auth_conceal": True}
    async with guarded(mongodb_database=f"{database_name}_consent", **changes) as client:
        for url in ("DocumentReference/{laboratory}", "Binary/{laboratory_binary}", "List/{submission_set}"):
            place = url.format(**fields(records))
            answer = await client.get(place, headers=headers(READER))
            nothing = await client.get(f"{place.partition('/')[0]}/{'0' * 32}", headers=headers(READER))
            assert answer.status_code == nothing.status_code == 404
            assert answer.text.replace(place.partition("/")[2], "0" * 32) == nothing.text


async def test_without_the_setting_nothing_is_restricted(
    restricting: httpx.AsyncClient,
    records: Records,
    guarded: Guarded,  # noqa: F811
    database_name: str,
) -> None:
    """MHD-SEC-13: off by default; then there are no Consents over FHIR either."""
    await create(restricting, denial(records.kat))
    async with guarded(mongodb_database=f"{database_name}_consent") as client:
        assert await documents(client, records.kat, headers(READER)) > 0
        assert (await client.get("Consent", headers=headers("admin"))).status_code == 404


async def test_restrictions_hold_without_tokens(
    restricting: httpx.AsyncClient,
    records: Records,
    guarded: Guarded,  # noqa: F811
    database_name: str,
) -> None:
    """MHD-SEC-13: where a gateway decides who may ask, or nobody does, a restriction holds all the same."""
    await create(restricting, denial(records.kat))
    changes = {"consents": True, "auth": "off", "auth_file": ""}
    async with guarded(mongodb_database=f"{database_name}_consent", **changes) as client:
        assert await documents(client, records.kat, {}) == 0
        assert await documents(client, records.peter, {}) == 2


REFUSED: dict[str, tuple[dict[str, Any], int, str]] = {
    "nested": ({"provision": {"type": "deny", "provision": [{"type": "permit"}]}}, 422, "Consent.provision.provision"),
    "period": ({"provision": {"type": "deny", "period": {"start": "2025"}}}, 422, "Consent.provision.period"),
    "no type": ({"provision": {}}, 400, "Consent.provision"),
    "no provision": ({"provision": None}, 422, "Consent.provision.type"),
    "unknown patient": ({"patient": {"reference": "Patient/nobody"}}, 422, "Consent.patient"),
    "elsewhere": ({"patient": {"reference": "https://other.example.org/Patient/1"}}, 422, "Consent.patient"),
    "another scope": (
        {"scope": {"coding": [{"system": "http://terminology.hl7.org/CodeSystem/consentscope", "code": "research"}]}},
        422,
        "Consent.scope",
    ),
    "actor by reference": (
        {
            "provision": {
                "type": "deny",
                "actor": [{"role": {"text": "reader"}, "reference": {"reference": "Practitioner/1"}}],
            }
        },
        422,
        "Consent.provision.actor[0].reference",
    ),
    "no status": ({"status": None}, 400, "Consent"),
}


@pytest.mark.parametrize("name", REFUSED)
async def test_half_understood_is_refused(restricting: httpx.AsyncClient, records: Records, name: str) -> None:
    """MHD-SEC-13: what would mean less than it says is not kept."""
    changes, status, expression = REFUSED[name]
    made = {key: value for key, value in (denial(records.kat) | changes).items() if value is not None}

    answer = await restricting.post("Consent", json=made, headers=headers("admin"))

    assert answer.status_code == status, answer.text
    assert answer.json()["issue"][0]["expression"] == [expression]


async def test_who_may(restricting: httpx.AsyncClient, records: Records) -> None:
    """MHD-SEC-13, EHDS-20: scope Consent.c or admin; a patient for themselves alone."""
    made = denial(records.kat)

    allowed = await restricting.post("Consent", json=made, headers=headers("system/Consent.cruds"))
    nothing = await restricting.post("Consent", json=made, headers=headers(READER))
    own = await restricting.post(
        "Consent", json=denial(records.south), headers=bound("patient/Consent.cruds", records.kat)
    )
    foreign = await restricting.post(
        "Consent", json=denial(records.peter), headers=bound("patient/Consent.cruds", records.kat)
    )
    unknown = await restricting.post(
        "Consent", json=denial("nobody"), headers=bound("patient/Consent.cruds", records.kat)
    )
    seen = await restricting.get("Consent", headers=bound("patient/Consent.rs", records.peter))

    assert (allowed.status_code, nothing.status_code, own.status_code) == (201, 401, 201)
    assert foreign.status_code == unknown.status_code == 422
    assert found(seen) == []


async def test_versions_and_conflicts(restricting: httpx.AsyncClient, records: Records) -> None:
    """MHD-SEC-13: who restricted what stays readable; `If-Match` names the version that is changed."""
    consent = await create(restricting, denial(records.kat))
    url = f"Consent/{consent['id']}"
    stale = await restricting.put(url, json=consent, headers=headers("admin") | {"If-Match": 'W/"7"'})
    await revoke(restricting, consent)
    first = await restricting.get(f"{url}/_history/1", headers=headers("admin"))
    second = await restricting.get(url, headers=headers("admin"))
    absent = await restricting.put("Consent/nobody", json=consent | {"id": "nobody"}, headers=headers("admin"))
    other = await restricting.put(url, json=consent | {"id": "other"}, headers=headers("admin"))

    assert (stale.status_code, absent.status_code, other.status_code) == (412, 404, 400)
    assert (first.json()["status"], second.json()["status"]) == ("active", "inactive")


async def test_commands(restricting: httpx.AsyncClient, records: Records) -> None:
    """MHD-SEC-13: an operator denies, lists and lifts; it holds at once."""
    context = context_of(restricting)

    name = await deny(records.kat, [f"{TREAT[0]}|{TREAT[1]}"], ["north-adt"], context)
    lines = await listed(context)
    denied = await documents(restricting, records.kat, headers(READER))
    await lift(name, context)

    assert lines == [f"{name}  deny  Patient/{records.kat}  TREAT  north-adt"]
    assert denied == 0
    assert await listed(context) == []
    assert await documents(restricting, records.kat, headers(READER)) > 0
    with pytest.raises(FhirError):
        await deny("nobody", [], [], context)
    with pytest.raises(FhirError):
        await deny(records.kat, ["TREAT"], [], context)


async def test_writers_at_once_lose_nothing(restricting: httpx.AsyncClient, records: Records) -> None:
    """MHD-SEC-13: of many Consents at the same instant, each holds."""
    made = [denial(one) for one in (records.kat, records.peter, records.south) for _ in range(3)]

    await asyncio.gather(*(create(restricting, one) for one in made))

    assert len(await listed(context_of(restricting))) == 9
    assert await documents(restricting, records.peter, headers(READER)) == 0


class Heard:
    """A recorder that remembers what was decided."""

    def __init__(self) -> None:
        self.decisions: list[list[Decision]] = []

    async def record(self, occurrence: Occurrence) -> None:
        """Remember."""
        self.decisions.append(list(occurrence.access.decisions))


async def test_decisions_are_handed_to_the_audit(restricting: httpx.AsyncClient, records: Records) -> None:
    """AUD-73, MHD-SEC-13, EHDS-110: what is withheld, and what an emergency opens, is told with patient and Consent."""
    transport: Any = restricting._transport
    context, heard = context_of(restricting), Heard()
    consent = f"Consent/{(await create(restricting, denial(records.kat)))['id']}"
    transport.app.state.context = replace(context, recorder=heard)
    try:
        await restricting.get(f"DocumentReference?patient={records.kat}", headers=headers(READER))
        await restricting.get(f"Binary/{records.laboratory_binary}", headers=headers(READER))
        await restricting.get(f"DocumentReference?patient={records.kat}", headers=with_purpose(EMERGENCY))
        await restricting.get(f"DocumentReference?patient={records.peter}", headers=headers(READER))
        await restricting.get(f"DocumentReference?patient={records.peter}", headers=bound(IUA, records.kat))
        await restricting.get(f"List/{records.his_set}", headers=bound(SMART, f"{SOUTH}|S-77"))
    finally:
        transport.app.state.context = context

    patient, laboratory = f"Patient/{records.kat}", f"DocumentReference/{records.laboratory}"
    searched, read, opened, others, foreign, guessed = heard.decisions
    assert searched == [Decision(False, "consent", (), (patient,), (consent,))]
    assert read == [Decision(False, "consent", (laboratory,), (patient,), (consent,))]
    assert opened == [Decision(True, "break-glass")]
    assert others == []
    assert foreign == [Decision(False, "patient")]
    assert guessed == [Decision(False, "patient", (f"List/{records.his_set}",), (f"Patient/{records.peter}",))]
