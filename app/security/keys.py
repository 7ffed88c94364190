"""Where the keys of an issuer come from: a file, a shared secret, a JWKS by URL, or what its metadata document names.

A key set by URL is kept as long as its `Cache-Control` says, between a minute and `max_age_s`, and is asked for again
when a token names a key that is not in it, at most once a minute. A key that its issuer takes back is therefore
refused after `max_age_s` at the latest.

Spec: RFC 7517; IUA-07, IUA-41, IUA-46, IUA-98; RFC 8414 and OpenID Connect Discovery for the metadata document.
"""

from __future__ import annotations

import re
import warnings
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol
from urllib.parse import urlsplit

import orjson
from joserfc.errors import JoseError
from joserfc.jwk import ECKey, Key, OctKey, OKPKey, RSAKey

from app.security.fetch import Fetch, Kept, is_safe_url, not_reached
from app.security.refusal import RefusedError

# Signature algorithm -> type of its key. HS256 needs a secret that was configured as one, never a published key.
KEY_TYPES: Mapping[str, type[Key]] = {
    **dict.fromkeys(("RS256", "RS384", "RS512", "PS256", "PS384", "PS512"), RSAKey),
    **dict.fromkeys(("ES256", "ES384", "ES512"), ECKey),
    **dict.fromkeys(("EdDSA", "Ed25519"), OKPKey),
    **dict.fromkeys(("HS256", "HS384", "HS512"), OctKey),
}
PUBLIC = tuple(name for name in KEY_TYPES if not name.startswith("HS"))
CURVES: Mapping[str, str] = {
    "ES256": "P-256",
    "ES384": "P-384",
    "ES512": "P-521",
    "EdDSA": "Ed25519",
    "Ed25519": "Ed25519",
}

MAX_KEYS = 100
MIN_RSA_BITS = 2048
MIN_SECRET_BYTES = 32
MIN_AGE_S = 60.0
MAX_AGE_S = 3600.0
UNKNOWN_KEY_EVERY_S = 60.0
GRACE_S = 3600.0  # that long, tokens are verified with the old keys while the issuer does not answer

Locate = Callable[[bool], Awaitable[str]]

_MAX_AGE = re.compile(r"(?:^|[,\s])max-age=(\d{1,9})")


class Keys(Protocol):
    """The keys of one issuer."""

    async def find(self, kid: str, algorithm: str) -> Key | None:
        """Return the key that verifies `algorithm` under the id `kid` (empty: the token names none); None: no such key.

        Raises:
            RefusedError: `transient` (503) when the keys cannot be had.
        """
        ...


class GivenKeys:
    """Keys that do not change while the server runs: of a file, or a shared secret."""

    def __init__(self, keys: Iterable[Key]) -> None:
        """Take `keys`."""
        self._keys = tuple(keys)

    async def find(self, kid: str, algorithm: str) -> Key | None:
        """Return the key that verifies `algorithm` under the id `kid`."""
        return select(self._keys, kid, algorithm)


class FetchedKeys:
    """The keys that an issuer publishes."""

    def __init__(self, locate: Locate, fetch: Fetch, max_age_s: float = MAX_AGE_S) -> None:
        """Fetch from the URL that `locate` tells; it is given whether it is to be looked up anew."""
        self._locate = locate
        self._is_unknown = False
        self._fetch = fetch
        self._max_age_s = max_age_s
        self._kept: Kept[tuple[Key, ...]] = Kept(self._fetched, GRACE_S)

    async def find(self, kid: str, algorithm: str) -> Key | None:
        """Return the key that verifies `algorithm` under the id `kid`; for an unknown one the issuer is asked again."""
        found = select(await self._kept.value(), kid, algorithm)
        if found is None:
            self._is_unknown = True
            found = select(await self._kept.renewed(UNKNOWN_KEY_EVERY_S), kid, algorithm)
        return found

    async def _fetched(self) -> tuple[tuple[Key, ...], float]:
        is_unknown, self._is_unknown = self._is_unknown, False
        content, headers = await self._fetch.get(await self._locate(is_unknown))
        keys = public_keys(content)
        if not keys:
            raise not_reached()
        return keys, good_for(headers, self._max_age_s)


class Metadata:
    """The metadata document of an issuer (ITI-103, or OpenID Connect's)."""

    def __init__(self, issuer: str, fetch: Fetch) -> None:
        """Look where RFC 8414 says, then where OpenID Connect says."""
        self._issuer = issuer
        self._fetch = fetch
        self._kept: Kept[Mapping[str, Any]] = Kept(self._fetched, GRACE_S)

    async def url(self, member: str, *, anew: bool = False) -> str:
        """Return the URL that `member` names; the document is at most an hour old, or a minute when it is to be new.

        Raises:
            RefusedError: `transient` (503) when there is no such document, or no such member.
        """
        document = await (self._kept.renewed(UNKNOWN_KEY_EVERY_S) if anew else self._kept.value())
        found = document.get(member)
        if not isinstance(found, str) or not is_safe_url(found):
            raise not_reached()
        return found

    async def _fetched(self) -> tuple[Mapping[str, Any], float]:
        for url in metadata_urls(self._issuer):
            try:
                content, _ = await self._fetch.get(url)
            except RefusedError:
                continue
            if isinstance(content, dict) and content.get("issuer") == self._issuer:
                return content, MAX_AGE_S
        raise not_reached()


