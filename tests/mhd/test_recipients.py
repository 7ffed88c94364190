"""Whom a submission refers to beside the patient: intended recipients, and authors at the UnContained level."""

from __future__ import annotations

import socket
from datetime import UTC, datetime
from typing import Any

import httpx
import pytest

from app.fhir.resource import Resource
from app.settings import SettingError, load
from app.store.change import Create
from app.store.driver import Connection
from app.store.resources import Store
from tests.conftest import BASE_URL
from tests.mhd.conftest import Count, Publish, details, issue, served
from tests.submissions import SD, changed, submission

RECIPIENT = f"{SD}/ihe-intendedRecipient"


def told_to(**reference: Any) -> Resource:
    made = submission()
    owner = made["entry"][0]["resource"]
    owner["extension"].append({"url": RECIPIENT, "valueReference": reference})
    if reference.get("reference") == "#inbox":
        mail = {"system": "email", "value": "inbox@example.org"}
        owner["contained"].append({"resourceType": "Practitioner", "id": "inbox", "telecom": [mail]})
    return made


@pytest.mark.parametrize(
    "reference", ["#inbox", "Patient/p2", f"{BASE_URL}/Patient/p2", "http://directory.example/fhir/Practitioner/5"]
)
async def test_known_recipient(publish: Publish, reference: str) -> None:
    """MHD-65-102: contained, stored here, or somewhere else: taken without a word."""
    response = await publish(told_to(reference=reference))

    assert response.status_code == 200, response.text
    assert all("outcome" not in one["response"] for one in response.json()["entry"])


@pytest.mark.parametrize("reference", [{"reference": "Practitioner/unknown"}, {"display": "somebody"}])
async def test_unknown_recipient(publish: Publish, reference: Resource) -> None:
    """MHD-65-103, MHD-65-126: the submission is taken; a warning on the entry of the SubmissionSet says so."""
    response = await publish(told_to(**reference))

    assert response.status_code == 200, response.text
    outcomes = [one["response"].get("outcome") for one in response.json()["entry"]]
    assert outcomes[1:] == [None, None]
    (warning,) = outcomes[0]["issue"]
    assert (warning["severity"], details(warning)) == ("warning", "UnknownRecipient")
    assert warning["expression"] == ["Bundle.entry[0].resource.extension[2].value"]


def by_reference(**elements: Any) -> Resource:
    """Return an UnContained submission whose DocumentReference contains nobody but the source patient."""
    made = submission(level="uncontained", **elements)
    document = made["entry"][1]["resource"]
    document["contained"] = [one for one in document["contained"] if one["id"] == "source"]
    return made


STRANGER = {"reference": "Practitioner/5"}


@pytest.mark.parametrize(
    ("path", "element"),
    [
        ("entry.1.resource.author", "author[0]"),
        ("entry.1.resource.authenticator", "authenticator"),
        ("entry.1.resource.context.sourcePatientInfo", "context.sourcePatientInfo"),
        ("entry.0.resource.source", "source"),
    ],
)
async def test_reference_to_nobody(publish: Publish, counts: Count, path: str, element: str) -> None:
    """MHD-OPT-11, MHD-MHDS-03: who is named on this server must be stored here."""
    stranger = {"reference": "Patient/nobody"} if "Patient" in path else STRANGER
    made = changed(by_reference(author=None), path, [stranger] if path.endswith("author") else stranger)
    if path.endswith("sourcePatientInfo"):
        del made["entry"][1]["resource"]["contained"]
    if path.endswith("source"):
        del made["entry"][0]["resource"]["contained"]
    before = await counts()

    response = await publish(made)

    assert (response.status_code, details(issue(response))) == (400, "UnresolvedReferenceException"), response.text
    assert issue(response)["expression"][0].endswith(element)
    assert await counts() == before


async def test_reference_to_somebody(publish: Publish, store: Store) -> None:
    """MHD-OPT-07, MHD-OPT-10, MHD-OPT-11: one who is stored here may be named, as a path or as a URL."""
    await store.commit([Create({"resourceType": "Practitioner", "id": "5"})], datetime.now(UTC))

    for text in ("Practitioner/5", f"{BASE_URL}/Practitioner/5"):
        assert (await publish(by_reference(author=[{"reference": text}]))).status_code == 200


async def test_relative_reference_of_another_server(publish: Publish) -> None:
    """MHD-65-28, MHD-OPT-11: a path in an entry with a RESTful fullUrl counts from there, and is not ours."""
    made = by_reference(author=[STRANGER])
    new, old = "http://source.example/fhir/DocumentReference/a1", made["entry"][1]["fullUrl"]
    made["entry"][1]["fullUrl"] = new
    made["entry"][0]["resource"]["entry"][0]["item"]["reference"] = new
    made["entry"][1]["resource"]["subject"] = {"reference": f"{BASE_URL}/Patient/p1"}

    response = await publish(made)

    assert old != new
    assert response.status_code == 200, response.text


async def test_nobody_is_fetched(publish: Publish, monkeypatch: pytest.MonkeyPatch) -> None:
    """MHD-65-63, MHD-SEC-09: an absolute reference is stored without a connection to anywhere."""
    opened: list[object] = []
    real = socket.socket.connect

    def connect(self: socket.socket, address: Any) -> None:
        opened.append(address)
        real(self, address)

    monkeypatch.setattr(socket.socket, "connect", connect)
    monkeypatch.setattr(httpx.AsyncHTTPTransport, "handle_async_request", lambda *_: opened.append("request"))

    response = await publish(by_reference(author=[{"reference": "http://169.254.169.254/fhir/Practitioner/5"}]))

    assert response.status_code == 200, response.text
    assert not [one for one in opened if one == "request" or "169.254" in str(one)]


async def test_references_come_back_as_urls(client: httpx.AsyncClient, publish: Publish) -> None:
    """MHD-OPT-13: an author by URL comes back by URL, and the URL leads to him."""
    author = {"reference": f"{BASE_URL}/Patient/p2"}
    assert (await publish(by_reference(author=[author]))).status_code == 200

    (found,) = (await client.get("DocumentReference?patient=p1&status=current")).json()["entry"]

    assert found["resource"]["author"] == [author]
    assert (await client.get(author["reference"])).json()["id"] == "p2"


def test_xds_on_fhir_cannot_be_configured() -> None:
    """MHD-OPT-14: beside UnContained Reference there is no XDS on FHIR to be switched on."""
    with pytest.raises(SettingError, match="MHD_XDS_ON_FHIR"):
        load({"xds_on_fhir": True, "uncontained": True})


async def test_check_can_be_switched_off(
    mongodb_url: str, database_name: str, database: Connection, patients: None
) -> None:
    """MHD-OPT-11: a deployment whose directories are elsewhere."""
    async with served(mongodb_url, database_name, known_references=False) as client:
        assert (await client.post("", json=by_reference(author=[STRANGER]))).status_code == 200


@pytest.mark.parametrize(("option", "name"), [("comprehensive", "Comprehensive"), ("uncontained", "UnContained")])
async def test_options_are_declared(
    client: httpx.AsyncClient, mongodb_url: str, database_name: str, option: str, name: str
) -> None:
    """MHD-CS-10, MHD-CS-12: the requirement statement of an option, where it is on."""
    url = f"https://profiles.ihe.net/ITI/MHD/CapabilityStatement/IHE.MHD.DocumentRecipient.{name}"

    async with served(mongodb_url, database_name, **{option: False}) as other:
        off = (await other.get("metadata")).json()["instantiates"]

    assert url in (await client.get("metadata")).json()["instantiates"]
    assert url not in off
