"""What a caller may write: each entry of a Bundle, for their own patient, within the queries of their scopes.

Spec: EHDS-17, EHDS-20 to EHDS-22; IUA-23, IUA-30.
"""

from __future__ import annotations

import httpx
import pytest

from tests.security.conftest import Guarded
from tests.security.records import (
    CATEGORY,
    DIALECTS,
    LABORATORY,
    Records,
    bound,
    document,
    headers,
    names_of,
    of_category,
)
from tests.security.submitted import of_patient
from tests.submissions import oid, submission


async def count(client: httpx.AsyncClient) -> list[int]:
    """How many records there are of each type."""
    sent = headers("system/*.rs")
    kinds = ("DocumentReference", "List", "Patient")
    return [(await client.get(f"{kind}?_summary=count", headers=sent)).json()["total"] for kind in kinds]


ENTRIES = {
    "system/List.c system/DocumentReference.c system/Binary.c": True,
    "ITI-65": True,
    "system/*.c": True,
    "system/DocumentReference.c system/Binary.c": False,
    "system/List.c system/Binary.c": False,
    "system/List.c system/DocumentReference.c": False,
    "system/List.c system/DocumentReference.c system/Bundle.c": False,
    "system/List.rs system/DocumentReference.c system/Binary.c": False,
    "system/DocumentReference.c": False,
}


@pytest.mark.parametrize("scope", ENTRIES)
async def test_every_entry_is_allowed(asking: httpx.AsyncClient, records: Records, scope: str) -> None:
    """EHDS-17, EHDS-22: one forbidden entry, and nothing is stored."""
    before = await count(asking)

    answer = await asking.post("", json=of_patient(submission(), records.kat), headers=headers(scope))

    assert answer.status_code == (200 if ENTRIES[scope] else 403), answer.text
    assert (await count(asking) == before) != ENTRIES[scope]
    if not ENTRIES[scope]:
        assert answer.json()["issue"][0]["code"] == "forbidden"
        assert 'error="insufficient_scope"' in answer.headers["www-authenticate"]


async def test_relaxed_publishing(records: Records, again: Guarded) -> None:
    """EHDS-17: with `publish_scope=relaxed` DocumentReference.c is enough."""
    made = of_patient(submission(), records.kat)
    async with again(auth_publish_scope="relaxed") as client:
        assert (await client.post("", json=made, headers=headers("system/DocumentReference.c"))).status_code == 200
        assert (await client.post("", json=made, headers=headers("system/List.c"))).status_code == 403


@pytest.mark.parametrize("dialect", DIALECTS)
async def test_bound_source_publishes_for_its_patient_alone(
    asking: httpx.AsyncClient, records: Records, dialect: str
) -> None:
    """EHDS-20, EHDS-22, IUA-23, IUA-30: own documents; another patient's are refused, known or not, nothing stored."""
    scope, status = DIALECTS[dialect]
    sent, before = bound(scope, records.kat), await count(asking)

    foreign = await asking.post("", json=of_patient(submission(), records.peter), headers=sent)
    unknown = await asking.post("", json=of_patient(submission(), "nobody"), headers=sent)

    assert foreign.status_code == unknown.status_code == status
    assert foreign.json() == unknown.json()
    assert await count(asking) == before
    assert (await asking.post("", json=of_patient(submission(), records.south), headers=sent)).status_code == 200


async def test_scope_query_limits_what_is_published(asking: httpx.AsyncClient, records: Records) -> None:
    """EHDS-21, EHDS-22: what is created lies within the query, or the whole Bundle is refused."""
    sent = headers(f"system/DocumentReference.c?{CATEGORY} system/List.c system/Binary.c")
    before = await count(asking)

    inside = submission(**of_category(document(oid()), LABORATORY))
    outside = submission(**of_category(document(oid()), "34133-9"))
    refused = await asking.post("", json=of_patient(outside, records.peter), headers=sent)
    between = await count(asking)
    accepted = await asking.post("", json=of_patient(inside, records.peter), headers=sent)

    assert (refused.status_code, accepted.status_code) == (403, 200)
    assert before == between
    assert names_of(accepted)[1].startswith("DocumentReference/")


async def test_patient_context_without_patient_is_refused(asking: httpx.AsyncClient) -> None:
    """EHDS-20: the scopes of a patient's context mean nothing without a patient."""
    answer = await asking.get("DocumentReference?status=current", headers=headers("patient/DocumentReference.rs"))

    assert answer.status_code == 403
