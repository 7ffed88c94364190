"""Attacks on data: whoever is bound to one patient tries every road to another one's documents.

Each is answered as if there were nothing, or refused in words that are the same for what does not exist; nothing is
stored, and no answer names what is not the caller's.

Each attempt leaves an event (AUD-02, AUD-71), see the fixture `audited`.

Spec: MHD-SEC-04 to MHD-SEC-06, MHD-66-35, MHD-67-37, MHD-68-15; IUA-23, IUA-30, IUA-32; EHDS-20, EHDS-22.
"""

from __future__ import annotations

import base64
from collections.abc import Awaitable, Callable
from typing import Any

import httpx
import pytest

from app.fhir.resource import Resource
from tests.mhd.documents import cda
from tests.patients import NORTH, PETER
from tests.security.records import DIALECTS, IUA, Records, bound, document, fields, folder, found, headers
from tests.security.submitted import of_patient
from tests.submissions import binary, document_reference, entry, oid, submission, urn

pytestmark = pytest.mark.usefixtures("audited")

Attack = Callable[["Attacker", Records], Awaitable[tuple[httpx.Response, httpx.Response]]]


class Attacker:
    """Whoever is bound to Katarina, and asks for what is Peter's."""

    def __init__(self, client: httpx.AsyncClient, sent: dict[str, str]) -> None:
        self.client = client
        self.sent = sent

    async def get(self, url: str, **more: str) -> httpx.Response:
        """Ask by GET."""
        return await self.client.get(
            url, headers=self.sent | {key.replace("_", "-"): value for key, value in more.items()}
        )

    async def post(self, url: str, body: Resource, **more: str) -> httpx.Response:
        """Send a resource."""
        sent = self.sent | {key.replace("_", "-"): value for key, value in more.items()}
        return await self.client.post(url, json=body, headers=sent)


NOBODY = "0" * 32


async def related(asking: Attacker, records: Records) -> tuple[httpx.Response, httpx.Response]:
    """A document that replaces, appends or transforms another's."""

    async def relating(target: str) -> httpx.Response:
        relation = [{"code": "replaces", "target": {"reference": f"DocumentReference/{target}"}}]
        return await asking.post("", of_patient(submission(relatesTo=relation), records.kat))

    return await relating(records.his), await relating(NOBODY)


async def listed(asking: Attacker, records: Records) -> tuple[httpx.Response, httpx.Response]:
    """Another's document in one's own SubmissionSet."""

    async def listing(member: str) -> httpx.Response:
        made = of_patient(submission(), records.kat)
        made["entry"][0]["resource"]["entry"].append({"item": {"reference": f"DocumentReference/{member}"}})
        return await asking.post("", made)

    return await listing(records.his), await listing(NOBODY)


async def filed(asking: Attacker, records: Records) -> tuple[httpx.Response, httpx.Response]:
    """Another's document in a Folder of one's own."""

    async def filing(member: str) -> httpx.Response:
        made = of_patient(submission(), records.kat)
        made["entry"].append(entry(folder(records.kat, f"DocumentReference/{member}"), urn()))
        made["entry"][0]["resource"]["entry"].append({"item": {"reference": made["entry"][-1]["fullUrl"]}})
        return await asking.post("", made)

    return await filing(records.his), await filing(NOBODY)


async def changed_folder(asking: Attacker, records: Records) -> tuple[httpx.Response, httpx.Response]:
    """A PUT of another's Folder, said to be one's own."""

    async def putting(name: str) -> httpx.Response:
        made = of_patient(submission(), records.kat)
        made["entry"].append(
            entry(folder(records.kat, made["entry"][1]["fullUrl"]) | {"id": name}, urn(), "PUT", f"List/{name}")
        )
        return await asking.post("", made)

    return await putting(records.his_folder), await putting(NOBODY)


async def patched(asking: Attacker, records: Records) -> tuple[httpx.Response, httpx.Response]:
    """A PATCH that supersedes another's document."""

    async def patching(name: str) -> httpx.Response:
        parts = [
            {"name": "type", "valueCode": "replace"},
            {"name": "path", "valueString": "DocumentReference.status"},
            {"name": "value", "valueCode": "superseded"},
        ]
        patch = {"resourceType": "Parameters", "parameter": [{"name": "operation", "part": parts}]}
        made = of_patient(submission(), records.kat)
        made["entry"].append(entry(patch, urn(), "PATCH", f"DocumentReference/{name}"))
        return await asking.post("", made)

    return await patching(records.his), await patching(NOBODY)


async def patient_read(asking: Attacker, records: Records) -> tuple[httpx.Response, httpx.Response]:
    """A GET of another Patient as an entry."""

    async def reading(name: str) -> httpx.Response:
        made = of_patient(submission(), records.kat)
        made["entry"].append(
            {"fullUrl": urn(), "resource": PETER, "request": {"method": "GET", "url": f"Patient/{name}"}}
        )
        return await asking.post("", made)

    return await reading(records.peter), await reading(NOBODY)