def metadata_urls(issuer: str) -> tuple[str, str]:
    """Return where the metadata document of `issuer` may be: RFC 8414 section 3.1, then OpenID Connect Discovery 4."""
    parts = urlsplit(issuer)
    path = parts.path.rstrip("/")
    root = f"{parts.scheme}://{parts.netloc}/.well-known"
    return f"{root}/oauth-authorization-server{path}", f"{issuer.rstrip('/')}/.well-known/openid-configuration"


def public_keys(content: Any) -> tuple[Key, ...]:
    """Return the keys of a JWKS that verify signatures; what is not understood, too weak or secret is left out."""
    listed = content.get("keys") if isinstance(content, dict) else None
    found = (_key(one) for one in (listed if isinstance(listed, list) else [])[:MAX_KEYS])
    return tuple(key for key in found if key is not None)


def key_file(path: Path) -> tuple[Key, ...]:
    """Return the public keys of a file: a JWKS, one JWK, or a key in PEM.

    Raises:
        ValueError: there is no key in it that verifies signatures; what is wrong, for the operator.
    """
    content = path.read_bytes()
    found = _of_pem(content) if content.lstrip().startswith(b"-----BEGIN") else public_keys(_json(content))
    if not found:
        raise ValueError("there is no public key in it (RSA of at least 2048 bits, EC, Ed25519), as JWKS or PEM")
    return found


def secret_key(secret: str) -> Key:
    """Return the key of HS256 and its like.

    Raises:
        ValueError: the secret is too short, or is somebody's public key.
    """
    if len(secret.encode()) < MIN_SECRET_BYTES:
        raise ValueError(f"a shared secret needs at least {MIN_SECRET_BYTES} bytes")
    if "-----BEGIN" in secret or '"kty"' in secret:
        raise ValueError("this is a key of its own, and no secret to share")
    return OctKey.import_key(secret)


def select(keys: Sequence[Key], kid: str, algorithm: str) -> Key | None:
    """Return the one key of `keys` that may verify `algorithm`: named `kid`, else the only one without another name.

    A token without `kid` is verified by the only key there is; a key without one, such as a secret, by any name.
    """
    fitting = [key for key in keys if _fits(key, algorithm)]
    if kid and (named := [key for key in fitting if key.get("kid") == kid]):
        return named[0]
    rest = [key for key in fitting if not key.get("kid")] if kid else fitting
    return rest[0] if len(rest) == 1 else None


def good_for(headers: Mapping[str, str], max_age_s: float) -> float:
    """Return for how many seconds an answer is good: what it says, between a minute and `max_age_s`."""
    said = headers.get("cache-control", "").lower()
    if "no-store" in said or "no-cache" in said:
        return MIN_AGE_S
    found = _MAX_AGE.search(said)
    return max(MIN_AGE_S, min(float(found[1]), max_age_s)) if found else max_age_s


def _fits(key: Key, algorithm: str) -> bool:
    return (
        isinstance(key, KEY_TYPES[algorithm])
        and key.get("alg") in (None, algorithm)
        and (algorithm not in CURVES or getattr(key, "curve_name", "") == CURVES[algorithm])
    )


def _key(jwk: Any) -> Key | None:
    types: dict[str, type[RSAKey | ECKey | OKPKey]] = {"RSA": RSAKey, "EC": ECKey, "OKP": OKPKey}
    if not isinstance(jwk, dict) or jwk.get("kty") not in types or jwk.get("use", "sig") != "sig":
        return None
    if "verify" not in jwk.get("key_ops", ["verify"]):
        return None
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of short keys, which are left out
            key = types[jwk["kty"]].import_key(jwk)
            return None if isinstance(key, RSAKey) and key.public_key.key_size < MIN_RSA_BITS else key
    except (JoseError, ValueError, TypeError, AttributeError, KeyError):
        return None


def _of_pem(content: bytes) -> tuple[Key, ...]:
    for kind in (RSAKey, ECKey, OKPKey):
        try:
            key = kind.import_key(content)
        except (JoseError, ValueError, TypeError):
            continue
        return public_keys({"keys": [dict(key.as_dict(private=False))]})
    return ()


def _json(content: bytes) -> Any:
    try:
        found = orjson.loads(content)
    except orjson.JSONDecodeError:
        return None
    return found if isinstance(found, dict) and "keys" in found else {"keys": [found]}
