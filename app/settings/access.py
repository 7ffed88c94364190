"""Settings: who may - tokens, scopes, restrictions, the own authorization server."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from pydantic import Field, SecretStr

from app.security.claims import Reading, ScopeStatus
from app.security.configuration import Entries, IssuerEntry, Options, TokenEntry
from app.security.guard import Mode
from app.security.scope import Aliases
from app.settings.patients import Patients
from app.settings.shape import PREFIX, Texts

ForeignPatient = Literal["refuse", "empty"]


class Access(Patients):
    """Issuers, policy, IUA."""

    auth: Mode = Field(
        "off",
        description="who may ask: off (everybody), static (configured tokens), smart or iua (tokens of issuers), "
        "external (a gateway among the trusted proxies decides)",
    )
    auth_file: str = Field("", description="file of issuers, tokens, certificates and rules, TOML; empty: none")
    auth_issuer: str = Field("", description="issuer whose tokens are taken, as `iss` has it")
    auth_audience: Texts = Field((), description="what this server is called in `aud`, by commas; empty: its base URL")
    auth_algorithms: Texts = Field(
        (), description="signatures that are taken from that issuer, such as RS256,ES384; empty: those of its keys"
    )
    auth_jwks_url: str = Field("", description="where its keys are; empty: where its metadata document says")
    auth_jwks_file: str = Field("", description="file of its keys instead, JWKS or PEM")
    auth_secret: SecretStr = Field(SecretStr(""), description="secret that is shared with it instead, for HS256")
    auth_opaque: bool = Field(False, description="it gives no JWTs: every token is introspected")
    auth_introspection_url: str = Field(
        "", description="where it introspects tokens; empty: where its metadata document says"
    )
    auth_introspection_client: str = Field("", description="client id of this server there; empty: no introspection")
    auth_introspection_secret: SecretStr = Field(SecretStr(""), description="secret of that client")
    auth_introspection_cache_s: int = Field(
        30,
        ge=0,
        le=60,
        description="how long an introspected token counts without asking again",
        json_schema_extra={"unit": "s"},
    )
    auth_keys_max_age_s: int = Field(
        3_600,
        ge=60,
        le=86_400,
        description="how long an issuer's keys are kept at most",
        json_schema_extra={"unit": "s"},
    )
    auth_jwt_lenient: bool = Field(False, description="take JWTs without `client_id`, `jti`, `iat` or `scope`")
    auth_skew_s: int = Field(
        30, ge=0, le=300, description="how far clocks of issuers may be off", json_schema_extra={"unit": "s"}
    )
    auth_scope_status: ScopeStatus = Field(
        "dialect", description="status of a valid token that does not suffice: 401, 403, or by the token's dialect"
    )
    auth_conceal: bool = Field(False, description="404 instead: whoever may not see it is told that nothing is there")
    auth_bind_person_id: bool = Field(True, description="`ihe_iua.person_id` binds a token to that patient")
    auth_smart_feed: bool = Field(False, description="SMART scopes such as system/Patient.cud open ITI-104")
    auth_iti65_simplified: bool = Field(True, description="the scope ITI-65 opens ITI-105")
    auth_publish_scope: Literal["strict", "relaxed"] = Field(
        "strict", description="SMART scopes for ITI-65: of each entry, or DocumentReference.c alone (relaxed)"
    )
    auth_token: SecretStr = Field(SecretStr(""), description="a bearer string of your own, for curl and Postman")
    auth_token_scope: str = Field("system/*.cruds", description="its scopes, separated by blanks")

    access_policy: str = Field("", description="file of clearances and emergencies, TOML; empty: all may be seen")
    consents: bool = Field(False, description="patients' restrictions hold: Consents over FHIR, or by `consent`")
    foreign_patient: ForeignPatient = Field(
        "refuse", description="a token of one patient that asks for another one: refuse, or find nothing (empty)"
    )

    @property
    def authorization(self) -> Options:
        """What is said of who may ask, the file not read yet."""
        relaxed = self.auth_publish_scope == "relaxed"
        return Options(
            mode=self.auth,
            reading=Reading(
                Aliases(self.auth_smart_feed, self.auth_iti65_simplified, relaxed),
                self.auth_skew_s,
                self.auth_scope_status,
                self.auth_conceal,
                self.auth_bind_person_id,
            ),
            entries=Entries(self._issuers, self._tokens),
            file=Path(self.auth_file) if self.auth_file else None,
            keys_max_age_s=self.auth_keys_max_age_s,
            introspected_for_s=self.auth_introspection_cache_s,
            gateways=self.trusted_proxies,
        )

    @property
    def _issuers(self) -> tuple[IssuerEntry, ...]:
        secret = self.auth_secret.get_secret_value()
        if not any((self.auth_issuer, self.auth_jwks_url, self.auth_jwks_file, secret, self.auth_introspection_client)):
            return ()
        return (
            IssuerEntry(
                self.auth_issuer,
                self.auth_audience,
                self.auth_algorithms,
                self.auth_jwks_url,
                self.auth_jwks_file,
                secret,
                opaque=self.auth_opaque,
                introspection_url=self.auth_introspection_url,
                introspection_client=self.auth_introspection_client,
                introspection_secret=self.auth_introspection_secret.get_secret_value(),
                lenient=self.auth_jwt_lenient,
                place=f"{PREFIX}AUTH_ISSUER and what goes with it",
            ),
        )

    @property
    def _tokens(self) -> tuple[TokenEntry, ...]:
        token = self.auth_token.get_secret_value()
        return (TokenEntry(token, "static", self.auth_token_scope, place=f"{PREFIX}AUTH_TOKEN"),) if token else ()
