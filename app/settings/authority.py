"""Settings: the own authorization server."""

from __future__ import annotations

import re
from dataclasses import replace
from urllib.parse import urlsplit

from pydantic import Field, field_validator

from app.security.configuration import Options
from app.security.keys import PUBLIC
from app.settings.auditing import Auditing
from app.settings.edge import File
from app.settings.shape import Texts

_TENANT = re.compile(r"[a-z][a-z0-9-]{0,31}")

# What other pages of the server are called.
_TAKEN = frozenset({"fhir", "docs", "examples", "health", "authorize", "token", "introspect", "revoke"})


class Authority(Auditing):
    """Who gives tokens, when this server itself does."""

    authority: bool = Field(
        False, description="give tokens to registered clients: an authorization server for applications and trials"
    )
    authority_issuer: str = Field("", description="its name, as `iss` has it; empty: scheme and host of the base URL")
    authority_tenants: Texts = Field((), description="more of them below it, each with its own clients, by commas")
    authority_token_s: int = Field(
        300, ge=10, le=3600, description="how long a token counts", json_schema_extra={"unit": "s"}
    )
    authority_refresh_s: int = Field(
        28_800,
        ge=0,
        le=7_776_000,
        description="how long a refresh token counts; 0: none are given",
        json_schema_extra={"unit": "s"},
    )
    authority_algorithms: Texts = Field(
        ("RS384", "ES384"), description="signatures with which clients show who they are, by commas"
    )
    authority_key_file: File = Field(
        None, description="file of its private keys, JWK, JWKS or PEM; empty: made at the first start and kept"
    )
    authority_key_days: int = Field(
        90, ge=1, description="how long such a kept key signs", json_schema_extra={"unit": "days"}
    )
    dev_mode: bool = Field(
        False, description="the token endpoint takes shared secrets (HTTP Basic) of all clients; for trials"
    )

    @property
    def authorization(self) -> Options:
        """What is said of who may ask; who gives tokens asks for them."""
        options = super().authorization
        return replace(options, mode="iua") if self.authority and options.mode == "off" else options

    @field_validator("authority_issuer")
    @classmethod
    def _issuer(cls, value: str) -> str:
        parts = urlsplit(value)
        if value and (parts.scheme not in ("http", "https") or not parts.netloc or parts.query or parts.fragment):
            raise ValueError("expected an absolute https URL without query, such as https://login.example.org")
        if ".well-known" in parts.path:
            raise ValueError("expected the name of the server, and not the path of its metadata")
        return value.rstrip("/")

    @field_validator("authority_tenants")
    @classmethod
    def _tenants(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        if any(not _TENANT.fullmatch(one) or one in _TAKEN for one in value) or len(set(value)) < len(value):
            raise ValueError("expected different names of small letters and digits, which no page of the server has")
        return value

    @field_validator("authority_algorithms")
    @classmethod
    def _algorithms(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        if not value or not set(value) <= set(PUBLIC):
            raise ValueError(f"expected some of {', '.join(PUBLIC)}")
        return value
