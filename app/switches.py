"""The deployment's choices where IHE leaves one.

Each switch is a setting as well (`MHD_` and its name in capitals, see `app/settings/`), and reaches handlers through
`Context.switches`.

Spec: MHD 4.2.4, the options of 1:33.2 and what its text leaves open.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

MetadataLevel = Literal["all", "comprehensive"]
PatientInBundle = Literal["match", "create", "reject"]
OnConflict = Literal["reject", "warn"]
LocationStyle = Literal["absolute", "relative"]
ValidationStatus = Literal["precise", "400"]
ExtraFormats = Literal["off", "json", "xml", "both"]

# FHIR R4 valueset: v3 NullFlavor, "a proper value is applicable, but not known".
UNKNOWN = "http://terminology.hl7.org/CodeSystem/v3-NullFlavor|UNK"
ExternalRetrieval = Literal["link", "redirect", "proxy"]
DeprecatedQuery = Literal["not-found", "empty"]
DeprecatedSearch = Literal["survivor", "flagged", "omitted"]
FeedClientId = Literal["strict", "ignore"]


@dataclass(frozen=True, slots=True)
class Switches:
    """What a deployment has chosen; the defaults are the recommended ones.

    Attributes:
        comprehensive, uncontained, simplified_publish, generate_metadata, fhir_documents: the options of the Document
            Recipient (1:33.2); what is off is neither done nor advertised.
        metadata_level: which ProvideBundle profiles ITI-65 takes: all three, or only the comprehensive ones.
        strict_identifier_type: refuse identifiers without the `type` that MHD 4.2.4 introduced; else tell by `use`.
        require_submissionset_unique_id: refuse a SubmissionSet without a uniqueId; else assign one.
        lenient_submission_links: add a DocumentReference that is missing in `SubmissionSet.entry`; else refuse.
        queue_unmatched: take a Minimal submission whose patient cannot be told, with the warning `DocumentQueued`.
        patient_in_bundle: what a Patient entry may do: name a known patient, also create one, or nothing.
        unique_id_conflict: a uniqueId that is in use already: refuse, or take it with a warning (demonstrations).
        replace_cascade: superseding a document also supersedes what transforms or appends it (ITI-42).
        minimal_folders: take new Folders that are only Minimal in comprehensive submissions (A-12).
        folder_additive_only: an update of a Folder may only add members.
        superseded_retrieval: HTTP status of ITI-68 for the document of a superseded DocumentReference.
        search_requires_patient: refuse ITI-66 and ITI-67 without the parameters the Consumer must send.
        location_style: form of `response.location` in the answer to ITI-65.
        validation_status: 422 and 409 as they are, or 400 for every refused submission (old test tools).
        external_documents: hosts whose URLs `attachment.url` may name; empty: none.
        external_retrieval: how a document on such a host is reached: by its own URL (`link`), or by one of this server,
            which redirects there or proxies the bytes. It is chosen when the document is published.
        external_references: hosts from which a Patient that a submission refers to may be fetched; empty: none.
        external_private: the hosts of both lists may have private, loopback or link-local addresses.
        external_timeout_s: time for each step of a request to another server, in seconds.
        external_max_bytes: largest document that is proxied, in bytes.
        home_community_id: OID of the own community, `urn:oid:…`, written into what is published without one.
        target_communities: the option Target Communities: ITI-66 and ITI-67 know `targetCommunityIdList`.
        known_communities: other communities whose documents this server holds, `urn:oid:…`.
        home_country: whose national numbers of telephones are understood, `AT`; empty: only international ones.
        pix_target_id: ITI-83 answers with references to Patients beside identifiers.
        deprecated_query: what ITI-83 answers to a number that was merged away or deactivated.
        deprecated_search: a record that was merged away in an answer of ITI-78: with its survivor, alone, or left out.
        unknown_domain: HTTP status of ITI-78 for a domain filter that names an unknown domain.
        min_search_params: refuse an ITI-78 search that narrows nothing.
        remove_patient: the Remove Patient Option: ITI-104 takes a conditional delete.
        feed_client_id: an `id` in a fed Patient that is not there yet: refused, or ignored.
        allow_unmerge: a source may undo its merge by feeding the subsumed patient without the link.
        required_profile: canonical URL of a profile that fed Patients must meet beside PIXm's own.
        known_references: what an author or the like refers to on this server must be stored here (UnContained option).
        known_sources: OIDs of the sources whose submissions are taken; empty: all.
        value_sets: file of the codes that are taken for elements (`app/document/value_sets.py`); empty: any code.
        require_source_patient_id: refuse a comprehensive document whose contained sourcePatientInfo has no identifier;
            else warn.
        assign_unique_id: give a DocumentReference of ITI-105 without masterIdentifier one; else refuse it (A-13).
        fhir_document_extra_docref: formats in which a FHIR document of ITI-65 gets a DocumentReference more (A-09).
        source_id: OID of the source of derived SubmissionSets; empty: one made of `[base]`.
        default_language: of a document that does not tell its own, where metadata must be comprehensive.
        default_facility_type, default_practice_setting: `system|code` of such a document.
        consents: Consents restrict access to a patient's documents, and are kept over FHIR.
        audit: events are kept, taken and served: ITI-20, ITI-81.
        audit_require_date: refuse ITI-81 without `date` (AUD-91).
        max_resource_bytes: of a FHIR document that is kept as a resource.
    """

    comprehensive: bool = True
    uncontained: bool = True
    simplified_publish: bool = True
    generate_metadata: bool = True
    fhir_documents: bool = True
    metadata_level: MetadataLevel = "all"
    strict_identifier_type: bool = False
    require_submissionset_unique_id: bool = False
    lenient_submission_links: bool = False
    queue_unmatched: bool = True
    patient_in_bundle: PatientInBundle = "create"
    unique_id_conflict: OnConflict = "reject"
    replace_cascade: bool = True
    minimal_folders: bool = False
    folder_additive_only: bool = True
    superseded_retrieval: Literal[200, 404, 410] = 200
    search_requires_patient: bool = False
    location_style: LocationStyle = "absolute"
    validation_status: ValidationStatus = "precise"
    external_documents: tuple[str, ...] = ()
    external_retrieval: ExternalRetrieval = "link"
    external_references: tuple[str, ...] = ()
    external_private: bool = False
    external_timeout_s: int = 30
    external_max_bytes: int = 1_610_612_736
    home_community_id: str = ""
    target_communities: bool = False
    known_communities: tuple[str, ...] = ()
    home_country: str = ""
    pix_target_id: bool = True
    deprecated_query: DeprecatedQuery = "not-found"
    deprecated_search: DeprecatedSearch = "survivor"
    unknown_domain: Literal[404, 200] = 404
    min_search_params: bool = False
    remove_patient: bool = True
    feed_client_id: FeedClientId = "strict"
    allow_unmerge: bool = False
    required_profile: str = ""
    known_references: bool = True
    known_sources: tuple[str, ...] = ()
    value_sets: str = ""
    require_source_patient_id: bool = False
    assign_unique_id: bool = False
    fhir_document_extra_docref: ExtraFormats = "off"
    source_id: str = ""
    default_language: str = "und"
    default_facility_type: str = UNKNOWN
    default_practice_setting: str = UNKNOWN
    consents: bool = False
    audit: bool = True
    audit_require_date: bool = True
    max_resource_bytes: int = 33_554_432
