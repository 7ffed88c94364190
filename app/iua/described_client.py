"""A client as an administrator describes it: what it may be like, its keys, and how it gets a token.

Spec: IUA-51, IUA-59, IUA-65, IUA-70; EHDS-14, EHDS-15.
"""

from __future__ import annotations

from argparse import Namespace
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import orjson

from app.fhir.outcome import FhirError
from app.iua.granted_scope import INTROSPECT, is_known
from app.iua.registration import NAME, Client
from app.security.fetch import is_safe_url
from app.security.keys import public_keys

# Schemes of which a browser makes something else than a visit.
_DANGEROUS = frozenset({"javascript", "data", "file", "blob", "vbscript", "about"})


def described(options: Namespace) -> Client:
    """Return the client that `options` describe, without its secret and the pair of keys that is made for it.

    Raises:
        FhirError: `value` for what a client cannot be like.
    """
    for problem in _problems(options):
        raise FhirError("value", problem)
    is_url = "://" in options.jwks
    return Client(
        options.name,
        options.tenant,
        scopes_of(options),
        takes_basic=options.allow_basic,
        jwks_url=options.jwks if is_url else "",
        jwks={} if is_url or not options.jwks else _jwks(Path(options.jwks)),
        redirect_uris=tuple(options.redirect_uri),
        resource=options.resource.rstrip("/"),
        claims=organization(options),
    )


def scopes_of(options: Namespace) -> tuple[str, ...]:
    """Return the scopes that `options` name; a resource server may introspect as well."""
    own = (INTROSPECT,) if options.resource else ()
    return tuple(dict.fromkeys((*options.scope.split(), *own)))


def organization(options: Namespace) -> dict[str, str]:
    """Return the claims of `ihe_iua` that name an organization."""
    claims = {"subject_organization": options.organization, "subject_organization_id": options.organization_id}
    return {name: value for name, value in claims.items() if value}


def _problems(options: Namespace) -> Iterator[str]:
    if not NAME.fullmatch(options.name):
        yield f"`{options.name}` is no name: up to 64 letters, digits, `.`, `_`, `~`, `-` were expected."
    if sum((bool(options.jwks), options.secret, options.public)) > 1:
        yield "One of --jwks, --secret and --public is to be chosen."
    if options.allow_basic and not options.secret:
        yield "--allow-basic goes with --secret."
    if options.public and not options.redirect_uri:
        yield "--public goes with --redirect-uri: without a user there is nothing to trust."
    if not scopes_of(options):
        yield "--scope is missing: it says what the client may have."
    yield from (f"`{one}` is no scope." for one in scopes_of(options) if not is_known(one))
    yield from (f"`{one}` is no place to send a code to." for one in options.redirect_uri if not is_redirect(one))
    if options.resource and not urlsplit(options.resource).netloc:
        yield "--resource is the URL by which tokens name a resource server."
    if "://" in options.jwks and not is_safe_url(options.jwks):
        yield "--jwks is an https URL, or a file."


def is_redirect(url: str) -> bool:
    """Whether a code may be sent to `url`: https, this machine, or the scheme of an app; without a fragment."""
    parts = urlsplit(url)
    if not all("!" <= letter <= "~" and letter not in "\"'<>;,\\#" for letter in url):
        return False
    if parts.scheme in ("http", "https"):
        return is_safe_url(url)
    return bool(parts.scheme) and parts.scheme not in _DANGEROUS


def _jwks(path: Path) -> dict[str, Any]:
    """Return the public keys of a file.

    Raises:
        FhirError: `value` when it holds none, or one without a name.
    """
    try:
        read = orjson.loads(path.read_bytes())
    except (OSError, ValueError):
        raise FhirError("value", f"`{path}` cannot be read as a JWKS.") from None
    keys = public_keys(read if isinstance(read, dict) and "keys" in read else {"keys": [read]})
    if not keys or not all(key.get("kid") for key in keys):
        raise FhirError("value", f"`{path}` has no public key of 2048 bits (RSA) or on a curve, each with a `kid`.")
    return {"keys": [dict(key.as_dict(private=False)) for key in keys]}
