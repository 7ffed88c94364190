"""The signature of an access token, and what its header may say.

The key comes from what was configured for the issuer and from nowhere else, and so does the list of algorithms: what a
token says of either is compared, never followed.

Spec: RFC 7515; RFC 8725; IUA-40, IUA-41, IUA-45 to IUA-48.
"""

from __future__ import annotations

import warnings
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any

import orjson
from joserfc.errors import JoseError, SecurityWarning
from joserfc.jws import CompactSignature, JWSRegistry, extract_compact, validate_compact

from app.security.keys import KEY_TYPES, Keys
from app.security.refusal import unusable

MAX_TOKEN_BYTES = 16 * 1024
MAX_KID = 256
TYPES = frozenset({"", "jwt", "at+jwt", "iua-jwt", "application/at+jwt"})

# Header members that bring a key along, or change what is signed; `crit` names others that must be understood.
_REFUSED = ("jwk", "jku", "x5u", "x5c", "crit", "b64", "zip", "enc")


class _Registry(JWSRegistry):
    """Headers may be longer than joserfc expects: some issuers put certificates' thumbprints and names into them."""

    max_header_length = 4096


@dataclass(frozen=True, slots=True)
class Jws:
    """A JWT whose signature has not been looked at yet.

    Attributes:
        claims: what it says, and nobody has vouched for.
    """

    header: Mapping[str, Any]
    claims: Mapping[str, Any]
    signed: CompactSignature

    @property
    def issuer(self) -> str:
        """Who it says it is from; empty when it says nothing."""
        found = self.claims.get("iss")
        return found if isinstance(found, str) else ""


def is_jwt(token: str) -> bool:
    """Tell whether `token` has the form of a JWS or JWE: base64url parts between dots, the first of which is JSON."""
    return token.count(".") in (2, 4) and token.startswith("eyJ")


def read(token: str) -> Jws:
    """Return the parts of `token`.

    Raises:
        RefusedError: `security` (401) when it cannot be read, or its header says what is not taken.
    """
    if len(token) > MAX_TOKEN_BYTES:
        raise unusable(f"it is longer than {MAX_TOKEN_BYTES} characters")
    if token.count(".") != 2:
        raise unusable("encrypted tokens are not offered")
    try:
        signed = extract_compact(token.encode(), registry=_Registry(strict_check_header=False))
        claims = orjson.loads(signed.payload)
        header = signed.headers()
    except (JoseError, ValueError, TypeError):
        raise unusable("it is no JWT in compact serialisation") from None
    if not isinstance(claims, dict) or not isinstance(header, dict):
        raise unusable("it is no JWT in compact serialisation")
    _require_plain(header)
    return Jws(header, claims, signed)


async def verify(jws: Jws, keys: Keys, algorithms: Collection[str]) -> None:
    """Return when the signature is that of the issuer.

    Raises:
        RefusedError: `security` (401) for another algorithm, an unknown key or a wrong signature; `transient` (503)
            when the keys cannot be had.
    """
    algorithm, kid = jws.header.get("alg"), jws.header.get("kid", "")
    if not isinstance(algorithm, str) or algorithm not in algorithms or algorithm not in KEY_TYPES:
        raise unusable("its signature algorithm is not one that is taken from this issuer")
    if not isinstance(kid, str) or len(kid) > MAX_KID:
        raise unusable("its `kid` is no short text")
    key = await keys.find(kid, algorithm)
    if key is None:
        raise unusable("its key is not one of this issuer")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", SecurityWarning)  # EdDSA has a new name; issuers use the old one
            is_genuine = validate_compact(jws.signed, key, [algorithm], _Registry(None, [algorithm], False))
    except (JoseError, ValueError, TypeError):
        is_genuine = False
    if not is_genuine:
        raise unusable("its signature is wrong")


def _require_plain(header: Mapping[str, Any]) -> None:
    for name in _REFUSED:
        if name in header:
            raise unusable(f"its header has `{name}`, which is not taken")
    kind = header.get("typ", "")
    if not isinstance(kind, str) or kind.lower() not in TYPES:
        raise unusable("its header `typ` is not one of JWT, at+jwt, IUA-JWT")
