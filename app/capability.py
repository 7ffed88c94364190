"""The CapabilityStatement: computed from the transactions and the loaded profile packages, repeated nowhere.

Spec: FHIR R4 capabilitystatement.html, http.html#capabilities; ITI TF-2 Appendix Z.3; MHD-CS-01 to MHD-CS-12.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from app import __version__
from app.fhir.packages import CORE, Packages
from app.fhir.resource import Resource, instant, to_json
from app.search.definitions import Definitions
from app.transaction import Context, FhirJson, Interaction, RequestMessage, ResponseMessage, Transaction

NAME = "FHIR document sharing server"
SECURITY = (
    "This server does not check who asks: access control belongs in front of it. "
    "IHE recommends node authentication (ATNA, TLS 1.2 or newer) and encourages IUA or SMART on FHIR."
)

# Code systems of the interactions: FHIR R4 valueset-type-restful-interaction, valueset-system-restful-interaction.
TYPE_INTERACTIONS = (
    "read vread update patch delete history-instance history-type create search-type".split()  # noqa: SIM905 - a list of codes
)
SYSTEM_INTERACTIONS = "transaction batch search-system history-system".split()  # noqa: SIM905

# Of what FHIR and IHE define each transaction names what it serves; what others define is a deployment's own wish.
OWN = ("http://hl7.org/fhir/", "https://profiles.ihe.net/", "http://ihe.net/")


class MissingDefinitionError(Exception):
    """A transaction lists a search parameter that no package defines."""


def capabilities(transactions: Sequence[Transaction]) -> Transaction:
    """Return the record of `GET [base]/metadata`, which describes `transactions`; the statement is made once."""
    made: dict[str, bytes] = {}

    async def read_capabilities(message: RequestMessage, context: Context) -> ResponseMessage:
        """Answer a capabilities interaction: 200 and the CapabilityStatement."""
        if context.base_url not in made:
            made[context.base_url] = to_json(capability_statement(transactions, context))
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


def capability_statement(transactions: Sequence[Transaction], context: Context) -> Resource:
    """Return the CapabilityStatement of `transactions`; its date is the current time."""
    from fhir.resources.R4B.capabilitystatement import CapabilityStatement  # noqa: PLC0415 - 0.1 s, and rarely asked for

    named = dict.fromkeys(url for transaction in transactions for url in transaction.instantiates)
    statement: Resource = {
        "name": "FhirDocumentSharingServer",
        "title": NAME,
        "status": "active",
        "date": instant(context.now()).partition(".")[0] + "Z",
        "kind": "instance",
        "instantiates": list(named),
        "implementationGuide": list(dict.fromkeys(_guides(context.packages))),
        "software": {"name": NAME, "version": __version__},
        "implementation": {"description": NAME, "url": context.base_url},
        "fhirVersion": "4.0.1",
        "format": ["application/fhir+xml", "application/fhir+json"],
        "rest": [_rest(transactions, context)],
    }
    composed = CapabilityStatement.model_validate({name: value for name, value in statement.items() if value})
    return {"resourceType": "CapabilityStatement", **composed.model_dump(mode="json", exclude_none=True)}


def _guides(packages: Packages) -> Iterator[str]:
    """Yield the guide of each enabled package; FHIR R4 itself is no guide."""
    for info in packages.listed():
        if info.canonical and info.id != CORE:
            yield f"{info.canonical}/ImplementationGuide/{info.id}"


def _rest(transactions: Sequence[Transaction], context: Context) -> Resource:
    types = sorted({one.resource_type for _, one in _interactions(transactions) if one.resource_type})
    system = {
        one.code: _system_interaction(transaction, one)
        for transaction, one in _interactions(transactions)
        if one.code in SYSTEM_INTERACTIONS and not one.resource_type
    }
    rest: Resource = {
        "mode": "server",
        "documentation": "\n".join(f"* {_title(transaction)}" for transaction in transactions if transaction.code),
        "security": {"cors": False, "description": SECURITY},
        "resource": [_resource(name, transactions, context) for name in types],
        "interaction": list(system.values()),
        "operation": _operations(transactions, ""),
        "compartment": sorted({url for _, one in _interactions(transactions) if (url := _compartment(one))}),
    }
    return {name: value for name, value in rest.items() if value}


def _compartment(interaction: Interaction) -> str:
    """Return the definition of the compartment that `interaction` searches, `Patient/{id}/List` say; "" for others."""
    owner, _, rest = interaction.path.partition("/{id}/")
    is_search = interaction.code == "search-type" and rest
    return f"http://hl7.org/fhir/CompartmentDefinition/{owner.lower()}" if is_search else ""


def _system_interaction(transaction: Transaction, interaction: Interaction) -> Resource:
    return {"code": interaction.code, "documentation": _documentation(transaction)}


def _resource(resource_type: str, transactions: Sequence[Transaction], context: Context) -> Resource:
    """Return what is offered for one resource type by all `transactions` together, and what packages add to it."""
    offered = [one for _, one in _interactions(transactions) if one.resource_type == resource_type]
    codes = {one.code for one in offered}
    profiles = dict.fromkeys(url for each in transactions for url in each.supported_profiles.get(resource_type, ()))
    parameters = dict.fromkeys(code for each in transactions for code in each.search_parameters.get(resource_type, ()))
    if "vread" in codes:
        profiles |= dict.fromkeys(_added_profiles(resource_type, context.packages))
        parameters |= dict.fromkeys(_added_parameters(resource_type, context.definitions))
    titles = [
        _title(each) for each in transactions if any(one.resource_type == resource_type for one in each.interactions)
    ]
    resource: Resource = {
        "type": resource_type,
        "supportedProfile": list(profiles),
        "documentation": "; ".join(dict.fromkeys(filter(None, titles))),
        "interaction": [_type_interaction(code, offered) for code in TYPE_INTERACTIONS if code in codes],
        "searchParam": [_parameter(resource_type, code, context.definitions) for code in parameters],
        "operation": _operations(transactions, resource_type),
    }
    if "vread" in codes:
        resource |= {"versioning": "versioned", "conditionalRead": "full-support"}
    if "create" in codes and resource_type != "AuditEvent":
        resource["conditionalCreate"] = True
    if any(one.code == "update" and one.conditional for one in offered):
        resource |= {"conditionalUpdate": True, "readHistory": False, "updateCreate": False}
    if any(one.code == "delete" and one.conditional for one in offered):
        resource["conditionalDelete"] = "single"
    return {name: value for name, value in resource.items() if value or value is False}


def _added_profiles(resource_type: str, packages: Packages) -> Iterator[str]:
    """Yield the profiles that packages of others have for a resource type that is stored here."""
    for url, package in packages.defined("StructureDefinition"):
        if not url.startswith(OWN) and package.severity != "off":
            found = packages.structure_definition(url) or {}
            if (found.get("type"), found.get("derivation")) == (resource_type, "constraint"):
                yield url


def _added_parameters(resource_type: str, definitions: Definitions) -> Iterator[str]:
    """Yield the search parameters that packages of others bring."""
    return (each.code for each in definitions.of(resource_type) if each.url and not each.url.startswith(OWN))


def _type_interaction(code: str, offered: Iterable[Interaction]) -> Resource:
    texts = dict.fromkeys(one.documentation for one in offered if one.code == code and one.documentation)
    return {"code": code, "documentation": "; ".join(texts)} if texts else {"code": code}


def _parameter(resource_type: str, code: str, definitions: Definitions) -> Resource:
    found = definitions.get(resource_type, code.partition(":")[0])  # `family:exact` is listed beside `family`
    if found is None:
        raise MissingDefinitionError(f"No package defines the search parameter `{code}` of `{resource_type}`.")
    parameter = {"name": code, "type": found.type}
    return {**parameter, "definition": found.url} if found.url else parameter


def _operations(transactions: Sequence[Transaction], resource_type: str) -> list[Resource]:
    """Return the operations of a resource type, or of the system; the name is without `$`."""
    found = {
        one.operation: one.path.rpartition("$")[2]
        for _, one in _interactions(transactions)
        if one.operation and one.resource_type == resource_type
    }
    return [{"name": name, "definition": url} for url, name in found.items()]


def _interactions(transactions: Sequence[Transaction]) -> Iterator[tuple[Transaction, Interaction]]:
    return ((transaction, one) for transaction in transactions for one in transaction.interactions)


def _documentation(transaction: Transaction) -> str:
    return ": ".join(filter(None, (_title(transaction), transaction.documentation)))


def _title(transaction: Transaction) -> str:
    return f"{transaction.name} [{transaction.code}], {transaction.server}" if transaction.code else ""
