"""The CapabilityStatement of this very server: MHD section 13, ITI TF-2 Appendix Z.3."""

from __future__ import annotations

import dataclasses
import json
import shutil
from collections.abc import AsyncIterator
from datetime import datetime
from pathlib import Path
from typing import Any

import httpx
import pytest
from fhir.resources.R4B.capabilitystatement import CapabilityStatement
from pydantic import SecretStr

from app.capability import MissingDefinitionError, require_definitions
from app.fhir.packages import Packages
from app.fhir.xml import from_xml
from app.main import TRANSACTIONS, create_app
from app.mhd import TRANSACTIONS as MHD
from app.search.definitions import Definitions
from app.security.guard import Mode, Open
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
        client.app = app  # type: ignore[attr-defined]
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
    """MHD-CS-06, MHD-CS-07: these parameters, with their types; whatever else works comes after them."""
    parameters = {one["name"]: one["type"] for one in resource(statement, resource_type)["searchParam"]}
    assert {name: parameters.get(name) for name in expected} == expected
    assert set(list(parameters)[: len(expected)]) == set(expected)


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
    assert security["cors"] is False


FHIR_SERVICE = "http://terminology.hl7.org/CodeSystem/restful-security-service"
IHE_TYPES = "http://profiles.ihe.net/fhir/ihe.securityTypes/CodeSystem/securityTypes"


@dataclasses.dataclass
class Somebody(Open):
    """A guard of another mode."""

    mode: Mode = "off"


@pytest.mark.parametrize(
    ("mode", "coding", "words"),
    [
        ("off", None, "does not check who asks"),
        ("external", None, "gateway in front"),
        ("static", {"system": FHIR_SERVICE, "code": "OAuth"}, "bearer token"),
        ("smart", {"system": FHIR_SERVICE, "code": "SMART-on-FHIR"}, "SMART scopes"),
        ("iua", {"system": IHE_TYPES, "code": "IUA"}, "IHE IUA"),
    ],
)
async def test_one_security_service(
    mongodb_url: str, database_name: str, mode: Mode, coding: dict[str, str] | None, words: str
) -> None:
    """EHDS-05, IUA-04, IUA-05, PIXM-CAP-04: one concept with one coding by mode, none when it is off; the text is true."""
    async for client in statement_of(TRANSACTIONS, settings(mongodb_url, database_name)):
        state = client.app.state  # type: ignore[attr-defined]
        state.context = dataclasses.replace(state.context, guard=Somebody(mode))
        security = (await client.get("/fhir/metadata")).json()["rest"][0]["security"]
    assert security.get("service") == ([{"coding": [coding]}] if coding else None)
    assert words in security["description"]


async def test_browser_clients_are_told(mongodb_url: str, database_name: str) -> None:
    """EHDS-06: `security.cors` is true when there are browser clients."""
    made = settings(mongodb_url, database_name).model_copy(update={"cors_origins": ("https://app.example.org",)})
    async for client in statement_of(TRANSACTIONS, made):
        assert (await client.get("/fhir/metadata")).json()["rest"][0]["security"]["cors"] is True


@pytest.mark.parametrize(
    ("query", "accept"),
    [("", "application/fhir+json"), ("?_format=xml", ""), ("", "application/fhir+json; fhirVersion=4.0")],
)
async def test_three_ways_to_ask_for_the_statement(
    client: httpx.AsyncClient, statement: Statement, packages: Packages, query: str, accept: str
) -> None:
    """EHDS-01: without a token, in both formats, with `fhirVersion`: 200, and the same types."""
    answer = await client.get(f"/fhir/metadata{query}", headers={"Accept": accept} if accept else {})
    found = from_xml(answer.content, packages.structures) if query else answer.json()
    types = [one["type"] for one in found["rest"][0]["resource"]]
    assert (answer.status_code, types) == (200, [one["type"] for one in statement["rest"][0]["resource"]])
    assert {one.partition("+")[2] for one in found["format"]} == {"json", "xml"}


EU = "http://hl7.eu/fhir/health-data-api/CapabilityStatement"
PROVIDER = {f"{EU}/EEHRxF-DocumentAccessProvider", f"{EU}/document-access-provider-eu-api"}
SUBMISSION = {
    f"{EU}/EEHRxF-DocumentAccessProvider-SubmissionOption",
    f"{EU}/document-access-provider-submission-option-eu-api",
}


@pytest.mark.parametrize(
    ("changes", "there", "absent"),
    [
        ({"ehds": True}, PROVIDER | SUBMISSION, set()),
        ({"ehds": True, "simplified_publish": False}, PROVIDER, SUBMISSION),
        ({}, set(), PROVIDER | SUBMISSION),
    ],
)
async def test_actors_of_the_eu(
    mongodb_url: str, database_name: str, changes: dict[str, bool], there: set[str], absent: set[str]
) -> None:
    """EHDS-02: each actor under both names, without those that are switched off; then POST is refused."""
    made = settings(mongodb_url, database_name).model_copy(update=changes)
    async for client in statement_of(TRANSACTIONS, made):
        claims = set((await client.get("/fhir/metadata")).json()["instantiates"])
        refused = await client.post("/fhir/DocumentReference", json={"resourceType": "DocumentReference"})
    assert there <= claims
    assert not absent & claims
    assert not any(word in claim for claim in claims for word in ("Consumer", "consumer", "-DocumentPublisher"))
    if changes.get("simplified_publish") is False:
        assert refused.status_code == 405
        assert refused.json()["resourceType"] == "OperationOutcome"