async def conditional_subject(asking: Attacker, records: Records) -> tuple[httpx.Response, httpx.Response]:
    """A subject that is found by a condition, or by an identifier."""

    async def about(number: str) -> httpx.Response:
        made = submission(subject=f"Patient?identifier={NORTH}|{number}")
        return await asking.post("", made)

    return await about("N-2044"), await about("N-0000")


async def logical_subject(asking: Attacker, records: Records) -> tuple[httpx.Response, httpx.Response]:
    """A subject that is named by an identifier alone."""

    async def about(number: str) -> httpx.Response:
        subject = {"identifier": {"system": NORTH, "value": number}}
        made = submission()
        for one in made["entry"][:2]:
            one["resource"]["subject"] = subject
        return await asking.post("", made)

    return await about("N-2044"), await about("N-0000")


async def new_patient(asking: Attacker, records: Records) -> tuple[httpx.Response, httpx.Response]:
    """A Patient entry with another's identifier, or with one of nobody's."""

    async def bringing(number: str) -> httpx.Response:
        person = {"resourceType": "Patient", "identifier": [{"system": NORTH, "value": number}]}
        name = urn()
        made = submission(subject=name)
        made["entry"].append(entry(person, name))
        return await asking.post("", made)

    return await bringing("N-2044"), await bringing("N-0000")


async def conditional_create(asking: Attacker, records: Records) -> tuple[httpx.Response, httpx.Response]:
    """If-None-Exist with another's identifier, of a document about them: the same as with nobody's."""

    async def creating(number: str, subject: str) -> httpx.Response:
        return await asking.post("DocumentReference", simplified(subject), if_none_exist=f"identifier={number}")

    return await creating(records.numbers["his"], records.peter), await creating(oid(), NOBODY)


async def generated(asking: Attacker, records: Records) -> tuple[httpx.Response, httpx.Response]:
    """A document about another, for ITI-106 to describe."""

    async def generating(number: str) -> httpx.Response:
        content = cda(oid()[-12:], number).replace(b"2.999.40.1", b"2.999.10.1")
        parameter = [{"name": "document", "resource": binary(content, "text/xml")}]
        return await asking.post(
            "DocumentReference/$generate-metadata", {"resourceType": "Parameters", "parameter": parameter}
        )

    return await generating("N-2044"), await generating("N-0000")


async def generated_by_url(asking: Attacker, records: Records) -> tuple[httpx.Response, httpx.Response]:
    """A reference to another's document where ITI-106 wants the document."""

    async def generating(name: str) -> httpx.Response:
        parameter = [{"name": "document", "valueReference": {"reference": f"Binary/{name}"}}]
        return await asking.post(
            "DocumentReference/$generate-metadata", {"resourceType": "Parameters", "parameter": parameter}
        )

    return await generating(records.his_binary), await generating(NOBODY)


def simplified(patient: str) -> Resource:
    """What ITI-105 takes."""
    made = document_reference("", **document(oid()))
    attachment = made["content"][0]["attachment"]
    del attachment["url"]
    attachment["data"] = base64.b64encode(b"hello").decode()
    return of_patient(made, patient)


# Attack -> the issue code of its answer.
ATTACKS: dict[Attack, str] = {
    related: "not-found",
    listed: "not-found",
    filed: "not-found",
    changed_folder: "not-found",
    patched: "not-found",
    patient_read: "not-found",
    conditional_subject: "not-found",
    logical_subject: "not-found",
    new_patient: "forbidden",
    conditional_create: "forbidden",
    generated: "not-found",
    generated_by_url: "required",
}


@pytest.mark.parametrize("dialect", DIALECTS)
@pytest.mark.parametrize("attack", ATTACKS, ids=lambda one: one.__name__)
async def test_attack_by_writing(asking: httpx.AsyncClient, records: Records, attack: Attack, dialect: str) -> None:
    """MHD-SEC-04, MHD-SEC-05, MHD-67-37, EHDS-22, IUA-23, IUA-30, MHD-65-59: refused, as for what is not there, and
    nothing is changed."""
    before = await state(asking)
    attacker = Attacker(asking, bound(DIALECTS[dialect][0], records.kat))

    answer, nothing = await attack(attacker, records)

    assert 400 <= answer.status_code < 500, answer.text
    assert answer.json()["issue"][0]["code"] == ATTACKS[attack]
    assert answer.status_code == nothing.status_code
    assert said(answer, records) == said(nothing, records)
    assert await state(asking) == before


