"""Settings: the edge - TLS, proxies, browsers, how much and how fast a client may ask."""

from __future__ import annotations

from ipaddress import ip_network
from pathlib import Path
from typing import Annotated, Literal
from urllib.parse import urlsplit

from pydantic import BeforeValidator, Field, SecretStr, field_validator

from app.settings.serving import Serving
from app.settings.shape import Texts

ClientCertificate = Literal["required", "optional"]
ProxyHeader = Literal["x-forwarded", "forwarded"]

# A file that need not be named.
File = Annotated[Path | None, BeforeValidator(lambda value: value or None)]


class Edge(Serving):
    """What stands between the network and the first transaction."""

    tls_certificate: File = Field(None, description="file of the server's certificate chain, PEM; empty: no TLS here")
    tls_key: File = Field(None, description="file of its private key, PEM; empty: it stands beside the certificate")
    tls_key_password: SecretStr = Field(SecretStr(""), description="password of that key")
    tls_client_ca: File = Field(
        None, description="file of the authorities whose client certificates are taken, PEM; empty: none is asked for"
    )
    tls_client_certificate: ClientCertificate = Field(
        "required", description="where client certificates are taken: required, or optional beside tokens"
    )
    hsts_s: int = Field(
        31_536_000,
        ge=0,
        description="how long browsers remember to use TLS only; 0: they are not told",
        json_schema_extra={"unit": "s"},
    )
    trusted_proxies: Texts = Field(
        (), description="addresses or networks of proxies in front, whose word on client and TLS is taken, by commas"
    )
    proxy_header: ProxyHeader = Field(
        "x-forwarded", description="what they send: x-forwarded (-For and -Proto) or forwarded (RFC 7239)"
    )
    proxy_certificate_header: str = Field(
        "", pattern="^[A-Za-z0-9-]*$", description="header in which they name the subject of a client certificate"
    )
    cors_origins: Texts = Field(
        (), description="origins whose browser clients may ask, such as https://app.example.org, by commas"
    )

    rate_limit_per_s: int = Field(
        100, ge=0, description="requests of one client in a second, in the long run; 0: any number"
    )
    rate_burst: int = Field(1_000, ge=1, description="requests that it may have saved up")
    max_concurrent: int = Field(64, ge=0, description="requests of one client at a time; 0: any number")
    max_connections: int = Field(4_096, ge=1, description="open connections to one worker")
    max_headers: int = Field(100, ge=8, description="header fields of a request")
    max_header_bytes: int = Field(
        65_536,
        ge=1024,
        description="a request's URL and header fields together",
        json_schema_extra={"unit": "bytes"},
    )
    head_timeout_s: int = Field(
        10, ge=1, description="time for the head of a request to arrive", json_schema_extra={"unit": "s"}
    )
    body_timeout_s: int = Field(
        30,
        ge=1,
        description="time that may be lost waiting for a body, on top of what its slowest rate allows",
        json_schema_extra={"unit": "s"},
    )
    body_rate: int = Field(
        1_024,
        ge=1,
        description="slowest rate at which a body may arrive in the long run",
        json_schema_extra={"unit": "bytes/s"},
    )
    send_timeout_s: int = Field(
        60, ge=1, description="time in which a reader must take something of an answer", json_schema_extra={"unit": "s"}
    )
    keep_alive_s: int = Field(
        15, ge=1, description="time that an idle connection is kept open", json_schema_extra={"unit": "s"}
    )

    @field_validator("trusted_proxies")
    @classmethod
    def _networks(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        for one in value:
            try:
                ip_network(one)
            except ValueError:
                raise ValueError("expected addresses or networks, such as 10.1.2.0/24") from None
        return value

    @field_validator("cors_origins")
    @classmethod
    def _origins(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        """An origin is compared with what a browser sends, letter by letter."""
        for one in value:
            parts = urlsplit(one)
            if parts.scheme not in ("http", "https") or one != f"{parts.scheme}://{parts.netloc}".lower():
                raise ValueError("expected scheme and host in small letters, such as https://app.example.org")
        return value

    @field_validator("tls_certificate", "tls_key", "tls_client_ca")
    @classmethod
    def _file(cls, value: Path | None) -> Path | None:
        if value is not None and not value.is_file():
            raise ValueError("there is no such file")
        return value
