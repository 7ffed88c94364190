"""The two identifiers of Document Sharing objects: uniqueId, which the source gives, and entryUUID.

Spec: MHD tables 10.1; MHD-PR-01, 02, 04; MHD-65-115, 116.
"""

from __future__ import annotations

from uuid import UUID

from app.document.vocabulary import ENTRY_UUID, IDENTIFIER_TYPES, UNIQUE_ID, URI_SYSTEM
from app.fhir.resource import Resource

# `Identifier.use` told the two apart until MHD 4.2.3.
_KIND_OF_USE = {"official": ENTRY_UUID, "usual": UNIQUE_ID}


def kind(identifier: Resource) -> str:
    """Return `uniqueId`, `entryUUID` or "" as `identifier.type` says."""
    for coding in identifier.get("type", {}).get("coding", ()):
        if coding.get("system") == IDENTIFIER_TYPES and coding.get("code") in (UNIQUE_ID, ENTRY_UUID):
            return str(coding["code"])
    return ""


def of_kind(resource: Resource, wanted: str) -> Resource | None:
    """Return the first identifier of `resource` that is of kind `wanted`."""
    return next((one for one in resource.get("identifier", ()) if kind(one) == wanted), None)


def unique_id(resource: Resource) -> Resource | None:
    """Return the uniqueId of a DocumentReference or List."""
    return resource.get("masterIdentifier") or of_kind(resource, UNIQUE_ID)


def token(identifier: Resource) -> str:
    """Return `system|value` of `identifier` as a token parameter takes it, escaped (FHIR R4 search.html#escaping)."""
    return "|".join(_escaped(str(identifier.get(part, ""))) for part in ("system", "value"))


def _escaped(text: str) -> str:
    for character in "\\|,$":
        text = text.replace(character, f"\\{character}")
    return text


def typed(identifier: Resource, wanted: str) -> Resource:
    """Return `identifier` with the type `wanted`."""
    return {**identifier, "type": {"coding": [{"system": IDENTIFIER_TYPES, "code": wanted}]}}


def with_types(resource: Resource) -> Resource:
    """Return `resource` with identifier types filled in where a source of MHD 4.2.3 or older left them out.

    Laxer than the profiles of 4.2.4, which demand the type (MHD-PR-02, A-17): masterIdentifier is the
    uniqueId; another identifier is told by its use, else by the prefix of its value.
    """
    changed = dict(resource)
    if isinstance(master := resource.get("masterIdentifier"), dict) and "type" not in master:
        changed["masterIdentifier"] = typed(master, UNIQUE_ID)
    identifiers = resource.get("identifier")
    if resource.get("resourceType") in ("DocumentReference", "List") and isinstance(identifiers, list):
        changed["identifier"] = [_with_type(one) for one in identifiers]
    return changed


def _with_type(identifier: Resource) -> Resource:
    if not isinstance(identifier, dict) or "type" in identifier or identifier.get("system") != URI_SYSTEM:
        return identifier
    value = str(identifier.get("value", ""))
    guess = ENTRY_UUID if value.startswith("urn:uuid:") else UNIQUE_ID if value.startswith("urn:oid:") else ""
    wanted = _KIND_OF_USE.get(str(identifier.get("use")), guess)
    return typed(identifier, wanted) if wanted else identifier


def with_entry_uuid(resource: Resource, new_id: str) -> Resource:
    """Return `resource` with an entryUUID; one that the source gave stays."""
    if of_kind(resource, ENTRY_UUID):
        return resource
    own = typed({"system": URI_SYSTEM, "value": f"urn:uuid:{UUID(new_id)}"}, ENTRY_UUID)
    return {**resource, "identifier": [*resource.get("identifier", ()), own]}


def with_unique_id(resource: Resource, new_id: str) -> Resource:
    """Return the List `resource` with a uniqueId in OID form; one that the source gave stays."""
    if unique_id(resource):
        return resource
    own = typed({"system": URI_SYSTEM, "value": f"urn:oid:2.25.{UUID(new_id).int}"}, UNIQUE_ID)
    return {**resource, "identifier": [*resource.get("identifier", ()), own]}
