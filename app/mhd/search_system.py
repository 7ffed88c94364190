"""The other searches of the Document Responder: what belongs to one patient, and over the whole system.

`GET [base]/Patient/[id]/DocumentReference` and `/List` search the compartment of a patient, which is what R4 says it
is. `GET [base]?_type=DocumentReference,List` searches both types at once, with the parameters that both have.

Spec: MHD CapabilityStatement IHE.MHD.DocumentResponder (`search-system`); FHIR R4 compartmentdefinition-patient.html,
http.html#search; MHD-CS-04, A-18.
"""

from __future__ import annotations

from dataclasses import replace

from app.fhir.packages import Packages
from app.interaction import answer_with, asked_types, queries_of, query_of, require_parameters, search_types
from app.interaction import search_resources as search
from app.interaction.search_system import TYPE
from app.mhd.finding import CODES, not_offered, of_type, warnings_about
from app.search.criteria import Criterion, any_of
from app.search.query import Scope
from app.search.query import parse as parse_query
from app.security.entries import require_compartment
from app.transaction import Context, Interaction, RequestMessage, ResponseMessage, Transaction

TYPES = ("DocumentReference", "List")

# What the Patient Demographics Supplier answers for (`app.main`).
ALONE = ("Patient",)


async def search_compartment(message: RequestMessage, context: Context) -> ResponseMessage:
    """Answer a search for what belongs to one patient.

    Returns:
        200 and a Bundle of type searchset; an unknown patient has nothing (MHD-66-34).

    Raises:
        FhirError: `forbidden` (403, 401) to a caller who is bound to another patient.
    """
    require_compartment(message.access, message.variables["id"])
    path = message.url.partition("?")[0].removesuffix("/_search")
    resource_type = path.rpartition("/")[2]
    within, without = _compartment(message.variables["id"], resource_type, context), not_offered(context.switches)
    scope = Scope(path, within, without, CODES)
    warnings = warnings_about(message, context.switches)
    return await search(query_of(of_type(message, resource_type), context, resource_type, scope), context, warnings)


def _compartment(patient: str, resource_type: str, context: Context) -> Criterion:
    """Return what a resource meets that belongs to `patient`: one of its references, by R4's definition, is to them."""
    asked = ([(code, f"Patient/{patient}")] for code in _codes(resource_type, context.packages))
    return any_of(parse_query(context.definitions, resource_type, one, base_url="").criterion for one in asked)


def _codes(resource_type: str, packages: Packages) -> list[str]:
    """Return the parameters that R4's table of the patient's compartment names for `resource_type`.

    Own choice: `patient` for `subject`; for a patient both ask the same, and the former has an index.
    """
    tables = (one for one in packages.all("CompartmentDefinition") if one["code"] == "Patient")
    rows = (row for table in tables for row in table["resource"] if row["code"] == resource_type)
    return ["patient" if code == "subject" else code for row in rows for code in row.get("param", ())]


async def search_system(message: RequestMessage, context: Context) -> ResponseMessage:
    """Answer a search over several types.

    Returns:
        200 and a Bundle of type searchset, the results of all types in one order.

    Raises:
        FhirError: `required` (400) without `_type`; `not-supported` (400) for a type that is not offered; and what the
            searches of the types are refused with.
    """
    types = asked_types(message, TYPES, ALONE)
    warnings = warnings_about(message, context.switches)
    messages = [(name, of_type(_without_type(message), name)) for name in types]
    queries = queries_of(messages, context, not_offered(context.switches))
    if context.switches.search_requires_patient:
        require_parameters(queries[0], (("patient", "patient.identifier", "_id"),))
    shown = replace(queries[0], applied=((TYPE, ",".join(types)), *queries[0].applied))
    return await answer_with(await search_types(queries, context), shown, context, warnings)


def _without_type(message: RequestMessage) -> RequestMessage:
    return replace(message, query=tuple(pair for pair in message.query if pair[0] != TYPE))


def _interactions() -> tuple[Interaction, ...]:
    compartments = tuple(
        Interaction("search-type", method, f"Patient/{{id}}/{name}{end}", search_compartment, name, f"{name}.s")
        for name in TYPES
        for method, end in (("GET", ""), ("POST", "/_search"))
    )
    system = tuple(
        Interaction("search-system", method, path, search_system, scope="DocumentReference.s List.s")
        for method, path in (("GET", ""), ("POST", "_search"))
    )
    return (*system, *compartments)


SEARCHES = Transaction(
    code="",
    name="Search of several types or of one patient",
    client="Document Consumer",
    server="Document Responder",
    interactions=_interactions(),
    documentation="`[base]?_type=DocumentReference,List` with the parameters that both have.",
)
