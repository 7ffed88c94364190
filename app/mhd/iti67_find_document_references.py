"""Find Document References [ITI-67]: the Document Responder's side.

A Document Consumer asks for the DocumentReference resources that match a set of parameters; the answer is a
searchset Bundle.

Spec: IHE ITI TF-2:3.67 (https://profiles.ihe.net/ITI/MHD/ITI-67.html).
"""

from __future__ import annotations

from app.document.vocabulary import MHD, STRUCTURE_DEFINITION
from app.interaction import query_of, read_resource, require_parameters, search_resources
from app.mhd.finding import CODES, not_offered, target_communities, warnings_about
from app.search.query import Scope
from app.transaction import Context, RequestMessage, ResponseMessage, Transaction, read, search_type

# What the Document Responder must implement: 2:3.67.4.1.2.1, in the order of the section.
SEARCH_PARAMETERS = (
    "author.given",
    "author.family",
    "category",
    "creation",
    "date",
    "event",
    "facility",
    "format",
    "identifier",
    "patient",
    "patient.identifier",
    "period",
    "related",
    "security-label",
    "setting",
    "status",
    "type",
    "_id",
    "_lastUpdated",
)


async def find_document_references(message: RequestMessage, context: Context) -> ResponseMessage:
    """Answer a Find Document References request (2:3.67.4.1.3 Expected Actions).

    Args:
        message: `query` holds the search parameters as sent, order and repeats kept.

    Returns:
        200 and a Bundle of type searchset (2:3.67.4.2.2).

    Raises:
        FhirError: `invalid` (400) for a value its parameter cannot read; `required` (400) when a parameter that the
            Document Consumer must send is missing and the switch `search_requires_patient` is on.
    """
    warnings = warnings_about(message, context.switches)
    query = query_of(message, context, "DocumentReference", Scope(without=not_offered(context.switches), codes=CODES))
    if context.switches.search_requires_patient:
        require_parameters(query, (("patient", "patient.identifier", "_id"), ("status", "_id")))
    return await search_resources(query, context, warnings)


ITI67 = Transaction(
    code="ITI-67",
    name="Find Document References",
    client="Document Consumer",
    server="Document Responder",
    interactions=(
        *search_type("DocumentReference", find_document_references),
        *read("DocumentReference", read_resource),
    ),
    search_parameters={"DocumentReference": SEARCH_PARAMETERS},
    supported_profiles={"DocumentReference": (f"{STRUCTURE_DEFINITION}/IHE.MHD.Minimal.DocumentReference",)},
    instantiates=(f"{MHD}/CapabilityStatement/IHE.MHD.DocumentResponder",),
    audit_profile=f"{STRUCTURE_DEFINITION}/IHE.MHD.FindDocumentReferences.Audit.Responder",
    options={"target_communities": target_communities("DocumentReference")},
)