async def test_guides_come_from_settings_and_packages(mongodb_url: str, database_name: str, tmp_path: Path) -> None:
    """EHDS-03: two content guides by configuration; a loaded package of a third one adds it."""
    two = ("http://hl7.eu/fhir/eps", "http://hl7.eu/fhir/laboratory")
    made = settings(mongodb_url, database_name).model_copy(update={"content_guides": two})
    profiles = tmp_path / "profiles"
    shutil.copytree(made.profiles_dir, profiles)
    package = profiles / "hl7.fhir.eu.imaging-1.0.0"
    package.mkdir()
    manifest = {"name": "hl7.fhir.eu.imaging", "version": "1.0.0", "canonical": "http://hl7.eu/fhir/imaging"}
    (package / "package.json").write_text(json.dumps(manifest))
    for folder, expected in ((made.profiles_dir, set(two)), (profiles, {*two, "http://hl7.eu/fhir/imaging"})):
        async for client in statement_of(TRANSACTIONS, made.model_copy(update={"profiles_dir": folder})):
            guides = (await client.get("/fhir/metadata")).json()["implementationGuide"]
        assert {one for one in guides if one.startswith("http://hl7.eu/")} == expected
        assert {
            f"https://profiles.ihe.net/ITI/{one}/ImplementationGuide/ihe.iti.{one.lower()}"
            for one in ("MHD", "PDQm", "PIXm")
        } <= set(guides)


async def test_profiles_of_the_eu(mongodb_url: str, database_name: str) -> None:
    """EHDS-04: the EU's profiles under their known names, beside IHE's; what is returned need not claim them."""
    made = settings(mongodb_url, database_name).model_copy(update={"ehds": True})
    async for client in statement_of(TRANSACTIONS, made):
        statement = (await client.get("/fhir/metadata")).json()
        found = (await client.get("/fhir/Patient?_count=1")).json()
    api = "http://hl7.eu/fhir/health-data-api/StructureDefinition"
    assert {
        f"{SD}/IHE.MHD.Minimal.DocumentReference",
        f"{api}/EehrxfMhdDocumentReference",
        f"{api}/document-reference-eu-api",
    } <= set(resource(statement, "DocumentReference")["supportedProfile"])
    assert {
        "http://hl7.eu/fhir/base/StructureDefinition/patient-eu-core",
        "https://profiles.ihe.net/ITI/PDQm/StructureDefinition/IHE.PDQm.Patient",
    } <= set(resource(statement, "Patient")["supportedProfile"])
    assert all("profile" not in entry["resource"].get("meta", {}) for entry in found.get("entry", ()))


async def test_parameters_are_those_of_their_definitions(statement: Statement, definitions: Definitions) -> None:
    """EHDS-07: every one of table 3 is there; type and definition are R4's, or the package's."""
    listed = {one["name"]: one for one in resource(statement, "DocumentReference")["searchParam"]}
    table = "_id patient type category creation date status identifier period format setting facility event"
    assert set(table.split()) | {"security-label", "related", "_lastUpdated", "contenttype"} <= set(listed)
    assert {"patient.identifier", "author.given", "author.family"} <= set(listed)
    assert listed["date"]["definition"] == f"{R4}/DocumentReference-date"
    for each in statement["rest"][0]["resource"]:
        for one in each.get("searchParam", ()):
            found = definitions.get(each["type"], one["name"].partition(":")[0])
            assert found
            assert (found.type, found.url or None) == (one["type"], one.get("definition")), one


async def test_every_include_works(client: httpx.AsyncClient, statement: Statement) -> None:
    """EHDS-08: what is said of `_include` and `_revinclude` is taken with strict handling, and nothing else is said."""
    asked = 0
    for one in statement["rest"][0]["resource"]:
        for word in ("Include", "RevInclude"):
            for value in one.get(f"search{word}", ()):
                query = {"_id": "x", f"_{word.lower()}": value}
                answer = await client.get(f"/fhir/{one['type']}", params=query, headers={"Prefer": "handling=strict"})
                assert answer.status_code == 200, (query, answer.text)
                asked += 1
    assert asked >= 10
    assert "List:item" in resource(statement, "List")["searchInclude"]
    assert "List:item" in resource(statement, "DocumentReference")["searchRevInclude"]


async def test_every_operation_is_there(client: httpx.AsyncClient, statement: Statement) -> None:
    """EHDS-08: each is listed where it answers, `$validate` of every type too; none is 404 or 501."""
    rest = statement["rest"][0]
    places = [("", one) for one in rest["operation"]]
    places += [(f"{each['type']}/", one) for each in rest["resource"] for one in each.get("operation", ())]
    for place, one in places:
        answer = await client.post(f"/fhir/{place}${one['name']}", json={"resourceType": "Parameters"})
        assert answer.status_code not in (404, 405, 501), (place, one, answer.text)
    names = {each["type"]: {one["name"] for one in each.get("operation", ())} for each in rest["resource"]}
    assert {"generate-metadata", "validate"} <= names["DocumentReference"]
    assert {"match", "ihe-pix", "validate"} <= names["Patient"]
    assert "read" in codes(statement, "Bundle") & codes(statement, "Binary")
    assert any(one["code"] == "transaction" for one in rest["interaction"])


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
