"""IHE's own examples of PIXm and PDQm, replayed: fed, merged, asked, matched. The files are read, never copied."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.patients import BASE, JSON, fed, feed, identifiers, pix, references

IHE = Path(__file__).parent.parent.parent.parent / "shared" / "ihe"
RED, GREEN, BLUE = (f"urn:oid:1.3.6.1.4.1.21367.13.20.{number}000" for number in (1, 2, 3))

pytestmark = pytest.mark.skipif(not IHE.is_dir(), reason="the published examples are not beside the project")


def example(guide: str, name: str) -> dict[str, Any]:
    """An example as a client would send it: without the id that its publisher gave it."""
    found: dict[str, Any] = json.loads((IHE / guide / "examples" / f"{name}.json").read_text())
    return {key: value for key, value in found.items() if key not in ("id", "text")}


@pytest.fixture
async def alice(index: httpx.AsyncClient) -> dict[str, str]:
    """Alice Mohr in the three domains."""
    return {
        colour: await fed(index, example("pixm", f"Patient-Patient-MohrAlice-{colour}"))
        for colour in ("Red", "Green", "Blue")
    }


async def test_all_of_alice(index: httpx.AsyncClient, alice: dict[str, str]) -> None:
    """PIXM-83-01, PIXM-83-10..15: the published request and response, but for the ids."""
    request = example("pixm", "Parameters-pixm-request-mohralice-red-all")
    answer = await index.post("/Patient/$ihe-pix", json=request, headers=JSON)
    published = example("pixm", "Parameters-pixm-response-mohralice-red-all")["parameter"]
    expected = {
        f"{one['valueIdentifier']['system']}|{one['valueIdentifier']['value']}"
        for one in published
        if "valueIdentifier" in one
    }
    assert identifiers(answer) == expected
    assert references(answer) == {f"{BASE}/Patient/{alice[colour]}" for colour in ("Green", "Blue")}


async def test_two_targets_and_xml(index: httpx.AsyncClient, alice: dict[str, str]) -> None:
    """PIXM-83-05, PIXM-83-14: the published request names two domains; both are told, which its response forgets."""
    asked = example("pixm", "Parameters-pixm-request-mohralice-red-to-blue")["parameter"]
    pairs = [(one["name"], one["valueString"]) for one in asked]
    answer = await index.get("/Patient/$ihe-pix", params=pairs)
    assert answer.headers["content-type"] == "application/fhir+xml; charset=utf-8"
    assert "IHEBLUE-994" in answer.text
    assert "IHEGREEN-994" in answer.text


async def test_not_found(index: httpx.AsyncClient, alice: dict[str, str]) -> None:
    """PIXM-83-30: the published OperationOutcome."""
    published = example("pixm", "OperationOutcome-pixm-response-error-not-found")["issue"][0]
    answer = await pix(index, f"{RED}|nobody")
    found = answer.json()["issue"][0]
    assert (answer.status_code, found["severity"], found["code"]) == (404, published["severity"], published["code"])


async def test_revised_and_resolved(index: httpx.AsyncClient, alice: dict[str, str]) -> None:
    """PIXM-104-01, PIXM-104-06, PIXM-104-30..37: Alissa revised, the maiden's record merged into Alice's."""
    revised = await feed(index, example("pixm", "Patient-Patient-MohrAlissa-Red"))
    assert (revised.status_code, revised.json()["id"]) == (200, alice["Red"])
    await fed(index, example("pixm", "Patient-Patient-MaidenAlice-Red"))
    resolved = await feed(index, example("pixm", "Patient-Patient-MohrMaidenResolvedByMohrMalice-Red"))
    assert (resolved.status_code, resolved.json()["active"]) == (200, False)
    assert (await pix(index, f"{RED}|IHERED-m94")).status_code == 404
    assert f"{RED}|IHERED-m94" not in identifiers(await pix(index, f"{BLUE}|IHEBLUE-994"))


@pytest.mark.parametrize(
    "name",
    [
        "Patient-ex-match-input-patient",
        "Parameters-ex-match-input-patient-only",
        "Parameters-ex-match-input-count",
        "Parameters-ex-match-input-onlyCertainMatches",
    ],
)
async def test_match_inputs(index: httpx.AsyncClient, name: str) -> None:
    """PDQM-119-02, PDQM-119-03, PDQM-119-20: every published input is understood."""
    answer = await index.post("/Patient/$match", json=example("pdqm", name), headers=JSON)
    assert (answer.status_code, answer.json()["type"]) == (200, "searchset"), answer.text


async def test_patient_with_mothers_maiden_name(index: httpx.AsyncClient) -> None:
    """PDQM-78-60, PIXM-104-16: fed, found by the name, returned as it was."""
    patient = example("pdqm", "Patient-ex-patient-mothers-maiden-name")
    patient["identifier"] = [{"system": RED, "value": "MMN-1"}]
    record = await fed(index, patient)
    name = next(one["valueString"] for one in patient["extension"] if one["url"].endswith("mothersMaidenName"))
    answer = await index.get("/Patient", params={"mothersMaidenName": name})
    (entry,) = answer.json()["entry"]
    assert (entry["resource"]["id"], entry["resource"]["extension"]) == (record, patient["extension"])
