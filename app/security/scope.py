"""One grammar for all dialects of scopes: SMART v1 and v2, the words of the EHDS guides, IHE's transaction names.

    system/DocumentReference.rs       SMART v2: letters out of `cruds`, in this order
    patient/*.rs?category=…           SMART v2: restricted by a query
    user/Patient.read                 SMART v1: `read` is rs, `write` is cud, `*` is cruds
    system/DocumentReference.search   the words of the EHDS guides: `read`, `search`, `create`
    ITI-67                            an IHE transaction
    admin                             the administration of the patient index

What is none of these grants nothing, and does no harm (IUA-11).

Spec: SMART App Launch 2.2, scopes; IUA-10 to IUA-13; EHDS-16, EHDS-17; MHD-SEC-02.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from urllib.parse import parse_qsl

# The one scope that names neither a transaction nor a type.
ADMIN = "admin"

# What a transaction's name allows where an interaction belongs to no transaction: searches of a compartment or of
# several types, and entries of a Bundle.
ALLOWED: Mapping[str, frozenset[str]] = {
    "ITI-20": frozenset({"AuditEvent.c"}),
    "ITI-65": frozenset({"DocumentReference.c", "List.c", "Binary.c", "Bundle.c"}),
    "ITI-66": frozenset({"List.r", "List.s"}),
    "ITI-67": frozenset({"DocumentReference.r", "DocumentReference.s"}),
    "ITI-68": frozenset({"Binary.r", "Bundle.r"}),
    "ITI-78": frozenset({"Patient.r", "Patient.s"}),
    "ITI-81": frozenset({"AuditEvent.r", "AuditEvent.s"}),
    "ITI-83": frozenset(),
    "ITI-104": frozenset({"Patient.c", "Patient.u", "Patient.d"}),
    "ITI-105": frozenset(),
    "ITI-106": frozenset(),
    "ITI-119": frozenset(),
    ADMIN: frozenset({ADMIN}),
}

# What an interaction needs, where it is not a type and a letter by itself (EHDS-17).
NEEDED: Mapping[str, frozenset[str]] = {
    "ITI-83": frozenset({"Patient.s"}),
    "ITI-119": frozenset({"Patient.s"}),
    "transaction": ALLOWED["ITI-65"],
}

# Only a scope that names the transaction, or `Aliases`, opens these: who feeds decides who somebody is (IUA-13).
NAMED_ONLY = frozenset({"ITI-104"})

# `*` does not mean these: whoever may read everything may not read who read it (IUA register, I10).
NOT_IN_WILDCARD = frozenset({"AuditEvent"})

# What the server says of itself; any valid token opens it (IUA-06).
DEFINITIONS = frozenset(
    {"*", "StructureDefinition", "ValueSet", "CodeSystem", "SearchParameter", "OperationDefinition", "ConceptMap"}
)

_WORDS = {"read": "rs", "write": "cud", "*": "cruds", "search": "s", "create": "c"}
_SMART = re.compile(r"(patient|user|system)/(\*|[A-Z][A-Za-z]{0,63})\.([a-z]+|\*)(?:\?(.+))?")
_LETTERS = re.compile(r"c?r?u?d?s?")


@dataclass(frozen=True, slots=True)
class Grant:
    """What one scope allows.

    Attributes:
        transaction: IHE's number, `ITI-67`, or `admin`; empty for a scope of a resource type.
        context: `system`, `user` or `patient`.
        resource_type: `*` for all.
        rights: letters out of `cruds`; of a transaction's name none, which is all of that transaction.
        query: the restriction of SMART v2: pairs (parameter, value).
    """

    transaction: str = ""
    context: str = "system"
    resource_type: str = ""
    rights: frozenset[str] = frozenset()
    query: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True, slots=True)
class Aliases:
    """What a deployment lets a scope stand for besides itself.

    Attributes:
        smart_feed: `Patient.c`, `.u` and `.d` open the feed, ITI-104 (IUA-13).
        simplified_by_iti65: `ITI-65` opens ITI-105, which has no name of its own in the EHDS guides (EHDS-18).
        relaxed_publish: `DocumentReference.c` opens ITI-65 with all its entries (EHDS-17).
    """

    smart_feed: bool = False
    simplified_by_iti65: bool = True
    relaxed_publish: bool = False


def parse(text: str, aliases: Aliases = Aliases()) -> tuple[Grant, ...]:
    """Return what the blank-separated scopes of `text` grant, in their order; unknown ones are dropped."""
    named = (grant for scope in dict.fromkeys(text.split(" ")) if (grant := _grant(scope)))
    return tuple(dict.fromkeys(each for grant in named for each in (grant, *_also(grant, aliases))))


def is_iua(text: str) -> bool:
    """Tell whether `text` speaks IUA's dialect: one of its scopes names a transaction (IUA-24)."""
    return any(scope.startswith("ITI-") for scope in text.split(" "))


