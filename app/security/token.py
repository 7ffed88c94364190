"""Access token -> principal: by its signature, by asking its issuer, or because it was configured.

What was found out is known for a while: a JWT for `VERIFIED_FOR_S`, an introspected token for `introspected_for_s`, and
neither beyond its end; a token that does not tell its end is asked for each time. That is also how long a token that
was taken back may still be used, beside the age of its issuer's keys (`app/security/keys.py`).

Spec: IUA-07, IUA-21, IUA-22, IUA-27, IUA-40 to IUA-48, IUA-85 to IUA-88; EHDS-18, EHDS-19, EHDS-23.
"""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from hashlib import sha256
from hmac import compare_digest
from typing import Any

from app.security.claims import (
    Claims,
    Reading,
    expiry,
    principal_of,
    require_audience,
    require_current,
    require_members,
)
from app.security.fetch import Fetch
from app.security.introspection import Introspecting
from app.security.jws import MAX_TOKEN_BYTES, Jws, is_jwt, read, verify
from app.security.keys import Keys
from app.security.principal import Principal
from app.security.refusal import RefusedError, unusable

VERIFIED_FOR_S = 30.0
MAX_INTROSPECTED_FOR_S = 60.0
CACHE_SIZE = 10_000

IsRevoked = Callable[[Mapping[str, Any]], Awaitable[bool]]


@dataclass(frozen=True, slots=True)
class Issuer:
    """An authorization server that is trusted.

    Attributes:
        issuer: its name, as `iss` has it.
        audiences: what this server is called in `aud`.
        algorithms: the signatures that are taken from it.
        keys: verify its JWTs; None: it gives opaque tokens only.
        introspection: where it says what a token is worth; None: nowhere.
        introspects_all: JWTs are introspected as well, so that one that was taken back is refused soon.
        is_lenient: claims may be missing that IUA requires and other guides do not know (`jwt_lenient`, IUA-42).
        is_revoked: tells whether a JWT was taken back, by its claims; None: that is not known.
    """

    issuer: str
    audiences: frozenset[str]
    algorithms: frozenset[str] = frozenset()
    keys: Keys | None = None
    introspection: Introspecting | None = None
    introspects_all: bool = False
    is_lenient: bool = False
    is_revoked: IsRevoked | None = None


@dataclass(frozen=True, slots=True)
class StaticToken:
    """A bearer string that was configured (EHDS-23).

    Attributes:
        digest: SHA-256 of the string.
    """

    digest: bytes
    principal: Principal


Found = tuple[Principal, float | None]


@dataclass(slots=True)
class Tokens:
    """All tokens that are taken.

    Attributes:
        reading: how they are read.
        fetch: the connections behind `issuers`, closed with this; None: there are none.
        introspected_for_s: how long the answer to an introspection counts.
        clock: seconds since 1970.
    """

    issuers: Sequence[Issuer] = ()
    static: Sequence[StaticToken] = ()
    reading: Reading = field(default_factory=Reading)
    fetch: Fetch | None = None
    introspected_for_s: float = 30.0
    clock: Callable[[], float] = time.time
    _known: dict[bytes, tuple[Principal, float]] = field(default_factory=dict)

    async def principal(self, token: str) -> Principal:
        """Return who bears `token`.

        Raises:
            RefusedError: `expired` or `security` (401), `transient` (503).
        """
        digest = sha256(token.encode()).digest()
        known = self._known.get(digest)
        if known and self.clock() < known[1]:
            return known[0]
        if found := self._configured(digest):
            return found
        principal, until = await (self._of_jwt(read(token), token) if is_jwt(token) else self._of_opaque(token))
        self._remember(digest, principal, until)
        return principal

    async def close(self) -> None:
        """Close the connections to authorization servers."""
        if self.fetch:
            await self.fetch.close()

    def _configured(self, digest: bytes) -> Principal | None:
        """Return whose configured string it is; each is compared, so that the time tells nothing of them."""
        found = [one.principal for one in self.static if compare_digest(one.digest, digest)]
        return found[0] if found else None

    async def _of_jwt(self, jws: Jws, token: str) -> Found:
        issuer = next((one for one in self.issuers if one.issuer == jws.issuer), None)
        if issuer is None:
            raise unusable("its issuer is not trusted here")
        if issuer.keys is None:
            return await self._introspected(issuer, token)
        await verify(jws, issuer.keys, issuer.algorithms)
        require_members(jws.claims, is_lenient=issuer.is_lenient)
        self._require_good(jws.claims, issuer)
        if issuer.is_revoked and await issuer.is_revoked(jws.claims):
            raise unusable("it was revoked")
        if issuer.introspects_all:
            return await self._introspected(issuer, token)
        principal = principal_of(jws.claims, token, self.reading)
        return principal, self._until(jws.claims, VERIFIED_FOR_S)

    async def _of_opaque(self, token: str) -> Found:
        asked = [one for one in self.issuers if one.introspection]
        if not asked or len(token) > MAX_TOKEN_BYTES:
            raise unusable("it is no token that this server understands")
        unavailable: RefusedError | None = None
        for issuer in asked:
            try:
                return await self._introspected(issuer, token)
            except RefusedError as error:
                unavailable = error if error.status == 503 else unavailable
                last = error
        raise unavailable or last

    async def _introspected(self, issuer: Issuer, token: str) -> Found:
        if issuer.introspection is None:
            raise unusable("it is no token that this server understands")
        claims = await issuer.introspection.claims(token)
        if claims is None:
            raise unusable("its issuer says that it is not active")
        if claims.get("iss", issuer.issuer) != issuer.issuer:
            raise unusable("its issuer is another one")
        self._require_good(claims, issuer)
        principal = principal_of({"iss": issuer.issuer, **claims}, token, self.reading)
        return principal, self._until(claims, self.introspected_for_s) if expiry(claims) is not None else None

    def _require_good(self, claims: Claims, issuer: Issuer) -> None:
        require_current(claims, self.clock(), self.reading.skew_s)
        require_audience(claims, issuer.audiences)

    def _until(self, claims: Claims, at_most_s: float) -> float:
        ends = expiry(claims)
        latest = self.clock() + at_most_s
        return latest if ends is None else min(latest, ends)

    def _remember(self, digest: bytes, principal: Principal, until: float | None) -> None:
        """Know the token until then; the oldest of too many is forgotten."""
        if until is None:
            return
        self._known.pop(digest, None)
        if len(self._known) >= CACHE_SIZE:
            del self._known[next(iter(self._known))]
        self._known[digest] = principal, until
