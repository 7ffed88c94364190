"""The CapabilityStatement: computed from the transactions and the loaded profile packages, repeated nowhere.

Spec: FHIR R4 capabilitystatement.html, http.html#capabilities; ITI TF-2 Appendix Z.3; MHD-CS-01 to MHD-CS-12.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from app import __version__
from app.capability.deployment import Deployment
from app.capability.parts import interactions, operations, title
from app.capability.resource import MissingDefinitionError, resource_entry
from app.capability.security import security
from app.fhir.resource import Resource, instant, to_json
from app.search.definitions import Definitions
from app.transaction import Context, FhirJson, Interaction, RequestMessage, ResponseMessage, Transaction

NAME = "FHIR document sharing server"

PLAIN = Deployment()

# Code system of the interactions: FHIR R4 valueset-system-restful-interaction.
SYSTEM_INTERACTIONS = "transaction batch search-system history-system".split()  # noqa: SIM905


def capabilities(transactions: Sequence[Transaction], deployment: Deployment = PLAIN) -> Transaction:
    """Return the record of `GET [base]/metadata`, which describes `transactions`; the statement is made once."""
    made: dict[str, bytes] = {}

    async def read_capabilities(message: RequestMessage, context: Context) -> ResponseMessage:
        """Answer a capabilities interaction: 200 and the CapabilityStatement."""
        if context.base_url not in made:
            made[context.base_url] = to_json(capability_statement(transactions, context, deployment))
        return ResponseMessage(200, FhirJson(made[context.base_url]))

    interaction = Interaction("capabilities", "GET", "metadata", read_capabilities, summary="What this server can do")
    return Transaction("", "Capabilities", "", "", (interaction,))


def require_definitions(transactions: Iterable[Transaction], definitions: Definitions) -> None:
    """Refuse to start with a search parameter that cannot be searched.

    Raises:
        MissingDefinitionError: names the transaction and the parameter.
    """
    for transaction in transactions:
        for resource_type, codes in transaction.search_parameters.items():
            for code in codes:
                if definitions.get(resource_type, code.partition(":")[0]) is None:
                    raise MissingDefinitionError(
                        f"{transaction.code}: no package in the folder of profiles defines the search parameter "
                        f"`{code}` of `{resource_type}`."
                    )


def capability_statement(
    transactions: Sequence[Transaction], context: Context, deployment: Deployment = PLAIN
) -> Resource:
    """Return the CapabilityStatement of `transactions`; its date is the current time."""
    from fhir.resources.R4B.capabilitystatement import CapabilityStatement  # noqa: PLC0415 - 0.1 s, and rarely asked for

    named = dict.fromkeys(url for transaction in transactions for url in transaction.instantiates)
    statement: Resource = {
        "name": "FhirDocumentSharingServer",
        "title": NAME,
        "status": "active",
        "date": instant(context.now()).partition(".")[0] + "Z",
        "kind": "instance",
        "instantiates": [*named, *deployment.actors(transactions)],
        "implementationGuide": list(dict.fromkeys(deployment.implementation_guides(context.packages))),
        "software": {"name": NAME, "version": __version__},
        "implementation": {"description": NAME, "url": context.base_url},
        "fhirVersion": "4.0.1",
        "format": ["application/fhir+xml", "application/fhir+json"],
        "rest": [_rest(transactions, context, deployment)],
    }
    composed = CapabilityStatement.model_validate({name: value for name, value in statement.items() if value})
    return {"resourceType": "CapabilityStatement", **composed.model_dump(mode="json", exclude_none=True)}


def _rest(transactions: Sequence[Transaction], context: Context, deployment: Deployment) -> Resource:
    types = sorted({one.resource_type for _, one in interactions(transactions) if one.resource_type})
    system = {
        one.code: _system_interaction(transaction, one)
        for transaction, one in interactions(transactions)
        if one.code in SYSTEM_INTERACTIONS and not one.resource_type
    }
    rest: Resource = {
        "mode": "server",
        "documentation": "\n".join(f"* {title(transaction)}" for transaction in transactions if transaction.code),
        "security": security(context.guard.mode, cors=deployment.cors),
        "resource": [resource_entry(name, transactions, context, deployment) for name in types],
        "interaction": list(system.values()),
        "operation": operations(transactions, ""),
        "compartment": sorted({url for _, one in interactions(transactions) if (url := _compartment(one))}),
    }
    return {name: value for name, value in rest.items() if value}


def _compartment(interaction: Interaction) -> str:
    """Return the definition of the compartment that `interaction` searches, `Patient/{id}/List` say; "" for others."""
    owner, _, rest = interaction.path.partition("/{id}/")
    is_search = interaction.code == "search-type" and rest
    return f"http://hl7.org/fhir/CompartmentDefinition/{owner.lower()}" if is_search else ""


def _system_interaction(transaction: Transaction, interaction: Interaction) -> Resource:
    return {"code": interaction.code, "documentation": _documentation(transaction)}


def _documentation(transaction: Transaction) -> str:
    return ": ".join(filter(None, (title(transaction), transaction.documentation)))
