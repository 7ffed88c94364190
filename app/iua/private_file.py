"""The pair of keys that is made for a client, the file where it keeps the private one, and what it signs with that.

Spec: EHDS-13; SMART App Launch 2.2, "Registering a client". Own choice: the file, for trials with curl.
"""

from __future__ import annotations

from pathlib import Path

import orjson
from joserfc import jwt
from joserfc.errors import JoseError
from joserfc.jwk import RSAKey

from app.fhir.outcome import FhirError
from app.iua.authority import Authority

_ALGORITHM = "RS384"


def new_pair(authority: Authority) -> RSAKey:
    """Return a new pair of keys, for an algorithm that `authority` takes."""
    fitting = [one for one in authority.algorithms if one.startswith(("RS", "PS"))]
    algorithm = _ALGORITHM if _ALGORITHM in fitting or not fitting else fitting[0]
    return RSAKey.generate_key(2048, {"use": "sig", "alg": algorithm}, auto_kid=True)


def write_private(key: RSAKey, name: str, authority: Authority) -> Path:
    """Write the private key of a client beside us, for its user alone; return where.

    Raises:
        FhirError: `duplicate` when there is such a file, `exception` when it cannot be written.
    """
    path = Path(f"{name}.private.json")
    kept = {"client_id": name, "token_endpoint": authority.token_endpoint, "key": key.as_dict(private=True)}
    try:
        path.touch(mode=0o600, exist_ok=False)
        path.write_bytes(orjson.dumps(kept))
    except FileExistsError:
        raise FhirError("duplicate", f"`{path}` is there already; move it away, or give --jwks.") from None
    except OSError as error:
        raise FhirError("exception", f"`{path}` cannot be written: {error.strerror}.") from None
    return path


def signed(path: Path, lives_s: int, token_id: str, now_s: int) -> str:
    """Return an assertion of the client whose private key is in `path`.

    Raises:
        FhirError: `value` when the file is not one that `register` wrote.
    """
    try:
        kept = orjson.loads(path.read_bytes())
        key = RSAKey.import_key(kept["key"])
        name, audience = kept["client_id"], kept["token_endpoint"]
    except (OSError, ValueError, KeyError, TypeError, JoseError):
        raise FhirError("value", f"`{path}` is no file that `clients register` wrote.") from None
    header = {"alg": key.get("alg"), "typ": "JWT", "kid": key.kid}
    claims = {"iss": name, "sub": name, "aud": audience, "jti": token_id, "iat": now_s, "exp": now_s + lives_s}
    return jwt.encode(header, claims, key, algorithms=[str(key.get("alg"))])
