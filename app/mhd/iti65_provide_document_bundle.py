"""Provide Document Bundle [ITI-65]: the Document Recipient's side.

A Document Source posts a transaction Bundle with a SubmissionSet, DocumentReferences and their documents;
all of it is stored, or nothing.

Spec: IHE ITI TF-2:3.65 (https://profiles.ihe.net/ITI/MHD/ITI-65.html).
"""

from __future__ import annotations

from contextlib import suppress

from app.document.entry import Submission, submission_of
from app.document.folders import file_in_folders
from app.document.level import LEVELS, admissible, claimed_level, require_transaction_bundle
from app.document.lifecycle import relate
from app.document.meaning import meaning_of
from app.document.publication import Overtaken, Publication, key_taken, publication_of
from app.document.staging import staged_documents
from app.document.submission import check_contents, check_submission, refuse
from app.document.vocabulary import MHD
from app.fhir.bundle import transaction_response
from app.fhir.outcome import FhirError
from app.store.change import KeyTaken, VersionConflict
from app.store.resources import Kept
from app.transaction import Context, RequestMessage, ResponseMessage, Transaction, transaction

# How often a submission is read anew when another one changed what it refers to.
_ATTEMPTS = 8


async def provide_document_bundle(message: RequestMessage, context: Context) -> ResponseMessage:
    """Answer a Provide Document Bundle request (2:3.65.4.1.3 Expected Actions).

    Args:
        message: `resource` is the Bundle; `content` the documents that were taken out of it while it arrived.

    Returns:
        200 and a Bundle of type transaction-response, one entry for each of the request, in its order (2:3.65.4.2.2).

    Raises:
        FhirError: 400 for what is malformed, breaks its profile or cannot be resolved; 422 for what breaks a rule
            of Document Sharing; 409 for an identifier that is in use; 412 for a condition that is not met. With the
            switch `validation_status` 400 for the former two as well (MHD-ERR-06).
    """
    try:
        return await _provided(message, context)
    except FhirError as error:
        if context.switches.validation_status == "400" and error.status in (409, 422):
            error.status = 400
        raise


async def _provided(message: RequestMessage, context: Context) -> ResponseMessage:
    """Read the submission, and store it; as often as others come in between."""
    bundle = require_transaction_bundle(message.resource)
    level = claimed_level(bundle)
    submission = submission_of(admissible(bundle, level, context), level)
    for _ in range(_ATTEMPTS):
        with suppress(Overtaken):
            return await _published(submission, message, context)
    raise FhirError("transient", "Others are changing the same records. Try again.", details="XDSRepositoryBusy")


async def _published(submission: Submission, message: RequestMessage, context: Context) -> ResponseMessage:
    """Store what `submission` means as things stand now.

    Raises:
        Overtaken: what it was read from has changed before the commit; read again, the answer may be another.
    """
    meaning = await meaning_of(submission, context)
    refuse(check_submission(submission, meaning.links, context.switches))
    contents = await staged_documents(submission, message, context)
    refuse(check_contents(submission, meaning.links, contents, context.switches))
    publication = publication_of(submission, meaning, contents, context)
    await relate(submission, meaning, publication, context)
    await file_in_folders(submission, meaning, publication, context)
    kept = await _commit(publication, context)
    is_shown = "return=representation" in message.headers.get("prefer", "")
    written = publication.written(kept, submission.entries, context.base_url, is_shown=is_shown)
    base_url = context.base_url if context.switches.location_style == "absolute" else ""
    return ResponseMessage(200, transaction_response(base_url, written))


async def _commit(publication: Publication, context: Context) -> dict[str, Kept]:
    """Store all or nothing; an identifier that was free when the submission came may be taken by now."""
    try:
        changes = (*publication.changes.values(), *publication.requirements.values())
        kept = await context.store.commit(changes, context.now())
    except KeyTaken as taken:
        raise await key_taken(taken.key, publication, context) from taken
    except VersionConflict as conflict:
        raise Overtaken from conflict
    return dict(zip(publication.changes, kept, strict=False))


ITI65 = Transaction(
    code="ITI-65",
    name="Provide Document Bundle",
    client="Document Source",
    server="Document Recipient",
    interactions=transaction(provide_document_bundle),
    instantiates=(f"{MHD}/CapabilityStatement/IHE.MHD.DocumentRecipient",),
    audit_profile=f"{MHD}/StructureDefinition/IHE.MHD.ProvideBundle.Audit.Recipient",
    documentation="A transaction Bundle that meets one of " + ", ".join(f"`{level}`" for level in LEVELS) + ".",
)
