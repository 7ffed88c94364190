"""The guide's own examples, sent to the server in JSON and in XML: each is answered as the table says.

The files are IHE's and no part of this repository; the tests are skipped where they are not at hand. Where an example is
defective, the table names the switch that takes it, and what is answered without it (mhd.md section 19).
"""

from __future__ import annotations

import base64
import copy
import json
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import pytest

from app.fhir.packages import Packages
from app.fhir.resource import Resource
from app.fhir.xml import from_xml, to_xml
from app.store.change import Create
from tests.conftest import PROJECT
from tests.mhd.conftest import Server, details
from tests.submissions import sha1

if TYPE_CHECKING:
    from app.store.resources import Store

IHE = PROJECT.parent / "shared" / "ihe"
VERSIONS = ("mhd", "mhd-4.2.3")
JSON, XML = "application/fhir+json", "application/fhir+xml"
GENERATE = "/DocumentReference/$generate-metadata"
BASE = "http://example.org/fhir"  # the one that the examples speak of

pytestmark = pytest.mark.skipif(not IHE.is_dir(), reason="the guides' examples are not at hand")


@dataclass(frozen=True)
class Expected:
    """How an example is answered.

    Attributes:
        switches: with which the example is taken.
        refusal: status and code without them; None when it is taken anyway.
        entries: status of each entry.
    """

    entries: tuple[str, ...]
    switches: dict[str, Any] = field(default_factory=dict)
    refusal: tuple[int, str] | None = None


def told_truly(bundle: Resource) -> None:
    """Say the right hash and size of each document (D-01); 4.2.3 has the base64 of the hash in hexadecimal (MHD-65-52)."""
    data = {one["fullUrl"]: one["resource"].get("data", "") for one in bundle["entry"]}
    for one in bundle["entry"]:
        for content in one["resource"].get("content", ()) if "resource" in one else ():
            attachment = content["attachment"] if isinstance(content, dict) else {}
            if document := base64.b64decode(data.get(attachment.get("url", ""), "")):
                attachment |= {"hash": sha1(document), "size": len(document)}


def is_told_truly(bundle: Resource) -> bool:
    mended = copy.deepcopy(bundle)
    told_truly(mended)
    return mended == bundle


NUMBER = {"system": "urn:oid:2.999.40.1", "value": "fdoc"}
MADE = "201 Created"
BUNDLES = {
    "comprehensiveProvideDocumentBundleSimple": Expected((MADE,) * 3),
    "comprehensiveProvideDocumentBundleComplete": Expected((MADE,) * 4),
    "comprehensiveProvideDocumentBundleDocument": Expected((MADE,) * 3),
    # D-03: one masterIdentifier for two documents.
    "comprehensiveProvideDocumentBundleMultiple": Expected(
        (MADE,) * 5, {"unique_id_conflict": "warn"}, (400, "XDSRepositoryDuplicateUniqueIdInMessage")
    ),
    # D-01: a size that is not that of the document.
    "comprehensiveProvideDocumentBundleReplace": Expected((MADE, "200 OK", MADE, MADE)),
    # D-02: PUT of a Folder to `List`; it is found by its identifier (MHD-65-91).
    "ProvideDocumentBundle-addToFolder": Expected((MADE, MADE, "200 OK", MADE)),
    "minimalProvideDocumentBundleSimple": Expected((MADE,) * 4),
    "minimalProvideDocumentBundleSimpleContained": Expected((MADE,) * 3),
    # The practitioners and the organization are nobody's resources here.
    "unContainedComprehensiveProvideDocumentBundleComplete": Expected(
        (MADE,) * 3, {"known_references": False}, (400, "UnresolvedReferenceException")
    ),
}
FILES = {"ProvideDocumentBundle-addToFolder": "Bundle-ex-ProvideDocumentBundle-addToFolder.json"} | {
    name: f"Bundle-ex-{name}.json" for name in BUNDLES
}


def example(version: str, file: str) -> Resource:
    loaded: Resource = json.loads((IHE / version / "examples" / file).read_text())
    return loaded


