"""Find Document Lists [ITI-66]: the Document Responder's side.

A Document Consumer asks for the List resources, SubmissionSets and Folders, that match a set of parameters;
the answer is a searchset Bundle.

Spec: IHE ITI TF-2:3.66 (https://profiles.ihe.net/ITI/MHD/ITI-66.html).
"""

from __future__ import annotations

from app.document.vocabulary import MHD, STRUCTURE_DEFINITION
from app.interaction import query_of, read_resource, require_parameters, search_resources
from app.mhd.finding import CODES, not_offered, of_type, target_communities, warnings_about
from app.search.query import Scope
from app.transaction import Context, RequestMessage, ResponseMessage, Transaction, read, search_type

# What the Document Responder must implement: 2:3.66.4.1.2.1, in the order of the section.
SEARCH_PARAMETERS = (
    "code",
    "date",
    "designationType",
    "identifier",
    "patient",
    "patient.identifier",
    "source.given",
    "source.family",
    "sourceId",
    "status",
    "_id",
    "_lastUpdated",
)


async def find_document_lists(message: RequestMessage, context: Context) -> ResponseMessage:
    """Answer a Find Document Lists request (2:3.66.4.1.3 Expected Actions).

    Args:
        message: `query` holds the search parameters as sent, order and repeats kept.

    Returns:
        200 and a Bundle of type searchset (2:3.66.4.2.2).

    Raises:
        FhirError: `invalid` (400) for a value its parameter cannot read; `required` (400) when a parameter that the
            Document Consumer must send is missing and the switch `search_requires_patient` is on; `not-found` (400),
            `XDSUnknownCommunity`, for communities that are not served.
    """
    warnings = warnings_about(message, context.switches)
    scope = Scope(without=not_offered(context.switches), codes=CODES)
    query = query_of(of_type(message, "List"), context, "List", scope)
    if context.switches.search_requires_patient:
        require_parameters(query, (("patient", "patient.identifier", "_id"), ("status", "_id"), ("code", "_id")))
    return await search_resources(query, context, warnings)


ITI66 = Transaction(
    code="ITI-66",
    name="Find Document Lists",
    client="Document Consumer",
    server="Document Responder",
    interactions=(*search_type("List", find_document_lists), *read("List", read_resource)),
    search_parameters={"List": SEARCH_PARAMETERS},
    supported_profiles={
        "List": (
            f"{STRUCTURE_DEFINITION}/IHE.MHD.List",
            f"{STRUCTURE_DEFINITION}/IHE.MHD.Minimal.SubmissionSet",
            f"{STRUCTURE_DEFINITION}/IHE.MHD.UnContained.Comprehensive.SubmissionSet",
            f"{STRUCTURE_DEFINITION}/IHE.MHD.Comprehensive.SubmissionSet",
            f"{STRUCTURE_DEFINITION}/IHE.MHD.Minimal.Folder",
            f"{STRUCTURE_DEFINITION}/IHE.MHD.Comprehensive.Folder",
        )
    },
    instantiates=(f"{MHD}/CapabilityStatement/IHE.MHD.DocumentResponder",),
    audit_profile=f"{STRUCTURE_DEFINITION}/IHE.MHD.FindDocumentLists.Audit.Responder",
    options={"target_communities": target_communities("List")},
)
