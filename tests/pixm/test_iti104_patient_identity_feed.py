"""Patient Identity Feed [ITI-104]: 2:3.104, pixm.md section 5, requirement by requirement."""

from __future__ import annotations

import asyncio
from typing import Any

import httpx
import pytest
from fastapi import FastAPI

from app.domains import Domain, Domains
from app.fhir.outcome import FhirError
from app.pixm.iti104_patient_identity_feed import patient_identity_feed
from app.security.access import Access
from app.security.principal import Principal
from app.transaction import Context, RequestMessage
from tests.conftest import Serve
from tests.patients import (
    BASE,
    JSON,
    LAB,
    NATIONAL,
    NORTH,
    SOUTH,
    also,
    code,
    fed,
    feed,
    identifiers,
    issue,
    person,
    pix,
    references,
)

REPLACED = {"other": {"identifier": {"system": NORTH, "value": "N-1"}}, "type": "replaced-by"}


def named(family: str, number: str, **more: Any) -> dict[str, Any]:
    """A person of North who resembles nobody else."""
    return person(NORTH, number, name=[{"family": family}], birthDate=f"19{10 + len(family)}-02-03", **more)


async def put(index: httpx.AsyncClient, query: str, body: dict[str, Any] | None = None) -> httpx.Response:
    return await index.put(f"/Patient?{query}", json=body or person(NORTH, "N-1"), headers=JSON)


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("", (400, "required")),
        ("identifier=N-1", (400, "invalid")),
        (f"identifier={NORTH}|", (400, "invalid")),
        ("identifier=|N-1", (400, "invalid")),
        (f"identifier={NORTH}|N-1,{NORTH}|N-2", (400, "invalid")),
        (f"identifier={NORTH}|N-1&identifier={NORTH}|N-2", (400, "invalid")),
        (f"identifier={NORTH}|N-1&birthdate=1970", (400, "not-supported")),
        ("identifier=urn:oid:2.999.404|1", (400, "code-invalid")),
        ("identifier=2.999.10.1|N-1", (400, "code-invalid")),
        (f"identifier={BASE}|Patient/1", (403, "forbidden")),
    ],
)
async def test_the_key(index: httpx.AsyncClient, query: str, expected: tuple[int, str]) -> None:
    """PIXM-104-04, PIXM-104-13, PIXM-104-56, PIXM-DOM-01, PIXM-DOM-03: refused alike by PUT and DELETE; nothing is kept."""
    assert code(await put(index, query)) == expected
    assert code(await index.delete(f"/Patient?{query}")) == expected
    assert (await index.get("/Patient")).json()["total"] == 0


async def test_unknown_domain_sentence(index: httpx.AsyncClient) -> None:
    """PIXM-104-13, PIXM-HTTP-09: to the letter, twice."""
    found = issue(await put(index, "identifier=urn:oid:2.999.404|1"))
    assert found["diagnostics"] == found["details"]["text"] == "identifier Assigning Authority not found"


async def test_control_parameters_are_no_condition(index: httpx.AsyncClient) -> None:
    """PIXM-104-04: `_format` and `_pretty` are for the answer."""
    answer = await put(index, f"identifier={NORTH}|N-1&_format=xml&_pretty=true")
    assert (answer.status_code, answer.headers["content-type"]) == (201, "application/fhir+xml; charset=utf-8")


async def test_xml_body(index: httpx.AsyncClient) -> None:
    """PIXM-104-02: XML in; the same record."""
    body = (
        f'<Patient xmlns="http://hl7.org/fhir"><identifier><system value="{NORTH}"/><value value="N-1"/></identifier>'
        '<name><family value="Example"/></name></Patient>'
    )
    answer = await index.put(
        f"/Patient?identifier={NORTH}|N-1", content=body, headers={"Content-Type": "application/fhir+xml"}
    )
    assert answer.status_code == 201
    assert "<Patient" in answer.text


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ({"shoeSize": 43}, (400, "structure")),
        ({"active": "yes"}, (400, "structure")),
        ({"resourceType": "Person"}, (400, "invalid")),
        ({"birthDate": "7.3.1984"}, (400, "value")),
        ({"gender": "femal"}, (400, "value")),
        ({"identifier": None}, (422, "required")),
        ({"identifier": [{"system": NORTH, "value": "N-1"}, {"value": "x"}]}, (422, "required")),
        ({"name": None}, (422, "required")),
        ({"name": [{"use": "official"}]}, (422, "invariant")),
        ({"modifierExtension": [{"url": "https://example.org/x", "valueBoolean": True}]}, (422, "extension")),
        ({"implicitRules": "https://example.org/x"}, (422, "business-rule")),
        ({"identifier": [{"system": NORTH, "value": "N-2"}]}, (422, "business-rule")),
    ],
)
async def test_defects(index: httpx.AsyncClient, change: dict[str, Any], expected: tuple[int, str]) -> None:
    """PIXM-104-11, PIXM-104-23, PIXM-DAT-01, PIXM-DAT-20, PIXM-HTTP-08: 400 is not legal FHIR, 422 is against the profile or our rules."""
    body = {name: value for name, value in (person(NORTH, "N-1") | change).items() if value is not None}
    answer = await put(index, f"identifier={NORTH}|N-1", body)
    assert code(answer) == expected
    assert issue(answer)["details"]["text"] == issue(answer)["diagnostics"]


