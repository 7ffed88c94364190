"""What the statement says of one resource type.

Spec: FHIR R4 capabilitystatement.html (`rest.resource`); MHD-CS-04 to MHD-CS-07; EHDS-04, EHDS-07, EHDS-08.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Sequence

from app.capability.deployment import Deployment
from app.capability.parts import OWN, interactions, operations, title
from app.fhir.packages import Packages
from app.fhir.resource import Resource
from app.search.definitions import Definitions, SearchParameter
from app.security.scope import NOT_IN_WILDCARD
from app.transaction import Context, Interaction, Transaction

# Code system of the interactions: FHIR R4 valueset-type-restful-interaction.
TYPE_INTERACTIONS = (
    "read vread update patch delete history-instance history-type create search-type".split()  # noqa: SIM905 - a list of codes
)
CORE = "http://hl7.org/fhir/SearchParameter/"


class MissingDefinitionError(Exception):
    """A transaction lists a search parameter that no package defines."""


def resource_entry(
    resource_type: str, transactions: Sequence[Transaction], context: Context, deployment: Deployment
) -> Resource:
    """Return what is offered for one resource type by all `transactions` together, and what packages add to it."""
    offered = [one for _, one in interactions(transactions) if one.resource_type == resource_type]
    codes = {one.code for one in offered}
    profiles = dict.fromkeys(url for each in transactions for url in each.supported_profiles.get(resource_type, ()))
    profiles |= dict.fromkeys(deployment.profiles(resource_type))
    if "vread" in codes:
        profiles |= dict.fromkeys(_added_profiles(resource_type, context.packages))
    titles = [
        title(each) for each in transactions if any(one.resource_type == resource_type for one in each.interactions)
    ]
    resource: Resource = {
        "type": resource_type,
        "supportedProfile": list(profiles),
        "documentation": "; ".join(dict.fromkeys(filter(None, titles))),
        "interaction": [_type_interaction(code, offered) for code in TYPE_INTERACTIONS if code in codes],
        "searchInclude": list(_includes(resource_type, transactions, context.definitions)),
        "searchRevInclude": list(_reverse_includes(resource_type, transactions, context.definitions)),
        "searchParam": [
            _parameter(resource_type, code, context.definitions)
            for code in _parameters(resource_type, transactions, context)
        ],
        "operation": operations(transactions, resource_type),
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
        if not url.startswith(OWN) and not package.is_off(resource_type):
            found = packages.structure_definition(url) or {}
            if (found.get("type"), found.get("derivation")) == (resource_type, "constraint"):
                yield url


def _parameters(resource_type: str, transactions: Sequence[Transaction], context: Context) -> dict[str, None]:
    """Return the search parameters: what transactions list, in their order, then whatever else works."""
    listed = dict.fromkeys(code for each in transactions for code in each.search_parameters.get(resource_type, ()))
    if resource_type not in _searched(transactions):
        return listed
    added = (each.code for each in context.definitions.of(resource_type) if _works(each))
    return listed | dict.fromkeys(added)


def _works(parameter: SearchParameter) -> bool:
    """Whether a parameter is searched without a transaction that lists it: R4's, and what packages of others bring."""
    return parameter.url.startswith(CORE) or bool(parameter.url and not parameter.url.startswith(OWN))


def _searched(transactions: Sequence[Transaction]) -> frozenset[str]:
    """Return the types that are searched by every parameter that there is: those of the store that have versions."""
    found = {
        code: {one.resource_type for _, one in interactions(transactions) if one.code == code}
        for code in ("vread", "search-type")
    }
    return frozenset(found["vread"] & found["search-type"])


def _includes(resource_type: str, transactions: Sequence[Transaction], definitions: Definitions) -> Iterator[str]:
    """Yield what a search may bring along: references to what is stored here, but for the audit."""
    stored = _searched(transactions) - NOT_IN_WILDCARD
    if resource_type in stored:
        yield from (f"{resource_type}:{each.code}" for each in _references(resource_type, definitions, stored))


def _reverse_includes(
    resource_type: str, transactions: Sequence[Transaction], definitions: Definitions
) -> Iterator[str]:
    """Yield what a search may bring along that refers to what it finds."""
    stored = _searched(transactions) - NOT_IN_WILDCARD
    for source in sorted(stored) if resource_type in stored else ():
        yield from (f"{source}:{each.code}" for each in _references(source, definitions, {resource_type}))


def _references(resource_type: str, definitions: Definitions, targets: Collection[str]) -> Iterator[SearchParameter]:
    for each in definitions.of(resource_type):
        if each.type == "reference" and (not each.targets or set(each.targets) & set(targets)):
            yield each


def _type_interaction(code: str, offered: Iterable[Interaction]) -> Resource:
    texts = dict.fromkeys(one.documentation for one in offered if one.code == code and one.documentation)
    return {"code": code, "documentation": "; ".join(texts)} if texts else {"code": code}


def _parameter(resource_type: str, code: str, definitions: Definitions) -> Resource:
    found = definitions.get(resource_type, code.partition(":")[0])  # `family:exact` is listed beside `family`
    if found is None:
        raise MissingDefinitionError(f"No package defines the search parameter `{code}` of `{resource_type}`.")
    parameter = {"name": code, "type": found.type}
    return {**parameter, "definition": found.url} if found.url else parameter
