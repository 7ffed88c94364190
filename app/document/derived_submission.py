"""A submission of one document, derived from its DocumentReference: for transactions that bring no SubmissionSet.

Spec: ITI-105, 2:3.105.4.1.3; IHE PCC TF-2:4.1 (SubmissionSet binding); MHD-105-08, 16, MHD-106-10.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any
from uuid import NAMESPACE_URL, UUID, uuid5

from app.document.content import attachment_of, with_url
from app.document.entry import Entry, Submission
from app.document.level import MINIMAL
from app.document.vocabulary import (
    AUTHOR_ORGANIZATION,
    DESIGNATION_TYPE,
    HOME_COMMUNITY_ID,
    LIST_TYPES,
    SOURCE_ID,
    SUBMISSION_SET,
    URI_SYSTEM,
)
from app.fhir.reference import parse as parse_reference
from app.fhir.resource import Resource, instant
from app.transaction import Context

# Who may be the source of a List (FHIR R4 list.html).
SOURCES = frozenset({"Practitioner", "PractitionerRole", "Patient", "Device"})


def derived_submission(document: Resource, holder: Resource, context: Context, place: str) -> Submission:
    """Return the submission of `document`, whose content is in the Binary or Bundle `holder`.

    Args:
        place: FHIRPath of what holds the document in the request.
    """
    set_url, document_url, holder_url = (f"urn:uuid:{UUID(context.new_id())}" for _ in range(3))
    document = with_url(document, holder_url)
    entries = (
        _entry(0, set_url, submission_set_of(document, document_url, context), "List"),
        _entry(1, document_url, document, "DocumentReference"),
        _entry(2, holder_url, holder, place),
    )
    is_binary = holder["resourceType"] == "Binary"
    return Submission(
        level=MINIMAL,
        entries=entries,
        submission_set=entries[0],
        documents=entries[1:2],
        binaries=entries[2:] if is_binary else (),
        folders=(),
        patches=(),
        fhir_documents=() if is_binary else entries[2:],
        patient=None,
    )


def _entry(index: int, full_url: str, resource: Resource, place: str) -> Entry:
    return Entry(index, full_url, "POST", resource["resourceType"], resource, place=place)


def submission_set_of(document: Resource, full_url: str, context: Context) -> Resource:
    """Return the SubmissionSet that lists `document` alone, which the submission calls `full_url`.

    Its identifiers are assigned when it is stored.
    """
    attachment = attachment_of(document)
    contained: list[Resource] = []
    made: Resource = {
        "resourceType": "List",
        "extension": list(_extensions(document, context)),
        "status": "current",
        "mode": "working",
        "title": attachment.get("title") or document.get("description"),
        "code": {"coding": [{"system": LIST_TYPES, "code": SUBMISSION_SET}]},
        "subject": document.get("subject"),
        "date": instant(context.now()),
        "source": _source(document, contained),
        "contained": contained,
        "entry": [{"item": {"reference": full_url}}],
    }
    return {name: value for name, value in made.items() if value}


def _extensions(document: Resource, context: Context) -> Iterator[Resource]:
    if "type" in document:
        yield {"url": DESIGNATION_TYPE, "valueCodeableConcept": document["type"]}
    yield {"url": SOURCE_ID, "valueIdentifier": {"system": URI_SYSTEM, "value": source_id(context)}}
    yield from (one for one in document.get("extension", ()) if one.get("url") == HOME_COMMUNITY_ID)


def source_id(context: Context) -> str:
    """Return the OID of the source: the setting, else one below 2.25 that follows from `[base]`.

    Stricter than IHE, which leaves it open: it is the same for all clients until they can be told apart.
    """
    return context.switches.source_id or f"urn:oid:2.25.{uuid5(NAMESPACE_URL, context.base_url).int}"


def _source(document: Resource, contained: list[Resource]) -> Resource:
    """Return the first person or device among the authors, and the first organization as an extension of it."""
    held = {f"#{one.get('id')}": one for one in document.get("contained", ())}
    source: Resource = {}
    organization: Resource | None = None
    for author in document.get("author", ()):
        kind = _type_of(author, held)
        if kind in SOURCES and not source:
            source = dict(author)
            _copy(author, held, contained)
        elif kind == "Organization" and organization is None:
            organization = author
            _copy(author, held, contained)
    if organization is None:
        return source
    return {"extension": [{"url": AUTHOR_ORGANIZATION, "valueReference": organization}], **source}


def _type_of(reference: Resource, held: dict[str, Resource]) -> str:
    text = str(reference.get("reference", ""))
    if text in held:
        return str(held[text]["resourceType"])
    return parse_reference(text).resource_type or str(reference.get("type", ""))


def _copy(reference: Resource, held: dict[str, Resource], contained: list[Resource]) -> None:
    """Add what `reference` means among the contained resources, and what that refers to in turn."""
    resource = held.get(str(reference.get("reference", "")))
    if resource is None or resource in contained:
        return
    contained.append(resource)
    for inner in _references(resource):
        _copy(inner, held, contained)


def _references(value: Any) -> Iterator[Resource]:
    if isinstance(value, dict):
        if isinstance(value.get("reference"), str):
            yield value
        for item in value.values():
            yield from _references(item)
    elif isinstance(value, list):
        for item in value:
            yield from _references(item)
