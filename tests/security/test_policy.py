"""Policy as tables: who is cleared for what, whom a restriction denies, what lifts both; and the same over HTTP.

Spec: MHD-SEC-04, MHD-SEC-05, MHD-SEC-13; EHDS-110; PDQM-SEC-03, PDQM-SEC-04.
"""

from __future__ import annotations

from pathlib import Path

import httpx
import pytest

from app.security.policy import ACT_REASON, LEVELS, Clearance, Fit, Policy, Restriction
from app.security.policy_file import load
from app.security.principal import Principal
from app.security.scope import parse
from app.security.toml_tables import AuthorizationError
from tests.conftest import BASE_URL
from tests.security.conftest import Guarded
from tests.security.records import Records, bound, document, found, headers, published
from tests.submissions import concept, oid

ROLES = "http://terminology.hl7.org/CodeSystem/practitioner-role"
TREAT, RESEARCH, EMERGENCY = ((ACT_REASON, code) for code in ("TREAT", "HRESCH", "BTG"))
DOCTOR, NURSE = (ROLES, "doctor"), (ROLES, "nurse")

TABLE = Policy(
    (
        Clearance("N"),
        Clearance("R", Fit(roles=frozenset({DOCTOR}), purposes=frozenset({TREAT}))),
        Clearance("V", Fit(clients=frozenset({"archive"}))),
        Clearance("V", Fit(grants=parse("ITI-68"), roles=frozenset({NURSE}))),
        Clearance("R", Fit(grants=parse("system/DocumentReference.rs"), clients=frozenset({"viewer"}))),
    )
)


@pytest.mark.parametrize(
    ("who", "scope", "level"),
    [
        (Principal(), "ITI-67", "N"),
        (Principal(roles=(DOCTOR,)), "ITI-67", "N"),
        (Principal(roles=(DOCTOR,), purposes=(TREAT,)), "ITI-67", "R"),
        (Principal(roles=(NURSE, DOCTOR), purposes=(RESEARCH, TREAT)), "ITI-67", "R"),
        (Principal(roles=(DOCTOR,), purposes=(RESEARCH,)), "ITI-67", "N"),
        (Principal(client="archive"), "ITI-67", "V"),
        (Principal(client="archive2"), "ITI-67", "N"),
        (Principal(roles=(NURSE,)), "ITI-67", "N"),
        (Principal(roles=(NURSE,)), "ITI-68", "V"),
        (Principal(roles=(NURSE,)), "system/Binary.r", "V"),
        (Principal(roles=(NURSE,)), "system/List.r", "N"),
        (Principal(client="viewer"), "ITI-67", "R"),
        (Principal(client="viewer"), "ITI-66", "N"),
    ],
)
def test_clearance(who: Principal, scope: str, level: str) -> None:
    """MHD-SEC-05, PDQM-SEC-03: the highest of the rows that fit; of a row, all must fit."""
    assert TABLE.level(who, parse(scope)) == level


def test_without_rows_all_is_cleared_and_with_some_nobody_is_by_default() -> None:
    """MHD-SEC-05: who is in no row sees what has no label."""
    rows = Policy((Clearance("R", Fit(roles=frozenset({DOCTOR}))),))

    assert Policy().level(Principal(), ()) == LEVELS[-1]
    assert Policy().confidentiality(Principal(), ()) is None
    assert rows.level(Principal(), ()) == ""


DENY = Restriction("Consent/1", ("Patient/1",))


@pytest.mark.parametrize(
    ("restriction", "who", "is_denied"),
    [
        (DENY, Principal(), True),
        (DENY, Principal(purposes=(RESEARCH,)), True),
        (Restriction("", (), purposes=frozenset({RESEARCH})), Principal(purposes=(RESEARCH,)), True),
        (Restriction("", (), purposes=frozenset({RESEARCH})), Principal(purposes=(TREAT,)), False),
        (Restriction("", (), purposes=frozenset({RESEARCH})), Principal(), False),
        (Restriction("", (), purposes=frozenset({TREAT})), Principal(), True),
        (Restriction("", (), purposes=frozenset({RESEARCH})), Principal(purposes=(TREAT, RESEARCH)), True),
        (Restriction("", (), is_permit=True, purposes=frozenset({TREAT})), Principal(), False),
        (Restriction("", (), is_permit=True, purposes=frozenset({TREAT})), Principal(purposes=(RESEARCH,)), True),
        (Restriction("", (), actors=frozenset({"ward"})), Principal(client="ward"), True),
        (Restriction("", (), actors=frozenset({"ward"})), Principal(client="other"), False),
        (Restriction("", (), actors=frozenset({"dr"})), Principal(client="ward", subject="dr"), True),
        (
            Restriction("", (), actors=frozenset({"urn:oid:2.999.10"})),
            Principal(claims={"ihe_iua": {"subject_organization_id": "urn:oid:2.999.10"}}),
            True,
        ),
        (Restriction("", (), is_permit=True, actors=frozenset({"ward"})), Principal(client="other"), True),
        (
            Restriction("", (), purposes=frozenset({RESEARCH}), actors=frozenset({"ward"})),
            Principal(client="ward", purposes=(TREAT,)),
            False,
        ),
    ],
)
def test_restriction(restriction: Restriction, who: Principal, *, is_denied: bool) -> None:
    """MHD-SEC-13, EHDS-110: deny where it fits; permit, and deny where it does not fit; no purpose means treatment."""
    assert restriction.denies(who) == is_denied


