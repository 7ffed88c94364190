"""What a deployment asks of submissions beyond their profiles: known sources, configured codes, identified patients."""

from __future__ import annotations

import pytest

from app.fhir.resource import Resource
from tests.mhd.conftest import Count, Publish, Server, details, issue
from tests.mhd.test_folders import creating, folder
from tests.submissions import changed, concept, minimal, submission

JSON = {"content-type": "application/fhir+json"}

LOINC, SNOMED = "http://loinc.org", "http://snomed.info/sct"
VALUE_SETS = f"""
[DocumentReference]
type = ["{LOINC}|18842-5", "{LOINC}|11502-2"]
category = ["{SNOMED}|373942005"]
securityLabel = "http://terminology.hl7.org/ValueSet/v3-ConfidentialityClassification"
"content.format" = ["http://ihe.net/fhir/ihe.formatcode.fhir/CodeSystem/formatcode|urn:ihe:iti:xds:2017:mimeTypeSufficient"]
"content.attachment.contentType" = ["text/plain", "application/pdf"]
"context.facilityType" = ["{SNOMED}|22232009"]

[SubmissionSet]
designationType = ["{SNOMED}|58000006"]

[Folder]
designationType = ["{SNOMED}|58000007"]
"""
DOCUMENT, SET = "entry.1.resource", "entry.0.resource"
FOREIGN = concept("https://codes.example.org", "foreign")

# What is changed in a good submission, and to what -> expression of the refusal.
FOREIGN_CODES: dict[str, tuple[object, str]] = {
    f"{DOCUMENT}.type": (FOREIGN, "Bundle.entry[1].resource.type"),
    f"{DOCUMENT}.type.coding.0.system": (SNOMED, "Bundle.entry[1].resource.type"),
    f"{DOCUMENT}.category.0": (FOREIGN, "Bundle.entry[1].resource.category[0]"),
    f"{DOCUMENT}.securityLabel.0": (FOREIGN, "Bundle.entry[1].resource.securityLabel[0]"),
    f"{DOCUMENT}.content.0.format.code": ("urn:foreign", "Bundle.entry[1].resource.content[0].format"),
    f"{DOCUMENT}.context.facilityType": (FOREIGN, "Bundle.entry[1].resource.context.facilityType"),
    f"{SET}.extension.0.valueCodeableConcept": (FOREIGN, "Bundle.entry[0].resource.extension[0].value"),
}


@pytest.fixture
def value_sets(tmp_path_factory: pytest.TempPathFactory) -> str:
    path = tmp_path_factory.getbasetemp() / "value-sets.toml"
    path.write_text(VALUE_SETS)
    return str(path)


async def test_any_code_without_configuration(publish: Publish) -> None:
    """MHD-XDS-03: codes are enforced only where value sets are configured."""
    for path, (code, _) in FOREIGN_CODES.items():
        assert (await publish(changed(submission(), path, code))).status_code == 200, path


@pytest.mark.parametrize("path", FOREIGN_CODES)
async def test_configured_codes(patients: None, server: Server, value_sets: str, counts: Count, path: str) -> None:
    """MHD-XDS-03, MHD-MHDS-06: a code that is not configured is refused, with what came and what was expected."""
    client = await server(value_sets=value_sets)
    before = await counts()

    response = await client.post("", json=changed(submission(), path, FOREIGN_CODES[path][0]), headers=JSON)

    assert response.status_code == 400, response.text
    found = issue(response)
    assert (found["code"], details(found)) == ("code-invalid", "XDSRepositoryMetadataError")
    assert found["expression"] == [FOREIGN_CODES[path][1]]
    assert "Came: `" in found["diagnostics"]
    assert "expected one of: `" in found["diagnostics"]
    assert await counts() == before


async def test_what_configured_codes_allow(patients: None, server: Server, value_sets: str) -> None:
    """MHD-XDS-03: system and code are compared, the display is not; what is absent is no foreign code."""
    client = await server(value_sets=value_sets)
    displayed = changed(submission(), f"{DOCUMENT}.type.coding.0.display", "A wrong display")
    second = changed(
        submission(), f"{DOCUMENT}.type.coding", [*FOREIGN["coding"], *concept(LOINC, "11502-2")["coding"]]
    )
    for made in (submission(), displayed, second, minimal()):
        response = await client.post("", json=made, headers=JSON)
        assert response.status_code == 200, response.text


