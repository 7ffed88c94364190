"""The one table of settings: name, default, unit and meaning of each, and what its value must be like."""

from __future__ import annotations

import re
from dataclasses import fields
from hashlib import sha256
from pathlib import Path
from typing import Annotated, Any, Literal
from urllib.parse import urlsplit

from pydantic import Field, SecretStr, field_validator
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict

from app.switches import (
    UNKNOWN,
    DeprecatedQuery,
    DeprecatedSearch,
    ExternalRetrieval,
    ExtraFormats,
    FeedClientId,
    LocationStyle,
    MetadataLevel,
    OnConflict,
    PatientInBundle,
    Switches,
    ValidationStatus,
)

PREFIX = "MHD_"
_OID = re.compile(r"urn:oid:[0-2](\.(0|[1-9][0-9]*))+")
_HOST = re.compile(r"[A-Za-z0-9]([A-Za-z0-9.-]*[A-Za-z0-9])?|[0-9A-Fa-f]{0,4}(:[0-9A-Fa-f.]*){2,8}")
PROFILES = Path(__file__).resolve().parents[2] / "profiles"

LogLevel = Literal["debug", "info", "warning", "error"]
Driver = Literal["pymongo", "motor"]
Texts = Annotated[tuple[str, ...], NoDecode]


class Settings(BaseSettings):
    """The table. `unit` and other facts that pydantic has no word for stand in `json_schema_extra`."""

    model_config = SettingsConfigDict(env_prefix=PREFIX, extra="ignore", frozen=True)

    host: str = Field("127.0.0.1", description="address to listen on")
    port: int = Field(8080, ge=0, le=65535, description="port to listen on; 0 takes a free one")
    base_url: str = Field("", description="public FHIR base; empty: `http://<host>:<port>/fhir`")
    workers: int = Field(1, ge=1, le=64, description="server processes")
    allow_open: bool = Field(False, description="listen on other addresses than loopback without access control")
    shutdown_grace_s: int = Field(
        30, ge=0, description="time for requests in flight when the server stops", json_schema_extra={"unit": "s"}
    )
    log_level: LogLevel = Field("info", description="debug, info, warning or error; debug may log patient data")

    mongodb_url: SecretStr = Field(
        SecretStr(""), description="MongoDB replica set; empty: a private mongod, stopped with the server"
    )
    mongodb_database: str = Field("mhd", pattern=r"^[A-Za-z0-9_-]{1,60}$", description="database in MongoDB")
    mongodb_driver: Driver = Field("pymongo", description="pymongo or motor")
    data_dir: Path = Field(Path("data"), description="folder of the private mongod")
    profiles_dir: Path = Field(PROFILES, description="folder of the profile packages")
    example_data: bool = Field(True, description="load fictitious patients and documents at the start")

    max_body_bytes: int = Field(
        1_610_612_736, ge=1024, description="largest request body", json_schema_extra={"unit": "bytes"}
    )
    max_resource_bytes: int = Field(
        33_554_432,
        ge=1024,
        description="largest request body without the documents in it",
        json_schema_extra={"unit": "bytes"},
    )
    page_key: SecretStr = Field(
        SecretStr(""),
        description="key that signs page links, the same for all workers; empty: made of where the data lie",
    )

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

    domains: str = Field("", description="file of the identifier domains; empty: those of the example data, if loaded")
    home_country: str = Field(
        "", pattern="^([A-Z]{2})?$", description="country whose national telephone numbers are understood, such as AT"
    )
    pix_target_id: bool = Field(True, description="ITI-83 answers with references to Patients too")
    deprecated_query: DeprecatedQuery = Field(
        "not-found", description="ITI-83 for a number that was merged away or deactivated: not-found or empty"
    )
    deprecated_search: DeprecatedSearch = Field(
        "survivor", description="merged records in ITI-78: with their survivor, flagged alone, or omitted"
    )
    unknown_domain: Literal[404, 200] = Field(404, description="ITI-78 status when a domain filter names no domain")
    min_search_params: bool = Field(False, description="refuse an ITI-78 search that narrows nothing")
    remove_patient: bool = Field(True, description="ITI-104 takes conditional deletes")
    feed_client_id: FeedClientId = Field("strict", description="`id` in a Patient fed first: strict refuses, or ignore")
    allow_unmerge: bool = Field(False, description="a source may undo its own merge by feeding")
    required_profile: str = Field("", description="profile that fed Patients must meet beside PIXm's, canonical URL")

    @property
    def url(self) -> str:
        """The public `[base]`, without a slash at the end."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return self.base_url.rstrip("/") or f"http://{host}:{self.port}/fhir"

    @property
    def signing_key(self) -> str:
        """The key of page links: stable over restarts, and as secret as the URL of the database."""
        place = self.mongodb_url.get_secret_value() or self.data_dir.resolve()
        return self.page_key.get_secret_value() or sha256(f"{place} {self.mongodb_database}".encode()).hexdigest()

    @property
    def switches(self) -> Switches:
        """The deployment's choices, as handlers see them."""
        return Switches(**{field.name: getattr(self, field.name) for field in fields(Switches)})

    @field_validator("superseded_retrieval", "unknown_domain", mode="before")
    @classmethod
    def _status(cls, value: Any) -> Any:
        return int(value) if isinstance(value, str) and value.isdigit() else value

    @field_validator("external_documents", "external_references", "known_communities", "known_sources", mode="before")
    @classmethod
    def _parts(cls, value: Any) -> Any:
        return tuple(filter(None, (one.strip() for one in value.split(",")))) if isinstance(value, str) else value

    @field_validator("default_facility_type", "default_practice_setting")
    @classmethod
    def _token(cls, value: str) -> str:
        if not all(value.partition("|")):
            raise ValueError("expected `system|code`")
        return value

    @field_validator("home_community_id", "known_communities", "known_sources", "source_id")
    @classmethod
    def _oids(cls, value: Any) -> Any:
        for one in value if isinstance(value, tuple) else filter(None, (value,)):
            if not _OID.fullmatch(one):
                raise ValueError("expected an OID as a URI, such as urn:oid:2.999.10")
        return value

    @field_validator("external_documents", "external_references")
    @classmethod
    def _hosts(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        """A URL, a port or a pattern would never be equal to the host of a URL."""
        if not all(map(_HOST.fullmatch, value)):
            raise ValueError("expected each to be a host name alone, such as documents.example.org")
        return value

    @field_validator("profiles_dir")
    @classmethod
    def _folder(cls, value: Path) -> Path:
        if not value.is_dir():
            raise ValueError("there is no such folder")
        return value

    @field_validator("base_url")
    @classmethod
    def _absolute(cls, value: str) -> str:
        parts = urlsplit(value)
        if value and (parts.scheme not in ("http", "https") or not parts.netloc or parts.query or parts.fragment):
            raise ValueError("expected an absolute http or https URL without query, such as https://example.org/fhir")
        return value