@pytest.mark.parametrize(
    ("purposes", "is_emergency"),
    [
        ((), False),
        ((TREAT,), False),
        ((EMERGENCY,), True),
        (((ACT_REASON, "ETREAT"),), True),
        ((TREAT, EMERGENCY), True),
    ],
)
def test_emergency(purposes: tuple[tuple[str, str], ...], *, is_emergency: bool) -> None:
    """EHDS-110: break-the-glass is a purpose of use; a row may ask for a role besides."""
    rows = Policy(emergencies=(Fit(purposes=frozenset({EMERGENCY}), roles=frozenset({DOCTOR})),))

    assert Policy().is_emergency(Principal(purposes=purposes), ()) == is_emergency
    assert not rows.is_emergency(Principal(purposes=purposes), ())
    assert rows.is_emergency(Principal(purposes=purposes, roles=(DOCTOR,)), ()) == (EMERGENCY in purposes)


FILE = f"""
[[clearance]]
level = "N"

[[clearance]]
level = "R"
scope = "ITI-67 ITI-68 ITI-78 system/*.rs"
roles = ["{ROLES}|doctor"]
purposes = ["{ACT_REASON}|TREAT"]

[[break_glass]]
purposes = ["{ACT_REASON}|BTG", "{ACT_REASON}|ETREAT"]
roles = ["{ROLES}|doctor"]
"""


def test_file_is_read(tmp_path: Path) -> None:
    """MHD-SEC-05: the file says what the tables above say."""
    (tmp_path / "policy.toml").write_text(FILE)

    policy = load(tmp_path / "policy.toml")

    assert [row.level for row in policy.clearances] == ["N", "R"]
    assert policy.clearances[1].fit.roles == {DOCTOR}
    assert policy.emergencies[0].purposes == {EMERGENCY, (ACT_REASON, "ETREAT")}
    assert load(None) == Policy()


@pytest.mark.parametrize(
    ("text", "line", "word"),
    [
        ('[[clearance]]\nlevel = "X"', 2, "level"),
        ('[[clearance]]\nroles = ["a|b"]', 1, "level"),
        ('[[clearance]]\nlevel = "N"\nroles = ["doctor"]', 3, "system|code"),
        ('[[clearance]]\nlevel = "N"\nscope = "everything"', 3, "scope"),
        ("[[break_glass]]\nroles = []", 1, "purposes"),
        ("[[clearence]]", 1, "clearance"),
    ],
)
def test_wrong_file_stops_the_start(tmp_path: Path, text: str, line: int, word: str) -> None:
    """Style 10: one sentence with the file, the line and the remedy."""
    path = tmp_path / "policy.toml"
    path.write_text(text)

    with pytest.raises(AuthorizationError, match=f"line {line}: .*{word.replace('|', '[|]')}"):
        load(path)


@pytest.fixture(scope="module")
def policy_file(tmp_path_factory: pytest.TempPathFactory) -> str:
    """The file above."""
    path = tmp_path_factory.mktemp("policy") / "policy.toml"
    path.write_text(FILE)
    return str(path)


def coded(*codes: tuple[str, str]) -> list[dict[str, str]]:
    """Codes as claims have them."""
    return [{"system": system, "code": code} for system, code in codes]


def asking_as(scope: str, roles: tuple[tuple[str, str], ...] = (), *purposes: tuple[str, str]) -> dict[str, str]:
    """A token of somebody with that role and purpose."""
    said = {"subject_role": coded(*roles), "purpose_of_use": coded(*purposes)}
    return headers(scope, extensions={"ihe_iua": {name: value for name, value in said.items() if value}})


@pytest.mark.parametrize(
    ("roles", "purposes", "is_seen"),
    [
        ((), (), False),
        ((DOCTOR,), (TREAT,), True),
        ((DOCTOR,), (RESEARCH,), False),
        ((NURSE,), (TREAT,), False),
        ((DOCTOR,), (EMERGENCY,), True),
        ((NURSE,), (EMERGENCY,), False),
    ],
)
async def test_confidential_documents(
    again: Guarded,
    records: Records,
    policy_file: str,
    roles: tuple[tuple[str, str], ...],
    purposes: tuple[tuple[str, str], ...],
    *,
    is_seen: bool,
) -> None:
    """MHD-SEC-05, MHD-66-35, MHD-68-15, EHDS-110: labels above the clearance are neither found nor read nor retrieved;
    the purpose of an emergency opens them."""
    sent = asking_as("ITI-67 ITI-68", roles, *purposes)
    async with again(access_policy=policy_file) as client:
        search = await client.get(f"DocumentReference?patient={records.kat}", headers=sent)
        read = await client.get(f"DocumentReference/{records.secret}", headers=sent)
        version = await client.get(f"DocumentReference/{records.secret}/_history/1", headers=sent)
        retrieved = await client.get(f"Binary/{records.secret_binary}", headers=sent)
        normal = await client.get(f"Binary/{records.laboratory_binary}", headers=sent)

    assert (f"DocumentReference/{records.secret}" in found(search)) == is_seen
    assert search.json()["total"] == (2 if is_seen else 1)
    assert normal.status_code == 200
    for answer in (read, version, retrieved):
        assert answer.status_code == (200 if is_seen else 401)
        if not is_seen:
            assert answer.json()["issue"][0]["code"] == "forbidden"


