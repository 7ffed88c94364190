"""Provide Document Bundle [ITI-65]: the Document Recipient's side.

A Document Source posts a transaction Bundle with a SubmissionSet, DocumentReferences and their documents;
all of it is stored, or nothing.

Spec: IHE ITI TF-2:3.65 (https://profiles.ihe.net/ITI/MHD/ITI-65.html).
"""

from __future__ import annotations

from app.document.entry import submission_of
from app.document.level import LEVELS, admissible, claimed_level, require_transaction_bundle
from app.document.publish import publish, statuses, until_settled
from app.document.staging import with_whole_resources
from app.document.submission import require_option
from app.document.vocabulary import MHD
from app.fhir.bundle import transaction_response
from app.interaction import patient_of, versioned
from app.security.entries import require_entries
from app.transaction import About, Context, Option, RequestMessage, ResponseMessage, Transaction, transaction


async def provide_document_bundle(message: RequestMessage, context: Context) -> ResponseMessage:
    """Answer a Provide Document Bundle request (2:3.65.4.1.3 Expected Actions).

    Args:
        message: `resource` is the Bundle; `content` the documents that were taken out of it while it arrived.

    Returns:
        200 and a Bundle of type transaction-response, one entry for each of the request, in its order (2:3.65.4.2.2).

    Raises:
        FhirError: 400 for what is malformed, breaks its profile or cannot be resolved; 422 for what breaks a rule
            of Document Sharing; 409 for an identifier that is in use; 412 for a condition that is not met. With the
            switch `validation_status` 400 for the former two as well (MHD-ERR-06). 403 or 401 for an entry that the
            caller may not write.
    """
    bundle = require_transaction_bundle(message.resource)
    require_entries(message.access, ITI65.code, bundle, context.base_url)
    level = claimed_level(bundle)
    submission = submission_of(admissible(bundle, level, context), level)
    with statuses(context.switches):
        require_option(submission, context.switches)
        submission = await with_whole_resources(submission, message, context)
        publication, kept = await until_settled(lambda: publish(submission, message, context))
    is_shown = "return=representation" in message.headers.get("prefer", "")
    written = publication.written(kept, submission.entries, context.base_url, is_shown=is_shown)
    base_url = context.base_url if context.switches.location_style == "absolute" else ""
    name = publication.names[submission.submission_set.index]
    about = About(patient_of(publication.created(name)), (versioned(kept[name]),))
    return ResponseMessage(200, transaction_response(base_url, written), about=about)


STATEMENT = f"{MHD}/CapabilityStatement/IHE.MHD.DocumentRecipient"

ITI65 = Transaction(
    code="ITI-65",
    name="Provide Document Bundle",
    client="Document Source",
    server="Document Recipient",
    interactions=transaction(provide_document_bundle),
    instantiates=(STATEMENT,),
    audit_profile=f"{MHD}/StructureDefinition/IHE.MHD.ProvideBundle.Audit.Recipient",
    documentation="A transaction Bundle that meets one of " + ", ".join(f"`{level}`" for level in LEVELS) + ".",
    options={
        "comprehensive": Option(instantiates=(f"{STATEMENT}.Comprehensive",)),
        "uncontained": Option(instantiates=(f"{STATEMENT}.UnContained",)),
        "fhir_documents": Option(instantiates=(f"{STATEMENT}.Fdoc",)),
    },
)