async def test_not_json_and_no_body(index: httpx.AsyncClient) -> None:
    """PIXM-104-23, PIXM-HTTP-06: unreadable, empty, of a type that is not FHIR's."""
    url = f"/Patient?identifier={NORTH}|N-1"
    assert code(await index.put(url, content="{", headers=JSON)) == (400, "structure")
    assert code(await index.put(url, headers=JSON)) == (400, "required")
    assert code(await index.put(url, content="x", headers={"Content-Type": "text/plain"})) == (415, "not-supported")


async def test_body_limit(index: httpx.AsyncClient) -> None:
    """PIXM-HTTP-16: a Patient of 2 MiB is too long."""
    photo = [{"contentType": "image/png", "data": "A" * 2_000_000}]
    assert code(await put(index, f"identifier={NORTH}|N-1", person(NORTH, "N-1", photo=photo))) == (413, "too-long")


async def test_every_element_comes_back(index: httpx.AsyncClient) -> None:
    """PIXM-104-16, PIXM-104-24, PIXM-104-40, PIXM-DAT-02, PDQM-78-61, PDQM-78-74, PDQM-78-77: what was fed is what is read, unknown extensions too."""
    sd = "http://hl7.org/fhir/StructureDefinition"
    full = person(
        NORTH,
        "N-1",
        extension=[
            {"url": f"{sd}/patient-mothersMaidenName", "valueString": "Benková"},
            {"url": "https://example.org/shoe-size", "valueInteger": 43},
        ],
        meta={"tag": [{"system": "https://example.org", "code": "x"}]},
        telecom=[{"system": "email", "value": "a@example.org"}],
        deceasedDateTime="2020-01-01",
        address=[{"line": ["1 Sample Street"], "city": "Exampleton"}],
        maritalStatus={"text": "married"},
        multipleBirthInteger=2,
        contact=[{"name": {"family": "Contact"}}],
        communication=[{"language": {"coding": [{"system": "urn:ietf:bcp:47", "code": "sk"}]}}],
        managingOrganization={"display": "North Hospital"},
        link=[{"other": {"reference": "RelatedPerson/mother"}, "type": "seealso"}],
    )
    stored = (await index.get(f"/Patient/{await fed(index, full)}")).json()
    assert {name: value for name, value in stored.items() if name not in ("id", "meta")} == {
        name: value for name, value in full.items() if name != "meta"
    }
    assert stored["meta"]["tag"] == full["meta"]["tag"]


async def test_meta_is_the_servers(index: httpx.AsyncClient) -> None:
    """PIXM-104-19, PDQM-78-72: version, time and source are not the client's; `active` is said when it was not."""
    claimed = {"versionId": "7", "lastUpdated": "2001-01-01T00:00:00Z", "source": SOUTH}
    stored = (await feed(index, person(NORTH, "N-1", meta=claimed, active=None))).json()
    assert (stored["meta"]["versionId"], stored["meta"]["source"], stored["active"]) == ("1", NORTH, True)
    assert not stored["meta"]["lastUpdated"].startswith("2001")


async def test_same_body_keeps_the_version(index: httpx.AsyncClient) -> None:
    """PIXM-104-18: still 200, same ETag."""
    await fed(index, person(NORTH, "N-1"))
    again = await feed(index, person(NORTH, "N-1"))
    assert (again.status_code, again.headers["etag"]) == (200, 'W/"1"')


async def test_key_is_added(index: httpx.AsyncClient) -> None:
    """PIXM-104-03, PIXM-104-11: a body without an identifier of the key's domain gets the key, and is found by it."""
    await fed(index, person(NATIONAL, "1234567890"), NORTH, "N-5")
    assert identifiers(await pix(index, f"{NORTH}|N-5")) == {f"{NATIONAL}|1234567890"}


