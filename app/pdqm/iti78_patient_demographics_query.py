"""Patient Demographics Query [ITI-78]: the Patient Demographics Supplier's side.

A Patient Demographics Consumer asks for the patients whose demographics match; the answer is a searchset Bundle.

Spec: IHE ITI TF-2:3.78 (https://profiles.ihe.net/ITI/PDQm/ITI-78.html).
"""

from __future__ import annotations

from app.interaction import query_of, read_resource, search_resources
from app.transaction import Context, RequestMessage, ResponseMessage, Transaction, read, search_type

PDQM = "https://profiles.ihe.net/ITI/PDQm"

# What the Patient Demographics Supplier must implement: 2:3.78.4.1.2.1, in the order of the section.
SEARCH_PARAMETERS = (
    "_id",
    "active",
    "family",
    "given",
    "identifier",
    "telecom",
    "birthdate",
    "address",
    "address-city",
    "address-country",
    "address-postalcode",
    "address-state",
    "gender",
    "mothersMaidenName",
    "_lastUpdated",
)


async def patient_demographics_query(message: RequestMessage, context: Context) -> ResponseMessage:
    """Answer a Patient Demographics Query (2:3.78.4.1.3 Expected Actions).

    Args:
        message: `query` holds the search parameters as sent, order and repeats kept.

    Returns:
        200 and a Bundle of type searchset (2:3.78.4.2.2).

    Raises:
        FhirError: `invalid` (400) for a value its parameter cannot read.
    """
    return await search_resources(query_of(message, context, "Patient"), context)


ITI78 = Transaction(
    code="ITI-78",
    name="Patient Demographics Query",
    client="Patient Demographics Consumer",
    server="Patient Demographics Supplier",
    interactions=(*search_type("Patient", patient_demographics_query), *read("Patient", read_resource)),
    search_parameters={"Patient": SEARCH_PARAMETERS},
    supported_profiles={"Patient": (f"{PDQM}/StructureDefinition/IHE.PDQm.Patient",)},
    instantiates=(f"{PDQM}/CapabilityStatement/IHE.PDQm.PatientDemographicsSupplier",),
    audit_profile=f"{PDQM}/StructureDefinition/IHE.PDQm.Query.Audit.Supplier",
)
