"""The CapabilityStatement of this very server: MHD section 13, ITI TF-2 Appendix Z.3."""

from __future__ import annotations

import dataclasses
from collections.abc import AsyncIterator
from datetime import datetime
from typing import Any

import httpx
import pytest
from fhir.resources.R4B.capabilitystatement import CapabilityStatement
from pydantic import SecretStr

from app.capability import MissingDefinitionError, require_definitions
from app.fhir.packages import Packages
from app.main import TRANSACTIONS, create_app
from app.mhd import TRANSACTIONS as MHD
from app.search.definitions import Definitions
from app.settings import Settings
from app.transaction import Transaction

BASE_URL = "http://test.example.org/fhir"
SD = "https://profiles.ihe.net/ITI/MHD/StructureDefinition"
STATEMENT = "https://profiles.ihe.net/ITI/MHD/CapabilityStatement"
R4 = "http://hl7.org/fhir/SearchParameter"

Statement = dict[str, Any]


def settings(mongodb_url: str, database_name: str) -> Settings:
    return Settings(
        mongodb_url=SecretStr(mongodb_url), mongodb_database=f"{database_name}_capability", base_url=BASE_URL
    )


async def statement_of(transactions: tuple[Transaction, ...], made: Settings) -> AsyncIterator[httpx.AsyncClient]:
    app = create_app(made, transactions)
    transport = httpx.ASGITransport(app)
    async with (
        app.router.lifespan_context(app),
        httpx.AsyncClient(transport=transport, base_url="http://test.example.org") as client,
    ):
        yield client


@pytest.fixture(scope="module")
async def client(mongodb_url: str, database_name: str) -> AsyncIterator[httpx.AsyncClient]:
    async for one in statement_of(TRANSACTIONS, settings(mongodb_url, database_name)):
        yield one


@pytest.fixture(scope="module")
async def statement(client: httpx.AsyncClient) -> Statement:
    return dict((await client.get("/fhir/metadata")).json())


def resource(statement: Statement, resource_type: str) -> Statement:
    (found,) = [one for one in statement["rest"][0]["resource"] if one["type"] == resource_type]
    return dict(found)


def codes(statement: Statement, resource_type: str) -> set[str]:
    return {one["code"] for one in resource(statement, resource_type)["interaction"]}


async def test_metadata_answers_without_any_context(client: httpx.AsyncClient) -> None:
    """MHD-GEN-01, MHD-CS-01: 200 and a CapabilityStatement, as JSON and as XML."""
    answer = await client.get("/fhir/metadata")
    assert answer.status_code == 200
    assert (answer.json()["resourceType"], answer.json()["fhirVersion"]) == ("CapabilityStatement", "4.0.1")
    xml = await client.get("/fhir/metadata", headers={"Accept": "application/fhir+xml"})
    assert "<CapabilityStatement" in xml.text


async def test_statement_does_not_change_while_the_server_runs(client: httpx.AsyncClient, statement: Statement) -> None:
    """MHD-CS-02: its date is that of the start."""
    assert (await client.get("/fhir/metadata")).json() == statement


def test_statement_is_valid_fhir(statement: Statement, packages: Packages) -> None:
    """MHD-GEN-15: what we demand of others; an independent reader agrees."""
    from app.validation.validator import Validator

    assert [issue for issue in Validator(packages).validate(statement) if issue.is_error] == []
    CapabilityStatement.model_validate(statement)


def test_frame(statement: Statement) -> None:
    """MHD-CS-02: kind, version, formats, mode, status, date and base."""
    assert (statement["kind"], statement["status"], statement["fhirVersion"]) == ("instance", "active", "4.0.1")
    assert {"application/fhir+xml", "application/fhir+json"} <= set(statement["format"])
    assert (statement["rest"][0]["mode"], statement["implementation"]["url"]) == ("server", BASE_URL)
    assert datetime.fromisoformat(statement["date"])


def test_recipient_takes_transactions(statement: Statement) -> None:
    """MHD-CS-03: `transaction`, whose documentation names the three ProvideBundle profiles."""
    (one,) = [one for one in statement["rest"][0]["interaction"] if one["code"] == "transaction"]
    for profile in ("Minimal", "UnContained.Comprehensive", "Comprehensive"):
        assert f"{SD}/IHE.MHD.{profile}.ProvideBundle" in one["documentation"]


def test_responder_reads_and_searches(statement: Statement) -> None:
    """MHD-CS-04, MHD-68-19: DocumentReference and List with read and search-type, Binary with read."""
    assert codes(statement, "DocumentReference") >= {"read", "vread", "search-type"}
    assert codes(statement, "List") >= {"read", "search-type"}
    assert codes(statement, "Binary") >= {"read"}


