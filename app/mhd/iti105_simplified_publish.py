"""Simplified Publish [ITI-105]: the Document Recipient's side.

A Document Source posts one DocumentReference with its document inside; the server keeps the document as a Binary and
makes the SubmissionSet.

Spec: IHE ITI TF-2:3.105 (https://profiles.ihe.net/ITI/MHD/ITI-105.html).
"""

from __future__ import annotations

from app.document.derived_submission import derived_submission
from app.document.publish import publish, statuses, until_settled
from app.document.simplified import SIMPLIFIED, admissible_document, parted
from app.document.staging import whole_resource
from app.document.submission import require_subject
from app.document.vocabulary import MHD, STRUCTURE_DEFINITION
from app.fhir.resource import fill_in_base
from app.interaction import about_record, if_none_exist, version_headers
from app.security.entries import require_own
from app.store.resources import Kept
from app.transaction import Context, FhirJson, RequestMessage, ResponseMessage, Transaction, create


async def simplified_publish(message: RequestMessage, context: Context) -> ResponseMessage:
    """Answer a Simplified Publish request (2:3.105.4.1.3 Expected Actions).

    Args:
        message: `resource` is the DocumentReference; `content` its document, when that was taken out while it arrived.

    Returns:
        201 and the DocumentReference as it is stored, whatever `Prefer` says (2:3.105.4.2.2); 200 and the one that
        `If-None-Exist` names.

    Raises:
        FhirError: 400 for what is malformed, breaks the profile or cannot be resolved; 422 for what breaks a rule of
            Document Sharing; 409 for a uniqueId that is in use; 412 when `If-None-Exist` names several.
    """
    require_own(message.access, [message.resource or {}], context.base_url)
    document, binary = parted(admissible_document(message.resource, context))
    document = await whole_resource(document, message, context)
    submission = derived_submission(document, binary, context, "DocumentReference.content[0].attachment")
    require_subject(submission)

    async def attempt() -> ResponseMessage:
        existing = await if_none_exist(message, "DocumentReference", context)
        if existing.kept:
            return _answer(200, existing.kept, context)
        publication, kept = await publish(submission, message, context, existing.keys)
        return _answer(201, kept[publication.names[submission.documents[0].index]], context)

    with statuses(context.switches):
        return await until_settled(attempt)


def _answer(status: int, kept: Kept, context: Context) -> ResponseMessage:
    location = f"DocumentReference/{kept.id}/_history/{kept.version}"
    headers = version_headers(kept) | {"Location": location}
    body = FhirJson(fill_in_base(kept.json, context.base_url))
    return ResponseMessage(status, body, headers, about_record(kept))


ITI105 = Transaction(
    code="ITI-105",
    name="Simplified Publish",
    client="Document Source",
    server="Document Recipient",
    interactions=create("DocumentReference", simplified_publish),
    supported_profiles={"DocumentReference": (SIMPLIFIED,)},
    instantiates=(f"{MHD}/CapabilityStatement/IHE.MHD.DocumentRecipient.Simplified",),
    audit_profile=f"{STRUCTURE_DEFINITION}/IHE.MHD.SimplifiedPublish.Audit.Recipient",
    documentation="One DocumentReference with the document in `content.attachment.data`.",
    option="simplified_publish",
)
