"""Generate Metadata [ITI-106]: the Document Recipient's side.

A Document Source posts a document that describes itself, CDA or FHIR; the server keeps it, and makes its
DocumentReference and SubmissionSet.

Spec: IHE ITI TF-2:3.106 (https://profiles.ihe.net/ITI/MHD/ITI-106.html).
"""

from __future__ import annotations

from app.document.derived_submission import derived_submission
from app.document.generated import earlier_document, generated_document
from app.document.publish import publish, statuses, until_settled
from app.document.structured import Structured, structured_document
from app.document.vocabulary import MHD, STRUCTURE_DEFINITION
from app.fhir.resource import Resource
from app.interaction import patient_of
from app.transaction import About, Context, RequestMessage, ResponseMessage, Transaction, operation

DEFINITION = f"{MHD}/OperationDefinition/generate-metadata"


async def generate_metadata(message: RequestMessage, context: Context) -> ResponseMessage:
    """Answer a Generate Metadata request (2:3.106.4.1.3 Expected Actions).

    Args:
        message: `resource` is a Parameters with the document, or the Binary or Bundle itself.

    Returns:
        200 and a Parameters that refers to the DocumentReference: a new one, or the current one of the same document
        (2:3.106.4.2.2).

    Raises:
        FhirError: 400 for what is malformed or whose patient is not known; 422 for a document that does not say enough
            of itself; 409 for another document of the same uniqueId.
    """
    with statuses(context.switches):
        document = await structured_document(message, context)
        metadata = await generated_document(document, context)
        name, version = await until_settled(lambda: _described(document, metadata, message, context))
    parameter = {"name": "DocumentReference", "valueReference": {"reference": name}}
    about = About(patient_of(metadata), ({"reference": f"{name}{version}"},))
    return ResponseMessage(200, {"resourceType": "Parameters", "parameter": [parameter]}, about=about)


async def _described(
    document: Structured, metadata: Resource, message: RequestMessage, context: Context
) -> tuple[str, str]:
    """Return the name of the DocumentReference of `document`, and of a new one its version: `/_history/1`."""
    earlier = await earlier_document(document, metadata, context)
    if earlier.name:
        return earlier.name, ""
    submission = derived_submission(metadata, document.holder, context, document.place)
    publication, kept = await publish(submission, message, context, earlier.keys)
    name = publication.names[submission.documents[0].index]
    return name, f"/_history/{kept[name].version}"


ITI106 = Transaction(
    code="ITI-106",
    name="Generate Metadata",
    client="Document Source",
    server="Document Recipient",
    interactions=operation(
        "DocumentReference", "generate-metadata", DEFINITION, generate_metadata, "DocumentReference.c"
    ),
    instantiates=(f"{MHD}/CapabilityStatement/IHE.MHD.DocumentRecipient.Generate",),
    audit_profile=f"{STRUCTURE_DEFINITION}/IHE.MHD.GenerateMetadata.Audit.Recipient",
    documentation="A CDA document in a Binary, or a FHIR document as a Bundle.",
    option="generate_metadata",
)