def test_nothing_is_listed_that_is_not_offered(statement: Statement) -> None:
    """MHD-GEN-10, MHD-CS-12: documents are neither updated nor deleted; patients by their source only."""
    documents = ("DocumentReference", "List", "Binary")
    listed = {code for each in documents for code in codes(statement, each)}
    assert not listed & {"update", "patch", "delete"}
    assert not any("patch" in codes(statement, each["type"]) for each in statement["rest"][0]["resource"])


def test_conditional_read_is_said_where_versions_are(statement: Statement) -> None:
    """MHD-CS-12: definitions have neither ETag nor Last-Modified, by which a client could ask whether they changed."""
    conditional = {one["type"] for one in statement["rest"][0]["resource"] if "conditionalRead" in one}
    assert {"DocumentReference", "List", "Binary", "Patient"} <= conditional
    assert not conditional & {"StructureDefinition", "ValueSet", "CodeSystem", "SearchParameter"}


def test_supported_profiles(statement: Statement) -> None:
    """MHD-CS-05: the Minimal DocumentReference; lists, submission sets and folders."""
    assert f"{SD}/IHE.MHD.Minimal.DocumentReference" in resource(statement, "DocumentReference")["supportedProfile"]
    assert set(resource(statement, "List")["supportedProfile"]) >= {
        f"{SD}/IHE.MHD.{name}"
        for name in (
            "List",
            "Minimal.SubmissionSet",
            "UnContained.Comprehensive.SubmissionSet",
            "Comprehensive.SubmissionSet",
            "Minimal.Folder",
            "Comprehensive.Folder",
        )
    }


DOCUMENT_REFERENCE = {
    "_id": "token", "_lastUpdated": "date", "author.given": "string", "author.family": "string", "category": "token",
    "creation": "date", "date": "date", "event": "token", "facility": "token", "format": "token", "identifier": "token",
    "patient": "reference", "patient.identifier": "token", "period": "date", "related": "reference",
    "security-label": "token", "setting": "token", "status": "token", "type": "token",
}  # fmt: skip
LIST = {
    "_id": "token", "_lastUpdated": "date", "code": "token", "date": "date", "identifier": "token",
    "patient": "reference", "patient.identifier": "token", "source.given": "string", "source.family": "string",
    "status": "token", "designationType": "token", "sourceId": "token",
}  # fmt: skip


@pytest.mark.parametrize(("resource_type", "expected"), [("DocumentReference", DOCUMENT_REFERENCE), ("List", LIST)])
def test_search_parameters(statement: Statement, resource_type: str, expected: dict[str, str]) -> None:
    """MHD-CS-06, MHD-CS-07: these parameters, with their types."""
    parameters = {one["name"]: one["type"] for one in resource(statement, resource_type)["searchParam"]}
    assert parameters == expected


def test_search_parameters_have_definitions(statement: Statement) -> None:
    """MHD-CS-06: R4's own, and IHE's where R4 has none."""
    parameters = {one["name"]: one.get("definition") for one in resource(statement, "DocumentReference")["searchParam"]}
    assert parameters["category"] == f"{R4}/DocumentReference-category"
    assert parameters["creation"] == "https://profiles.ihe.net/ITI/MHD/SearchParameter/DocumentReference-Creation"


def test_options_can_be_discovered(statement: Statement) -> None:
    """MHD-CS-10: `instantiates` and `implementationGuide`."""
    assert {f"{STATEMENT}/IHE.MHD.DocumentResponder", f"{STATEMENT}/IHE.MHD.DocumentRecipient"} <= set(
        statement["instantiates"]
    )
    assert "https://profiles.ihe.net/ITI/MHD/ImplementationGuide/ihe.iti.mhd" in statement["implementationGuide"]


def test_security_is_described(statement: Statement) -> None:
    """MHD-CS-11: ATNA, IUA or SMART; no service while there is none."""
    security = statement["rest"][0]["security"]
    assert "ATNA" in security["description"]
    assert "service" not in security


async def test_statement_follows_the_transactions(mongodb_url: str, database_name: str) -> None:
    """MHD-CS-12: what is not served is not listed."""
    responder = tuple(one for one in MHD if one.code == "ITI-67")
    async for client in statement_of(responder, settings(mongodb_url, database_name)):
        found = (await client.get("/fhir/metadata")).json()
    assert [one["type"] for one in found["rest"][0]["resource"]] == ["DocumentReference"]
    assert "interaction" not in found["rest"][0]
    assert found["instantiates"] == [f"{STATEMENT}/IHE.MHD.DocumentResponder"]


def test_parameter_without_definition_stops_the_start(definitions: Definitions) -> None:
    """style.md 4: the server refuses to start, and names transaction and parameter."""
    (iti67,) = [one for one in MHD if one.code == "ITI-67"]
    wrong = dataclasses.replace(iti67, search_parameters={"DocumentReference": ("status", "colour")})
    with pytest.raises(MissingDefinitionError, match=r"ITI-67.*`colour` of `DocumentReference`"):
        require_definitions((wrong,), definitions)
