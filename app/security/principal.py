"""Who asks: what an access token says about its bearer."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from app.security.scope import Grant

Means = Literal["", "token", "static", "certificate", "gateway"]


@dataclass(frozen=True, slots=True)
class Principal:
    """The client, and the person behind it when there is one.

    Attributes:
        client: `client_id`; empty when nobody asks for tokens.
        issuer: who issued the token.
        subject: `sub`: the person, or the client once more.
        token_id: `jti`; empty for a token that has none.
        token_tail: the last 32 characters of the token, of a short one less; never more of it.
        grants: what its scopes say.
        patient: the one patient the token is bound to: `Patient/1`, `https://…/Patient/1` or `urn:oid:…|value`, as
            which a CX is read too; anything else names nobody. Empty when it is bound to none.
        purposes: purposes of use as (system, code).
        roles: roles of the person as (system, code).
        fhir_user: the claim `fhirUser`: a reference to the person as a FHIR resource.
        claims: `ihe_iua` and `ihe_bppc`, as they came.
        is_iua: the token speaks IUA's dialect: a scope `ITI-…`, or an `ihe_iua` extension (IUA-24).
        means: how it was shown who asks; empty when it was not.
        denial: HTTP status of what this principal may not do: 403, in IUA's dialect 401, 404 where it is concealed.
    """

    client: str = ""
    issuer: str = ""
    subject: str = ""
    token_id: str = ""
    token_tail: str = ""
    grants: tuple[Grant, ...] = ()
    patient: str = ""
    purposes: tuple[tuple[str, str], ...] = ()
    roles: tuple[tuple[str, str], ...] = ()
    fhir_user: str = ""
    claims: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    is_iua: bool = False
    means: Means = ""
    denial: int = 403

    @property
    def is_person(self) -> bool:
        """Whether somebody stands behind the client."""
        return bool(self.subject) and self.subject != self.client


ANONYMOUS = Principal()
