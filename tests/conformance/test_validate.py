"""The operation `$validate` (FHIR R4 resource-operation-validate.html): over HTTP, in both formats, storing nothing."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import httpx
import pytest

from tests.submissions import LEVELS, SD, changed, document_reference, submission

if TYPE_CHECKING:
    from app.store.driver import Connection

JSON = {"content-type": "application/fhir+json"}
PATIENT = {"resourceType": "Patient"}
COMPREHENSIVE = f"{SD}/IHE.MHD.Comprehensive.DocumentReference"


async def validate(client: httpx.AsyncClient, path: str, resource: Any, **query: str) -> list[dict[str, Any]]:
    """Return the issues of a validation."""
    response = await client.post(path, json=resource, headers=JSON, params=query)
    body = response.json()
    assert (response.status_code, body["resourceType"]) == (200, "OperationOutcome"), body
    issues: list[dict[str, Any]] = body["issue"]
    return issues


def with_mode(**value: Any) -> dict[str, Any]:
    """A Parameters body with a Patient, and the parameter `mode`."""
    resource = {"name": "resource", "resource": {"resourceType": "Patient"}}
    return {"resourceType": "Parameters", "parameter": [resource, {"name": "mode", **value}]}


def errors(issues: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return [one for one in issues if one["severity"] in ("error", "fatal")]


@pytest.mark.parametrize("path", ["$validate", "Patient/$validate"])
async def test_valid_resource(client: httpx.AsyncClient, path: str) -> None:
    """MHD-GEN-15: a valid resource is told so, in one issue of severity information."""
    [told] = await validate(client, path, {"resourceType": "Patient", "gender": "female", "birthDate": "1957-08"})

    assert (told["severity"], told["code"]) == ("information", "informational")


async def test_slip_of_the_pen(client: httpx.AsyncClient) -> None:
    """MHD-GEN-15, MHD-ERR-04: `staus` is unknown, `status` is missing, and the likely slip is named."""
    resource = document_reference("https://x.example/1")
    resource["staus"] = resource.pop("status")

    issues = errors(await validate(client, "DocumentReference/$validate", resource))

    slip = next(one for one in issues if one["expression"] == ["DocumentReference.staus"])
    assert slip["code"] == "structure"
    assert "`status`" in slip["diagnostics"]
    assert any(one["code"] == "required" and "`status`" in one["diagnostics"] for one in issues)


async def test_profile_in_the_url(client: httpx.AsyncClient) -> None:
    """MHD-PR-10: a profile that is asked for by name, with or without version."""
    resource = changed(document_reference("https://x.example/1"), "type", None)

    assert not errors(await validate(client, "$validate", resource))
    for profile in (COMPREHENSIVE, f"{COMPREHENSIVE}|4.2.4"):
        [told] = errors(await validate(client, "$validate", resource, profile=profile))
        assert (told["code"], told["expression"]) == ("required", ["DocumentReference"])
        assert "`type`" in told["diagnostics"]


async def test_parameters(client: httpx.AsyncClient) -> None:
    """FHIR R4 resource-operation-validate: resource, profile and mode as Parameters."""
    resource = changed(document_reference("https://x.example/1"), "type", None)
    parameters = {
        "resourceType": "Parameters",
        "parameter": [
            {"name": "resource", "resource": resource},
            {"name": "profile", "valueUri": COMPREHENSIVE},
            {"name": "mode", "valueCode": "create"},
        ],
    }

    assert len(errors(await validate(client, "$validate", parameters))) == 1
    assert len(errors(await validate(client, "DocumentReference/$validate", parameters))) == 1


async def test_claims_count_without_a_profile(client: httpx.AsyncClient) -> None:
    """MHD-65-06: what `meta.profile` claims is what the resource is held against."""
    resource = changed(document_reference("https://x.example/1"), "type", None) | {"meta": {"profile": [COMPREHENSIVE]}}

    assert len(errors(await validate(client, "$validate", resource))) == 1


async def test_claim_of_a_profile_that_nobody_has_is_told(client: httpx.AsyncClient) -> None:
    """What is not checked is never skipped in silence; nor is that an error of the resource."""
    claims = ["http://nobody.example/has", "this"]

    issues = await validate(client, "Patient/$validate", {"resourceType": "Patient", "meta": {"profile": claims}})

    assert [(one["severity"], one["code"], one["expression"]) for one in issues] == [
        ("warning", "not-found", ["Patient.meta.profile[0]"]),
        ("warning", "not-found", ["Patient.meta.profile[1]"]),
    ]
    assert "`http://nobody.example/has`" in issues[0]["diagnostics"]


async def test_bundle_is_not_stored(client: httpx.AsyncClient, database: Connection) -> None:
    """MHD-65-110: a whole submission may be tried first; nothing of it is kept."""
    assert not errors(await validate(client, "Bundle/$validate", submission(), profile=LEVELS["comprehensive"]))

    for name in await database.database.list_collection_names():
        if "audit" in name.lower():
            continue  # that it was asked is recorded
        assert await database.database[name].count_documents({}) == 0, name


async def test_xml(client: httpx.AsyncClient) -> None:
    """MHD-GEN-02, MHD-GEN-04: in XML, and answered in XML."""
    body = b'<Patient xmlns="http://hl7.org/fhir"><gender value="woman"/></Patient>'

    response = await client.post("$validate", content=body, headers={"content-type": "application/fhir+xml"})

    assert response.status_code == 200
    assert b'<expression value="Patient.gender"/>' in response.content
    assert b'<code value="code-invalid"/>' in response.content


@pytest.mark.parametrize("kind", ["Observation", "Patient", "Composition"])
async def test_type_that_is_not_served(client: httpx.AsyncClient, kind: str) -> None:
    """MHD-GEN-15: every R4 type can be validated, also one that this server does not keep."""
    issues = await validate(client, f"{kind}/$validate", {"resourceType": kind, "nonsense": 1})

    assert any(one.get("expression") == [f"{kind}.nonsense"] for one in issues)


async def test_wrong_type(client: httpx.AsyncClient) -> None:
    """FHIR R4 resource-operation-validate: a Patient sent to DocumentReference."""
    [told] = errors(await validate(client, "DocumentReference/$validate", {"resourceType": "Patient"}))

    assert told["code"] == "invalid"


@pytest.mark.parametrize(("mode", "code"), [("update", "required"), ("delete", "not-supported")])
async def test_mode(client: httpx.AsyncClient, mode: str, code: str) -> None:
    """FHIR R4 resource-operation-validate: an update needs an id; nothing is deleted by clients (MHD-GEN-10)."""
    [told] = errors(await validate(client, "$validate", {"resourceType": "Patient"}, mode=mode))

    assert told["code"] == code


@pytest.mark.parametrize(
    ("body", "query", "status", "code"),
    [
        ({"resourceType": "Parameters", "parameter": []}, {}, 400, "required"),
        ({"resourceType": "Parameters", "parameter": 5}, {}, 400, "required"),
        (with_mode(valueCode=None), {}, 400, "code-invalid"),
        (with_mode(valueCode=["create"]), {}, 400, "code-invalid"),
        ({"resourceType": "Patient"}, {"mode": "guess"}, 400, "code-invalid"),
        ({"resourceType": "Patient"}, {"profile": "http://example.org/nobody"}, 404, "not-found"),
    ],
)
async def test_request_that_makes_no_sense(
    client: httpx.AsyncClient, body: dict[str, Any], query: dict[str, str], status: int, code: str
) -> None:
    """MHD-GEN-07: a validation that cannot be carried out is an error of its own."""
    response = await client.post("$validate", content=json.dumps(body), headers=JSON, params=query)

    assert (response.status_code, response.json()["issue"][0]["code"]) == (status, code)


async def test_unknown_parameter_is_told(client: httpx.AsyncClient) -> None:
    """FHIR R4 operations.html: what the operation does not have is ignored, and named in a warning."""
    sent = {"resourceType": "Parameters", "parameter": [{"name": "resource", "resource": PATIENT}, {"name": "foo"}]}

    response = await client.post("/$validate?bar=1&_format=json", json=sent, headers=JSON)

    told = [(one["severity"], one["code"], one.get("expression")) for one in response.json()["issue"]]
    assert response.status_code == 200
    assert told == [("warning", "not-supported", None), ("warning", "not-supported", ["Parameters.parameter[1]"])]


@pytest.mark.parametrize("name", ["resource", "mode"])
async def test_parameter_that_is_there_twice(client: httpx.AsyncClient, name: str) -> None:
    """FHIR R4 resource-operation-validate.html: `resource` and `mode` are 0..1."""
    twins = {"resource": {"resource": PATIENT}, "mode": {"valueCode": "create"}}
    once = [{"name": each, **twins[each]} for each in twins]
    sent = {"resourceType": "Parameters", "parameter": [*once, {"name": name, **twins[name]}]}

    response = await client.post("/$validate", json=sent, headers=JSON)

    assert (response.status_code, response.json()["issue"][0]["code"]) == (400, "invalid")


async def test_type_that_there_is_not(client: httpx.AsyncClient) -> None:
    """FHIR R4 http.html: there is nothing at a path whose type R4 does not have."""
    response = await client.post("/Foo/$validate", json=PATIENT, headers=JSON)

    assert (response.status_code, response.json()["issue"][0]["code"]) == (404, "not-found")
    assert (await client.post("/Observation/$validate", json=PATIENT, headers=JSON)).status_code == 200


async def test_short_names_of_formats(client: httpx.AsyncClient) -> None:
    """FHIR R4 capabilitystatement.html: `json` and `xml` are formats; a document's media type is none of them."""
    statement = {
        "resourceType": "CapabilityStatement",
        "status": "active",
        "date": "2025-03-01",
        "kind": "requirements",
        "description": "A statement.",
        "fhirVersion": "4.0.1",
        "rest": [{"mode": "server"}],
        "format": ["json", "xml", "application/fhir+json"],
    }
    for made, codes in (
        (statement, ["informational"]),
        (statement | {"format": ["nonsense"]}, ["code-invalid"]),
        ({"resourceType": "Binary", "contentType": "json"}, ["code-invalid"]),
    ):
        answer = (await client.post("/$validate", json=made, headers=JSON)).json()
        assert [one["code"] for one in answer["issue"]] == codes, answer


async def test_boolean_in_capitals(client: httpx.AsyncClient) -> None:
    """MHD-ERR-02: what is said of a boolean helps who sent XML, and who sent JSON."""
    xml = '<Patient xmlns="http://hl7.org/fhir"><active value="TRUE"/></Patient>'
    for content, media_type in ((xml, "xml"), ('{"resourceType":"Patient","active":"true"}', "json")):
        headers = {"content-type": f"application/fhir+{media_type}", "accept": "application/fhir+json"}
        (told,) = (await client.post("/$validate", content=content, headers=headers)).json()["issue"]
        assert "`true` or `false`, in lower case, in JSON without quotation marks" in told["diagnostics"]


@pytest.mark.parametrize("size", [40, 400_000])
async def test_data_that_is_no_base64(client: httpx.AsyncClient, size: int) -> None:
    """FHIR R4 resource-operation-validate.html: a document of any length is looked at, and is an issue of the answer."""
    response = await client.post(
        "/$validate", json={"resourceType": "Binary", "contentType": "text/plain", "data": "!" * size}, headers=JSON
    )
    (told,) = response.json()["issue"]
    assert (response.status_code, told["code"], told["expression"]) == (200, "value", ["Binary.data"])
