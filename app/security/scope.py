"""One grammar for all dialects of scopes: SMART v1 and v2, the words of the EHDS guides, IHE's transaction names."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Grant:
    """What one scope allows.

    Attributes:
        transaction: IHE's number, `ITI-67`; empty for a scope of a resource type.
        context: `system`, `user` or `patient`.
        resource_type: `*` for all.
        rights: letters out of `cruds`.
        query: the restriction of SMART v2: pairs (parameter, value).
    """

    transaction: str = ""
    context: str = "system"
    resource_type: str = ""
    rights: frozenset[str] = frozenset()
    query: tuple[tuple[str, str], ...] = ()
