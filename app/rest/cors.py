"""Browser clients: which origins may ask, and what their scripts may send and see.

`/metadata` and what is below `/.well-known/` may be read from anywhere once there are browser clients at all;
everything else only from the origins that the operator registered. Nobody's cookies are involved: a token is in the
request or it is not.

Spec: Fetch Standard, CORS protocol; EHDS-06.
"""

from __future__ import annotations

from collections.abc import Iterable

from starlette.types import Scope

Headers = list[tuple[bytes, bytes]]

ALLOWED = (
    b"Authorization, Content-Type, Accept, Prefer, If-Match, If-None-Match, If-None-Exist, traceparent, X-Request-Id"
)
EXPOSED = b"Location, ETag, Last-Modified, Content-Location, traceparent, X-Request-Id, Retry-After, WWW-Authenticate"
METHODS = b"GET, HEAD, POST, PUT, DELETE"
MAX_AGE_S = b"600"

_WELL_KNOWN = "/.well-known/"


class Cors:
    """The registered origins of one server."""

    def __init__(self, origins: Iterable[str], base_path: str) -> None:
        """Let scripts of `origins` ask; when there are none, nothing is said to browsers at all."""
        self._origins = frozenset(one.encode() for one in origins)
        self._metadata = f"{base_path}/metadata"
        self._well_known = (_WELL_KNOWN, f"{base_path}{_WELL_KNOWN}")

    @property
    def is_on(self) -> bool:
        """Whether there are browser clients."""
        return bool(self._origins)

    def headers(self, scope: Scope) -> Headers:
        """Return what every answer to the request says to a browser; nothing to an origin that is not registered."""
        if not self._origins:
            return []
        vary: Headers = [(b"vary", b"Origin")]
        origin = _header(scope, b"origin")
        if not origin or not (self._is_public(scope["path"]) or origin in self._origins):
            return vary
        return [(b"access-control-allow-origin", origin), (b"access-control-expose-headers", EXPOSED), *vary]

    def preflight(self, scope: Scope) -> Headers | None:
        """Return the header fields that answer a preflight request; None for any other request.

        It is answered before anybody is asked for a token: a browser sends none with it.
        """
        asked = _header(scope, b"access-control-request-method")
        if not self._origins or scope["method"] != "OPTIONS" or not asked or not _header(scope, b"origin"):
            return None
        found = self.headers(scope)
        if len(found) == 1:
            return found
        return [
            *found,
            (b"access-control-allow-methods", METHODS),
            (b"access-control-allow-headers", ALLOWED),
            (b"access-control-max-age", MAX_AGE_S),
        ]

    def _is_public(self, path: str) -> bool:
        return path == self._metadata or path.startswith(self._well_known)


def _header(scope: Scope, name: bytes) -> bytes:
    return next((value for found, value in scope["headers"] if found == name), b"")
