"""ITI-66 and ITI-67 against a slow, obvious referee: 2,000 random questions over HTTP, without a difference."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any
from urllib.parse import urlencode

import httpx
import pytest

from app.store.change import Create
from app.store.resources import Store
from tests.conftest import BASE_URL as SERVER
from tests.mhd.conftest import Server
from tests.mhd.search_samples import Documents, Lists
from tests.store.plain_search import meets
from tests.store.sample import BASE_URL, COMMUNITIES

NOW = datetime(2025, 3, 4, 10, 0, tzinfo=UTC)
QUESTIONS = 1_000  # of each transaction
FORM = {"content-type": "application/x-www-form-urlencoded"}
OPTIONS: dict[str, Any] = {"target_communities": True, "known_communities": (*COMMUNITIES, "urn:oid:1.2")}

Pairs = list[tuple[str, str]]


async def asked(client: httpx.AsyncClient, resource_type: str, pairs: Pairs, *, by_post: bool) -> httpx.Response:
    sent = urlencode([(name, text.replace(BASE_URL, SERVER)) for name, text in pairs] + [("_count", "1000")])
    strict = {"prefer": "handling=strict"}
    if by_post:
        return await client.post(f"{resource_type}/_search", content=sent, headers=FORM | strict)
    return await client.get(f"{resource_type}?{sent}", headers=strict)


def _as_meant(name: str, text: str) -> str:
    """Return a value as the referee takes it: of a List, `superseded` is asked as `retired` (A-08)."""
    return text.replace("superseded", "retired") if name == "status" else text


@pytest.mark.parametrize("kind", [Documents, Lists])
async def test_what_is_found_is_what_the_referee_finds(server: Server, store: Store, kind: type[Documents]) -> None:
    """MHD-66-05, MHD-66-10..20, MHD-67-03, MHD-67-10..20, MHD-GEN-20..25: each parameter, prefix and modifier."""
    sample = kind(20250304)
    await store.ensure(("DocumentReference", "List", "Patient", "Practitioner", "PractitionerRole"))
    await store.commit([Create(each) for each in sample.stored.values()], NOW)
    client = await server(**OPTIONS)
    names, hits = set(), 0
    for number in range(QUESTIONS):
        pairs = [sample.question() for _ in range(sample.random.choice((1, 1, 2, 3)))]
        if len({name.partition(".")[0] for name, _ in pairs}) < len(pairs):
            pairs = pairs[:1]  # two questions about one author are one question: see tests/store/test_filter.py
        meant = [(name, _as_meant(name, text) if kind is Lists else text) for name, text in pairs]
        expected = {each["id"] for each in sample.resources if all(meets(each, *one, sample.stored) for one in meant)}

        response = await asked(client, sample.resource_type, pairs, by_post=number % 4 == 0)

        assert response.status_code == 200, (pairs, response.text)
        body = response.json()
        found = [one["resource"]["id"] for one in body.get("entry", [])]
        assert set(found) == expected, pairs
        assert body["total"] == len(found) == len(expected), pairs
        names.update(name for name, _ in pairs)
        hits += bool(expected)
    assert hits > QUESTIONS / 3  # else the questions prove little
    assert len(names) > 25, sorted(names)