@pytest.mark.parametrize(
    ("prefer", "kind"),
    [("return=minimal", ""), ("return=OperationOutcome", "OperationOutcome"), ("return=representation", "Patient")],
)
async def test_prefer(index: httpx.AsyncClient, prefer: str, kind: str) -> None:
    """PIXM-104-15, PIXM-104-51: what the caller wants back."""
    answer = await feed(index, person(NORTH, "N-1"), Prefer=prefer)
    assert answer.status_code == 201
    assert (answer.json()["resourceType"] if answer.content else "") == kind
    removed = await index.delete(f"/Patient?identifier={NORTH}|N-1", headers={"Prefer": prefer})
    assert removed.status_code == (200 if kind == "OperationOutcome" else 204)


async def test_if_match(index: httpx.AsyncClient) -> None:
    """PIXM-104-12: the version that the client knows must be the current one."""
    await fed(index, person(NORTH, "N-1"))
    changed = person(NORTH, "N-1", gender="male")
    assert code(await feed(index, changed, If_Match='W/"7"')) == (412, "conflict")
    assert code(await feed(index, changed, If_Match="nonsense")) == (412, "conflict")
    assert code(await feed(index, person(NORTH, "N-2"), If_Match='W/"1"')) == (412, "conflict")
    assert (await feed(index, changed, If_Match='W/"1"')).headers["etag"] == 'W/"2"'


async def test_id_in_the_body(index: httpx.AsyncClient, serve: Serve) -> None:
    """PIXM-104-10: clients do not choose ids; one that is the record's is fine."""
    known = await fed(index, person(NORTH, "N-1"))
    assert (await feed(index, person(NORTH, "N-1", id=known, gender="male"))).status_code == 200
    assert code(await feed(index, person(NORTH, "N-1", id="other"))) == (400, "invalid")
    assert code(await feed(index, person(NORTH, "N-2", id="mine"))) == (405, "not-supported")
    async with serve(feed_client_id="ignore") as lenient:
        answer = await feed(lenient, person(NORTH, "N-2", id="mine"))
        assert (answer.status_code, answer.json()["id"] != "mine") == (201, True)


async def test_twenty_first_feeds_make_one_record(index: httpx.AsyncClient) -> None:
    """PIXM-104-09: one 201, all others 200, one Patient."""
    answers = await asyncio.gather(*(feed(index, person(NORTH, "N-1")) for _ in range(20)))
    assert sorted(one.status_code for one in answers) == [200] * 19 + [201]
    assert len({one.json()["id"] for one in answers}) == 1
    assert (await index.get("/Patient")).json()["total"] == 1


async def test_no_hospital_overwrites_anothers_record(index: httpx.AsyncClient) -> None:
    """PIXM-104-08, PIXM-DOM-06: a record that mentions an identifier is no match for its owner's feed."""
    north = await fed(index, person(NORTH, "N-1", identifier=also(NORTH, "N-1", (SOUTH, "S-1"))))
    unlike = person(SOUTH, "S-1", name=[{"family": "Unlike"}], birthDate="1920-12-12")
    assert identifiers(await pix(index, f"{NORTH}|N-1", SOUTH)) == set()
    answer = await feed(index, unlike)
    assert (answer.status_code, answer.json()["id"] != north) == (201, True)
    assert (await index.get(f"/Patient/{north}")).headers["etag"] == 'W/"1"'


async def test_identifier_that_anybody_may_assert(index: httpx.AsyncClient) -> None:
    """PIXM-DOM-06: a national number is told though nobody feeds its domain."""
    await fed(index, person(NORTH, "N-1", identifier=also(NORTH, "N-1", (NATIONAL, "1234567890"))))
    assert identifiers(await pix(index, f"{NORTH}|N-1", NATIONAL)) == {f"{NATIONAL}|1234567890"}


async def test_another_identifier_of_the_same_source(index: httpx.AsyncClient) -> None:
    """PIXM-104-08: a record is found by any identifier of its source's domains."""
    emergency = "urn:oid:2.999.10.9"
    both = person(NORTH, "N-1", identifier=also(NORTH, "N-1", (emergency, "X")))
    first = await fed(index, both)
    assert await fed(index, both | {"gender": "male"}, emergency, "X") == first


async def test_who_may_feed(index_app: FastAPI, index: httpx.AsyncClient) -> None:
    """PIXM-104-14, PIXM-DOM-02: exchange 16; once a token names a client, it must be the domain's source."""
    context: Context = index_app.state.context
    query = (("identifier", f"{NORTH}|N-1"),)

    def message(client: str) -> RequestMessage:
        return RequestMessage("PUT", "Patient", query, resource=person(NORTH, "N-1"), access=Access(Principal(client)))

    with pytest.raises(FhirError) as raised:
        await patient_identity_feed(message("south-adt"), context)
    assert (raised.value.status, raised.value.issues[0].code) == (403, "forbidden")
    assert raised.value.issues[0].diagnostics == f"client is not the identity source of {NORTH}"
    assert (await patient_identity_feed(message("north-adt"), context)).status == 201