async def test_confidential_patient_is_left_out(again: Guarded, records: Records, policy_file: str) -> None:
    """PDQM-SEC-03, PDQM-SEC-04, MHD-SEC-04: a labelled Patient is missing from the Bundle, which stays legal."""
    label = {"system": "http://terminology.hl7.org/CodeSystem/v3-Confidentiality", "code": "R"}
    hidden = {
        "resourceType": "Patient",
        "meta": {"security": [label]},
        "identifier": [{"system": "urn:oid:2.999.10.1", "value": "N-7777"}],
        "name": [{"family": "Utajená", "given": ["Viera"]}],
        "gender": "female",
        "birthDate": "1990-01-01",
    }
    key = {"identifier": "urn:oid:2.999.10.1|N-7777"}
    async with again(access_policy=policy_file) as client:
        fed = await client.put("Patient", params=key, json=hidden, headers=headers("ITI-104"))
        name = f"Patient/{fed.json()['id']}"
        plain = await client.get("Patient?family=utajena", headers=headers("ITI-78"))
        doctor = await client.get("Patient?family=utajena", headers=asking_as("ITI-78", (DOCTOR,), TREAT))
        pix = f"Patient/$ihe-pix?sourceIdentifier={key['identifier']}"
        queried = await client.get(pix, headers=headers("ITI-83"))
        unknown = await client.get(pix.replace("7777", "0000"), headers=headers("ITI-83"))
        parameters = [{"name": "resource", "resource": {k: v for k, v in hidden.items() if k != "meta"}}]
        asked = {"resourceType": "Parameters", "parameter": parameters}
        matched = await client.post("Patient/$match", json=asked, headers=headers("ITI-119"))

    assert fed.status_code == 201
    assert (found(plain), plain.json()["total"]) == ([], 0)
    assert found(doctor) == [name]
    assert queried.status_code == unknown.status_code == 404
    assert queried.json() == unknown.json()
    assert name not in found(matched)


@pytest.mark.parametrize("conceal", [False, True])
async def test_what_is_withheld_by_policy(again: Guarded, records: Records, policy_file: str, *, conceal: bool) -> None:
    """EHDS-11, MHD-SEC-04: refused; where denials are concealed, word for word what is said of nothing."""
    async with again(access_policy=policy_file, auth_conceal=conceal) as client:
        for kind, name in (("DocumentReference", records.secret), ("Binary", records.secret_binary)):
            answer = await client.get(f"{kind}/{name}", headers=headers("system/*.rs"))
            nothing = await client.get(f"{kind}/{'0' * 32}", headers=headers("system/*.rs"))
            assert nothing.status_code == 404
            assert answer.status_code == (404 if conceal else 403)
            if conceal:
                assert answer.text.replace(name, "0" * 32) == nothing.text


async def test_publishing_is_not_looked_at_with_policy(again: Guarded, records: Records, policy_file: str) -> None:
    """MHD-SEC-13: who may not see a document may replace it; a condition finds nothing that may not be seen."""
    number = oid()
    label = [concept("http://terminology.hl7.org/CodeSystem/v3-Confidentiality", "V")]
    async with again(access_policy=policy_file) as client:
        first = await published(client, records.peter, document(number) | {"securityLabel": label})
        relation = [{"code": "replaces", "target": {"reference": f"DocumentReference/{first['DocumentReference']}"}}]
        second = await published(client, records.peter, document(oid()) | {"relatesTo": relation})
        hidden = await client.get(f"DocumentReference/{first['DocumentReference']}", headers=headers("ITI-67"))
        shown = await client.get(f"DocumentReference/{second['DocumentReference']}", headers=headers("ITI-67"))

    assert (hidden.status_code, shown.status_code) == (401, 200)
    assert shown.json()["relatesTo"][0]["target"]["reference"].startswith((BASE_URL, "DocumentReference/"))


async def test_bound_and_confidential(again: Guarded, records: Records, policy_file: str) -> None:
    """MHD-SEC-05, EHDS-20: every layer counts."""
    async with again(access_policy=policy_file) as client:
        answer: httpx.Response = await client.get(
            "DocumentReference?status=current", headers=bound("ITI-67", records.kat)
        )

    assert sorted(found(answer)) == sorted(f"DocumentReference/{one}" for one in (records.laboratory, records.summary))
