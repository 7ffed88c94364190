"""The parameters of a request to the authorization server: each at most once (RFC 6749 3.1 and 3.2)."""

from __future__ import annotations

from collections.abc import Sequence

from app.iua.oauth_error import OAuthError
from app.transaction import RequestMessage

NO_STORE = {"Cache-Control": "no-store", "Pragma": "no-cache"}


def parameters_of(pairs: Sequence[tuple[str, str]]) -> dict[str, str]:
    """Return name -> value; what has no value was not sent.

    Raises:
        OAuthError: `invalid_target` for a second `resource` (IUA register, I7), `invalid_request` for any other.
    """
    found: dict[str, str] = {}
    for name, value in pairs:
        if name in found:
            error = "invalid_target" if name == "resource" else "invalid_request"
            raise OAuthError(error, "a parameter may be sent once only")
        if value:
            found[name] = value
    return found


def required(parameters: dict[str, str], name: str) -> str:
    """Return the value of a parameter.

    Raises:
        OAuthError: `invalid_request`.
    """
    if name not in parameters:
        raise OAuthError("invalid_request", f"`{name}` is missing")
    return parameters[name]


def authorization_header(message: RequestMessage) -> str:
    """Return the header `Authorization`; empty when there is none."""
    return message.headers.get("authorization", "")