async def test_deactivated(index: httpx.AsyncClient, serve: Serve) -> None:
    """PIXM-104-39, PIXM-83-35: kept, not a target, and asked by it nobody is found; or nothing, by choice."""
    await fed(index, person(NORTH, "N-1"))
    await fed(index, person(SOUTH, "S-1", active=False))
    assert identifiers(await pix(index, f"{NORTH}|N-1")) == set()
    assert (await pix(index, f"{SOUTH}|S-1")).status_code == 404
    async with serve(deprecated_query="empty") as other:
        assert (await pix(other, f"{SOUTH}|S-1")).json() == {"resourceType": "Parameters"}


async def test_merge_refusals(index: httpx.AsyncClient) -> None:
    """PIXM-104-32, PIXM-104-34: the survivor must be known, active, of the same domain and another one."""
    await fed(index, named("Survivor", "N-1"))
    await fed(index, named("Loser", "N-2"))
    await fed(index, named("Gone", "N-3", active=False))

    async def merged(other: dict[str, Any], number: str = "N-2") -> tuple[int, str]:
        link = [{"other": other, "type": "replaced-by"}]
        return code(await feed(index, named("Loser", number, active=False, link=link)))

    assert await merged({"identifier": {"system": NORTH, "value": "N-9"}}) == (422, "not-found")
    assert await merged({"identifier": {"system": NORTH, "value": "N-3"}}) == (422, "business-rule")
    assert await merged({"identifier": {"system": SOUTH, "value": "S-1"}}) == (422, "business-rule")
    assert await merged({"identifier": {"system": NORTH, "value": "N-2"}}) == (422, "business-rule")
    assert await merged({"reference": "Patient/nobody"}) == (422, "not-found")
    await fed(index, named("Loser", "N-2", link=[REPLACED]))
    cycle = [{"other": {"identifier": {"system": NORTH, "value": "N-2"}}, "type": "replaced-by"}]
    assert code(await feed(index, named("Survivor", "N-1", link=cycle))) == (422, "business-rule")


async def test_merge_by_reference_of_an_unknown_key(index: httpx.AsyncClient) -> None:
    """PIXM-104-32, PIXM-104-33, PIXM-104-35: a local reference will do; a key that was never fed becomes an inactive record."""
    survivor = await fed(index, named("Survivor", "N-1"))
    link = [{"other": {"reference": f"{BASE}/Patient/{survivor}"}, "type": "replaced-by"}]
    answer = await feed(index, named("Loser", "N-2", active=None, link=link))
    assert (answer.status_code, answer.json().get("active")) == (201, False), answer.text
    assert (await pix(index, f"{NORTH}|N-2")).status_code == 404


async def test_merged_links_go_to_the_survivor(index: httpx.AsyncClient) -> None:
    """PIXM-104-31: who was the same as the loser is the same as the survivor from now on."""
    await fed(index, named("Survivor", "N-1"))
    loser, same = named("Loser", "N-2"), person(SOUTH, "S-1", name=[{"family": "Loser"}])
    loser["name"], same["name"] = [{"family": "Loser", "given": ["Zita"]}], [{"family": "Loser", "given": ["Zita"]}]
    await fed(index, loser)
    await fed(index, same | {"birthDate": loser["birthDate"]})
    assert identifiers(await pix(index, f"{SOUTH}|S-1")) == {f"{NORTH}|N-2"}
    await fed(index, loser | {"active": False, "link": [REPLACED]})
    assert identifiers(await pix(index, f"{SOUTH}|S-1")) == {f"{NORTH}|N-1"}
    assert identifiers(await pix(index, f"{NORTH}|N-1")) == {f"{SOUTH}|S-1"}


async def test_undoing_a_merge(index: httpx.AsyncClient, serve: Serve) -> None:
    """PIXM-104-38: refused, unless the deployment allows it; repeating the merge is fine."""
    await fed(index, named("Survivor", "N-1"))
    merged = named("Loser", "N-2", active=False, link=[REPLACED])
    await fed(index, merged)
    assert (await feed(index, merged)).headers["etag"] == 'W/"1"'
    assert code(await feed(index, named("Loser", "N-2"))) == (405, "business-rule")
    async with serve(allow_unmerge=True) as lenient:
        assert (await feed(lenient, named("Loser", "N-2"))).json()["active"] is True
        assert identifiers(await pix(lenient, f"{NORTH}|N-2")) == set()


