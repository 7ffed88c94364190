"""Refusals in OAuth's words: the codes, the status of each, and the exception that carries them.

Spec: RFC 6749 4.1.2.1 and 5.2, RFC 8707 2, RFC 7009 2.2.1; IUA-63, IUA-70.
"""

from __future__ import annotations

from collections.abc import Mapping

# Code -> HTTP status, where the answer is no redirect.
HTTP_STATUS: dict[str, int] = {
    "invalid_request": 400,  # a parameter is missing, there twice, or not what it must be
    "invalid_client": 400,  # the client is not known, or did not show that it is the one
    "invalid_grant": 400,  # a code or a refresh token that is wrong, used, expired, or somebody else's
    "unauthorized_client": 400,  # this client may not ask in this way
    "unsupported_grant_type": 400,
    "unsupported_response_type": 400,
    "unsupported_token_type": 400,
    "invalid_scope": 400,  # nothing of what was asked for can be granted
    "invalid_target": 400,  # a resource server that is not known here
    "access_denied": 403,  # the user says no
    "slow_down": 429,  # too many failures
    "temporarily_unavailable": 503,
    "server_error": 500,
}


class OAuthError(Exception):
    """A refusal for the client; its description names no secret, no token and no person."""

    def __init__(
        self, error: str, description: str = "", *, status: int = 0, headers: Mapping[str, str] | None = None
    ) -> None:
        super().__init__(description or error)
        self.error = error
        self.description = description
        self.status = status or HTTP_STATUS[error]
        self.headers = dict(headers or {})
        self.client = ""  # who asked, as far as that was said

    def body(self) -> dict[str, str]:
        """Return the JSON object that tells it."""
        told = {"error": self.error}
        return told | ({"error_description": self.description} if self.description else {})
