"""What the packages say beside constraints: canonical URLs that lead somewhere, codes, maps, search parameters.

Spec: MHD artifacts (mhd.md sections 1, 10 and 12); FHIR R4 references.html#canonical.
"""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from app.fhir.packages import Packages
from app.fhir.resource import Resource

MHD = "https://profiles.ihe.net/ITI/MHD/"
BALP = "https://profiles.ihe.net/ITI/BALP/"


def of_ihe(packages: Packages) -> Iterator[Resource]:
    """Yield the profiles and extensions of IHE's guides."""
    for definition in packages.all("StructureDefinition"):
        if definition["url"].startswith("https://profiles.ihe.net/"):
            yield definition


def elements(packages: Packages) -> Iterator[Resource]:
    for definition in of_ihe(packages):
        yield from definition["differential"]["element"]


def test_no_package_has_a_problem(packages: Packages) -> None:
    """MHD-PR-10: every package of this repository loads whole, with all it depends on."""
    assert packages.problems == []


def test_every_profile_that_is_named_is_known(packages: Packages) -> None:
    """MHD-PR-10, MHD-PR-35: base definitions, profiles of slices and extensions, targets of references."""
    named = {definition["baseDefinition"] for definition in of_ihe(packages)}
    for element in elements(packages):
        for type_ in element.get("type", ()):
            named.update(type_.get("profile", ()))
            named.update(type_.get("targetProfile", ()))
    assert sorted(url for url in named if packages.structure_definition(url) is None) == []


def test_every_required_value_set_can_be_enumerated(packages: Packages) -> None:
    """MHD-PR-10, MHD-PR-20: a required binding is checked, since the codes of its value set are known."""
    bindings = [element["binding"] for element in elements(packages) if "binding" in element]
    required = {binding["valueSet"] for binding in bindings if binding["strength"] == "required"}
    assert required
    assert sorted(url for url in required if not packages.codes(url)) == []


@pytest.mark.parametrize(
    ("value_set", "codes"),
    [
        (MHD + "ValueSet/DocumentReferenceStats", {"current", "superseded"}),
        (MHD + "ValueSet/MHDlistTypesVS", {"folder", "submissionset"}),
        (MHD + "ValueSet/IHE.MHD.MHDIdentifierTypeVS", {"entryUUID", "uniqueId"}),
        (MHD + "ValueSet/MHDprovideFolderActions", {"POST", "PUT"}),
        (MHD + "ValueSet/MHDprovidePatientActions", {"GET", "POST", "PUT"}),
        (BALP + "ValueSet/AllSearchVS", {"search", "search-type", "search-system"}),
        (BALP + "ValueSet/RestObjectRoles", {"3", "4", "20"}),
        (BALP + "ValueSet/OtherIdentifierTypesVS", {"SAML-subject-id", "NPI", "PRN"}),
    ],
)
def test_codes_of_a_value_set(packages: Packages, value_set: str, codes: set[str]) -> None:
    """MHD-PR-10, MHD-PR-20, MHD-PR-30, AUD-20: the codes that the guides allow."""
    assert {code for _, code in packages.codes(value_set) or ()} == codes


def test_format_codes_of_both_publishers_are_in_the_value_set(packages: Packages) -> None:
    """MHD-PR-12: the preferred value set spans the format codes of IHE, HL7 and DICOM."""
    systems = {
        system for system, _ in packages.codes("http://ihe.net/fhir/ihe.formatcode.fhir/ValueSet/formatcode") or ()
    }
    assert systems == {
        "http://ihe.net/fhir/ihe.formatcode.fhir/CodeSystem/formatcode",
        "http://terminology.hl7.org/CodeSystem/v3-HL7DocumentFormatCodes",
        "http://dicom.nema.org/resources/ontology/DCMUID",
        "urn:ietf:rfc:3986",
    }


@pytest.mark.parametrize(
    ("id_", "pairs"),
    [
        (
            "AssociationTypeVsRelatesTo",
            {
                ("RPLC", "replaces", "equal"),
                ("XFRM", "transforms", "equal"),
                ("APND", "appends", "equal"),
                ("XFRM_RPLC", "replaces", "narrower"),
                ("signs", "signs", "equal"),
                ("IsSnapshotOf", "transforms", "inexact"),
            },
        ),
        (
            "FhirStatusVsStatusCode",
            {
                ("urn:oasis:names:tc:ebxml-regrep:StatusType:Approved", "current", "equal"),
                ("urn:oasis:names:tc:ebxml-regrep:StatusType:Deprecated", "superseded", "equal"),
            },
        ),
    ],
)
def test_concept_map(packages: Packages, id_: str, pairs: set[tuple[str, str, str]]) -> None:
    """MHD-CM-01: which code of Document Sharing is which code of FHIR."""
    (concept_map,) = [found for found in packages.all("ConceptMap") if found["id"] == id_]
    found = {
        (element["code"], target["code"], target["equivalence"])
        for group in concept_map["group"]
        for element in group["element"]
        for target in element["target"]
    }
    assert found == pairs


def test_search_parameters_of_mhd(packages: Packages) -> None:
    """MHD-CM-02: the four search parameters that MHD adds, with type and base."""
    found = {
        (parameter["code"], parameter["type"], tuple(parameter["base"]))
        for parameter in packages.all("SearchParameter")
        if parameter["url"].startswith(MHD)
    }
    assert found == {
        ("creation", "date", ("DocumentReference",)),
        ("designationType", "token", ("List",)),
        ("sourceId", "token", ("List",)),
        ("targetCommunityIdList", "uri", ("List", "DocumentReference")),
    }


@pytest.mark.parametrize(
    ("url", "code"),
    [
        (MHD + "OperationDefinition/generate-metadata", "generate-metadata"),
        ("https://profiles.ihe.net/ITI/PDQm/OperationDefinition/PDQmMatch", "match"),
        ("https://profiles.ihe.net/ITI/PIXm/OperationDefinition/IHE.PIXm.pix", "ihe-pix"),
    ],
)
def test_operations(packages: Packages, url: str, code: str) -> None:
    """MHD-CM-02, PIXM-DAT-10: the operations are read by their canonical URL."""
    definition = packages.operation_definition(url)
    assert definition is not None
    assert definition["code"] == code


@pytest.mark.parametrize("id_", ["designationType", "sourceId", "intendedRecipient", "authorOrg", "HomeCommunityId"])
def test_extension_of_mhd(packages: Packages, id_: str) -> None:
    """MHD-PR-35: the five extensions under their exact URLs; another spelling is another extension."""
    url = f"{MHD}StructureDefinition/ihe-{id_}"
    other = f"{MHD}StructureDefinition/ihe-{id_.swapcase()}"
    assert packages.structure_definition(url) is not None
    assert packages.structure_definition(other) is None
