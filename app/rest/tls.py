"""TLS: what the server shows, which clients it asks for a certificate, and what is not spoken any more.

Spec: BCP 195 (RFC 9325): TLS 1.2 or newer, forward secrecy; IUA-29; AUD-86; MHD-SEC-01.
"""

from __future__ import annotations

import ssl
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

# Of TLS 1.2 only what has forward secrecy and authenticated encryption; TLS 1.3 has nothing else.
CIPHERS = "ECDHE+AESGCM:ECDHE+CHACHA20"

# Attribute types as RFC 4514 writes them, from the names that OpenSSL has for them.
SHORT_NAMES = {
    "commonName": "CN",
    "localityName": "L",
    "stateOrProvinceName": "ST",
    "organizationName": "O",
    "organizationalUnitName": "OU",
    "countryName": "C",
    "streetAddress": "STREET",
    "domainComponent": "DC",
    "userId": "UID",
}

Subject = Iterable[Iterable[tuple[str, str]]]


class TlsError(Exception):
    """The files of TLS cannot be used: one sentence for the operator."""


@dataclass(frozen=True, slots=True)
class Tls:
    """What TLS is made of.

    Attributes:
        certificate, key: files, PEM; the key may stand in the file of the certificate.
        password: of the key.
        client_ca: file of the authorities whose client certificates are taken; None: none is asked for.
        is_client_required: whoever has no certificate of theirs is not talked to.
    """

    certificate: Path
    key: Path | None = None
    password: str = ""
    client_ca: Path | None = None
    is_client_required: bool = True


def context_of(tls: Tls) -> ssl.SSLContext:
    """Return how the server speaks TLS.

    Raises:
        TlsError: a file cannot be used.
    """
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.options |= ssl.OP_NO_RENEGOTIATION | ssl.OP_NO_COMPRESSION
    context.set_ciphers(CIPHERS)
    context.set_alpn_protocols(["http/1.1"])
    try:
        context.load_cert_chain(tls.certificate, tls.key, lambda: tls.password)
    except (OSError, ssl.SSLError) as error:
        raise TlsError(f"{_files(tls)}: {_reason(error)}. See MHD_TLS_CERTIFICATE, MHD_TLS_KEY.") from None
    if tls.client_ca:
        _ask_clients(context, tls.client_ca, is_required=tls.is_client_required)
    return context


def server_context(tls: Tls, config: object, default: Callable[[], ssl.SSLContext]) -> ssl.SSLContext:
    """Return `context_of(tls)`, in the form in which uvicorn asks for it."""
    return context_of(tls)


def subject_of(certificate: object) -> str:
    """Return the subject of what `ssl.SSLObject.getpeercert` returned, as RFC 4514 writes it; empty without one.

    Examples:
        C=AT, O=North Hospital, CN=recorder -> "CN=recorder,O=North Hospital,C=AT"
    """
    subject: Subject = certificate.get("subject", ()) if isinstance(certificate, dict) else ()
    return ",".join("+".join(_attribute(*pair) for pair in part) for part in reversed(tuple(subject)))


def _ask_clients(context: ssl.SSLContext, authorities: Path, *, is_required: bool) -> None:
    try:
        context.load_verify_locations(authorities)
    except (OSError, ssl.SSLError) as error:
        raise TlsError(f"{authorities}: {_reason(error)}. See MHD_TLS_CLIENT_CA.") from None
    context.verify_mode = ssl.CERT_REQUIRED if is_required else ssl.CERT_OPTIONAL


def _attribute(name: str, value: str) -> str:
    escaped = "".join(f"\\{one}" if one in ',+"\\<>;=' else one for one in value)
    if escaped.startswith(("#", " ")):
        escaped = f"\\{escaped}"
    if escaped.endswith(" "):
        escaped = f"{escaped[:-1]}\\ "
    return f"{SHORT_NAMES.get(name, name)}={escaped}"


def _files(tls: Tls) -> str:
    return " and ".join(str(one) for one in (tls.certificate, tls.key) if one)


def _reason(error: OSError) -> str:
    return (
        error.reason.lower().replace("_", " ")
        if isinstance(error, ssl.SSLError) and error.reason
        else str(error.strerror)
    )
