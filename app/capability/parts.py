"""What parts of the statement share: names and interactions of transactions."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from app.fhir.resource import Resource
from app.transaction import Interaction, Transaction

# A path that is offered of every resource type.
ANY_TYPE = "{type}/"

# Of what FHIR and IHE define each transaction names what it serves; what others define is a deployment's own wish.
OWN = ("http://hl7.org/fhir/", "https://profiles.ihe.net/", "http://ihe.net/")


def interactions(transactions: Sequence[Transaction]) -> Iterator[tuple[Transaction, Interaction]]:
    """Yield every interaction with its transaction."""
    return ((transaction, one) for transaction in transactions for one in transaction.interactions)


def title(transaction: Transaction) -> str:
    """Return name, number and actor of an IHE transaction; empty for plain FHIR."""
    return f"{transaction.name} [{transaction.code}], {transaction.server}" if transaction.code else ""


def operations(transactions: Sequence[Transaction], resource_type: str) -> list[Resource]:
    """Return the operations of a resource type, or of the system; the name is without `$`."""
    found = {
        one.operation: one.path.rpartition("$")[2]
        for _, one in interactions(transactions)
        if one.operation and _is_of(one, resource_type)
    }
    return [{"name": name, "definition": url} for url, name in found.items()]


def _is_of(one: Interaction, resource_type: str) -> bool:
    if one.path.startswith(ANY_TYPE):
        return bool(resource_type)
    return one.resource_type == resource_type