def granting(grants: Iterable[Grant], transaction: str, scope: str) -> tuple[Grant, ...]:
    """Return those of `grants` that cover an interaction, or an entry of a Bundle; none: it is not allowed.

    Args:
        transaction: IHE's number; empty for an interaction that belongs to none.
        scope: `Interaction.scope`, or what an entry needs: `List.c`. Of several, blank-separated, one suffices.

    Examples:
        ITI-67, `DocumentReference.s`  <- `ITI-67`, `system/DocumentReference.rs`, `patient/*.s`
        ITI-65, `List.c` (an entry)    <- `ITI-65`, `system/List.c`
        "",     `List.s`               <- `ITI-66`, `system/List.s`
    """
    needed = _needed(scope)
    return tuple(grant for grant in grants if any(_covers(grant, transaction, one) for one in needed))


def admitting(grants: Iterable[Grant], transaction: str, scope: str) -> tuple[Grant, ...]:
    """Return those of `grants` that let a request begin: as `granting`, but where what is stored decides.

    Whether a document is a Bundle or a Binary is not told by the path (EHDS-17), so either right lets ITI-68 begin;
    who retrieves asks `granting(grants, "ITI-68", "Bundle.r")` or `"Binary.r"` once the kind is known. ITI-65 begins
    with the right to create any of what it may hold; each entry is asked for when it is read (EHDS-22). A batch of
    audit events comes the same way as ITI-65, and is asked for when it is seen that it is one (AUD-85).
    """
    if transaction == "ITI-65" and (feeding := granting(grants, "ITI-20", "AuditEvent.c")):
        return granting(grants, transaction, scope) + feeding
    return granting(grants, transaction, "Binary.r Bundle.r" if transaction == "ITI-68" else scope)


def needs_grant(scope: str) -> bool:
    """Tell whether an interaction needs more than a valid token: definitions and `$validate` do not (IUA-06)."""
    return scope.rpartition(".")[0] not in DEFINITIONS


def wanted(transaction: str, scope: str, *, is_iua: bool, context: str = "system") -> str:
    """Return the scopes that would have sufficed, for `WWW-Authenticate`: in the words of the token's dialect."""
    needed = sorted(_needed(scope))
    if is_iua:
        names = (transaction,) if transaction else (name for name, may in ALLOWED.items() if may & set(needed))
        return " ".join(names) or scope
    if transaction in NAMED_ONLY or ADMIN in needed:
        return transaction or ADMIN
    return " ".join(f"{context}/{one}" for one in needed)


def _grant(scope: str) -> Grant | None:
    if scope in ALLOWED:
        return Grant(transaction=scope)
    found = _SMART.fullmatch(scope)
    if not found:
        return None
    context, resource_type, how, query = found.groups()
    rights = _WORDS.get(how, how if _LETTERS.fullmatch(how) else "")
    pairs = _pairs(query) if query else ()
    if not rights or pairs is None:
        return None
    return Grant("", context, resource_type, frozenset(rights), pairs)


def _pairs(query: str) -> tuple[tuple[str, str], ...] | None:
    """Return the pairs of a query; None when it is none: a restriction that is not understood grants nothing."""
    try:
        return tuple(parse_qsl(query, keep_blank_values=True, strict_parsing=True, errors="strict"))
    except ValueError:
        return None


def _also(grant: Grant, aliases: Aliases) -> Iterator[Grant]:
    """Yield what `grant` stands for besides itself; context and query stay."""
    if aliases.simplified_by_iti65 and grant.transaction == "ITI-65":
        yield Grant(transaction="ITI-105")
    if aliases.smart_feed and grant.resource_type in ("Patient", "*") and grant.rights & set("cud"):
        yield replace(grant, transaction="ITI-104", resource_type="Patient", rights=grant.rights & set("cud"))
    if aliases.relaxed_publish and grant.resource_type in ("DocumentReference", "*") and "c" in grant.rights:
        yield replace(grant, transaction="ITI-65", resource_type="", rights=frozenset())


def _needed(scope: str) -> frozenset[str]:
    return NEEDED.get(scope) or frozenset(scope.split(" "))


def _covers(grant: Grant, transaction: str, needed: str) -> bool:
    resource_type, _, letter = needed.rpartition(".")
    if grant.transaction:
        is_named = grant.transaction == transaction if transaction else needed in ALLOWED[grant.transaction]
        return is_named and (not grant.rights or letter in grant.rights)
    if transaction in NAMED_ONLY or letter not in grant.rights:
        return False
    is_any = grant.resource_type == "*" and resource_type not in NOT_IN_WILDCARD
    return is_any or grant.resource_type == resource_type
