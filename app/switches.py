"""The deployment's choices where IHE leaves one.

Each switch is a setting as well (`MHD_` and its name in capitals, see `app/settings.py`), and reaches handlers through
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
ExternalRetrieval = Literal["link", "redirect", "proxy"]


@dataclass(frozen=True, slots=True)
class Switches:
    """What a deployment has chosen; the defaults are the recommended ones.

    Attributes:
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
    """

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