def said(answer: httpx.Response, records: Records) -> list[tuple[str, str, str]]:
    """Code, place and words of each issue; ids of what was asked for replaced, as they came from the caller."""
    words = answer.text
    for known in (*fields(records).values(), NOBODY):
        if isinstance(known, str):
            words = words.replace(known, "…")
    assert "N-2044" not in words
    issues = httpx.Response(answer.status_code, text=words).json()["issue"]
    return [(one["code"], str(one.get("expression")), one["diagnostics"]) for one in issues]


async def state(client: httpx.AsyncClient) -> list[Any]:
    """All that is stored, in its versions, as somebody sees who may."""
    kinds = ("DocumentReference", "List", "Patient")
    answers = [await client.get(f"{kind}?_count=500", headers=headers("system/*.rs")) for kind in kinds]
    return [
        sorted((one["resource"]["id"], one["resource"]["meta"]["versionId"]) for one in each.json()["entry"])
        for each in answers
    ]


async def test_collision_tells_no_more_than_that(asking: httpx.AsyncClient, records: Records) -> None:
    """MHD-SEC-04, MHD-65-112: a uniqueId is unique for all, but whose it is, and what the other is like, is not told."""
    sent = bound(IUA, records.kat)
    made = of_patient(submission(b"mine", **document(records.numbers["his"])), records.kat)

    answer = await asking.post("", json=made, headers=sent)

    assert answer.status_code == 409
    assert answer.json()["issue"][0]["details"]["coding"][0]["code"] == "XDSDuplicateUniqueIdInRegistry"
    for known in (records.his, records.his_binary, records.peter, records.his_set):
        assert known not in answer.text


async def test_page_of_somebody_else(asking: httpx.AsyncClient, records: Records) -> None:
    """MHD-SEC-05, MHD-67-37: a page link that somebody else was given shows the caller's own records alone."""
    everybody = await asking.get("DocumentReference?status=current&_count=1", headers=headers("ITI-67"))
    pages = []
    answer = everybody
    while link := next((one["url"] for one in answer.json()["link"] if one["relation"] == "next"), ""):
        pages.append(link)
        answer = await asking.get(link, headers=headers("ITI-67"))
    assert len(pages) > 2
    own = {f"DocumentReference/{one}" for one in (records.laboratory, records.summary, records.secret)}

    for link in pages:
        answer = await asking.get(link, headers=bound(IUA, records.kat))
        assert set(found(answer)) <= own
        assert answer.json()["total"] <= len(own)


async def test_binary_of_another_is_not_attached(asking: httpx.AsyncClient, records: Records) -> None:
    """MHD-67-37, MHD-65-59: an `attachment.url` that names another's document leads nowhere."""
    made = of_patient(submission(), records.kat)
    made["entry"][1]["resource"]["content"][0]["attachment"]["url"] = f"Binary/{records.his_binary}"
    del made["entry"][2]

    answer = await asking.post("", json=made, headers=bound(IUA, records.kat))

    assert 400 <= answer.status_code < 500


async def test_stored_record_is_not_overwritten(asking: httpx.AsyncClient, records: Records) -> None:
    """MHD-65-59, EHDS-22: a Patient entry cannot change another's record."""
    made = of_patient(submission(), records.kat)
    made["entry"].append(entry({**PETER, "id": records.peter}, urn(), "PUT", f"Patient/{records.peter}"))

    answer = await asking.post("", json=made, headers=bound(IUA, records.kat))

    assert 400 <= answer.status_code < 500
    assert records.his not in answer.text


CHAINS = [
    "DocumentReference?related:DocumentReference.identifier={number}&status=current",
    "DocumentReference?relatesto:DocumentReference.identifier={number}",
    "List?item:DocumentReference.identifier={number}",
    "List?item:DocumentReference.patient.family=kral",
    "List?item=DocumentReference/{his}",
]


@pytest.mark.parametrize("url", CHAINS)
async def test_chains_tell_nothing(asking: httpx.AsyncClient, records: Records, url: str) -> None:
    """MHD-SEC-05, MHD-66-35: what is reached through a reference must be visible too."""
    names = fields(records) | {"number": records.numbers["his"]}

    answer = await asking.get(url.format(**names), headers=bound(IUA, records.kat))

    assert found(answer) == []
    assert answer.json()["total"] == 0


async def test_condition_finds_nothing_of_others(asking: httpx.AsyncClient, records: Records) -> None:
    """MHD-SEC-04: for If-None-Exist another's document is not there: the own one is created, as it would be anyhow."""
    attacker = Attacker(asking, bound(IUA, records.kat))
    condition = f"identifier={records.numbers['his']}"

    answer = await attacker.post("DocumentReference", simplified(records.kat), if_none_exist=condition)

    assert answer.status_code == 201
    assert answer.json()["subject"]["reference"] == f"Patient/{records.kat}"
