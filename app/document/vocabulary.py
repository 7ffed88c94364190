"""The names that Document Sharing gives to things: canonical URLs, codes and extensions of MHD.

Source: MHD CodeSystems MHDlistTypes and IHE.MHD.MHDIdentifierType, StructureDefinitions `ihe-…`; tables 10.1 to 10.3.
"""

from __future__ import annotations

MHD = "https://profiles.ihe.net/ITI/MHD"
STRUCTURE_DEFINITION = f"{MHD}/StructureDefinition"

LIST_TYPES = f"{MHD}/CodeSystem/MHDlistTypes"
SUBMISSION_SET = "submissionset"
FOLDER = "folder"

IDENTIFIER_TYPES = f"{MHD}/CodeSystem/IHE.MHD.MHDIdentifierType"
UNIQUE_ID = "uniqueId"
ENTRY_UUID = "entryUUID"
URI_SYSTEM = "urn:ietf:rfc:3986"

HOME_COMMUNITY_ID = f"{STRUCTURE_DEFINITION}/ihe-HomeCommunityId"
DESIGNATION_TYPE = f"{STRUCTURE_DEFINITION}/ihe-designationType"
INTENDED_RECIPIENT = f"{STRUCTURE_DEFINITION}/ihe-intendedRecipient"
SOURCE_ID = f"{STRUCTURE_DEFINITION}/ihe-sourceId"
AUTHOR_ORGANIZATION = f"{STRUCTURE_DEFINITION}/ihe-authorOrg"

# Error codes of Document Sharing (ITI TF-3 Table 4.2.4.1-2, and 2:3.65.4.1.3 for the last).
METADATA_ERROR = "XDSRepositoryMetadataError"
UNRESOLVED = "UnresolvedReferenceException"
UNKNOWN_PATIENT = "XDSUnknownPatientId"
PATIENTS_DIFFER = "XDSPatientIdDoesNotMatch"
DEPRECATED = "XDSRegistryDeprecatedDocumentError"
MISSING_DOCUMENT = "XDSMissingDocument"
INVALID_CONTENT = "InvalidDocumentContent"
