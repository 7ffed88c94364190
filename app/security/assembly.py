"""The guard of a deployment, made of what was configured.

Spec: IUA-07, IUA-31, IUA-41, IUA-98; EHDS-19, EHDS-23.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from hashlib import sha256
from ipaddress import ip_network
from pathlib import Path

from app.security.claims import Reading, principal_of
from app.security.configuration import (
    AuthorizationError,
    Entries,
    IssuerEntry,
    Options,
    RuleEntry,
    TokenEntry,
    read_entries,
)
from app.security.fetch import Fetch, is_safe_url
from app.security.guard import Decide, Gate, Gateway, Guard, Open, subject_key, without_restriction
from app.security.introspection import ByPassword, ByToken, Introspection
from app.security.keys import KEY_TYPES, PUBLIC, FetchedKeys, GivenKeys, Keys, Metadata, key_file, secret_key
from app.security.principal import Means, Principal
from app.security.rules import Rule
from app.security.scope import parse
from app.security.token import Issuer, StaticToken, Tokens

MIN_TOKEN_LENGTH = 16
SECRET = ("HS256",)


def guard_of(
    options: Options,
    environment: Mapping[str, str],
    base_url: str,
    decide: Decide = without_restriction,
    issuers: Sequence[Issuer] = (),
) -> Guard:
    """Return the guard for `options`.

    Args:
        environment: where the file of authorization finds its secrets.
        base_url: `[base]`, the audience where none is configured.
        decide: what part of the records exists for whom is let in.
        issuers: others that are trusted: the server's own.

    Raises:
        AuthorizationError: what was configured cannot be used; one sentence with its place.
    """
    entries = _together(options.entries, read_entries(options.file, environment))
    _require_sense(options, entries, issuers)
    if options.mode == "off":
        return Open()
    if options.mode == "external":
        return Gateway(tuple(ip_network(one) for one in options.gateways))
    fetch = Fetch()
    trusted = [*issuers, *(_Trusted(one, fetch, options, base_url).issuer() for one in entries.issuers)]
    tokens = Tokens(
        issuers=trusted,
        static=[StaticToken(_digest(one), _known(one, options.reading, "static")) for one in entries.tokens],
        reading=options.reading,
        fetch=fetch,
        introspected_for_s=options.introspected_for_s,
    )
    certificates = {subject_key(one.proof): _known(one, options.reading, "certificate") for one in entries.certificates}
    return Gate(options.mode, tokens, decide, certificates, [_rule(one) for one in entries.rules])


def _together(first: Entries, second: Entries) -> Entries:
    return Entries(
        first.issuers + second.issuers,
        first.tokens + second.tokens,
        first.certificates + second.certificates,
        first.rules + second.rules,
    )


def _require_sense(options: Options, entries: Entries, own: Sequence[Issuer]) -> None:
    """Refuse what would let nobody in, and what would let everybody in although somebody meant otherwise."""
    names = [*(one.issuer for one in own), *(one.issuer for one in entries.issuers)]
    nameless = next((one for one in entries.issuers if not one.issuer), None)
    if nameless:
        raise _wrong(nameless.place, "keys or introspection without an issuer: set MHD_AUTH_ISSUER")
    if twice := [one for one in entries.issuers if names.count(one.issuer) > 1]:
        raise _wrong(twice[-1].place, f"the issuer `{twice[-1].issuer}` is configured twice")
    has_known = bool(entries.tokens or entries.certificates)
    match options.mode:
        case "off" if entries != Entries():
            text = "tokens, issuers or rules are configured, and MHD_AUTH is off: set it to static, smart or iua"
        case "static" if entries.issuers:
            text = f"MHD_AUTH is static, and `{entries.issuers[0].issuer}` would not be trusted: set it to smart or iua"
        case "static" if not has_known:
            text = "MHD_AUTH is static, and no token or certificate is configured: set MHD_AUTH_TOKEN or MHD_AUTH_FILE"
        case "smart" | "iua" if not (names or has_known):
            text = f"MHD_AUTH is {options.mode}, and no issuer is trusted: set MHD_AUTH_ISSUER or MHD_AUTH_FILE"
        case "external" if not options.gateways:
            text = "MHD_AUTH is external, and it is not said where the gateway is: set MHD_TRUSTED_PROXIES"
        case _:
            return
    raise AuthorizationError(f"{text[0].upper()}{text[1:]}.")


class _Trusted:
    """One issuer on its way from what was configured to what verifies its tokens."""

    def __init__(self, entry: IssuerEntry, fetch: Fetch, options: Options, base_url: str) -> None:
        self.entry = entry
        self.fetch = fetch
        self.options = options
        self.audiences = frozenset(entry.audience or (base_url, f"{base_url}/"))
        self.metadata = Metadata(entry.issuer, fetch)

    def issuer(self) -> Issuer:
        """Return the issuer; nothing is asked of it yet."""
        entry = self.entry
        has_keys = entry.jwks_url or entry.jwks_file or entry.secret
        for url in ("" if has_keys else entry.issuer, entry.jwks_url, entry.introspection_url):
            if url and not is_safe_url(url):
                raise _wrong(entry.place, f"`{url}` is neither https nor on this machine")
        introspection = self._introspection()
        if entry.opaque and introspection is None:
            raise _wrong(entry.place, "an issuer of opaque tokens needs `introspection_client` and its secret")
        if entry.introspect == "all" and introspection is None:
            raise _wrong(entry.place, "`introspect` needs `introspection_client` and its secret")
        return Issuer(
            entry.issuer,
            self.audiences,
            self._algorithms(),
            None if entry.opaque else self._keys(),
            introspection,
            entry.introspect == "all",
            entry.lenient,
        )

    def _algorithms(self) -> frozenset[str]:
        """Return the signatures that are taken; those of a shared secret and of published keys never together."""
        chosen = frozenset(self.entry.algorithms or (SECRET if self.entry.secret else PUBLIC))
        for name in sorted(chosen):
            if name not in KEY_TYPES:
                raise _wrong(
                    self.entry.place, f"`{name}` is not a signature algorithm; known are {', '.join(KEY_TYPES)}"
                )
            if name.startswith("HS") != bool(self.entry.secret):
                raise _wrong(self.entry.place, f"`{name}` does not go with the keys of this issuer")
        return chosen

    def _keys(self) -> Keys:
        entry = self.entry
        given = [bool(entry.jwks_url), bool(entry.jwks_file), bool(entry.secret)]
        if sum(given) > 1:
            raise _wrong(entry.place, "an issuer has its keys at `jwks_url`, in `jwks_file`, or shares a secret")
        try:
            if entry.secret:
                return GivenKeys([secret_key(entry.secret)])
            if entry.jwks_file:
                return GivenKeys(key_file(Path(entry.jwks_file)))
        except (OSError, ValueError) as error:
            raise _wrong(entry.place, f"its keys cannot be used: {getattr(error, 'strerror', '') or error}") from None
        return FetchedKeys(self._jwks_url, self.fetch, self.options.keys_max_age_s)

    async def _jwks_url(self, anew: bool) -> str:
        return self.entry.jwks_url or await self.metadata.url("jwks_uri", anew=anew)

    def _introspection(self) -> Introspection | None:
        entry = self.entry
        if not entry.introspection_client:
            return None
        if not entry.introspection_secret:
            raise _wrong(entry.place, "`introspection_client` needs its secret")
        password = ByPassword(entry.introspection_client, entry.introspection_secret)
        is_by_token = entry.introspection_auth == "token"
        authenticate = ByToken(self._token_url, password, self.fetch) if is_by_token else password
        return Introspection(self._introspection_url, authenticate, self.fetch)

    async def _introspection_url(self) -> str:
        return self.entry.introspection_url or await self.metadata.url("introspection_endpoint")

    async def _token_url(self) -> str:
        return await self.metadata.url("token_endpoint")


def _digest(entry: TokenEntry) -> bytes:
    if len(entry.proof) < MIN_TOKEN_LENGTH:
        raise _wrong(entry.place, f"the token of `{entry.client}` is shorter than {MIN_TOKEN_LENGTH} characters")
    return sha256(entry.proof.encode()).digest()


def _known(entry: TokenEntry, reading: Reading, means: Means) -> Principal:
    """Return who bears a configured token or certificate."""
    claims = {"client_id": entry.client, "sub": entry.client, "scope": entry.scope}
    found = principal_of(claims | ({"patient": entry.patient} if entry.patient else {}), "", reading, means)
    if not found.grants:
        raise _wrong(entry.place, f"the scope of `{entry.client}` grants nothing")
    return replace(found, purposes=_codes(entry.purposes, entry.place), roles=_codes(entry.roles, entry.place))


def _rule(entry: RuleEntry) -> Rule:
    grants = parse(entry.scope)
    if not grants:
        raise _wrong(entry.place, f"`{entry.scope}` is no scope")
    return Rule(grants, frozenset(_codes(entry.purposes, entry.place)), frozenset(_codes(entry.roles, entry.place)))


def _codes(texts: Sequence[str], place: str) -> tuple[tuple[str, str], ...]:
    for text in texts:
        if not all(text.partition("|")):
            raise _wrong(place, f"`{text}` was expected as `system|code`")
    return tuple((system, code) for system, _, code in (text.rpartition("|") for text in texts))


def _wrong(place: str, text: str) -> AuthorizationError:
    return AuthorizationError(f"{place}: {text}.")
