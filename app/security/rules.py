"""Purposes of use, and roles, without which a scope does not count.

Spec: IUA-31; EHDS-18.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from app.security.principal import Principal
from app.security.scope import Grant, admitting

Codes = frozenset[tuple[str, str]]


@dataclass(frozen=True, slots=True)
class Rule:
    """A scope counts for those purposes and roles only.

    Attributes:
        grants: the scope that is bound, as `app.security.scope.parse` reads it; empty: all scopes.
        purposes, roles: allowed (system, code); of an empty list none is asked for.
    """

    grants: tuple[Grant, ...] = ()
    purposes: Codes = frozenset()
    roles: Codes = frozenset()


def permits(
    rules: Sequence[Rule], principal: Principal, granted: tuple[Grant, ...], transaction: str, scope: str
) -> tuple[Grant, ...]:
    """Return `granted` when every rule that speaks of this interaction is met, else nothing."""
    asked = (rule for rule in rules if not rule.grants or admitting(rule.grants, transaction, scope))
    return granted if all(_is_met(rule, principal) for rule in asked) else ()


def _is_met(rule: Rule, principal: Principal) -> bool:
    return _has(rule.purposes, principal.purposes) and _has(rule.roles, principal.roles)


def _has(allowed: Codes, claimed: Sequence[tuple[str, str]]) -> bool:
    return not allowed or not allowed.isdisjoint(claimed)
