"""How somebody is turned away: status, issue and `WWW-Authenticate`, in one place.

Spec: RFC 6750 section 3; IUA-24 to IUA-28; EHDS-11; MHD-SEC-03.
"""

from __future__ import annotations

from app.fhir.outcome import FhirError
from app.security.access import UNRESTRICTED, Access
from app.security.principal import Principal
from app.security.scope import wanted

REALM = "fhir"


class RefusedError(FhirError):
    """Somebody is not let in; `access` tells who it was, as far as that is known."""

    access: Access = UNRESTRICTED


def login_required(text: str = "A bearer token is required: `Authorization: Bearer <token>`.") -> RefusedError:
    """Return the refusal of somebody who shows nothing (IUA-25, IUA-26)."""
    refused = RefusedError("login", text, status=401)
    refused.headers["WWW-Authenticate"] = _challenge()
    return refused


def unusable(description: str, *, code: str = "security") -> RefusedError:
    """Return the refusal of a token that does not hold; `description` is for the client, and never repeats the token.

    Args:
        code: `expired`, or `security` for anything else that is wrong with it (IUA-26).
    """
    refused = RefusedError(code, f"The access token cannot be used: {description}.", status=401)
    refused.headers["WWW-Authenticate"] = _challenge(error="invalid_token", error_description=description)
    return refused


def insufficient(principal: Principal, transaction: str, scope: str) -> RefusedError:
    """Return the refusal of somebody whose scopes do not cover an interaction, or an entry of a Bundle."""
    context = next((grant.context for grant in principal.grants if not grant.transaction), "system")
    needed = wanted(transaction, scope, is_iua=principal.is_iua, context=context)
    return _denied(principal, f"The scope `{needed}` is needed.", {"error": "insufficient_scope", "scope": needed})


def denied(principal: Principal, text: str) -> RefusedError:
    """Return the refusal of somebody whom a policy keeps out: another patient, a purpose of use, a restriction.

    Args:
        text: why, without health data; not told where denials are concealed.
    """
    parameters = {"error": "insufficient_scope"} if principal.denial == 401 else {}
    return _denied(principal, text, parameters)


def unavailable(text: str) -> RefusedError:
    """Return the refusal of everybody while it cannot be found out who they are (IUA-88)."""
    refused = RefusedError("transient", text)
    refused.headers["Retry-After"] = "10"
    return refused


def _denied(principal: Principal, text: str, parameters: dict[str, str]) -> RefusedError:
    if principal.denial == 404:
        refused = RefusedError("not-found", "Nothing is known under this address.")
    else:
        refused = RefusedError("forbidden", text, status=principal.denial)
        if parameters:
            refused.headers["WWW-Authenticate"] = _challenge(**parameters)
    refused.access = Access(principal, is_whole=False)
    return refused


def _challenge(**parameters: str) -> str:
    quoted = ", ".join(f'{name}="{_quotable(value)}"' for name, value in {"realm": REALM, **parameters}.items())
    return f"Bearer {quoted}"


def _quotable(text: str) -> str:
    """Return `text` in the characters that RFC 6750 allows between quotation marks."""
    return "".join(one if " " <= one <= "~" and one not in '"\\' else "'" for one in text)
