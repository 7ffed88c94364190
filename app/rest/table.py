"""Which interaction answers a method and a path; what is said when none does.

Spec: FHIR R4 http.html#summary; MHD-GEN-10, MHD-68-12.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from difflib import get_close_matches

from app.fhir.outcome import FhirError
from app.transaction import Interaction, Transaction

# A logical id: FHIR R4 datatypes.html#id. What is not one names nothing, and is not repeated in an answer.
_ID = re.compile(r"[A-Za-z0-9.-]{1,64}")

Served = tuple[Transaction, Interaction]


class DoubleRouteError(Exception):
    """Two interactions claim the same method and path."""


@dataclass(slots=True)
class _Node:
    """One segment of a path: what follows it, and what answers when nothing does."""

    literal: dict[str, _Node] = field(default_factory=dict)
    variable: _Node | None = None
    name: str = ""
    served: dict[str, Served] = field(default_factory=dict)

    def find(self, segments: Sequence[str], variables: dict[str, str]) -> _Node | None:
        """Return what lies `segments` below; those that fill a variable are added to `variables`."""
        if not segments:
            return self if self.served else None
        if (below := self.literal.get(segments[0])) and (found := below.find(segments[1:], variables)):
            return found
        if self.variable is None or not _ID.fullmatch(segments[0]):
            return None
        found = self.variable.find(segments[1:], variables)
        if found:
            variables[self.variable.name] = segments[0]
        return found


class Table:
    """Every URL below `[base]`, from the transactions. Literal segments come before variables."""

    def __init__(self, transactions: Iterable[Transaction]) -> None:
        """Enter all interactions.

        Raises:
            DoubleRouteError: two of them claim one method and path.
        """
        self._root = _Node()
        for transaction in transactions:
            for interaction in transaction.interactions:
                self._enter(transaction, interaction)

    def find(self, method: str, path: str) -> tuple[Transaction, Interaction, dict[str, str]]:
        """Return what answers `method` on `path`, and the variables of the path; HEAD is answered as GET is.

        Raises:
            FhirError: `not-found` (404), `not-supported` (405, with the header `Allow`).
        """
        variables: dict[str, str] = {}
        node = self._root.find(path.split("/") if path else (), variables)
        if node is None:
            raise self._unknown(path)
        served = node.served.get("GET" if method == "HEAD" else method)
        if served is None:
            raise _not_offered(method, path, node.served)
        return *served, variables

    def near(self, path: str) -> Served | None:
        """Return what answers `path` with some method; None when nothing does."""
        node = self._root.find(path.split("/") if path else (), {})
        return next(iter(node.served.values())) if node else None

    def _enter(self, transaction: Transaction, interaction: Interaction) -> None:
        node = self._root
        for segment in interaction.path.split("/") if interaction.path else ():
            if segment.startswith("{"):
                node.variable = node.variable or _Node(name=segment.strip("{}"))
                node = node.variable
            else:
                node = node.literal.setdefault(segment, _Node())
        if interaction.method in node.served and interaction.code == "batch":
            return  # what takes transactions takes batches too
        if interaction.method in node.served:
            first, second = node.served[interaction.method][0], transaction
            raise DoubleRouteError(
                f"`{interaction.method} [base]/{interaction.path}` is claimed by {_title(first)} and {_title(second)}."
            )
        node.served[interaction.method] = (transaction, interaction)

    def _unknown(self, path: str) -> FhirError:
        name = path.rpartition("/")[2][:64]
        if name.startswith("$"):
            text = f"The operation `{name}` is not offered at this path; see `[base]/metadata`."
            return FhirError("not-supported", text, status=404)
        offered = sorted(self._root.literal)
        first = path.partition("/")[0]
        if first in self._root.literal:
            return FhirError("not-found", f"Nothing is offered at this path below `{first}`; see `[base]/metadata`.")
        near = get_close_matches(first, offered, n=1) if first.isalnum() else []
        hint = f"Did you mean `{near[0]}`? " if near else ""
        names = ", ".join(f"`{name}`" for name in offered)
        return FhirError("not-found", f"Nothing is offered at this path. {hint}Below `[base]` there is {names}.")


def _not_offered(method: str, path: str, served: dict[str, Served]) -> FhirError:
    allowed = sorted({*served, *(["HEAD"] if "GET" in served else [])})
    place = f"[base]/{path.partition('/')[0]}" if path else "[base]"
    text = f"`{method[:16]}` is not offered at this path of `{place}`; offered: {', '.join(allowed)}."
    error = FhirError("not-supported", text, status=405)
    error.headers["Allow"] = ", ".join(allowed)
    return error


def _title(transaction: Transaction) -> str:
    return f"{transaction.code} {transaction.name}".strip()