@pytest.fixture
async def known(store: Store) -> None:
    """The resources that the examples refer to."""
    names = (
        "Patient-ex-patient",
        "DocumentReference-ex-DocumentReferenceComprehensive",
        "DocumentReference-ex-documentreference",
    )
    stored = [example("mhd", f"{name}.json") for name in names]
    for one in stored[1:]:
        one["subject"] = {"reference": "Patient/ex-patient"}
    folder = copy.deepcopy(example("mhd", FILES["ProvideDocumentBundle-addToFolder"])["entry"][2]["resource"])
    stored.append(folder | {"entry": folder["entry"][:1]})
    stored.append({"resourceType": "Patient", "id": "fdoc-patient", "identifier": [NUMBER]})
    await store.commit([Create(one) for one in stored], datetime.now(UTC))


Send = Callable[[Resource, str, dict[str, Any]], Any]


@pytest.fixture
def send(known: None, server: Server, packages: Packages) -> Send:
    """Send a resource in a format, and return status and answer; the server has the switches."""

    async def sent(
        resource: Resource, media_type: str, switches: dict[str, Any], url: str = ""
    ) -> tuple[int, Resource]:
        structures = packages.structures
        body = to_xml(resource, structures) if media_type == XML else json.dumps(resource).encode()
        client = await server(base_url=BASE, **switches)
        headers = {"content-type": media_type, "accept": media_type}
        response = await client.post(f"{BASE}{url}", content=body, headers=headers)
        assert response.headers["content-type"].startswith(media_type)
        return response.status_code, from_xml(response.content, structures) if media_type == XML else response.json()

    return sent


@pytest.mark.parametrize("media_type", [JSON, XML])
@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("name", BUNDLES)
async def test_official_submission(name: str, version: str, media_type: str, send: Send) -> None:
    """MHD-65-01, 04, 05, 20, 91, MHD-GEN-02, 04, A-17, A-21, D-01..03: each Bundle of the guide, as the table says."""
    expected, bundle = BUNDLES[name], example(version, FILES[name])
    if not is_told_truly(bundle):
        status, answer = await send(bundle, media_type, expected.switches)
        assert (status, details(answer["issue"][0])) == (422, "XDSRepositoryMetadataError"), answer
        told_truly(bundle)
    if expected.refusal:
        status, answer = await send(bundle, media_type, {})
        assert (status, details(answer["issue"][0])) == expected.refusal, answer

    status, answer = await send(bundle, media_type, expected.switches)

    assert status == 200, answer
    assert [one["response"]["status"] for one in answer["entry"]] == list(expected.entries), answer


def test_defects_are_those_on_record() -> None:
    """D-01: of this version one example says a wrong size; of 4.2.3 those with a hash say it in hexadecimal."""
    wrong = {name for name in BUNDLES if not is_told_truly(example("mhd", FILES[name]))}
    assert wrong == {"comprehensiveProvideDocumentBundleReplace"}


@pytest.mark.parametrize("media_type", [JSON, XML])
@pytest.mark.parametrize("version", VERSIONS)
async def test_official_simplified_publish(version: str, media_type: str, send: Send) -> None:
    """MHD-105-01, 02, 15, MHD-GEN-04: the DocumentReference of the guide is published."""
    made = example(version, "DocumentReference-ex-DocumentReferenceSimplifiedPublish.json")
    made.pop("id")

    status, answer = await send(made, media_type, {}, "/DocumentReference")

    assert status == 201, answer
    assert answer["masterIdentifier"]["value"] == made["masterIdentifier"]["value"]


@pytest.mark.parametrize("media_type", [JSON, XML])
@pytest.mark.parametrize("version", VERSIONS)
async def test_official_generate_metadata(version: str, media_type: str, send: Send) -> None:
    """MHD-106-01, 04, D-08: the inputs of the guide: plain text tells nothing, and a Patient without a number is nobody."""
    binary, document = (example(version, f"Parameters-ex-input-{name}.json") for name in ("binary", "doc-bundle"))

    status, answer = await send(binary, media_type, {}, GENERATE)
    assert (status, details(answer["issue"][0])) == (422, "InvalidDocumentContent"), answer
    status, answer = await send(document, media_type, {}, GENERATE)
    assert (status, details(answer["issue"][0])) == (400, "XDSUnknownPatientId"), answer
    for one in document["parameter"][0]["resource"]["entry"]:
        if one["resource"]["resourceType"] == "Patient":
            one["resource"]["identifier"] = [NUMBER]
    status, answer = await send(document, media_type, {}, GENERATE)
    assert status == 200, answer
