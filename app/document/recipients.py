"""What a submission refers to beside documents: recipients to be told, and entries of the community directories.

Nobody is asked outside of this server: a reference to another one is taken as it is (MHD-65-63).

Spec: ITI-65, 2:3.65.4.1.3; MHD 1:33.2.3; MHD-65-102, 103, MHD-OPT-11.
"""

from __future__ import annotations

from collections.abc import Iterator

from app.document.entry import Entry, Submission
from app.document.level import UNCONTAINED
from app.document.vocabulary import AUTHOR_ORGANIZATION, INTENDED_RECIPIENT, UNRESOLVED
from app.fhir.bundle import Links
from app.fhir.outcome import FhirError, Issue
from app.fhir.reference import parse as parse_reference
from app.fhir.resource import Resource
from app.transaction import Context

UNKNOWN_RECIPIENT = "UnknownRecipient"


async def check_recipients(submission: Submission, links: Links, context: Context) -> list[Issue]:
    """Return a warning for each intended recipient whom this server cannot find (MHD-65-102, 103)."""
    entry = submission.submission_set
    issues = []
    for position, extension in enumerate(entry.resource.get("extension", ())):
        if extension.get("url") != INTENDED_RECIPIENT:
            continue
        recipient = extension.get("valueReference", {})
        if not await _is_known(recipient, entry, links, context):
            text = f"`{str(recipient.get('reference', ''))[:200]}` is not known here: this recipient is told nothing."
            at = f"{entry.expression}.extension[{position}].value"
            issues.append(Issue("not-found", text, at, "warning", UNKNOWN_RECIPIENT))
    return issues


async def check_references(submission: Submission, links: Links, context: Context) -> list[Issue]:
    """Return an error for each author and the like that is named at the UnContained level and not stored here."""
    if submission.level != UNCONTAINED or not context.switches.known_references:
        return []
    return [
        entry.issue("not-found", f"`{reference['reference'][:200]}` is not stored here.", element, UNRESOLVED)
        for entry in (submission.submission_set, *submission.documents)
        for element, reference in _people(entry.resource)
        if reference.get("reference") and not await _is_known(reference, entry, links, context)
    ]


def _people(resource: Resource) -> Iterator[tuple[str, Resource]]:
    """Yield where a DocumentReference or SubmissionSet may refer to somebody, and to whom it does (MHD-OPT-10)."""
    for position, author in enumerate(resource.get("author", ())):
        yield f"author[{position}]", author
    for element in ("authenticator", "source"):
        if element in resource:
            yield element, resource[element]
    for extension in resource.get("source", {}).get("extension", ()):
        if extension.get("url") == AUTHOR_ORGANIZATION:
            yield "source.extension", extension.get("valueReference", {})
    if patient := resource.get("context", {}).get("sourcePatientInfo"):
        yield "context.sourcePatientInfo", patient


async def _is_known(reference: Resource, entry: Entry, links: Links, context: Context) -> bool:
    """Tell whether what `reference` in `entry` means is there; what lies on another server is taken to be."""
    text = str(reference.get("reference", ""))
    if links.new_name(text, entry.full_url) is not None:
        return True
    parsed = parse_reference(links.absolute(text, entry.full_url), context.base_url)
    if parsed.kind != "literal":
        return parsed.kind in ("contained", "absolute")
    try:
        await context.store.read(parsed.resource_type, parsed.id)
    except FhirError as error:
        if error.status not in (404, 410):
            raise
        return False
    return True
