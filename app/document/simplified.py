"""A DocumentReference that brings its document along: what it must look like, and what becomes of it.

Spec: ITI-105, 2:3.105.4.1.2; profile IHE.MHD.SimplifiedPublish.DocumentReference; MHD-105-01..06, 10, 15, 19.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any
from uuid import UUID

from app.document.content import attachment_of, with_url
from app.document.identifier import kind, typed
from app.document.vocabulary import METADATA_ERROR, STRUCTURE_DEFINITION, UNIQUE_ID, URI_SYSTEM
from app.fhir.outcome import FhirError, Issue, require_none
from app.fhir.resource import Resource
from app.transaction import Context

SIMPLIFIED = f"{STRUCTURE_DEFINITION}/IHE.MHD.SimplifiedPublish.DocumentReference"
MINIMAL_DOCUMENT = f"{STRUCTURE_DEFINITION}/IHE.MHD.Minimal.DocumentReference"
UNCONTAINED_DOCUMENT = f"{STRUCTURE_DEFINITION}/IHE.MHD.UnContained.Comprehensive.DocumentReference"
COMPREHENSIVE_DOCUMENT = f"{STRUCTURE_DEFINITION}/IHE.MHD.Comprehensive.DocumentReference"

# Stands for the place of a document while its metadata are validated.
SOMEWHERE = "urn:uuid:00000000-0000-4000-8000-000000000000"


def admissible_document(resource: Resource | None, context: Context) -> Resource:
    """Return the DocumentReference of a request as it is to be published: identifiers typed, foreign claims alone.

    Raises:
        FhirError: 400 with all issues when it does not meet the profile, or the deployment's metadata level.
    """
    document = _require_document(resource)
    if context.switches.assign_unique_id and "masterIdentifier" not in document:
        value = f"urn:uuid:{UUID(context.new_id())}"
        document = {**document, "masterIdentifier": {"system": URI_SYSTEM, "value": value}}
    issues = context.validator.validate(document, SIMPLIFIED, is_strict=True)
    require_none([replace(issue, details=METADATA_ERROR) for issue in issues], status=400)
    require_none(_check_identifier(document), status=400)
    if not context.switches.uncontained:
        require_none(_check_contained(document), status=400)
    document = _without_claim(_with_unique_id(document))
    if context.switches.metadata_level == "comprehensive":
        require_none(check_level(_as_stored(document), context), status=400)
    return document


def _require_document(resource: Resource | None) -> Resource:
    if resource is None or resource.get("resourceType") != "DocumentReference":
        came = f"`{str(resource.get('resourceType'))[:64]}`" if resource else "an empty body"
        raise FhirError("structure", f"A DocumentReference was expected. Came: {came}.", details=METADATA_ERROR)
    return resource


def check_level(document: Resource, context: Context) -> list[Issue]:
    """Return what `document`, as it would be stored, lacks of what this deployment demands (MHD-OPT-05)."""
    profile = MINIMAL_DOCUMENT
    if context.switches.metadata_level == "comprehensive":
        profile = UNCONTAINED_DOCUMENT if context.switches.uncontained else COMPREHENSIVE_DOCUMENT
    issues = context.validator.validate(document, profile, is_strict=True)
    return [replace(issue, details=METADATA_ERROR) for issue in issues]


def _check_identifier(document: Resource) -> Iterator[Issue]:
    """A uniqueId has system and value (MHD-105-04)."""
    for name in ("system", "value"):
        if not document["masterIdentifier"].get(name):
            text = f"`masterIdentifier` needs a `{name}`."
            yield Issue("required", text, f"DocumentReference.masterIdentifier.{name}", details=METADATA_ERROR)


def _check_contained(document: Resource) -> Iterator[Issue]:
    """Without the option UnContained Reference, sourcePatientInfo is contained (MHD-105-06)."""
    text = str(document.get("context", {}).get("sourcePatientInfo", {}).get("reference", "#"))
    if not text.startswith("#"):
        at = "DocumentReference.context.sourcePatientInfo"
        yield Issue("value", "`sourcePatientInfo` refers to a contained Patient.", at, details=METADATA_ERROR)


def _with_unique_id(document: Resource) -> Resource:
    """Laxer than the profiles of what is stored: the type of the uniqueId need not come, and is filled in."""
    master = document["masterIdentifier"]
    return document if kind(master) == UNIQUE_ID else {**document, "masterIdentifier": typed(master, UNIQUE_ID)}


def _without_claim(document: Resource) -> Resource:
    """Return `document` without the claim that it brings its document, which is true no more (MHD-105-10)."""
    meta: dict[str, Any] = dict(document.get("meta", {}))
    meta["profile"] = [url for url in meta.get("profile", ()) if str(url).partition("|")[0] != SIMPLIFIED]
    if not meta["profile"]:
        del meta["profile"]
    rest = {name: value for name, value in document.items() if name != "meta"}
    return {**rest, "meta": meta} if meta else rest


def parted(document: Resource) -> tuple[Resource, Resource]:
    """Return `document` without its data, and the Binary that these become."""
    attachment = dict(attachment_of(document))
    binary = {"resourceType": "Binary", "contentType": attachment["contentType"], "data": attachment.pop("data")}
    return {**document, "content": [{**document["content"][0], "attachment": attachment}]}, binary


def _as_stored(document: Resource) -> Resource:
    return with_url(parted(document)[0], SOMEWHERE)
