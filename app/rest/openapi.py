"""The OpenAPI description, from the transaction records and the examples of the profile packages.

Spec: OpenAPI 3.1.0.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

from app import __version__
from app.capability import NAME
from app.fhir.media_type import JSON, XML
from app.fhir.resource import Resource, parse_json
from app.rest.media import FORM
from app.transaction import Interaction, Transaction

# Interaction -> the resource in its request and in its answer, for the example: type, and type of Bundle.
REQUEST_EXAMPLES = {"transaction": "Bundle transaction", "create": "{type}", "update": "{type}"}
RESPONSE_EXAMPLES = {
    "transaction": "Bundle transaction-response",
    "search-type": "Bundle searchset",
    "read": "{type}",
    "vread": "{type}",
}
STATUS = {"create": "201"}

Examples = Mapping[str, Resource]


def read_examples(profiles: Path) -> Examples:
    """Return an example of each kind of resource that the packages below `profiles` hold as valid.

    The key is the type of the resource, and for a Bundle its type as well: `Patient`, `Bundle searchset`.
    """
    found: dict[str, Resource] = {}
    for file in sorted(profiles.glob("*/examples/valid/*.json")):
        resource = parse_json(file.read_bytes())
        bundle_type = f" {resource.get('type')}" if resource["resourceType"] == "Bundle" else ""
        found.setdefault(resource["resourceType"] + bundle_type, resource)
    return found


def request_example(interaction: Interaction, examples: Examples) -> Resource | None:
    """Return an example of the body that `interaction` takes, if it takes one."""
    return examples.get(REQUEST_EXAMPLES.get(interaction.code, "").format(type=interaction.resource_type))


def response_example(interaction: Interaction, examples: Examples) -> Resource | None:
    """Return an example of what `interaction` answers."""
    return examples.get(RESPONSE_EXAMPLES.get(interaction.code, "").format(type=interaction.resource_type))


def openapi(base_url: str, transactions: Iterable[Transaction], examples: Examples) -> Resource:
    """Return the OpenAPI document of all `transactions`."""
    paths: dict[str, Resource] = {}
    for transaction in transactions:
        for interaction in transaction.interactions:
            operations = paths.setdefault(f"/{interaction.path}", {})
            operations[interaction.method.lower()] = _operation(transaction, interaction, examples)
    return {
        "openapi": "3.1.0",
        "info": {"title": NAME, "version": __version__, "description": "FHIR R4; IHE transactions by their numbers."},
        "servers": [{"url": base_url}],
        "paths": paths,
    }


def summary(transaction: Transaction, interaction: Interaction) -> str:
    """Return one line that says what `interaction` is for."""
    return interaction.summary or f"{transaction.name}: {interaction.code} {interaction.resource_type}".rstrip()


def _operation(transaction: Transaction, interaction: Interaction, examples: Examples) -> Resource:
    operation: Resource = {
        "tags": [f"{transaction.name} [{transaction.code}]" if transaction.code else transaction.name],
        "summary": summary(transaction, interaction),
        "operationId": f"{interaction.method.lower()} {interaction.path or '[base]'}",
        "parameters": list(_parameters(transaction, interaction)),
        "responses": {
            STATUS.get(interaction.code, "200"): _content("done", response_example(interaction, examples)),
            "default": _content("refused or failed: an OperationOutcome", examples.get("OperationOutcome")),
        },
    }
    if interaction.method == "POST":
        operation["requestBody"] = _request_body(transaction, interaction, examples)
    return operation


def _parameters(transaction: Transaction, interaction: Interaction) -> Iterator[Resource]:
    for segment in interaction.path.split("/"):
        if segment.startswith("{"):
            yield {"name": segment.strip("{}"), "in": "path", "required": True, "schema": {"type": "string"}}
    if interaction.code == "search-type" and interaction.method == "GET":
        for code in transaction.search_parameters.get(interaction.resource_type, ()):
            yield {"name": code, "in": "query", "schema": {"type": "string"}}


def _request_body(transaction: Transaction, interaction: Interaction, examples: Examples) -> Resource:
    if interaction.code == "search-type":
        codes = transaction.search_parameters.get(interaction.resource_type, ())
        properties = {code: {"type": "string"} for code in codes}
        return {"content": {FORM: {"schema": {"type": "object", "properties": properties}}}}
    return {"required": True, "content": _media(request_example(interaction, examples))}


def _content(description: str, example: Resource | None) -> Resource:
    return {"description": description, "content": _media(example)}


def _media(example: Resource | None) -> Resource:
    shown = {"example": example} if example else {}
    return {JSON: {"schema": {"type": "object"}, **shown}, XML: {"schema": {"type": "string"}}}
