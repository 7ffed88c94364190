"""The codings of audit events, each written down once and shared by all events.

Spec: audit.md section 2; BALP code systems; FHIR R4 valueset-audit-event-type, -sub-type, -audit-entity-type.
"""

from __future__ import annotations

from app.fhir.resource import Resource

DCM = "http://dicom.nema.org/resources/ontology/DCM"
EVENT_TYPE = "http://terminology.hl7.org/CodeSystem/audit-event-type"
LIFECYCLE = "http://terminology.hl7.org/CodeSystem/iso-21089-lifecycle"
INTERACTION = "http://hl7.org/fhir/restful-interaction"
IHE_EVENT = "urn:ihe:event-type-code"
PARTICIPANT = "http://terminology.hl7.org/CodeSystem/provenance-participant-type"
PARTICIPATION = "http://terminology.hl7.org/CodeSystem/v3-ParticipationType"
ROLE_CLASS = "http://terminology.hl7.org/CodeSystem/v3-RoleClass"
SECURITY_ROLE = "http://terminology.hl7.org/CodeSystem/extra-security-role-type"
ENTITY_TYPE = "http://terminology.hl7.org/CodeSystem/audit-entity-type"
OBJECT_ROLE = "http://terminology.hl7.org/CodeSystem/object-role"
SOURCE_TYPE = "http://terminology.hl7.org/CodeSystem/security-source-type"
RESOURCE_TYPE = "http://hl7.org/fhir/resource-types"
IDENTIFIER_TYPE = "http://terminology.hl7.org/CodeSystem/v2-0203"

BALP = "https://profiles.ihe.net/ITI/BALP"
USER_AGENT = f"{BALP}/CodeSystem/UserAgentTypes"
AUTHORIZATION = f"{BALP}/CodeSystem/AuthZsubType"
# Own choice: W3C has no code system; this is where `traceparent` is defined.
TRACE_CONTEXT = "https://www.w3.org/TR/trace-context/"


def coding(system: str, code: str, display: str = "") -> Resource:
    """Return a Coding."""
    made = {"system": system, "code": code}
    return {**made, "display": display} if display else made


def concept(*codings: Resource) -> Resource:
    """Return a CodeableConcept."""
    return {"coding": list(codings)}


REST = coding(EVENT_TYPE, "rest", "RESTful Operation")
APPLICATION_ACTIVITY = coding(DCM, "110100", "Application Activity")
IMPORT = coding(DCM, "110107", "Import")
PATIENT_RECORD = coding(DCM, "110110", "Patient Record")
SECURITY_ALERT = coding(DCM, "110113", "Security Alert")
USER_AUTHENTICATION = coding(DCM, "110114", "User Authentication")

APPLICATION_START = coding(DCM, "110120", "Application Start")
APPLICATION_STOP = coding(DCM, "110121", "Application Stop")
EMERGENCY_OVERRIDE = coding(DCM, "110127", "Emergency Override Started")
AUTHZ_CONSENT = coding(AUTHORIZATION, "AuthZ-Consent")
AUTHZ_ROLE = coding(AUTHORIZATION, "AuthZ-Role")

SOURCE = coding(DCM, "110153", "Source Role ID")
DESTINATION = coding(DCM, "110152", "Destination Role ID")
APPLICATION = coding(DCM, "110150", "Application")
CUSTODIAN = coding(PARTICIPANT, "custodian", "Custodian")
AUTHORIZATION_SERVICE = coding(USER_AGENT, "AuthzOauthService")
AUTHORIZER = coding(SECURITY_ROLE, "authserver")
RECIPIENT = coding(PARTICIPATION, "IRCP", "information recipient")
AUTHOR = coding(PARTICIPATION, "AUT", "author (originator)")
TOKEN_USE = coding(USER_AGENT, "UserOauthAgent")
ORGANIZATION = coding(ROLE_CLASS, "PROV", "healthcare provider")

PERSON = coding(ENTITY_TYPE, "1", "Person")
SYSTEM_OBJECT = coding(ENTITY_TYPE, "2", "System Object")
CONSENT = coding(RESOURCE_TYPE, "Consent", "Consent")
REQUEST_ID = coding(f"{BALP}/CodeSystem/BasicAuditEntityType", "XrequestId")
TRACE = coding(TRACE_CONTEXT, "traceparent")

PATIENT = coding(OBJECT_ROLE, "1", "Patient")
REPORT = coding(OBJECT_ROLE, "3", "Report")
DOMAIN_RESOURCE = coding(OBJECT_ROLE, "4", "Domain Resource")
JOB = coding(OBJECT_ROLE, "20", "Job")
QUERY = coding(OBJECT_ROLE, "24", "Query")

APPLICATION_SERVER = coding(SOURCE_TYPE, "4", "Application Server")
SECURITY_SERVER = coding(SOURCE_TYPE, "6", "Security Server")