async def test_removed_key_begins_anew(index: httpx.AsyncClient) -> None:
    """PIXM-104-55, PIXM-104-58, PDQM-78-73: a later feed makes a new record; the old one is not found."""
    first = await fed(index, person(NORTH, "N-1"))
    await index.delete("/Patient", params={"identifier": f"{NORTH}|N-1"})
    assert (await index.get("/Patient?family=example")).json()["total"] == 0
    answer = await feed(index, person(NORTH, "N-1"))
    assert (answer.status_code, answer.json()["id"] != first) == (201, True)


async def test_conditional_create(index: httpx.AsyncClient) -> None:
    """PIXM-104-22: 201, then 200 and nothing changed; 405 without the header."""
    body, key = person(NORTH, "N-1"), {"If-None-Exist": f"identifier={NORTH}|N-1"}
    assert code(await index.post("/Patient", json=body, headers=JSON)) == (405, "not-supported")
    first = await index.post("/Patient", json=body, headers=JSON | key)
    again = await index.post("/Patient", json=body | {"gender": "male"}, headers=JSON | key)
    assert (first.status_code, again.status_code) == (201, 200)
    assert again.json() == first.json()
    emergency = "urn:oid:2.999.10.9"
    for number in ("N-1", "N-2"):
        await fed(index, person(NORTH, number, identifier=also(NORTH, number, (emergency, "X"))))
    many = {"If-None-Exist": f"identifier={emergency}|X"}
    assert code(await index.post("/Patient", json=person(emergency, "X"), headers=JSON | many)) == (
        412,
        "multiple-matches",
    )


async def test_option_and_unlisted_interactions(index: httpx.AsyncClient, serve: Serve) -> None:
    """PIXM-ACT-02, PIXM-ACT-04, PIXM-104-59, PIXM-HTTP-15: without the option no DELETE; no interaction by id."""
    async with serve(remove_patient=False) as other:
        answer = await other.delete(f"/Patient?identifier={NORTH}|N-1")
        assert (answer.status_code, "DELETE" in answer.headers["allow"]) == (405, False)
        statement = (await other.get("/metadata")).json()
        (patient,) = [one for one in statement["rest"][0]["resource"] if one["type"] == "Patient"]
        assert "conditionalDelete" not in patient
    known = await fed(index, person(NORTH, "N-1"))
    for method in ("PUT", "PATCH", "DELETE", "POST"):
        answer = await index.request(method, f"/Patient/{known}", json=person(NORTH, "N-1"), headers=JSON)
        assert (answer.status_code, "GET" in answer.headers["allow"]) == (405, True)


async def test_required_profile(serve: Serve) -> None:
    """PIXM-104-25, PIXM-DAT-03: a deployment may demand more."""
    stricter = "https://profiles.ihe.net/ITI/PIXm/StructureDefinition/IHE.PIXm.Patient.BirthDateRequired"
    async with serve(required_profile=stricter) as index:
        assert code(await feed(index, person(NORTH, "N-1", birthDate=None))) == (422, "required")
        assert (await feed(index, person(NORTH, "N-1"))).status_code == 201


async def test_records_that_nobody_fed_are_adopted(index_app: FastAPI, index: httpx.AsyncClient) -> None:
    """PIXM-104-08: own choice: a record that came with a document becomes its owner's with the first feed."""
    from app.store.change import Create

    context: Context = index_app.state.context
    await context.store.commit([Create(person(NORTH, "N-1", id="imported"))], context.now())
    assert references(await pix(index, f"{NORTH}|N-1", BASE)) == {f"{BASE}/Patient/imported"}
    answer = await feed(index, person(NORTH, "N-1", gender="male"))
    assert (answer.status_code, answer.json()["id"]) == (200, "imported")


async def test_connectathon_domains(index: httpx.AsyncClient) -> None:
    """PIXM-DOM-08: IHE's three domains for tests are known."""
    for number in ("1000", "2000", "3000"):
        await fed(index, person(f"urn:oid:1.3.6.1.4.1.21367.13.20.{number}", "X-1", birthDate=f"1{number[0]}50-01-01"))


async def test_alias_of_a_domain() -> None:
    """PIXM-DOM-01, PIXM-DOM-07: two spellings of one domain are one; anything else is compared to the letter."""
    domain = Domain("urn:oid:2.999.10.1", ("https://north.example.org/patients",), "North")
    domains = Domains([domain], BASE)
    assert domains.find("https://north.example.org/patients") is domain
    assert domains.find("https://north.example.org/PATIENTS") is None
    assert domains.find(LAB) is None
