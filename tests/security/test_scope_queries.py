"""SMART v2 scopes with queries, and scopes for what is included: what they leave over, over HTTP.

Spec: EHDS-17, EHDS-21; MHD-SEC-05.
"""

from __future__ import annotations

import httpx
import pytest

from tests.patients import NORTH
from tests.security.records import CATEGORY, LOINC, Records, fields, headers, sees


async def test_scope_query_is_a_sight(asking: httpx.AsyncClient, records: Records) -> None:
    """EHDS-21: what the query leaves out is neither found nor read nor retrieved."""
    sent = headers(f"system/DocumentReference.rs?{CATEGORY} system/Binary.r system/Bundle.r")

    assert await sees(asking, "DocumentReference?status=current", sent) == [f"DocumentReference/{records.laboratory}"]
    assert (await asking.get(f"DocumentReference/{records.laboratory}", headers=sent)).status_code == 200
    assert (await asking.get(f"Binary/{records.laboratory_binary}", headers=sent)).content == b"laboratory"
    for url in (
        "DocumentReference/{summary}",
        "Binary/{secret_binary}",
        "Bundle/{summary_bundle}",
        "Binary/{his_binary}",
    ):
        answer = await asking.get(url.format(**fields(records)), headers=sent)
        assert answer.status_code == 404, url


@pytest.mark.parametrize(
    ("scope", "count"),
    [
        (f"system/DocumentReference.rs?{CATEGORY}", 1),
        (f"system/*.rs?{CATEGORY}", 1),
        (f"system/DocumentReference.rs?{CATEGORY} system/DocumentReference.rs?category={LOINC}|34133-9", 5),
        (f"system/DocumentReference.rs?{CATEGORY} system/DocumentReference.rs", 5),
        (f"ITI-67 system/DocumentReference.rs?{CATEGORY}", 5),
        (f"system/DocumentReference.r system/DocumentReference.s?{CATEGORY}", 1),
        (f"system/DocumentReference.rs?{CATEGORY}&status=superseded", 0),
        ("system/DocumentReference.rs?patient.identifier=urn:oid:2.999.10.1|N-2044", 2),
        ("system/DocumentReference.rs?nonsense=1", 0),
        ("system/DocumentReference.rs?date=yesterday", 0),
    ],
)
async def test_scope_queries_add_up(asking: httpx.AsyncClient, records: Records, scope: str, count: int) -> None:
    """EHDS-21: each scope opens what it says; what is not understood opens nothing."""
    assert len(await sees(asking, "DocumentReference?status=current", headers(scope))) == count


async def test_included_types_need_a_scope(asking: httpx.AsyncClient, records: Records) -> None:
    """EHDS-17, MHD-SEC-05: `_include` shows no type that the scopes do not open; chains may still name the patient."""
    url = f"DocumentReference?patient.identifier={NORTH}|N-1001&_include=DocumentReference:patient"

    narrow = await sees(asking, url, headers("system/DocumentReference.rs"))
    iua = await sees(asking, url, headers("ITI-67"))
    wide = await sees(asking, url, headers("system/DocumentReference.rs system/Patient.rs"))

    assert narrow == iua
    assert len(narrow) == 3
    assert len(wide) == 5