async def test_every_foreign_code_is_told(patients: None, server: Server, value_sets: str) -> None:
    """MHD-XDS-03, MHD-ERR-04: one issue for each, those of Folders and texts without a code among them."""
    client = await server(value_sets=value_sets)
    made = changed(submission(), f"{DOCUMENT}.type", {"text": "in words"})
    for path in (f"{DOCUMENT}.content.0.attachment.contentType", "entry.2.resource.contentType"):
        made = changed(made, path, "text/csv")

    response = await client.post("", json=made, headers=JSON)

    told = {one["expression"][0].split("resource.")[1]: one["diagnostics"] for one in response.json()["issue"]}
    assert {"type", "content[0].attachment.contentType"} <= set(told), response.text
    assert "Came: no code" in told["type"]
    response = await client.post("", json=creating(folder()), headers=JSON)
    assert issue(response)["expression"] == ["Bundle.entry[1].resource.extension[0].value"], response.text


async def test_codes_of_simplified_publish(patients: None, server: Server, value_sets: str) -> None:
    """MHD-XDS-03: ITI-105 is held to the same codes, its derived SubmissionSet is not."""
    client = await server(value_sets=value_sets)
    for code, status in ((concept(LOINC, "18842-5"), 200), (FOREIGN, 400)):
        response = await client.post("/DocumentReference", json=simplified(type=code), headers=JSON)
        assert response.status_code in (status, status + 1), response.text
    assert issue(response)["expression"] == ["DocumentReference.type"]


def simplified(**elements: object) -> Resource:
    """Return a DocumentReference with its document in it."""
    made: Resource = submission()["entry"][1]["resource"] | elements
    attachment = made["content"][0]["attachment"]
    made["content"][0]["attachment"] = {name: attachment[name] for name in attachment if name != "url"} | {
        "data": "SGVsbG8="
    }
    return made


@pytest.mark.parametrize("listed", ["urn:oid:2.999.7.1", "urn:oid:2.999.1,urn:oid:2.999.7.1"])
async def test_known_source(patients: None, server: Server, listed: str) -> None:
    """MHD-65-104: a source that is listed may publish, however its OID is spelled."""
    client = await server(known_sources=listed)
    bare = changed(submission(), f"{SET}.extension.1.valueIdentifier.value", "2.999.7.1")
    for made in (submission(), bare):
        response = await client.post("", json=made, headers=JSON)
        assert response.status_code == 200, response.text
    response = await client.post("/DocumentReference", json=simplified(), headers=JSON)
    assert response.status_code == 201, response.text


async def test_unknown_source(patients: None, server: Server, counts: Count) -> None:
    """MHD-65-104: with a list of sources, a submission of another is refused, and nothing of it is stored."""
    client = await server(known_sources="urn:oid:2.999.1")
    before = await counts()

    response = await client.post("", json=submission(), headers=JSON)

    assert response.status_code == 422, response.text
    found = issue(response)
    assert (found["code"], details(found)) == ("business-rule", "XDSRepositoryMetadataError")
    assert found["expression"] == ["Bundle.entry[0].resource.extension[1].value"]
    assert await counts() == before


def unidentified(level: str = "comprehensive") -> Resource:
    return changed(submission(level=level), f"{DOCUMENT}.contained.1.identifier", None)


async def test_source_patient_without_identifier_is_a_warning(publish: Publish) -> None:
    """MHD-XDS-01: by default the submission is taken, and its entry's outcome warns."""
    response = await publish(unidentified())

    assert response.status_code == 200, response.text
    (found,) = response.json()["entry"][1]["response"]["outcome"]["issue"]
    assert (found["severity"], found["code"]) == ("warning", "required")
    assert found["expression"] == ["Bundle.entry[1].resource.context.sourcePatientInfo"]
    for made in (submission(), submission(level="uncontained"), unidentified("minimal")):
        answered = (await publish(made)).json()
        assert "outcome" not in answered["entry"][1]["response"], answered


async def test_source_patient_without_identifier_is_refused(patients: None, server: Server, counts: Count) -> None:
    """MHD-XDS-01: with the switch `require_source_patient_id` it is an error."""
    client = await server(require_source_patient_id=True)
    before = await counts()

    response = await client.post("", json=unidentified(), headers=JSON)

    assert response.status_code == 400, response.text
    assert (issue(response)["severity"], issue(response)["code"]) == ("error", "required")
    assert await counts() == before
    for made in (submission(), unidentified("minimal")):
        assert (await client.post("", json=made, headers=JSON)).status_code == 200
