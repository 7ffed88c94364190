"""Settings: what MHD leaves to a deployment; their meaning for handlers stands in `app/switches.py`."""

from __future__ import annotations

from typing import Literal

from pydantic import Field, field_validator

from app.settings.edge import Edge
from app.settings.shape import Texts, number, require_hosts, require_oids
from app.switches import (
    UNKNOWN,
    ExternalRetrieval,
    ExtraFormats,
    LocationStyle,
    MetadataLevel,
    OnConflict,
    PatientInBundle,
    ValidationStatus,
)


class Documents(Edge):
    """Options of MHD, submissions, retrieval, other servers and communities."""

    comprehensive: bool = Field(True, description="MHD option Comprehensive Metadata")
    uncontained: bool = Field(True, description="MHD option UnContained Reference")
    simplified_publish: bool = Field(True, description="MHD option Simplified Publish: ITI-105")
    generate_metadata: bool = Field(True, description="MHD option Generate Metadata: ITI-106")
    fhir_documents: bool = Field(True, description="MHD option ITI-65 FHIR Documents Publish")
    metadata_level: MetadataLevel = Field("all", description="ProvideBundle profiles that ITI-65 takes")
    strict_identifier_type: bool = Field(False, description="refuse identifiers without the `type` of MHD 4.2.4")
    require_submissionset_unique_id: bool = Field(False, description="refuse a SubmissionSet without uniqueId")
    lenient_submission_links: bool = Field(False, description="add DocumentReferences missing in SubmissionSet.entry")
    queue_unmatched: bool = Field(True, description="take Minimal submissions whose patient cannot be told")
    patient_in_bundle: PatientInBundle = Field("create", description="Patient entries: match, create or reject")
    unique_id_conflict: OnConflict = Field("reject", description="uniqueId in use already: reject or warn")
    replace_cascade: bool = Field(True, description="superseding a document supersedes its transforms and appendices")
    minimal_folders: bool = Field(False, description="take new Folders that are Minimal in comprehensive submissions")
    folder_additive_only: bool = Field(True, description="an update of a Folder may only add members")
    superseded_retrieval: Literal[200, 404, 410] = Field(200, description="ITI-68 status for superseded documents")
    search_requires_patient: bool = Field(False, description="refuse ITI-66 and ITI-67 without patient and status")
    location_style: LocationStyle = Field("absolute", description="response.location of ITI-65: absolute or relative")
    validation_status: ValidationStatus = Field("precise", description="statuses of refusals: precise, or always 400")
    external_documents: Texts = Field((), description="hosts that attachment.url may name, separated by commas")
    external_retrieval: ExternalRetrieval = Field(
        "link",
        description="documents on such hosts are reached by their own URL (link), or through this server: "
        "redirect or proxy",
    )
    external_references: Texts = Field((), description="hosts from which a Patient may be fetched, separated by commas")
    external_private: bool = Field(False, description="both lists may name hosts with private or loopback addresses")
    external_timeout_s: int = Field(
        30, ge=1, description="time for a step of a request to such a host", json_schema_extra={"unit": "s"}
    )
    external_max_bytes: int = Field(
        1_610_612_736, ge=1024, description="largest document that is proxied", json_schema_extra={"unit": "bytes"}
    )
    home_community_id: str = Field("", description="own community, `urn:oid:...`, written into what is published")
    target_communities: bool = Field(False, description="ITI-66 and ITI-67 know `targetCommunityIdList`")
    known_communities: Texts = Field(
        (), description="other communities whose documents are here, `urn:oid:...`, by commas"
    )
    known_references: bool = Field(True, description="refuse references to resources that are not stored here")
    known_sources: Texts = Field(
        (), description="sources whose submissions are taken, `urn:oid:...`, by commas; empty: all"
    )
    value_sets: str = Field("", description="file of the codes that are taken for elements; empty: any code")
    require_source_patient_id: bool = Field(
        False, description="refuse comprehensive documents whose sourcePatientInfo has no identifier"
    )
    assign_unique_id: bool = Field(False, description="ITI-105: assign a masterIdentifier where none came")
    fhir_document_extra_docref: ExtraFormats = Field(
        "off", description="formats of DocumentReferences added for FHIR documents: off, json, xml or both"
    )
    source_id: str = Field("", description="OID of the source of derived SubmissionSets; empty: made of the base URL")
    default_language: str = Field("und", description="language of documents that tell none, if one is required")
    default_facility_type: str = Field(
        UNKNOWN, description="code with its system for documents that tell none, likewise"
    )
    default_practice_setting: str = Field(
        UNKNOWN, description="code with its system for documents that tell none, likewise"
    )

    _status = field_validator("superseded_retrieval", mode="before")(number)
    _oids = field_validator("home_community_id", "known_communities", "known_sources", "source_id")(require_oids)
    _hosts = field_validator("external_documents", "external_references")(require_hosts)

    @field_validator("default_facility_type", "default_practice_setting")
    @classmethod
    def _token(cls, value: str) -> str:
        if not all(value.partition("|")):
            raise ValueError("expected `system|code`")
        return value
